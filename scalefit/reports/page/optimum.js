// The optimum of each draw along a budget: the counterpart of scalefit/frontier/optimum.py and budget_lines.py.

import { shifted } from "./discrepancy.js";

const { exp, log, max, min, abs } = Math;
const LOG6 = log(6);

// ln D/N is searched within this of the optimum of the law, as Python does.
export const RATIOS = Array.from({ length: 41 }, (_, j) => -12 + 0.6 * j);
const STENCIL = 7;

/** Brent's minimum of f in [low, high], from a point inside. */
export function brent(f, low, high, start, close = 1e-7) {
  const golden = 0.3819660112501051;
  let [x, w, v] = [start, start, start];
  let fx = f(x);
  let [fw, fv] = [fx, fx];
  let [step, before] = [0, 0];
  for (let k = 0; k < 80; k++) {
    const middle = 0.5 * (low + high);
    const near = close + 1e-10 * abs(x);
    if (abs(x - middle) <= 2 * near - 0.5 * (high - low)) break;
    let parabola = false;
    if (abs(before) > near) {
      const r = (x - w) * (fx - fv);
      let q = (x - v) * (fx - fw);
      let p = (x - v) * q - (x - w) * r;
      q = 2 * (q - r);
      if (q > 0) p = -p;
      q = abs(q);
      if (abs(p) < abs(0.5 * q * before) && p > q * (low - x) && p < q * (high - x)) {
        before = step;
        step = p / q;
        const u = x + step;
        if (u - low < 2 * near || high - u < 2 * near) step = x < middle ? near : -near;
        parabola = true;
      }
    }
    if (!parabola) {
      before = x < middle ? high - x : low - x;
      step = golden * before;
    }
    const u = x + (abs(step) >= near ? step : step > 0 ? near : -near);
    const fu = f(u);
    if (fu <= fx) {
      if (u < x) high = x;
      else low = x;
      [v, fv, w, fw, x, fx] = [w, fw, x, fx, u, fu];
    } else {
      if (u < x) low = u;
      else high = u;
      if (fu <= fw || w === x) [v, fv, w, fw] = [w, fw, u, fu];
      else if (fu <= fv || v === x || v === w) [v, fv] = [u, fu];
    }
  }
  return x;
}

/** The minimum of a unimodal f in [low, high], sought outwards from a guess. */
export function valley(f, low, high, guess) {
  let [step, middle] = [0.5, min(max(guess, low), high)];
  let value = f(middle);
  let [left, right] = [max(low, middle - step), min(high, middle + step)];
  let [before, after] = [f(left), f(right)];
  while (before < value && left > low) {
    step *= 2;
    [right, after, middle, value] = [middle, value, left, before];
    left = max(low, left - step);
    before = f(left);
  }
  while (after < value && right < high) {
    step *= 2;
    [left, before, middle, value] = [middle, value, right, after];
    right = min(high, right + step);
    after = f(right);
  }
  if (before < value) return brent(f, left, middle, 0.5 * (left + middle));
  if (after < value) return brent(f, middle, right, 0.5 * (middle + right));
  return brent(f, left, right, middle);
}

/** What a budget pays for: 6 N D, and 2 N T of inference where `served` is that T at the price of training's FLOP. */
export function budgetLine(budget, served) {
  const logBudget = log(budget);
  if (!served) {
    return {
      budget, served: 0, high: logBudget - LOG6,
      tokens: (logN) => logBudget - LOG6 - logN,
      size: (ratio) => 0.5 * (logBudget - LOG6 - ratio),
    };
  }
  const left = (logN) => budget - 2 * exp(logN) * served;
  return {
    budget, served, high: log(budget / (6 + 2 * served)),
    tokens: (logN) => (left(logN) > 0 ? log(left(logN)) - LOG6 - logN : -50),
    size: (ratio) => log((2 * budget) / (2 * served + Math.sqrt(4 * served * served + 24 * exp(ratio) * budget))),
  };
}

const LAGRANGE = Array.from({ length: STENCIL }, (_, j) => {
  let found = 1;
  for (let m = 0; m < STENCIL; m++) if (m !== j) found *= j - m;
  return 1 / found;
});

/** The polynomial through STENCIL evenly spaced values, at u steps from the first; barycentric. */
function through(values, first, u) {
  let above = 0;
  let below = 0;
  for (let j = 0; j < STENCIL; j++) {
    const off = u - j;
    if (off === 0) return values[first + j];
    const weight = LAGRANGE[j] / off;
    above += weight * values[first + j];
    below += weight;
  }
  return above / below;
}

