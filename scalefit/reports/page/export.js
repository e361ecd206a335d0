// What leaves the page: links, commands, code, JSON of the schema of `scalefit plan --json`, CSV and pictures.

import { bill, caution, sentence } from "./answer.js";
import { cvar } from "./model.js";
import { interval, mean } from "./quantiles.js";
import { formatPercent } from "./units.js";

const number = (value) => String(Number(value.toPrecision(12))).replace("e+", "e");

/** The constraints of a state as names and values of `sf.plan`; one of tokens per parameter fixes the size it gives. */
function constraints(state, plan) {
  if (state.shape === "params") return { params: state.params };
  if (state.shape === "tokens") return { tokens: state.tokens };
  return state.shape === "ratio" ? { params: plan.params } : {};
}

export function pythonOf(state, plan) {
  const parts = [number(state.budget)];
  const served = state.servedPrice === 1 ? "" : `, prices=(1.0, ${number(state.servedPrice)}, ${number(state.servedPrice)})`;
  if (state.served) parts.push(`cost=sf.costs.Lifetime(${number(state.served)}${served})`);
  parts.push(`machines=sf.Machines.read("${state.count} ${state.accelerator}", mfu=${state.mfu}, price=${state.price})`);
  if (state.unique) parts.push(`unique_tokens=${number(state.unique)}`);
  for (const [name, value] of Object.entries({ ...constraints(state, plan), ...state.inputs })) parts.push(`${name}=${number(value)}`);
  if (state.hasDiscrepancy && !state.discrepancy) parts.push("discrepancy=False");
  return `import scalefit as sf\n\nfit = sf.load("fit.nc")\nplan = sf.plan(fit, ${parts.join(", ")})\nprint(plan.summary(prob=${state.prob}))\n`;
}

export function commandOf(state, plan) {
  const parts = [`scalefit plan fit.nc --budget ${number(state.budget)}`, `--accelerator '${state.count} ${state.accelerator}' --mfu ${state.mfu} --price ${state.price}`];
  if (state.served) parts.push(`--inference-tokens ${number(state.served)}`);
  if (state.unique) parts.push(`--unique-tokens ${number(state.unique)}`);
  for (const [name, value] of Object.entries(constraints(state, plan))) parts.push(`--${name} ${number(value)}`);
  for (const [name, value] of Object.entries(state.inputs)) parts.push(`--set ${name}=${number(value)}`);
  if (state.hasDiscrepancy && !state.discrepancy) parts.push("--law-only");
  if (state.prob !== 0.9) parts.push(`--prob ${state.prob}`);
  return parts.join(" ");
}

/** The document of `scalefit plan --json`; the loss of one run, which needs the noise, is Python's alone. */
export function documentOf(model, state) {
  const { payload } = model;
  const [plan, risk] = [model.plan(state), model.risk(state)];
  const paid = bill(plan.flops, state, payload);
  const money = paid.money * (state.budget / plan.flops);
  const row = (draws, alone) => {
    const [median, lower, upper] = interval(draws, state.prob).map((value) => (isFinite(value) ? value : null));
    return { mean: alone ? null : mean(draws), median, lower, upper };
  };
  const regret = plan.loss.map((value, i) => Math.max(0, value - plan.optimum.loss[i]));
  const free = state.shape === "free" ? plan : model.plan({ ...state, shape: "free" });
  const wasted = mean(risk.wasted);
  return {
    budget: state.budget, params: plan.params, tokens: plan.tokens, tokens_per_param: plan.ratio, loss: plan.expected, loss_unit: payload.lossUnit,
    regret: plan.regret, wasted_compute: wasted,
    cost_of_constraints: state.shape === "free" ? 0 : wasted - mean(model.wasted(state, free.loss)),
    extrapolation_factor: plan.flops / payload.ranges.flops[1],
    near_optimal_params: { lower: risk.near?.[0] ?? plan.params, upper: risk.near?.[1] ?? plan.params },
    cvar_95: cvar(risk.wasted),
    training: { assumed: paid.assumed, flops: plan.flops, accelerator_hours: paid.hours, days: paid.days, money: paid.money },
    deployment: null, rules_of_thumb: null, prob: state.prob, discrepancy: state.discrepancy,
    caution: caution(plan.flops, state, payload), words: sentence(plan, risk.near, state, payload),
    health: { verdict: payload.health, checks: payload.checks },
    assumptions: payload.assumed[state.discrepancy ? "joint" : "law"].replace("Intervals are 90%", `Intervals are ${formatPercent(state.prob)}`),
    summary: {
      loss: row(plan.loss), regret: row(regret), wasted_compute: row(risk.wasted),
      wasted_flops: row(risk.wasted.map((share) => share * state.budget)), wasted_money: row(risk.wasted.map((share) => share * money)),
      N_opt: row(plan.optimum.N), D_opt: row(plan.optimum.D),
    },
  };
}

export function csvOf({ header, rows }) {
  const cell = (value) => (typeof value === "number" ? (isFinite(value) ? String(value) : "") : `"${String(value).replaceAll('"', '""').replace(/^(?=[=+\-@])/, "'")}"`);
  return `${[header, ...rows].map((row) => row.map(cell).join(",")).join("\n")}\n`;
}

export function save(name, content, type) {
  const link = document.createElement("a");
  const address = typeof content === "string" && content.startsWith("data:") ? content : URL.createObjectURL(new Blob([content], { type }));
  link.href = address;
  link.download = name;
  link.click();
  if (!address.startsWith("data:")) setTimeout(() => URL.revokeObjectURL(address), 5000);
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
