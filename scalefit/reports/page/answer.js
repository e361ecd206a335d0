// The answer in words: the counterpart of scalefit/text/reports.py and of the caution of scalefit/text/fits.py.

import { interval, mean, quantile, roundedLike, sorted, written } from "./quantiles.js";
import { formatCount, formatFlops, formatLoss, formatMoney, formatPercent, formatRatio, formatShare } from "./units.js";

const SAME = 1.005; // compute that differs by less is the same

/** A written loss with its unit; as scalefit/loss_units.py. */
export const inUnit = (number, unit) => (/^(nats|bits)/.test(unit) ? `${number} ${unit}` : `${number} in ${unit}`);

/** " [lower, upper]" with the digits that are certain; empty where there is no interval. */
function ends(values, format) {
  const [, lower, upper] = written(values, format);
  return isNaN(values[1]) ? "" : ` [${lower}, ${upper}]`;
}

/** A size of a plan, with the digits that are certain unless it was given. */
const certain = (size, sizes, state) => formatCount(state.shape === "free" ? roundedLike(size, sizes) : size);

export function budgetWords(state, payload) {
  return `${formatFlops(state.budget)} FLOP${payload.measured ? " as measured" : ""}${state.served ? `, ${formatCount(state.served)} tokens of inference included` : ""}`;
}

export function sentence(plan, near, state, payload) {
  const loss = [plan.expected, ...interval(plan.loss, state.prob).slice(1)];
  const [n, d] = [interval(plan.optimum.N, state.prob), interval(plan.optimum.D, state.prob)];
  const free = state.shape === "free";
  const first =
    `With ${budgetWords(state, payload)}, train ${certain(plan.params, n, state)} parameters${free ? ends(n, formatCount) : ""} on ` +
    `${certain(plan.tokens, n, state)} tokens${free ? ends(d, formatCount) : ""} for an expected loss of ` +
    `${inUnit(isNaN(loss[1]) ? formatLoss(loss[0]) : `${written(loss, formatLoss)[0]}${ends(loss, formatLoss)}`, payload.lossUnit)}.`;
  if (!near || near[1] <= 1.001 * near[0]) return first;
  return `${first} Any size from ${certain(near[0], n, state)} to ${certain(near[1], n, state)} costs at most 1% of the compute more.`;
}

/** A caution where more than a few of the draws have no optimum; as `search_sentence` of Python. */
export function searchCaution(lost) {
  return lost <= 0.02 ? "" : `The search for the optimum did not converge in ${Math.round(100 * lost)}% of the draws. Rely on it with care.`;
}

export function caution(flops, state, payload) {
  const [smallest, largest] = payload.ranges.flops;
  if (flops <= SAME * largest && flops >= smallest / SAME) return "";
  const far = flops > largest ? formatRatio(flops / largest) : `1/${formatRatio(smallest / flops)}`;
  const end = flops > largest ? "largest" : "smallest";
  return `${formatFlops(flops)} FLOP is ${far} times the compute of the ${end} run: an extrapolation. ${coverage(flops / largest, state, payload)}`;
}

function coverage(factor, state, payload) {
  const included = state.discrepancy ? "parameter uncertainty and the discrepancy" : "parameter uncertainty alone (law only)";
  const lead = `The interval includes ${included}.`;
  const { evidence } = payload;
  if (factor < 1) return `${lead} No held-out sweep has tested predictions for smaller runs.`;
  if (!state.discrepancy) return `${lead} ${payload.words.lawOnlyCoverage}`;
  if (!evidence) return `${lead} No held-out sweep has tested these scales of the discrepancy.`;
  const found = evidence.times.findIndex((times) => times >= factor);
  const index = found < 0 ? evidence.times.length - 1 : found;
  const whole = (share) => `${Math.round(100 * share)}%`;
  const further = factor > 1.01 * evidence.times.at(-1) ? ` No test reached ${formatRatio(factor)} times.` : "";
  return (
    `${lead} In ${evidence.studies} public sweeps of ${evidence.families} families, nominal 90% intervals contained ` +
    `${whole(evidence.loss_90[index])} of the losses and ${whole(evidence.size_90[index])} of the best sizes of runs with ` +
    `up to ${formatRatio(evidence.times[index])} times the compute; of the worst family's losses, ` +
    `${whole(evidence.worst_90)}.${further}`
  );
}

/** Label, value and what stands under it, for each tile of the answer. */
export function tiles(plan, risk, state) {
  const prob = formatPercent(state.prob);
  const [n, d] = [interval(plan.optimum.N, state.prob), interval(plan.optimum.D, state.prob)];
  const range = (values, format) => (isNaN(values[1]) ? "" : written(values, format).slice(1).join(" to "));
  const loss = [plan.expected, ...interval(plan.loss, state.prob).slice(1)];
  const best = (values, format) => (state.shape === "free" || isNaN(values[1]) ? range(values, format) : `optimum ${range(values, format)}`);
  const found = [
    ["Parameters", certain(plan.params, n, state), best(n, formatCount)],
    ["Tokens", certain(plan.tokens, n, state), best(d, formatCount)],
    ["Expected loss", written(loss, formatLoss)[0], range(loss, formatLoss)],
    ["Tokens per parameter", formatRatio(plan.ratio), best(interval(plan.optimum.D.map((v, i) => v / plan.optimum.N[i]), state.prob), formatRatio)],
  ];
  if (risk) {
    const tail = quantile(sorted(risk.wasted), 0.95);
    found.push([state.shape === "free" ? "Wasted by uncertainty" : "Wasted on average", formatShare(mean(risk.wasted)), `${formatShare(tail)} in one case of twenty`]);
  } else found.push(["Wasted by uncertainty", "…", "computing"]);
  return found.map(([label, value, under]) => ({ label, value, under, prob }));
}

/** Training compute in what people pay. */
export function bill(flops, state, payload) {
  const device = payload.accelerators.find(({ name }) => name === state.accelerator) ?? payload.accelerators[0];
  const hours = flops / (device.peak * state.mfu * 3600);
  const days = hours / state.count / 24;
  return {
    hours, days, money: hours * state.price,
    assumed: `${state.count.toLocaleString("en")} ${device.name} at ${Number((100 * state.mfu).toPrecision(6))}% MFU, $${state.price} an hour each`,
    text:
      `Training takes ${formatFlops(flops)} FLOP: ${formatCount(hours)} ${device.name}-hours at ${Number((100 * state.mfu).toPrecision(6))}% MFU, ` +
      `${days >= 10 ? Math.round(days).toLocaleString("en") : days.toFixed(1)} days on ${state.count.toLocaleString("en")} of them, ` +
      `${formatMoney(hours * state.price)} at $${state.price} an hour.`,
  };
}
