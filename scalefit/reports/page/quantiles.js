// Quantiles, means and intervals of draws; as numpy.quantile gives them.

export function sorted(values) {
  return Float64Array.from(values).sort();
}

export function quantile(ascending, share) {
  const at = share * (ascending.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, ascending.length - 1);
  if (ascending[low] === ascending[high]) return ascending[low]; // both may be infinite
  return ascending[low] + (at - low) * (ascending[high] - ascending[low]);
}

/** Median, lower and upper end of the equal-tailed interval. One draw, a point estimate, has no interval. */
export function interval(values, prob) {
  const ascending = sorted(values);
  const tail = (1 - prob) / 2;
  if (ascending.length === 1) return [ascending[0], NaN, NaN];
  return [0.5, tail, 1 - tail].map((share) => quantile(ascending, share));
}

export function mean(values) {
  let total = 0;
  for (const value of values) total += value;
  return total / values.length;
}

// How many digits are written: those that are larger than the Monte Carlo error; as scalefit/_digits.py.
const DRAWS = 2500;
const OF_MIDDLE = 1.2533 / 3.2897 / Math.sqrt(DRAWS);
const OF_END = 2.1132 / 1.6449 / Math.sqrt(DRAWS);
const WIDE = 3;

const isWide = ([, lower, upper]) => !(lower !== 0 && upper / lower > 0 && upper / lower < WIDE);

function errorsOf(ends) {
  const byFactors = ends.every((end) => end > 0);
  const [middle, lower, upper] = byFactors ? ends.map(Math.log) : ends;
  const errors = [OF_MIDDLE * (upper - lower), OF_END * (middle - lower), OF_END * (upper - middle)];
  return byFactors ? errors.map((error, k) => error * ends[k]) : errors;
}

function toError(value, error) {
  if (!isFinite(value) || !isFinite(error) || error <= 0 || value === 0) return value;
  const places = Math.max(-Math.ceil(Math.log10(error)), -Math.floor(Math.log10(Math.abs(value))));
  return places >= 0 ? Number(value.toFixed(Math.min(places, 100))) : Math.round(value / 10 ** -places) * 10 ** -places;
}

/** A size to as many digits as the median of an interval of such sizes has. */
export function roundedLike(value, ends) {
  return toError(value, (value * errorsOf(ends)[0]) / ends[0]);
}

/** Median (or mean), lower and upper in words. */
export function written(ends, format) {
  const errors = errorsOf(ends);
  const wide = isWide(ends);
  const texts = ends.map((end, k) => format(toError(end, wide ? errors[k] : Math.max(...errors))));
  const parts = texts.map((text) => /^(-?\d+)(\.\d*)?(\D*)$/.exec(text));
  if (wide || !parts.every(Boolean) || new Set(parts.map((part) => part[3])).size > 1) return texts;
  const longest = Math.max(...parts.map((part) => (part[2] || "").length));
  return parts.map((part) => part[1] + (part[2] || (longest ? "." : "")).padEnd(longest, "0") + part[3]);
}
