// The optimum of each draw along a budget: the counterpart of scalefit/frontier/optimum.py and budget_lines.py.

import { shifted } from "./discrepancy.js";
import { Cost, LOG6 } from "./lines.js";
import { HALF, STENCIL, brent, through, valley } from "./search.js";

const { log, max, min, abs } = Math;

// ln D/N is searched within this of the optimum of the law, as Python does.
export const RATIOS = Array.from({ length: 41 }, (_, j) => -12 + 0.6 * j);
const EVERY = RATIOS[1] - RATIOS[0];
const ROUGH = 1e-3; // in ln N, of an optimum of the law about which another is sought

/** One posterior of the loss: a law's draws, their discrepancy or none, and what runs cost. */
export class LossPosterior {
  constructor(law, floor, count, discrepancy, wall, unimodal = true, cost = new Cost()) {
    Object.assign(this, { law, floor, count, discrepancy, unimodal, cost, logWall: wall ? log(wall) : Infinity });
    this.draws = Array.from({ length: count }, (_, i) => i);
  }

  joined(i, ofLaw, f) {
    return shifted(ofLaw, this.floor[i], f);
  }

  /** Loss of draw i at one allocation. */
  lossAt(i, logN, logD) {
    const d = min(logD, this.logWall);
    const ofLaw = this.law(i, logN, d);
    return this.discrepancy ? this.joined(i, ofLaw, this.discrepancy.at(i, logN, d)) : ofLaw;
  }

  /** Loss of every draw at several allocations [ln N, ln D], (draw, place). */
  losses(places) {
    const at = places.map(([n, d]) => [n, min(d, this.logWall)]);
    const found = this.discrepancy?.atMany(this.draws, at) ?? new Float64Array(this.draws.length * at.length);
    let k = 0;
    for (const i of this.draws)
      for (const [n, d] of at) {
        const ofLaw = this.law(i, n, d);
        found[k] = this.discrepancy ? this.joined(i, ofLaw, found[k]) : ofLaw;
        k++;
      }
    return found;
  }

  /** Loss of every draw at sizes that spend one budget, (draw, size). */
  along(lines, sizes) {
    if (!lines.shared) return this.alongOwn(lines, sizes);
    const line = lines.mean;
    const places = Array.from(sizes, (n) => [n, line.tokens(n)]);
    if (!line.straight || !this.discrepancy || places.some(([, d]) => d > this.logWall)) return this.losses(places);
    const [{ discrepancy }, count] = [this, places.length];
    const shared = discrepancy.shared(line.logC);
    const terms = discrepancy.ratioTerms(places.map(([n, d]) => d - n));
    const coefficients = new Float64Array(discrepancy.terms);
    const found = new Float64Array(this.count * count);
    for (let i = 0; i < this.count; i++) {
      const level = discrepancy.along(i, shared, coefficients);
      for (let p = 0; p < count; p++)
        found[i * count + p] = this.joined(
          i, this.law(i, places[p][0], places[p][1]), discrepancy.sum(i, level, coefficients, terms, p),
        );
    }
    return found;
  }

  /** The same where each draw has a line of its own: between the points of its grid the discrepancy is a polynomial. */
  alongOwn(lines, sizes) {
    const { discrepancy, logWall } = this;
    const [found, last] = [new Float64Array(this.count * sizes.length), RATIOS.length - 1];
    const grids = discrepancy && this.grids(lines);
    for (let i = 0, k = 0; i < this.count; i++) {
      const line = lines.of(i);
      for (const n of sizes) {
        const d = max(line.tokens(n), 0);
        const at = grids && (d - n - grids.middles[i]) / EVERY + last / 2;
        if (grids && d <= logWall && at >= 0 && at <= last) {
          const first = min(max(Math.round(at) - HALF, 0), last + 1 - STENCIL);
          const f = through(grids.errors, i * (last + 1) + first, at - first);
          found[k++] = this.joined(i, this.law(i, n, d), f);
        } else found[k++] = this.lossAt(i, n, d);
      }
    }
    return found;
  }

