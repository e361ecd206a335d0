// The page: state in, answer out.

import { bill, caution, searchCaution, sentence, tiles } from "./answer.js";
import { Controls } from "./controls.js";
import { commandOf, copy, csvOf, documentOf, pythonOf, save } from "./export.js";
import { canDraw, draw, legendOf, loadPlotly, pictureOf, resize } from "./figures.js";
import { Model } from "./model.js";
import { PANELS } from "./panels.js";
import { interval } from "./quantiles.js";
import { decode, encode } from "./state.js";
import { formatCount, formatFlops, formatPercent, formatRatio, parseQuantity } from "./units.js";

const $ = (id) => document.getElementById(id);
const payload = JSON.parse($("payload").textContent);
const model = new Model(payload);
const { initial } = payload;
const panels = new Map();
const options = {};
let state = initial;
let [turn, controls, announced] = [0, null, null];

const isFirst = () => encode(state, initial) === "";
const whole = (discrepancy = state.discrepancy) => {
  const table = model.table(state, discrepancy);
  return table.next === table.rows;
};

function text(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** The sentence, its numbers and its caution; those of Python where the reader has changed nothing. */
function answer() {
  let plan;
  try {
    plan = model.plan(state);
    if (![plan.params, plan.tokens, plan.expected].every((value) => isFinite(value) && value > 0)) throw new RangeError();
    if (plan.params < 1 || plan.tokens < 1) throw new RangeError();
  } catch (problem) {
    if (!(problem instanceof RangeError)) throw problem;
    text($("sentence"), "The budget is too small for a run under these constraints. Raise the budget or loosen a constraint.");
    $("tiles").hidden = true;
    return null;
  }
  $("tiles").hidden = false;
  const risk = whole() ? model.risk(state) : null;
  const first = isFirst() ? payload.first : null;
  text($("sentence"), first?.sentence ?? sentence(plan, risk?.near, state, payload));
  const shown = first?.tiles ?? tiles(plan, risk, state);
  [...$("tiles").children].forEach((tile, k) => {
    const [label, value, under] = tile.children;
    text(label, shown[k].label);
    text(value, shown[k].value);
    text(under, shown[k].under);
  });
  const words = first ? first.caution : [searchCaution(plan.lost), caution(plan.flops, state, payload)].filter(Boolean).join(" ");
  $("caution").hidden = !words;
  text($("caution"), words);
  text($("kind"), `${formatPercent(state.prob)} intervals, ${state.discrepancy ? "with discrepancy" : "law only"}`);
  text($("bill"), bill(plan.flops, state, payload).text);
  return plan;
}

function announce() {
  clearTimeout(announced);
  announced = setTimeout(() => text($("announce"), $("sentence").textContent), 600);
}

/** Say what a target costs, and give the budget for it. */
function target() {
  if (!state.target) return text(controls.said, "");
  model.fill(state);
  const least = model.leastBudgets(state, [state.target]).map(Math.exp);
  const [middle, low, high] = interval(least, state.prob);
  if (!isFinite(middle)) return text(controls.said, `No budget reaches a loss of ${state.target} in most of the draws. Use a higher loss.`);
  state = { ...state, budget: Math.min(payload.budgets[1], Math.max(payload.budgets[0], middle)) };
  controls.show(state);
  const ends = isNaN(low) ? "" : ` [${formatFlops(low)}, ${formatFlops(high)}]`;
  text(controls.said, `The least budget for a loss of ${state.target} is ${formatFlops(middle)} FLOP${ends}.`);
}

/** Show a state: the answer at once, what takes longer piece by piece. */
function show(next, commit) {
  state = next;
  const mine = ++turn;
  controls.show(state);
  if (commit) target();
  const plan = answer();
  announce();
  if (commit) {
    const hash = encode(state, initial);
    if (hash !== location.hash.replace(/^#/, "")) location.hash = hash;
  }
  for (const panel of panels.values()) panel.stale = true;
  if (plan) setTimeout(() => later(mine), commit ? 0 : 120);
}

function later(mine) {
  if (mine !== turn) return;
  if (!model.fill(state, 24)) return void setTimeout(() => later(mine), 0);
  answer();
  announce();
  nextPanel(mine);
}

function nextPanel(mine) {
  if (mine !== turn) return;
  const panel = [...panels.values()].find((each) => each.stale && (each.visible || each.brief));
  if (panel) {
    render(panel);
    setTimeout(() => nextPanel(mine), 0);
  } else if (state.discrepancy && !whole(false) && payload.draws.law) {
    if (model.fill(state, 24, false)) panels.get("frontier").stale = true;
    setTimeout(() => nextPanel(mine), 0);
  } else {
    window.scalefit.drawn ??= performance.now();
    document.documentElement.dataset.ready = encode(state, initial) || "first";
  }
}

function render(panel) {
  panel.stale = false;
  const plan = model.plan(state);
  const made = panel.make({ model, state, payload, plan, risk: whole() ? model.risk(state) : null, options });
  panel.section.hidden = made === null;
  if (!made) return;
  panel.made = made;
  text(panel.title, made.title);
  text(panel.how, [made.how, made.note].filter(Boolean).join(" "));
  tools(panel, made);
  panel.figures.className = `figures${made.two ? " two" : ""}`;
  while (panel.figures.children.length > made.pictures.length) panel.figures.lastChild.remove();
  made.pictures.forEach((picture, k) => {
    if (!panel.figures.children[k]) panel.figures.append(figure());
    const [caption, plot] = panel.figures.children[k].children;
    caption.hidden = !picture.caption;
    text(caption, picture.caption ?? "");
    plot.className = `plot${picture.tall ? " tall" : ""}`;
    plot.setAttribute("aria-label", `${picture.caption ? `${picture.caption}. ` : ""}${made.title}`);
    draw(plot, picture);
  });
  panel.legend.replaceChildren(...legendOf(made.pictures).children);
  if (panel.details.open) fillTable(panel);
}

function figure() {
  const [frame, caption, plot] = ["figure", "figcaption", "div"].map((tag) => document.createElement(tag));
  plot.setAttribute("role", "img");
  frame.append(caption, plot);
  return frame;
}

/** Choices and inputs of a panel of its own. */
function tools(panel, made) {
  const [box, chosen] = [panel.tools, JSON.stringify([made.choices?.options, made.selects?.map(([key]) => key), made.inputs?.map(([key]) => key)])];
  if (box.dataset.made !== chosen) {
    box.dataset.made = chosen;
    box.replaceChildren();
    for (const [value, label] of made.choices?.options ?? []) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: label, value });
      button.addEventListener("click", () => { options[made.choices.key] = value; render(panel); });
      box.append(button);
    }
    for (const [key, label, names] of made.selects ?? []) {
      const select = Object.assign(document.createElement("select"), { id: `option-${key}` });
      select.append(...names.map((each) => Object.assign(document.createElement("option"), { value: each, textContent: each })));
      select.addEventListener("change", () => { options[key] = select.value; render(panel); });
      box.append(row(select.id, label, select));
    }
    for (const [key, label] of made.inputs ?? []) {
      const input = Object.assign(document.createElement("input"), { type: "text", id: `option-${key}`, spellcheck: false });
      input.addEventListener("change", () => {
        const value = input.value.trim() ? parseQuantity(input.value) : null;
        const bad = value !== null && !(value >= 1 && isFinite(value));
        input.setAttribute("aria-invalid", String(bad));
        if (!bad) show({ ...state, [key]: value }, true);
      });
      box.append(row(input.id, label, input));
    }
  }
  const current = made.choices && (options[made.choices.key] ?? made.choices.options[0][0]);
  for (const button of box.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === current));
  for (const [key, , , value] of made.selects ?? []) $(`option-${key}`).value = value;
  for (const [key, , value] of made.inputs ?? []) {
    const input = $(`option-${key}`);
    if (document.activeElement !== input) input.value = formatCount(value);
  }
  box.hidden = !box.children.length;
}