/** One posterior of the loss: a law's draws, and their discrepancy or none. */
export class LossPosterior {
  constructor(law, floor, count, discrepancy, wall, unimodal = true) {
    Object.assign(this, { law, floor, count, discrepancy, unimodal, logWall: wall ? log(wall) : Infinity });
    this.draws = Array.from({ length: count }, (_, i) => i);
  }

  joined(i, ofLaw, f) {
    return shifted(ofLaw, this.floor[i], f);
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
  along(line, sizes) {
    const places = Array.from(sizes, (n) => [n, line.tokens(n)]);
    if (line.served || !this.discrepancy || places.some(([, d]) => d > this.logWall)) return this.losses(places);
    const [{ discrepancy }, count] = [this, places.length];
    const shared = discrepancy.shared(log(line.budget));
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

  /** ln N of the optimum of every draw by the law alone, before any wall. */
  ofLaw(line) {
    const found = new Float64Array(this.count);
    let guess = 0.5 * line.high;
    for (let i = 0; i < this.count; i++) {
      guess = found[i] = valley((n) => this.law(i, n, line.tokens(n)), 0, line.high, guess);
    }
    return found;
  }

  /** Size from which on a budget leaves no more than the unique tokens. */
  atWall(line) {
    if (!isFinite(this.logWall)) return 0;
    const spent = line.served ? log(line.budget) - log(6 * exp(this.logWall) + 2 * line.served) : line.high - this.logWall;
    return max(0, spent);
  }

  /** The optimum of every draw: ln N, ln D and the loss. */
  optima(line) {
    const { discrepancy, count } = this;
    const fewest = this.atWall(line);
    const logN = this.ofLaw(line);
    this.lawSizes = Float64Array.from(logN);
    const [logD, loss] = [new Float64Array(count), new Float64Array(count)];
    const converged = new Uint8Array(count).fill(1);
    const offsets = RATIOS.length;
    const [errors, sizes] = [new Float64Array(offsets), new Float64Array(offsets)];
    const coefficients = discrepancy && new Float64Array(discrepancy.terms);
    const shared = discrepancy && !line.served && discrepancy.shared(log(line.budget));
    const lattice = discrepancy && line.served ? this.onLattice(line, logN, fewest) : null;
    const smaller = discrepancy && fewest > 0 ? this.onAllTokens(fewest) : null;
    for (let i = 0; i < count; i++) {
      const start = max(logN[i], fewest);
      if (!discrepancy) {
        logN[i] = start;
        logD[i] = min(line.tokens(start), this.logWall);
        loss[i] = this.law(i, start, logD[i]);
        continue;
      }
      let middle = line.tokens(start) - start;
      let level = 0;
      if (lattice) middle = lattice.nearest(middle);
      for (let j = 0; j < offsets; j++) sizes[j] = min(max(line.size(middle + RATIOS[j]), fewest), line.high);
      if (shared) {
        level = discrepancy.along(i, shared, coefficients);
        discrepancy.onOffsets(i, level, coefficients, middle, RATIOS, errors);
      } else {
        lattice.fill(i, middle, errors);
      }
      logN[i] = this.refined(i, line, middle, sizes, errors);
      converged[i] = this.found;
      logD[i] = min(line.tokens(logN[i]), this.logWall);
      const ratio = logD[i] - logN[i];
      const f = shared
        ? discrepancy.atRatio(i, level, coefficients, ratio)
        : discrepancy.at(i, logN[i], logD[i]);
      loss[i] = this.joined(i, this.law(i, logN[i], logD[i]), f);
      if (smaller && smaller.loss[i] < loss[i]) {
        [logN[i], logD[i], loss[i]] = [smaller.logN[i], this.logWall, smaller.loss[i]];
      }
    }
    return { logN, logD, loss, converged };
  }

  /** The least loss of draw i at a budget of its own, which pays for training alone; `guess` is ln N by the law. */
  leastAt(i, logBudget, guess) {
    const { discrepancy } = this;
    const line = budgetLine(exp(logBudget), 0);
    const ofLaw = valley((n) => this.law(i, n, line.tokens(n)), 0, line.high, guess);
    if (!discrepancy) return { law: ofLaw, loss: this.law(i, ofLaw, line.tokens(ofLaw)) };
    const own = (this.own ??= { coefficients: new Float64Array(discrepancy.terms), errors: new Float64Array(RATIOS.length), sizes: new Float64Array(RATIOS.length) });
    const { coefficients, errors, sizes } = own;
    const shared = discrepancy.sharedOf(discrepancy.sets[discrepancy.component[i]], logBudget);
    const level = discrepancy.alongOwn(i, shared, coefficients);
    const middle = line.tokens(ofLaw) - ofLaw;
    discrepancy.onOffsets(i, level, coefficients, middle, RATIOS, errors);
    for (let j = 0; j < RATIOS.length; j++) sizes[j] = min(max(line.size(middle + RATIOS[j]), 0), line.high);
    const n = this.refined(i, line, middle, sizes, errors);
    const d = line.tokens(n);
    return { law: ofLaw, loss: this.joined(i, this.law(i, n, d), discrepancy.atRatio(i, level, coefficients, d - n)) };
  }

  /** The discrepancy at ratios that all draws share, of a line along which compute is not the same everywhere. */
  onLattice(line, lawSizes, fewest) {
    const step = RATIOS[1] - RATIOS[0];
    const middles = lawSizes.map((n) => line.tokens(max(n, fewest)) - max(n, fewest));
    const first = Math.floor(middles.reduce((a, b) => min(a, b)) / step) - 20;
    const last = Math.ceil(middles.reduce((a, b) => max(a, b)) / step) + 20;
    const places = Array.from({ length: last - first + 1 }, (_, j) => {
      const ratio = step * (first + j);
      const size = min(max(line.size(ratio), fewest), line.high);
      return [size, size + ratio];
    });
    const values = this.discrepancy.atMany(this.draws, places);
    return {
      nearest: (middle) => step * Math.round(middle / step),
      fill: (i, middle, out) => {
        const start = i * places.length + Math.round(middle / step) - 20 - first;
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
    const first = min(max(row - 3, 0), RATIOS.length - STENCIL);
    const along = (n) => {
      const d = line.tokens(n);
      const u = (d - n - middle - RATIOS[first]) / 0.6;
      return this.joined(i, this.law(i, n, d), through(errors, first, u));
    };
    const [low, high] = [sizes[min(row + 1, RATIOS.length - 1)], sizes[max(row - 1, 0)]];
    return high - low < 1e-9 ? sizes[row] : brent(along, low, high, min(max(sizes[row], low + 1e-9), high - 1e-9));
  }

  /** Of every draw the best size below exp(most) on all unique tokens: a grid and a parabola, as Python does. */
  onAllTokens(most) {
    const steps = RATIOS.map((r) => most + (RATIOS[0] - r) / 2);
    const values = this.losses(steps.map((n) => [n, this.logWall]));
    const [logN, loss] = [new Float64Array(this.count), new Float64Array(this.count)];
    for (let i = 0; i < this.count; i++) {
      const at = (j) => values[i * steps.length + j];
      let best = 0;
      for (let j = 1; j < steps.length; j++) if (at(j) < at(best)) best = j;
      const row = min(max(best, 1), steps.length - 2);
      const [before, middle, after] = [at(row - 1), at(row), at(row + 1)];
      const [bend, tilt] = [before - 2 * middle + after, before - after];
      const inside = middle < before && middle < after;
      logN[i] = inside ? steps[row] + ((steps[1] - steps[0]) * tilt) / (2 * bend) : steps[best];
      loss[i] = inside ? middle - (tilt * tilt) / (8 * bend) : at(best);
    }
    return { logN, loss };
  }

  /** ln N of least expected loss along a line, between two ends: grids that close in. */
  decide(line, low, high) {
    const points = 33;
    for (let round = 0; round < 5; round++) {
      const sizes = Array.from({ length: points }, (_, j) => low + ((high - low) * j) / (points - 1));
      const values = meanOver(this.along(line, sizes), points);
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

/** Where a draw's losses on an ascending grid first fall to a level, a cubic between points; as planning/_crossing.py. */
export function firstCrossing(x, values, start, count, level) {
  let row = 0;
  while (row < count && !(values[start + row] <= level)) row++;
  if (row === 0) return x[0];
  if (row === count) return Infinity;
  const first = min(max(row - 2, 0), count - 4);
  const nodes = [x[first], x[first + 1], x[first + 2], x[first + 3]];
  let parts = [0, 1, 2, 3].map((k) => values[start + first + k]);
  const differences = [parts[0]];
  for (let order = 1; order < 4; order++) {
    parts = parts.slice(1).map((value, k) => (value - parts[k]) / (nodes[k + order] - nodes[k]));
    differences.push(parts[0]);
  }
  let [low, high] = [x[row - 1], x[row]];
  let found = 0.5 * (low + high);
  for (let k = 0; k < 8; k++) {
    let [value, slope] = [differences[3], 0];
    for (const order of [2, 1, 0]) {
      slope = value + (found - nodes[order]) * slope;
      value = differences[order] + (found - nodes[order]) * value;
    }
    if (value > level) low = found;
    else high = found;
    const newton = found - (value - level) / slope;
    found = newton >= low && newton <= high ? newton : 0.5 * (low + high);
  }
  return found;
}