  /** ln N of the optimum of every draw by the law alone, before any wall. */
  ofLaw(lines) {
    const found = new Float64Array(this.count);
    let guess = 0.5 * lines.mean.high;
    for (let i = 0; i < this.count; i++) guess = found[i] = this.bestOfLaw(i, lines.of(i), guess);
    return found;
  }

  bestOfLaw(i, line, guess) {
    const close = this.discrepancy ? ROUGH : 1e-7;
    return valley((n) => this.law(i, n, line.tokens(n)), 0, line.high, guess, close);
  }

  /** Size from which on a line leaves no more than the unique tokens. */
  atWall(line) {
    return isFinite(this.logWall) ? max(0, line.sizeFor(this.logWall)) : 0;
  }

  /** Of lines of each draw's own: ln D/N about which its optimum is sought, and the discrepancy at `RATIOS` from there. */
  grids(lines) {
    if (lines.grids) return lines.grids;
    const sizes = this.ofLaw(lines);
    const errors = new Float64Array(this.count * RATIOS.length);
    const middles = sizes.map((n, i) => {
      const line = lines.of(i);
      const start = max(n, this.atWall(line));
      const middle = line.tokens(start) - start;
      this.onOwnLine(i, line, middle, errors.subarray(i * RATIOS.length, (i + 1) * RATIOS.length));
      return middle;
    });
    return (lines.grids = { sizes, middles, errors });
  }

  onOwnLine(i, line, middle, out) {
    const { discrepancy } = this;
    if (line.straight) {
      const size = line.size(middle);
      return discrepancy.onLine(i, LOG6 + 2 * size + middle, middle, line.slope, RATIOS, out);
    }
    for (let j = 0; j < RATIOS.length; j++) {
      const size = line.size(middle + RATIOS[j]);
      out[j] = discrepancy.at(i, size, size + middle + RATIOS[j]);
    }
    return out;
  }

  /** The optimum of every draw: ln N, ln D and the loss. */
  optima(lines) {
    const { discrepancy, count } = this;
    const grids = discrepancy && !lines.shared ? this.grids(lines) : null;
    const lawSizes = grids?.sizes ?? this.ofLaw(lines);
    const logN = Float64Array.from(lawSizes);
    const [logD, loss] = [new Float64Array(count), new Float64Array(count)];
    const converged = new Uint8Array(count).fill(1);
    const offsets = RATIOS.length;
    const [own, sizes] = [new Float64Array(offsets), new Float64Array(offsets)];
    const coefficients = discrepancy && new Float64Array(discrepancy.terms);
    const shared = discrepancy && lines.shared && lines.mean.straight && discrepancy.shared(lines.mean.logC);
    const lattice = discrepancy && lines.shared && !shared ? this.onLattice(lines.mean, logN) : null;
    for (let i = 0; i < count; i++) {
      const line = lines.of(i);
      const fewest = this.atWall(line);
      const start = max(logN[i], fewest);
      if (!discrepancy) {
        logN[i] = start;
        logD[i] = min(line.tokens(start), this.logWall);
        loss[i] = this.law(i, start, logD[i]);
        continue;
      }
      let [middle, level, errors] = [line.tokens(start) - start, 0, own];
      if (lattice) {
        middle = lattice.nearest(middle);
        lattice.fill(i, middle, errors);
      } else if (grids) {
        middle = grids.middles[i];
        errors = grids.errors.subarray(i * offsets, (i + 1) * offsets);
      } else {
        level = discrepancy.along(i, shared, coefficients);
        discrepancy.onOffsets(i, level, coefficients, middle, RATIOS, errors);
      }
      for (let j = 0; j < offsets; j++) sizes[j] = min(max(line.size(middle + RATIOS[j]), fewest), line.high);
      logN[i] = this.refined(i, line, middle, sizes, errors);
      converged[i] = this.found;
      logD[i] = min(line.tokens(logN[i]), this.logWall);
      const ratio = logD[i] - logN[i];
      const f = shared
        ? discrepancy.atRatio(i, level, coefficients, ratio)
        : discrepancy.at(i, logN[i], logD[i]);
      loss[i] = this.joined(i, this.law(i, logN[i], logD[i]), f);
    }
    const found = { logN, logD, loss, converged, lawSizes };
    if (discrepancy && isFinite(this.logWall)) this.orSmaller(lines, found);
    return found;
  }

