// The panels: for a state, a title that states the finding, how to read the figure, its pictures, and its table.

import { cvar } from "./model.js";
import { interval, mean, quantile, sorted, written } from "./quantiles.js";
import { formatCount, formatFlops, formatLoss, formatPercent, formatRatio, formatShare } from "./units.js";

const { exp, log, max, min } = Math;
const LOG20 = log(20);
const KAPLAN = { N: (c) => 1.3e9 * (c / 8.64e19) ** 0.73 }; // Kaplan et al. 2020, equation 6.1: 1.3e9 C^.73, C in PF-days
const between = (low, high, count) => Array.from({ length: count }, (_, k) => low + ((high - low) * k) / (count - 1));
const pick = (rows, k) => rows.map((row) => row[k]);
const name = (state) => `${formatPercent(state.prob)} interval`;
const count = (label, values, log = true) => ({ label, log, format: formatCount, range: [min(...values), max(...values)] });
const widened = ([low, high], share = 0.04) => [low - share * (high - low), high + share * (high - low)];
const lossRange = (values) => widened([min(...values), max(...values)], 0.06);

function beyond(context, to) {
  const from = context.payload.ranges.flops[1];
  return to > 1.005 * from ? [{ from, to, label: "beyond the runs" }] : [];
}

function isoflops({ model, state, payload, plan, risk }) {
  const budgets = [...new Set([...(payload.lines.length ? payload.lines : payload.ranges.flops), state.budget])].sort((a, b) => a - b);
  const series = [];
  const rows = [];
  const points = payload.runs;
  let [lowN, highN, lowL, highL] = [Infinity, 0, Infinity, 0];
  for (const budget of budgets) {
    const chosen = budget === state.budget;
    const asked = chosen ? state : { ...state, served: 0, unique: null }; // runs paid for no inference
    const middle = chosen ? plan.logN : log(quantile(sorted(model.optima(asked, budget).logN.map(exp)), 0.5));
    const sizes = between(middle - 2.3, middle + 2.3, 25).filter((n) => n > 0 && n < model.lines(asked, budget).mean.high);
    const bands = model.bandsAlong(asked, budget, sizes, state.prob);
    const x = sizes.map(exp);
    const text = x.map((n, k) => `${formatFlops(budget)} FLOP, ${formatCount(n)} parameters: loss ${formatLoss(bands[k][0])} [${formatLoss(bands[k][1])}, ${formatLoss(bands[k][2])}]`);
    const tone = chosen ? "main" : "runs";
    series.push({ kind: "band", x, lower: pick(bands, 1), upper: pick(bands, 2), tone, light: !chosen, label: chosen ? `${name(state)} at the chosen budget` : `${name(state)} at the runs' budgets` });
    series.push({ kind: "line", x, y: pick(bands, 0), tone, width: chosen ? 2.6 : 1.6, text, label: chosen ? "median loss at the chosen budget" : "median loss at the runs' budgets" });
    x.forEach((n, k) => rows.push([budget, n, ...bands[k]]));
    if (!chosen || budgets.length < 3) series.push({ kind: "points", tone, size: 0.1, x: [x.at(-1)], y: [bands.at(-1)[0]], names: [formatFlops(budget, 2)], places: "top center" });
    [lowN, highN] = [min(lowN, x[0]), max(highN, x.at(-1))];
    const low = min(...pick(bands, 1).map((v, k) => (isNaN(v) ? bands[k][0] : v)));
    [lowL, highL] = [min(lowL, low), max(highL, pick(bands, 0)[0], pick(bands, 0).at(-1))];
  }
  if (points) {
    const inside = points.params.map((n, k) => n > lowN / 1.5 && n < highN * 1.5 && points.loss[k] < highL + 0.3 * (highL - lowL));
    const kept = (values) => values.filter((_, k) => inside[k]);
    series.push({ kind: "points", tone: "law", label: "runs", alpha: 0.6, x: kept(points.params), y: kept(points.loss), text: kept(points.row.map((row, k) => `run ${row}: ${formatCount(points.params[k])} parameters, ${formatCount(points.tokens[k])} tokens, loss ${formatLoss(points.loss[k])}`)) });
    highL = max(highL, ...kept(points.loss));
  }
  const ends = interval(plan.optimum.N, state.prob);
  const bottom = lowL - 0.03 * (highL - lowL);
  if (!isNaN(ends[1])) series.push({ kind: "range", tone: "main", x: [ends[1], ends[2]], y: [bottom, bottom], label: `${name(state)} of the optimum` });
  series.push({ kind: "points", tone: "main", symbol: "diamond", size: 12, alpha: 1, x: [plan.params], y: [plan.expected], label: "the plan", text: [`the plan: ${formatCount(plan.params)} parameters, loss ${formatLoss(plan.expected)}`] });
  const others = payload.law.columns.filter((each) => !["params", "tokens"].includes(each)).map((each) => each.replaceAll("_", " "));
  const note = others.length ? `The runs differ in ${others.join(" and ")} too; the curves are at the values chosen.` : "";
  const near = risk?.near;
  const title = near && near[1] > 1.001 * near[0]
    ? `At ${formatFlops(state.budget)} FLOP the loss is lowest near ${formatCount(plan.params)} parameters; ${formatCount(near[0])} to ${formatCount(near[1])} are about as good`
    : `At ${formatFlops(state.budget)} FLOP, ${formatCount(plan.params)} parameters reach a loss of ${formatLoss(plan.expected)}`;
  return {
    title, note, how: "Each curve is one budget: left of its lowest point the model is too small, right of it the data are too few. The bar below spans where the optimum may lie.",
    pictures: [{ tall: true, x: { label: "parameters", log: true, format: formatCount, range: [lowN, highN] }, y: { label: `loss, ${payload.lossUnit}`, range: [bottom - 0.03 * (highL - lowL), highL + 0.03 * (highL - lowL)] }, series }],
    table: { header: ["flops", "params", "loss", "lower", "upper"], rows },
  };
}

