// The discrepancy of each draw: the counterpart of scalefit/model/paths.py and path_grids.py.
// f = waves of a prior process + kernels at the pivots.

const { exp, cos, sin, sqrt, abs, hypot, max } = Math;
const LEAST_REDUCIBLE = 1e-6;
const SOFT = 0.05;
const WHOLE = 1 + sqrt(1 + 4 * SOFT * SOFT);

/** A law's loss with its discrepancy f: L exp(f), but above the floor; `shifted` of scalefit/model/discrepancy.py. */
export function shifted(loss, floor, f) {
  const reducible = max(loss - floor, LEAST_REDUCIBLE * loss);
  const left = (loss * exp(f) - floor) / reducible;
  const far = abs(left) + sqrt(left * left + 4 * SOFT * SOFT);
  return floor + (reducible * (left > 0 ? far : (4 * SOFT * SOFT) / far)) / WHOLE;
}

function fillWaves(nodes, u, out) {
  for (let k = 0; k < nodes.length; k++) {
    out[k] = cos(u * nodes[k]);
    out[nodes.length + k] = sin(u * nodes[k]);
  }
  return out;
}

/** Waves at a phase, and the turn to the next of evenly spaced ones. */
function turning(nodes, phase, by) {
  const [now, next] = [new Float64Array(2 * nodes.length), new Float64Array(2 * nodes.length)];
  return { now: fillWaves(nodes, phase, now), next: fillWaves(nodes, by, next) };
}

function turn({ now, next }) {
  const half = now.length / 2;
  for (let k = 0; k < half; k++) {
    const [cosine, sine] = [now[k], now[half + k]];
    now[k] = cosine * next[k] - sine * next[half + k];
    now[half + k] = sine * next[k] + cosine * next[half + k];
  }
}

/** In `out` the sums, term by term, of geometric series; in fours, which stay in registers. */
function sumOfSeries(value, step, kept, count, out) {
  for (; kept % 4; kept++) value[kept] = step[kept] = 0;
  for (let j = 0; j < count; j++) out[j] = 0;
  for (let k = 0; k < kept; k += 4) {
    let [a, b, c, d] = [value[k], value[k + 1], value[k + 2], value[k + 3]];
    const [p, q, r, s] = [step[k], step[k + 1], step[k + 2], step[k + 3]];
    for (let j = 0; j < count; j++) {
      out[j] += a + b + (c + d);
      a *= p;
      b *= q;
      c *= r;
      d *= s;
    }
  }
}

/** Of one compute: what every draw needs of it. `coefficients` are those of waves and kernels in ln D/N. */
export class Discrepancy {
  constructor({ nodes, sets, component, pull, line, plane }) {
    Object.assign(this, { nodes, sets, component, pull, line, plane });
    this.pivots = pull.length / component.length;
    this.waves = 2 * nodes.plane.length;
    this.terms = this.waves + this.pivots;
  }

  /** What |f| of draw i exceeds nowhere. */
  most(i) {
    this.bounds ??= new Float64Array(this.component.length).fill(NaN);
    if (isNaN(this.bounds[i])) this.bounds[i] = this.boundOf(i);
    return this.bounds[i];
  }

  boundOf(i) {
    const { nodes, pivots, waves } = this;
    const { scales: [one, , two] } = this.sets[this.component[i]];
    const [line, half] = [nodes.line.length, waves / 2];
    let found = 0;
    for (let k = 0; k < line; k++) found += hypot(this.line[2 * i * line + k], this.line[2 * i * line + line + k]);
    for (let k = 0; k < pivots; k++) found += (one * one + two * two) * abs(this.pull[i * pivots + k]);
    for (let r = 0; r < half; r++)
      for (let c = 0; c < half; c++) {
        const at = (row, column) => this.plane[(i * waves + row) * waves + column];
        found += hypot(at(r, c), at(r, half + c), at(half + r, c), at(half + r, half + c));
      }
    return found;
  }

  /** Functions of ln C that the draws of one set of scales share. */
  sharedOf({ scales: [one, length, two, lengthC], centres }, logC) {
    const { nodes, pivots, waves } = this;
    const line = fillWaves(nodes.line, logC / length, new Float64Array(2 * nodes.line.length));
    const plane = fillWaves(nodes.plane, logC / lengthC, new Float64Array(waves));
    const [level, near] = [new Float64Array(pivots), new Float64Array(pivots)];
    for (let k = 0; k < pivots; k++) {
      const off = centres[k][0] - logC;
      level[k] = one * one * exp(-0.5 * (off / length) ** 2);
      near[k] = two * two * exp(-0.5 * (off / lengthC) ** 2);
    }
    return { line, plane, level, near };
  }