function row(id, label, control) {
  const [box, name] = [document.createElement("div"), document.createElement("label")];
  box.className = "row";
  Object.assign(name, { htmlFor: id, textContent: label });
  box.append(name, control);
  return box;
}

const MOST_ROWS = 200;

function fillTable({ made, table }) {
  const cell = (tag, value) => Object.assign(document.createElement(tag), { textContent: typeof value === "number" ? formatFlops(value, 5) : value });
  const line = (tag, values) => {
    const found = document.createElement("tr");
    found.append(...values.map((value) => cell(tag, value)));
    return found;
  };
  const [head, body] = ["thead", "tbody"].map((tag) => document.createElement(tag));
  head.append(line("th", made.table.header));
  for (const each of head.firstChild.children) each.scope = "col";
  body.append(...made.table.rows.slice(0, MOST_ROWS).map((values) => line("td", values)));
  table.replaceChildren(head, body);
}

function build(panel) {
  const section = document.createElement("section");
  section.className = `card panel${panel.brief ? " brief" : ""}${panel.page ? " page" : ""}`;
  section.id = panel.id;
  section.innerHTML =
    `<h2 id="${panel.id}-title">…</h2><p class="how"></p><div class="tools" hidden></div><div class="figures"></div><ul class="legend"></ul>` +
    `<details><summary>The figure's data</summary><div class="tools"><button type="button">CSV</button><button type="button">SVG</button><button type="button">PNG</button></div>` +
    `<div class="scroll" tabindex="0" role="region" aria-labelledby="${panel.id}-title"><table></table></div></details>`;
  section.setAttribute("aria-labelledby", `${panel.id}-title`);
  const [title, how, box, figures, legend, details] = section.children;
  const found = { ...panel, section, title, how, tools: box, figures, legend, details, table: section.querySelector("table"), stale: true, visible: false };
  details.addEventListener("toggle", () => details.open && found.made && fillTable(found));
  const [csv, ...pictures] = details.querySelectorAll("button");
  csv.addEventListener("click", () => save(`${panel.id}.csv`, csvOf(found.made.table), "text/csv"));
  for (const button of pictures)
    button.addEventListener("click", async () => {
      const format = button.textContent.toLowerCase();
      for (const [k, plot] of [...figures.querySelectorAll(".plot")].entries()) save(`${panel.id}${k ? `-${k + 1}` : ""}.${format}`, await pictureOf(plot, format));
    });
  panels.set(panel.id, found);
  return section;
}

