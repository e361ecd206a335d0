// Minima, polynomials and crossings of functions of one variable.

const { max, min, abs } = Math;

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
export function valley(f, low, high, guess, close) {
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
  if (before < value) return brent(f, left, middle, 0.5 * (left + middle), close);
  if (after < value) return brent(f, middle, right, 0.5 * (middle + right), close);
  return brent(f, left, right, middle, close);
}

export const STENCIL = 13; // as frontier/optimum.py
export const HALF = 6; // points of it before the middle one

const LAGRANGE = Array.from({ length: STENCIL }, (_, j) => {
  let found = 1;
  for (let m = 0; m < STENCIL; m++) if (m !== j) found *= j - m;
  return 1 / found;
});

/** The polynomial through STENCIL evenly spaced values, at u steps from the first; barycentric. */
export function through(values, first, u) {
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