  /** Those of every set. */
  shared(logC) {
    return this.sets.map((set) => this.sharedOf(set, logC));
  }

  /** The level of draw i at a compute, and in `out` a coefficient for each function of ln D/N. */
  along(i, shared, out) {
    return this.alongOwn(i, shared[this.component[i]], out);
  }

  alongOwn(i, { line, plane, level, near }, out) {
    const { pivots, waves } = this;
    let found = 0;
    for (let k = 0, at = i * line.length; k < line.length; k++) found += line[k] * this.line[at + k];
    for (let k = 0, at = i * pivots; k < pivots; k++) {
      found += level[k] * this.pull[at + k];
      out[waves + k] = near[k] * this.pull[at + k];
    }
    const start = i * waves * waves;
    for (let c = 0; c < waves; c++) out[c] = 0;
    for (let r = 0; r < waves; r++)
      for (let c = 0; c < waves; c++) out[c] += plane[r] * this.plane[start + r * waves + c];
    return found;
  }

  /** For each set of scales: the functions of ln D/N at each of several ratios, (ratio, term). */
  ratioTerms(ratios) {
    const { nodes, pivots, waves, terms } = this;
    const one = new Float64Array(waves);
    return this.sets.map(({ scales, centres }) => {
      const found = new Float64Array(ratios.length * terms);
      ratios.forEach((ratio, j) => {
        found.set(fillWaves(nodes.plane, ratio / scales[4], one), j * terms);
        for (let k = 0; k < pivots; k++)
          found[j * terms + waves + k] = exp(-0.5 * ((ratio - centres[k][1]) / scales[4]) ** 2);
      });
      return found;
    });
  }

  /** f of draw i from `along` and row j of `ratioTerms`. */
  sum(i, level, coefficients, terms, j) {
    const values = terms[this.component[i]];
    let found = level;
    for (let k = 0, at = j * this.terms; k < this.terms; k++) found += coefficients[k] * values[at + k];
    return found;
  }

  /** f of draw i at one ratio, from `along`. */
  atRatio(i, level, coefficients, ratio) {
    const { nodes, pivots, waves } = this;
    const { scales, centres } = this.sets[this.component[i]];
    const half = nodes.plane.length;
    let found = level;
    for (let k = 0; k < half; k++) {
      const phase = (ratio / scales[4]) * nodes.plane[k];
      found += coefficients[k] * cos(phase) + coefficients[half + k] * sin(phase);
    }
    for (let k = 0; k < pivots; k++) {
      const off = (ratio - centres[k][1]) / scales[4];
      found += coefficients[waves + k] * exp(-0.5 * off * off);
    }
    return found;
  }

  /** f of draw i at one allocation. */
  at(i, logN, logD) {
    const coefficients = (this.own ??= new Float64Array(this.terms));
    const shared = this.sharedOf(this.sets[this.component[i]], Math.log(6) + logN + logD);
    return this.atRatio(i, this.alongOwn(i, shared, coefficients), coefficients, logD - logN);
  }

  /** f of each draw at each of several allocations, (draw, place); draws are those numbers. */
  atMany(draws, places) {
    const coefficients = new Float64Array(this.terms);
    const found = new Float64Array(draws.length * places.length);
    places.forEach(([logN, logD], p) => {
      const shared = this.shared(Math.log(6) + logN + logD);
      const terms = this.ratioTerms([logD - logN]);
      draws.forEach((i, row) => {
        const level = this.along(i, shared, coefficients);
        found[row * places.length + p] = this.sum(i, level, coefficients, terms, 0);
      });
    });
    return found;
  }

