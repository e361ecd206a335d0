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