function frontier({ model, state, payload, plan }) {
  const front = model.frontier(state, state.prob);
  const alone = state.discrepancy && model.payload.draws.law && model.table(state, false).next === model.table(state, false).rows ? model.frontier(state, state.prob, false) : null;
  const x = front.budgets;
  const range = [x[0], x.at(-1)];
  const parts = [["params", "parameters", formatCount, true], ["tokens", "tokens", formatCount, true], ["ratio", "tokens per parameter", formatRatio, true], ["loss", `loss, ${payload.lossUnit}`, formatLoss, false]];
  const points = payload.runs;
  const pictures = parts.map(([key, label, format, log]) => {
    const series = [];
    const y = front[key];
    if (points) {
      const of = { params: points.params, tokens: points.tokens, ratio: points.tokens.map((d, k) => d / points.params[k]), loss: points.loss }[key];
      series.push({ kind: "points", tone: "runs", label: "runs", size: 5, alpha: 0.45, x: points.flops, y: of });
    }
    series.push({ kind: "band", tone: "main", x, lower: pick(y, 1), upper: pick(y, 2), label: `${name(state)} of the optimum, ${state.discrepancy ? "with discrepancy" : "law only"}` });
    if (alone) series.push({ kind: "line", tone: "law", x, y: pick(alone[key], 0), dash: "dotted", label: "median, law only" });
    series.push({ kind: "line", tone: "main", x, y: pick(y, 0), label: `median, ${state.discrepancy ? "with discrepancy" : "law only"}`, text: x.map((c, k) => `${formatFlops(c)} FLOP: ${format(y[k][0])} ${label}, ${formatPercent(state.prob)} interval ${format(y[k][1])} to ${format(y[k][2])}`) });
    const own = x.map((c) => model.cost(state).lines(c).mean);
    const [chinchilla, kaplan] = [own.map((line) => exp(line.size(LOG20))), x.map(KAPLAN.N)];
    const rest = own.map((line, k) => exp(line.tokens(Math.log(kaplan[k]))));
    const rule = { params: [chinchilla, kaplan], tokens: [chinchilla.map((n) => 20 * n), rest], ratio: [x.map(() => 20), rest.map((d, k) => d / kaplan[k])] }[key];
    if (rule) {
      series.push({ kind: "line", tone: "third", x, y: rule[0], dash: "dashed", width: 1.6, label: "20 tokens per parameter" });
      series.push({ kind: "line", tone: "beyond", x, y: rule[1], dash: "dashed", width: 1.6, label: "Kaplan et al. 2020" });
    }
    series.push({ kind: "points", tone: "main", symbol: "diamond", size: 11, alpha: 1, x: [state.budget], y: [{ params: plan.params, tokens: plan.tokens, ratio: plan.ratio, loss: plan.expected }[key]], label: "the plan" });
    const values = y.flat().filter(isFinite);
    const span = key === "loss" ? lossRange([...values, ...(points ? points.loss.filter((v) => v < 1.5 * max(...values)) : [])]) : [min(...values) / 1.6, max(...values) * 1.6];
    return { caption: label[0].toUpperCase() + label.slice(1), x: { label: state.served ? "budget with inference, FLOP" : "training compute, FLOP", log: true, format: formatFlops, range }, y: { label, log, format, range: span }, series, shade: beyond({ payload }, range[1]) };
  });
  const slope = (key) => {
    const [from, to] = [-0.5, 0.5].map((half) => model.optimumNear(state, log(state.budget) + half * Math.LN10));
    return exp(quantile(sorted(to[key].map((v, i) => v - from[key][i])), 0.5));
  };
  return {
    title: `Ten times the compute is best spent on ${formatRatio(slope("logN"))} times the parameters and ${formatRatio(slope("logD"))} times the tokens`,
    how: "The line is the best choice at each budget, the band its interval. To the right of the dotted line no run has been.",
    pictures, two: true,
    table: { header: ["flops", "params", "params_lower", "params_upper", "tokens", "tokens_lower", "tokens_upper", "tokens_per_param", "tokens_per_param_lower", "tokens_per_param_upper", "loss", "loss_lower", "loss_upper"], rows: x.map((c, k) => [c, ...front.params[k], ...front.tokens[k], ...front.ratio[k], ...front.loss[k]]) },
  };
}