  /** The least loss of draw i at a budget of its own, which pays for training alone; `guess` is ln N by the law. */
  leastAt(i, logBudget, guess) {
    const { discrepancy } = this;
    const line = this.cost.ownLine(i, logBudget);
    const ofLaw = this.bestOfLaw(i, line, guess);
    if (!discrepancy) return { law: ofLaw, loss: this.law(i, ofLaw, line.tokens(ofLaw)) };
    const own = (this.own ??= { coefficients: new Float64Array(discrepancy.terms), errors: new Float64Array(RATIOS.length), sizes: new Float64Array(RATIOS.length) });
    const { coefficients, errors, sizes } = own;
    const middle = line.tokens(ofLaw) - ofLaw;
    if (this.cost.draws) this.onOwnLine(i, line, middle, errors);
    else {
      const shared = discrepancy.sharedOf(discrepancy.sets[discrepancy.component[i]], line.logC);
      const level = discrepancy.alongOwn(i, shared, coefficients);
      discrepancy.onOffsets(i, level, coefficients, middle, RATIOS, errors);
    }
    for (let j = 0; j < RATIOS.length; j++) sizes[j] = min(max(line.size(middle + RATIOS[j]), 0), line.high);
    const n = this.refined(i, line, middle, sizes, errors);
    return { law: ofLaw, loss: this.lossAt(i, n, line.tokens(n)) };
  }

  /** The discrepancy at ratios that all draws share, of a line along which compute is not the same everywhere. */
  onLattice(line, lawSizes) {
    const fewest = this.atWall(line);
    const middles = lawSizes.map((n) => line.tokens(max(n, fewest)) - max(n, fewest));
    const first = Math.floor(middles.reduce((a, b) => min(a, b)) / EVERY) - 20;
    const last = Math.ceil(middles.reduce((a, b) => max(a, b)) / EVERY) + 20;
    const places = Array.from({ length: last - first + 1 }, (_, j) => {
      const ratio = EVERY * (first + j);
      const size = min(max(line.size(ratio), fewest), line.high);
      return [size, size + ratio];
    });
    const values = this.discrepancy.atMany(this.draws, places);
    return {
      nearest: (middle) => EVERY * Math.round(middle / EVERY),
      fill: (i, middle, out) => {
        const start = i * places.length + Math.round(middle / EVERY) - 20 - first;
        for (let j = 0; j < RATIOS.length; j++) out[j] = values[start + j];
      },
    };
  }