  /** f of draw i at evenly spaced ratios `middle + offsets` of a budget: kernels there are geometric series. */
  onOffsets(i, level, coefficients, middle, offsets, out) {
    const { nodes, pivots, waves } = this;
    const { scales, centres } = this.sets[this.component[i]];
    const length = scales[4];
    const half = nodes.plane.length;
    const count = offsets.length;
    const tables = this.offsetTables(length, offsets);
    const turned = (this.turned ??= new Float64Array(waves));
    for (let k = 0; k < half; k++) {
      const [turn, across] = [cos((middle / length) * nodes.plane[k]), sin((middle / length) * nodes.plane[k])];
      turned[k] = coefficients[k] * turn + coefficients[half + k] * across;
      turned[half + k] = coefficients[half + k] * turn - coefficients[k] * across;
    }
    const { value, step } = this.series();
    let kept = 0;
    for (let k = 0; k < pivots; k++) {
      if (coefficients[waves + k] === 0) continue;
      const a = (middle - centres[k][1]) / length;
      value[kept] = coefficients[waves + k] * exp(-0.5 * a * a - (a * offsets[0]) / length);
      step[kept++] = exp((-a * (offsets[1] - offsets[0])) / length);
    }
    sumOfSeries(value, step, kept, count, out);
    // Offsets lie evenly about zero: cosines are the same on both sides, sines change their sign.
    const { cosines, sines, bell } = tables;
    for (let j = 0, last = count - 1; j <= last; j++, last--) {
      let even = level;
      let odd = 0;
      for (let k = 0, at = j * half; k < half; k++, at++) {
        even += turned[k] * cosines[at];
        odd += turned[half + k] * sines[at];
      }
      out[j] = even + odd + out[j] * bell[j];
      if (last > j) out[last] = even - odd + out[last] * bell[last];
    }
    return out;
  }

  /** f of draw i along a line on which ln C changes too, by `slope` times the offsets. */
  onLine(i, logC, middle, slope, offsets, out) {
    const { nodes, pivots, waves } = this;
    const { scales: [one, length, two, lengthC, lengthRatio], centres } = this.sets[this.component[i]];
    const [count, first, by] = [offsets.length, offsets[0], offsets[1] - offsets[0]];
    const { value, step } = this.series();
    const alone = (this.alone ??= new Float64Array(count));
    const kernels = (target, height, rise, run) => {
      for (let k = 0; k < pivots; k++) {
        const a = rise * (logC - centres[k][0]);
        const b = run * (middle - centres[k][1]);
        const tilt = a * rise * slope + b * run;
        value[k] = height * this.pull[i * pivots + k] * exp(-0.5 * (a * a + b * b) - tilt * first);
        step[k] = exp(-tilt * by);
      }
      sumOfSeries(value, step, pivots, count, target);
      const bend = (rise * slope) ** 2 + run ** 2;
      for (let j = 0; j < count; j++) target[j] *= exp(-0.5 * bend * offsets[j] ** 2);
    };
    kernels(alone, one * one, 1 / length, 0);
    kernels(out, two * two, 1 / lengthC, 1 / lengthRatio);
    const along = turning(nodes.line, (logC + slope * first) / length, (slope * by) / length);
    const rows = turning(nodes.plane, (logC + slope * first) / lengthC, (slope * by) / lengthC);
    const columns = turning(nodes.plane, (middle + first) / lengthRatio, by / lengthRatio);
    const [lineAt, planeAt] = [i * along.now.length, i * waves * waves];
    for (let j = 0; j < count; j++) {
      let found = out[j] + alone[j];
      for (let k = 0; k < along.now.length; k++) found += along.now[k] * this.line[lineAt + k];
      for (let r = 0; r < waves; r++) {
        let row = 0;
        for (let c = 0, at = planeAt + r * waves; c < waves; c++, at++) row += columns.now[c] * this.plane[at];
        found += rows.now[r] * row;
      }
      out[j] = found;
      for (const each of [along, rows, columns]) turn(each);
    }
    return out;
  }

  /** First terms and ratios of geometric series, one a pivot, with room for fours. */
  series() {
    return (this.kept ??= { value: new Float64Array(this.pivots + 3), step: new Float64Array(this.pivots + 3) });
  }

  offsetTables(length, offsets) {
    this.tables ??= new Map();
    if (!this.tables.has(length)) {
      const nodes = this.nodes.plane;
      const of = (f) => Float64Array.from(offsets.flatMap((off) => nodes.map((node) => f((off / length) * node))));
      const bell = Float64Array.from(offsets, (off) => exp(-0.5 * (off / length) ** 2));
      this.tables.set(length, { cosines: of(cos), sines: of(sin), bell });
    }
    return this.tables.get(length);
  }
}