function slices({ model, state, payload, plan }) {
  const make = (places, x, label, chosen, of) => {
    const bands = model.bands(state, places, state.prob);
    const text = x.map((v, k) => `${formatCount(v)} ${label}: loss ${formatLoss(bands[k][0])} [${formatLoss(bands[k][1])}, ${formatLoss(bands[k][2])}]`);
    const values = bands.flat().filter(isFinite);
    const [, largest] = payload.ranges[label === "parameters" ? "params" : "tokens"];
    return {
      bands,
      picture: {
        caption: of, x: { label, log: true, format: formatCount, range: [x[0], x.at(-1)] }, y: { label: `loss, ${payload.lossUnit}`, range: lossRange(values) },
        series: [
          { kind: "band", tone: "main", x, lower: pick(bands, 1), upper: pick(bands, 2), label: name(state) },
          { kind: "line", tone: "main", x, y: pick(bands, 0), text, label: "median loss" },
          { kind: "points", tone: "main", symbol: "diamond", size: 12, alpha: 1, x: [chosen], y: [plan.expected], label: "the plan" },
        ],
        shade: x.at(-1) > largest ? [{ from: max(largest, x[0]), to: x.at(-1), label: "beyond the runs" }] : [],
      },
    };
  };
  const sizes = between(max(0.1, plan.logN - 4), plan.logN + 4, 25);
  const tokens = between(max(0.1, plan.logD - 4), plan.logD + 4, 25);
  const bySize = make(sizes.map((n) => [n, plan.logD]), sizes.map(exp), "parameters", plan.params, `Loss against size, on ${formatCount(plan.tokens)} tokens`);
  const byTokens = make(tokens.map((d) => [plan.logN, d]), tokens.map(exp), "tokens", plan.tokens, `Loss against tokens, with ${formatCount(plan.params)} parameters`);
  const doubled = model.posterior(state).losses([[plan.logN, plan.logD], [plan.logN + log(2), plan.logD], [plan.logN, plan.logD + log(2)]]);
  const saved = (k) => mean(Array.from({ length: doubled.length / 3 }, (_, i) => doubled[3 * i] - doubled[3 * i + k]));
  return {
    title: `Twice the parameters lower the loss by ${saved(1).toFixed(3)}, twice the tokens by ${saved(2).toFixed(3)}`,
    how: "Each curve changes one of the two and leaves the other at the plan.", two: true,
    pictures: [bySize.picture, byTokens.picture],
    table: { header: ["params", "tokens", "loss", "lower", "upper"], rows: [...sizes.map((n, k) => [exp(n), plan.tokens, ...bySize.bands[k]]), ...tokens.map((d, k) => [plan.params, exp(d), ...byTokens.bands[k]])] },
  };
}