  /** The best point of a budget's line on a grid, refined: between points the discrepancy is a polynomial. */
  refined(i, line, middle, sizes, errors) {
    const centre = (RATIOS.length - 1) / 2;
    let [row, least, lowest] = [0, Infinity, Infinity];
    for (let j = 0; j < RATIOS.length; j++) lowest = min(lowest, errors[j]);
    // Outwards from the law's own optimum, until no discrepancy could make up for what the law loses.
    for (const step of [1, -1]) {
      for (let j = step > 0 ? centre : centre - 1; j >= 0 && j < RATIOS.length; j += step) {
        const ratio = middle + RATIOS[j];
        if (abs(line.tokens(sizes[j]) - sizes[j] - ratio) >= 1e-3) continue;
        const ofLaw = this.law(i, sizes[j], sizes[j] + ratio);
        if (this.unimodal && this.joined(i, ofLaw, lowest) > least) break;
        const value = this.joined(i, ofLaw, errors[j]);
        if (value < least || (value === least && j < row)) [row, least] = [j, value];
      }
    }
    this.found = row > 0 && row < RATIOS.length - 1; // else the loss falls to the end of what is searched
    const first = min(max(row - HALF, 0), RATIOS.length - STENCIL);
    const along = (n) => {
      const d = line.tokens(n);
      const u = (d - n - middle - RATIOS[first]) / EVERY;
      return this.joined(i, this.law(i, n, d), through(errors, first, u));
    };
    const [low, high] = [sizes[min(row + 1, RATIOS.length - 1)], sizes[max(row - 1, 0)]];
    return high - low < 1e-9 ? sizes[row] : brent(along, low, high, min(max(sizes[row], low + 1e-9), high - 1e-9));
  }

  /** Where a size on all unique tokens that costs less than a line's budget is better than what is `found`: that. */
  orSmaller(lines, found) {
    const [{ discrepancy, logWall }, step, count] = [this, EVERY / 2, RATIOS.length];
    const most = this.draws.map((i) => this.atWall(lines.of(i)));
    // On all tokens the law is best at the largest size: no discrepancy makes up for more than it may be.
    const some = this.draws.filter((i) => {
      const least = this.joined(i, this.law(i, most[i], logWall), -discrepancy.most(i));
      return most[i] > 0 && !(this.unimodal && least > found.loss[i]);
    });
    if (!some.length) return;
    const top = some.reduce((high, i) => max(high, most[i]), 0);
    const sizes = RATIOS.map((_, j) => top - step * (count - 1 - j));
    const all = discrepancy.atMany(some, sizes.map((n) => [n, logWall]));
    some.forEach((i, at) => {
      const errors = all.subarray(at * count, (at + 1) * count);
      let [row, least] = [0, Infinity];
      for (let j = 0; j < count && sizes[j] <= most[i]; j++) {
        const value = this.joined(i, this.law(i, sizes[j], logWall), errors[j]);
        if (value <= least) [row, least] = [j, value];
      }
      const first = min(max(row - HALF, 0), count - STENCIL);
      const along = (n) => this.joined(i, this.law(i, n, logWall), through(errors, first, (n - sizes[first]) / step));
      const [low, high] = [sizes[row] - step, min(sizes[row] + step, most[i])];
      const size = brent(along, low, high, 0.5 * (low + high));
      const loss = this.lossAt(i, size, logWall);
      if (loss < found.loss[i]) [found.logN[i], found.logD[i], found.loss[i]] = [size, logWall, loss];
    });
  }

  /** ln N of least expected loss along lines, between two ends: grids that close in. */
  decide(lines, low, high) {
    const points = 33;
    for (let round = 0; round < 5; round++) {
      const sizes = Array.from({ length: points }, (_, j) => low + ((high - low) * j) / (points - 1));
      const values = meanOver(this.along(lines, sizes), points);
      let best = 0;
      for (let j = 1; j < points; j++) if (values[j] < values[best]) best = j;
      const step = sizes[1] - sizes[0];
      if (best > 0 && best < points - 1 && step < 0.1 && !isFinite(this.logWall)) {
        const [before, after] = [values[best - 1], values[best + 1]];
        return sizes[best] + (step * (before - after)) / (2 * (before - 2 * values[best] + after));
      }
      [low, high] = [max(low, sizes[best] - step), min(high, sizes[best] + step)];
    }
    return 0.5 * (low + high);
  }
}

/** The mean over draws of (draw, column). */
export function meanOver(values, columns) {
  const found = new Float64Array(columns);
  for (let k = 0; k < values.length; k++) found[k % columns] += values[k];
  return found.map((total) => (total * columns) / values.length);
}