function say(words) {
  text($("said"), words);
  setTimeout(() => text($("said"), ""), 4000);
}

function actions() {
  const plan = () => model.plan(state);
  const done = (what) => () => say(`${what} copied.`);
  $("copy-link").addEventListener("click", () => copy(location.href).then(done("Link")));
  $("copy-python").addEventListener("click", () => copy(pythonOf(state, plan())).then(done("Python")));
  $("copy-cli").addEventListener("click", () => copy(commandOf(state, plan())).then(done("Command")));
  $("save-json").addEventListener("click", () => {
    model.fill(state);
    save("plan.json", JSON.stringify(documentOf(model, state), null, 2), "application/json");
  });
  $("reset").addEventListener("click", () => show({ ...initial, inputs: { ...initial.inputs } }, true));
  addEventListener("hashchange", () => {
    if (location.hash.replace(/^#/, "") !== encode(state, initial)) show(decode(location.hash, initial), false);
  });
}

function redraw() {
  for (const panel of panels.values()) if (panel.made && !panel.section.hidden) render(panel);
}

function drawAll() {
  model.fill(state);
  for (const panel of panels.values()) render(panel);
}

function printing() {
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("print");
    for (const panel of panels.values()) {
      if (!panel.brief) continue;
      render(panel);
      for (const plot of panel.figures.querySelectorAll(".plot")) resize(plot, panel.printed);
    }
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("print");
    for (const plot of document.querySelectorAll(".plot")) resize(plot, null);
    redraw();
  });
}

async function start() {
  state = decode(location.hash, initial);
  for (const element of document.querySelectorAll("[data-script]")) element.hidden = false;
  if (matchMedia("(max-width: 1059px)").matches) $("question").open = false;
  $("panels").append(...PANELS.map(build));
  controls = new Controls($("controls"), payload, state, show);
  controls.current = () => model.plan(state);
  actions();
  printing();
  const seen = new IntersectionObserver((entries) => {
    for (const { target: section, isIntersecting } of entries) panels.get(section.id).visible = isIntersecting;
    if (whole()) nextPanel(turn);
  }, { rootMargin: "400px" });
  for (const { section } of panels.values()) seen.observe(section);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  if (!isFirst()) answer();
  await new Promise((ready) => setTimeout(ready, 0));
  try {
    await loadPlotly();
  } finally {
    if (!canDraw()) document.documentElement.dataset.figures = "none";
    show(state, false);
  }
}

window.scalefit = { Model, model, units: { formatCount, formatFlops, formatRatio, parseQuantity }, payload, show: (next, commit = true) => show(next, commit), state: () => state, decode, encode, documentOf, sentence, caution, drawAll };
start();