function surface({ model, state, payload, plan, options }) {
  const ends = (name, at) => [log(min(payload.ranges[name][0], at)), log(max(payload.ranges[name][1], at) * 3)];
  const [sizes, tokens] = [between(...ends("params", plan.params), 26), between(...ends("tokens", plan.tokens), 26)];
  const some = model.thinned(state, 100);
  const z = model.cached(`surface ${sizes.join()} ${tokens.join()} ${model.key(state)}`, () => {
    const values = some.losses(tokens.flatMap((d) => sizes.map((n) => [n, d])));
    const places = sizes.length * tokens.length;
    const means = Array.from({ length: places }, (_, p) => {
      const draws = Float64Array.from({ length: values.length / places }, (__, i) => values[i * places + p]);
      return quantile(sorted(draws), 0.5);
    });
    return tokens.map((_, r) => means.slice(r * sizes.length, (r + 1) * sizes.length));
  });
  const [x, y] = [sizes.map(exp), tokens.map(exp)];
  const front = model.frontier(state, state.prob);
  const inside = front.params.map(([n], k) => n >= x[0] && n <= x.at(-1) && front.tokens[k][0] >= y[0] && front.tokens[k][0] <= y.at(-1));
  const path = (values) => values.filter((_, k) => inside[k]).map(([middle]) => middle);
  const axes = { x: { label: "parameters", log: true, format: formatCount, range: [x[0], x.at(-1)] }, y: { label: "tokens", log: true, format: formatCount, range: [y[0], y.at(-1)] } };
  const points = payload.runs;
  const three = options.surface === "three";
  const series = three
    ? [{ kind: "solid", x, y, z }, ...(points ? [{ kind: "points3", tone: "law", label: "runs", x: points.params, y: points.tokens, z: points.loss }] : []), { kind: "line3", tone: "main", label: "optimum at each budget", x: path(front.params), y: path(front.tokens), z: path(front.loss) }]
    : [
        { kind: "map", x, y, z, text: y.map((d, r) => x.map((n, c) => `${formatCount(n)} parameters, ${formatCount(d)} tokens: loss ${formatLoss(z[r][c])}`)) },
        { kind: "line", tone: "card", width: 5, x: path(front.params), y: path(front.tokens) },
        { kind: "line", tone: "main", width: 2.6, label: "optimum at each budget", x: path(front.params), y: path(front.tokens) },
        ...(points ? [{ kind: "points", tone: "law", label: "runs", alpha: 0.9, x: points.params, y: points.tokens, text: points.row.map((row, k) => `run ${row}: loss ${formatLoss(points.loss[k])}`) }] : []),
        { kind: "points", tone: "main", symbol: "diamond", size: 13, alpha: 1, x: [plan.params], y: [plan.tokens], label: "the plan" },
      ];
  return {
    title: `The plan has ${formatRatio(plan.params / payload.ranges.params[1])} times the most parameters of any run, and ${formatRatio(plan.tokens / payload.ranges.tokens[1])} times the most tokens`,
    how: `Median loss at every size and number of tokens, of ${some.draws.length} draws. Dots are runs.`,
    choices: { key: "surface", label: "View", options: [["two", "Map"], ["three", "In three dimensions"]] },
    pictures: [{ tall: true, ...axes, series }],
    table: { header: ["params", "tokens", "loss"], rows: y.flatMap((d, r) => x.map((n, c) => [n, d, z[r][c]])) },
  };
}

function waste({ model, state, payload, plan }) {
  const [params, tokens] = [state.wasteParams ?? plan.params, state.wasteTokens ?? plan.tokens];
  const logBudget = model.logSpent(state, params, tokens);
  const budget = model.cost(state).training(params, tokens) + model.cost(state).serving(params, model.served(state));
  const losses = model.posterior(state).losses([[log(params), log(tokens)]]);
  const wasted = model.wasted(state, losses, logBudget);
  const ascending = sorted(wasted);
  const top = max(0.05, Math.ceil(quantile(ascending, 0.995) * 20) / 20);
  const bins = 25;
  const counts = new Array(bins).fill(0);
  for (const value of wasted) counts[min(bins - 1, Math.floor((value / top) * bins))]++;
  const x = counts.map((_, k) => ((k + 0.5) * top) / bins);
  const share = (v) => `${Math.round(100 * v)}%`;
  const nice = [0.01, 0.02, 0.05, 0.1, 0.2].find((each) => top / each <= 7);
  const ticks = Array.from({ length: Math.floor(top / nice + 1e-9) + 1 }, (_, k) => k * nice);
  return {
    title: `${formatCount(params)} parameters on ${formatCount(tokens)} tokens waste ${formatShare(mean(wasted))} of ${formatFlops(budget)} FLOP on average, ${share(quantile(ascending, 0.95))} in one case of twenty`,
    how: "The share of the compute that whoever knew the true optimum would save. Enter any size and tokens.",
    inputs: [["wasteParams", "Parameters", params], ["wasteTokens", "Tokens", tokens]],
    pictures: [{ x: { label: "share of the compute wasted", ticks, labels: ticks.map((v) => `${Number((100 * v).toPrecision(3))}%`), range: [0, top] }, y: { label: "share of the draws", format: { plotly: ".0%" } }, series: [{ kind: "bars", tone: "main", label: "posterior draws", x, wide: top / bins, y: counts.map((n) => n / wasted.length), text: x.map((v, k) => `${formatShare(v)}: ${share(counts[k] / wasted.length)} of the draws`) }], lines: [{ x: mean(wasted), label: `mean ${formatShare(mean(wasted))}`, tone: "law" }] }],
    table: { header: ["draw", "wasted_compute", "loss"], rows: Array.from(wasted, (value, i) => [i + 1, value, losses[i]]) },
    note: `The worst twentieth of the draws wastes ${formatShare(cvar(wasted))} on average.`,
  };
}

function shares({ model, state, payload, plan }) {
  const found = model.shares(state, state.prob);
  if (!found) return null;
  const parts = [["floor: no run removes it", found.floor], ["capacity: infinite parameters would remove it", found.capacity], ["data: infinite tokens would remove it", found.data]];
  const short = ["floor", "capacity", "data"];
  const certain = (ends) => (isNaN(ends[1]) ? formatLoss(ends[0]) : written(ends, formatLoss)[0]);
  const values = parts.map(([, ends]) => ends[0]);
  const spread = [parts.map(([, e]) => (isNaN(e[1]) ? 0 : e[0] - e[1])), parts.map(([, e]) => (isNaN(e[2]) ? 0 : e[2] - e[0]))];
  return {
    title: `${certain(found.floor)} of the plan's loss of ${formatLoss(plan.expected)} is irreducible; more parameters could remove ${certain(found.capacity)}, more tokens ${certain(found.data)}`,
    how: `Bars are medians, whiskers ${name(state)}s.`,
    pictures: [{ x: { label: payload.lossUnit, range: [0, 1.08 * max(...parts.map(([, e]) => (isNaN(e[2]) ? e[0] : e[2])))] }, y: { label: "", ticks: [0, 1, 2], labels: short, range: [2.6, -0.6] }, series: [{ kind: "bars", across: true, tone: "main", label: `median and ${name(state)}`, x: values, y: [0, 1, 2], wide: 0.55, spread, text: parts.map(([label, ends]) => `${label}: ${formatLoss(ends[0])} [${formatLoss(ends[1])}, ${formatLoss(ends[2])}]`) }] }],
    table: { header: ["part", "median", "lower", "upper"], rows: parts.map(([label, ends]) => [label, ...ends]) },
  };
}

function lifetime({ model, state, plan }) {
  const inference = state.served || 1e12;
  const price = state.servedPrice ?? 1;
  const some = model.thinned(state, 200);
  const level = mean(some.losses([[plan.logN, plan.logD]]));
  const sizes = between(plan.logN - 2.1, plan.logN + 1.4, 22);
  const tokens = sizes.map((n) => {
    let [low, high] = [plan.logD - 4, plan.logD + 7];
    if (mean(some.losses([[n, high]])) > level) return NaN;
    for (let k = 0; k < 22; k++) {
      const middle = 0.5 * (low + high);
      if (mean(some.losses([[n, middle]])) > level) low = middle;
      else high = middle;
    }
    return high;
  });
  const kept = sizes.map((n, k) => k).filter((k) => isFinite(tokens[k]));
  if (kept.length < 4) return null;
  const params = kept.map((k) => exp(sizes[k]));
  const cost = model.cost(state);
  const training = kept.map((k) => cost.training(exp(sizes[k]), exp(tokens[k])));
  const serving = params.map((n) => cost.serving(n, inference * price));
  const total = training.map((c, k) => c + serving[k]);
  const best = total.indexOf(min(...total));
  const own = plan.flops + cost.serving(plan.params, inference * price);
  const curve = (y, label, tone, dash) => ({ kind: "line", tone, dash, label, x: params, y, text: params.map((n, k) => `${formatCount(n)} parameters on ${formatCount(exp(tokens[kept[k]]))} tokens: ${label} ${formatFlops(y[k])} FLOP`) });
  const saved = 1 - total[best] / own;
  return {
    title: saved > 0.005
      ? `For ${formatCount(inference)} tokens of inference, ${formatCount(params[best])} parameters reach the plan's loss for ${formatShare(saved)} less in total`
      : `For ${formatCount(inference)} tokens of inference, no other size reaches the plan's loss for less in total`,
    how: `Every point reaches the plan's expected loss: smaller models are trained on more tokens and are cheaper to serve. Means of ${some.draws.length} draws.`,
    pictures: [{ x: { label: "parameters", log: true, format: formatCount, range: [params[0], params.at(-1)] }, y: { label: "FLOP", log: true, format: formatFlops, range: [min(...serving, ...training) / 1.2, max(...total) * 1.15] }, series: [curve(training, "training", "main", "solid"), curve(serving, "inference", "law", "dashed"), curve(total, "total", "third", "solid"), { kind: "points", tone: "third", symbol: "diamond", size: 12, alpha: 1, x: [params[best]], y: [total[best]], label: "least total" }], lines: [{ x: plan.params, label: "the plan", tone: "runs" }] }],
    table: { header: ["params", "tokens", "training_flops", "inference_flops", "total_flops"], rows: params.map((n, k) => [n, exp(tokens[kept[k]]), training[k], serving[k], total[k]]) },
  };
}

function published({ model, state, payload }) {
  const asked = { ...state, served: 0 };
  const flopsOf = ({ params, tokens }) => model.cost(state).training(params, tokens);
  const rows = payload.models
    .filter((each) => flopsOf(each) <= exp(model.logBudgets.at(-1)))
    .map(({ name: label, params, tokens }) => {
      const [flops, logSpent] = [flopsOf({ params, tokens }), model.logSpent(asked, params, tokens)];
      const best = model.optimumNear(asked, logSpent);
      const over = interval(best.logD.map((d, i) => log(tokens / params) - d + best.logN[i]), state.prob).map(exp);
      const wasted = model.wasted(asked, model.posterior(state).losses([[log(params), log(tokens)]]), logSpent);
      return { label, params, tokens, flops, over, waste: interval(wasted, state.prob) };
    });
  if (!rows.length || state.served) return null;
  rows.sort((a, b) => a.over[0] - b.over[0]);
  const y = rows.map((_, k) => k);
  const values = rows.flatMap(({ over }) => over).filter(isFinite);
  const long = rows.filter(({ over }) => over[0] > 1).length;
  return {
    title: `By this posterior, ${long} of ${rows.length} published models had more tokens per parameter than their optimum`,
    how: "Tokens per parameter over those of the optimum at the same compute: left of 1 the model was too large for its budget, right of 1 it was smaller, and cheaper to serve. Their data and tokenizers differ from those of these runs.",
    pictures: [{ tall: true, x: { label: "tokens per parameter, over the optimum's", log: true, format: formatRatio, range: [min(0.5, ...values) / 1.2, max(2, ...values) * 1.2] }, y: { label: "", ticks: y, labels: rows.map(({ label }) => label), range: [-0.7, rows.length - 0.3] }, series: [
      ...rows.map(({ over }, k) => ({ kind: "line", tone: "main", width: 5, x: [over[1], over[2]], y: [k, k], label: name(state) })),
      { kind: "points", tone: "main", size: 9, alpha: 1, x: rows.map(({ over }) => over[0]), y, label: "median", text: rows.map((r) => `${r.label}: ${formatCount(r.params)} on ${formatCount(r.tokens)}, ${formatRatio(r.over[0])} times, wastes ${formatShare(r.waste[0])}`) },
    ], lines: [{ x: 1, label: "optimum", tone: "runs" }] }],
    table: { header: ["model", "params", "tokens", "flops", "times_optimum", "lower", "upper", "wasted_compute"], rows: rows.map((r) => [r.label, r.params, r.tokens, r.flops, ...r.over, r.waste[0]]) },
  };
}

function residuals({ payload, options }) {
  const runs = payload.runs;
  if (!runs) return null;
  const key = options.residuals ?? "params";
  const label = { params: "parameters", tokens: "tokens", flops: "training compute, FLOP" }[key];
  const off = runs.residual.map((r) => 100 * Math.expm1(r));
  const spread = 1.4826 * quantile(sorted(off.map(Math.abs)), 0.5);
  const far = runs.far.map((k) => runs.row[k]);
  const most = max(...off.map(Math.abs)) * 1.12;
  return {
    title: far.length ? `${far.length === 1 ? "Row" : "Rows"} ${far.join(", ")} ${far.length === 1 ? "lies" : "lie"} far off the fit; half of the runs lie within ${quantile(sorted(off.map(Math.abs)), 0.5).toFixed(2)}%` : `No run lies far off the fit; half of them lie within ${quantile(sorted(off.map(Math.abs)), 0.5).toFixed(2)}%`,
    how: "Loss over the median prediction. A trend, or a spread that changes, is what the model leaves out.",
    choices: { key: "residuals", label: "Against", options: [["params", "parameters"], ["tokens", "tokens"], ["flops", "compute"]] },
    pictures: [{ x: { label, log: true, format: key === "flops" ? formatFlops : formatCount, range: [min(...runs[key]) / 1.2, max(...runs[key]) * 1.2] }, y: { label: "loss over its prediction, %", range: [-most, most] }, series: [
      { kind: "band", tone: "runs", x: [min(...runs[key]) / 1.2, max(...runs[key]) * 1.2], lower: [-2 * spread, -2 * spread], upper: [2 * spread, 2 * spread], label: "two robust standard deviations" },
      { kind: "points", tone: "main", x: runs[key], y: off, label: "runs", text: runs.row.map((row, k) => `row ${row}: ${off[k].toFixed(2)}%`) },
      ...(far.length ? [{ kind: "points", tone: "law", hollow: true, size: 11, x: runs.far.map((k) => runs[key][k]), y: runs.far.map((k) => off[k]), names: far.map(String), label: "rows far off" }] : []),
    ], lines: [{ y: 0, tone: "runs" }] }],
    table: { header: ["row", "params", "tokens", "flops", "loss", "residual_percent"], rows: runs.row.map((row, k) => [row, runs.params[k], runs.tokens[k], runs.flops[k], runs.loss[k], off[k]]) },
  };
}

function predictive({ payload }) {
  const runs = payload.runs;
  if (!runs || runs.pit.length < 30) return null;
  const bins = runs.pit.length < 100 ? 5 : 10;
  const counts = new Array(bins).fill(0);
  for (const value of runs.pit) counts[min(bins - 1, Math.floor(value * bins))]++;
  const [n, p] = [runs.pit.length, 1 / bins];
  const wide = 1.96 * Math.sqrt(n * p * (1 - p));
  const inside = runs.pit.filter((v) => v >= 0.05 && v <= 0.95).length / n;
  const x = counts.map((_, k) => (k + 0.5) / bins);
  return {
    title: `90% predictive intervals contain ${Math.round(100 * inside)}% of the runs they were fitted to`,
    how: "Where each loss falls among its own predictions. Level bars between the lines mean that the noise is as wide as the model says.",
    pictures: [{ x: { label: "rank of the loss among its predictions", range: [0, 1] }, y: { label: "runs" }, series: [
      { kind: "bars", tone: "main", x, y: counts, wide: 1 / bins, label: "runs", text: counts.map((c) => `${c} runs`) },
      { kind: "line", tone: "law", dash: "dashed", x: [0, 1], y: [n * p - wide, n * p - wide], label: "95% of the bars lie between these where the model is right" },
      { kind: "line", tone: "law", dash: "dashed", x: [0, 1], y: [n * p + wide, n * p + wide] },
    ] }],
    table: { header: ["row", "rank"], rows: runs.row.map((row, k) => [row, runs.pit[k]]) },
  };
}

function pairs({ payload, options }) {
  const names = Object.keys(payload.pairs);
  if (names.length < 2) return null;
  const [first, second] = [options.pairX ?? names[0], options.pairY ?? names.at(-1)];
  const [x, y] = [payload.pairs[first], payload.pairs[second]];
  const correlation = (a, b) => {
    const [ma, mb] = [mean(a), mean(b)];
    let [ab, aa, bb] = [0, 0, 0];
    a.forEach((v, k) => { ab += (v - ma) * (b[k] - mb); aa += (v - ma) ** 2; bb += (b[k] - mb) ** 2; });
    return ab / Math.sqrt(aa * bb);
  };
  const log = (values) => max(...values) / min(...values) > 5 && min(...values) > 0;
  const side = (values, label) => ({ label, log: log(values), format: formatCount, range: log(values) ? [min(...values) / 1.1, max(...values) * 1.1] : widened([min(...values), max(...values)]) });
  let [worst, strongest] = ["", 0];
  names.forEach((a, i) => names.slice(i + 1).forEach((b) => {
    const r = correlation(payload.pairs[a].map(log(payload.pairs[a]) ? Math.log : Number), payload.pairs[b].map(log(payload.pairs[b]) ? Math.log : Number));
    if (Math.abs(r) > Math.abs(strongest)) [worst, strongest] = [`${a} and ${b}`, r];
  }));
  return {
    title: `Of the law's parameters, ${worst} are the most correlated (${strongest.toFixed(2)})`,
    how: `Draws of the law-only posterior. Correlation of ${first} and ${second}: ${correlation(x, y).toFixed(2)}.`,
    selects: [["pairX", "Across", names, first], ["pairY", "Up", names, second]],
    pictures: [{ x: side(x, first), y: side(y, second), series: [{ kind: "points", tone: "main", size: 6, alpha: 0.5, x, y, label: "draws, law only" }] }],
    table: { header: names, rows: x.map((_, k) => names.map((each) => payload.pairs[each][k])) },
  };
}

const SIDES = [["main", "solid"], ["third", "dashed"], ["law", "dotted"], ["beyond", "solid"], ["runs", "dashed"], ["muted", "dotted"]];

/** Several fits along compute; computed by Python, the same whatever is chosen. */
function comparison({ payload }) {
  const found = payload.comparison;
  if (!found) return null;
  const x = found.budgets;
  const pictures = [["loss", `loss, ${payload.lossUnit}`, formatLoss, false], ["params", "parameters", formatCount, true]].map(([key, label, format, log]) => {
    const series = found.names.flatMap((fit, k) => {
      const [tone, dash] = SIDES[k];
      const y = found[key][k];
      const text = x.map((c, i) => `${fit}, ${formatFlops(c)} FLOP: ${format(y[i][0])}${y[i][1] === null ? "" : ` [${format(y[i][1])}, ${format(y[i][2])}]`}`);
      const line = { kind: "line", tone, dash, x, y: pick(y, 0), text, label: fit };
      return y[0][1] === null ? [line] : [{ kind: "band", tone, light: true, x, lower: pick(y, 1), upper: pick(y, 2) }, line];
    });
    const values = found[key].flat(2).filter((value) => value !== null);
    // A fit that hardly knows its optimum does not flatten the others.
    const middles = found[key].flatMap((each) => pick(each, 0)).filter((value) => value !== null);
    const ends = [max(min(...values), min(...middles) / 100), min(max(...values), max(...middles) * 100)];
    const range = log ? [ends[0] / 1.6, ends[1] * 1.6] : lossRange(values);
    return { caption: label[0].toUpperCase() + label.slice(1), x: { label: "training compute, FLOP", log: true, format: formatFlops, range: [x[0], x.at(-1)] }, y: { label, log, format, range }, series, shade: [{ from: max(...found.largest), to: x.at(-1), label: "beyond the runs" }] };
  });
  return {
    title: found.title, how: "The optimum of each fit at each budget, with its 90% interval. To the right of the dotted line no run of any of them has been.", two: true, pictures,
    table: { header: ["fit", "flops", "params", "params_lower", "params_upper", "tokens", "tokens_lower", "tokens_upper", "loss", "loss_lower", "loss_upper"], rows: found.names.flatMap((fit, k) => x.map((c, i) => [fit, c, ...found.params[k][i], ...found.tokens[k][i], ...found.loss[k][i]])) },
  };
}

/** In the order of the page; `brief` of those that are printed, at a size, and `page` where a sheet begins. */
export const PANELS = [
  { id: "comparison", make: comparison, brief: true, printed: [335, 225] },
  { id: "isoflops", make: isoflops, brief: true, printed: [680, 360] },
  { id: "frontier", make: frontier, brief: true, page: true, printed: [335, 225] },
  { id: "waste", make: waste, brief: true, printed: [680, 200] },
  { id: "shares", make: shares, brief: true, page: true, printed: [680, 190] },
  { id: "slices", make: slices },
  { id: "surface", make: surface },
  { id: "lifetime", make: lifetime },
  { id: "published", make: published },
  { id: "residuals", make: residuals },
  { id: "predictive", make: predictive },
  { id: "pairs", make: pairs },
];
