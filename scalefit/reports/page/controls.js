// The form: native labelled inputs, each slider beside a text box that reads numbers as people write them.

import {
  formatCount, formatFlops, formatMoney, formatPercent, formatRatio, parseDays, parseMoney, parseQuantity, parseShare,
} from "./units.js";

const formatWhole = (value) => Number(value.toPrecision(6)).toLocaleString("en");

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

export class Controls {
  /** `change(state, commit)` is called with every new state; commit where the reader has let go. */
  constructor(form, payload, state, change) {
    Object.assign(this, { form, payload, state: { ...state }, change, fields: [] });
    form.addEventListener("submit", (event) => event.preventDefault());
    this.build();
    this.show(state);
  }

  set(changes, commit = true) {
    this.state = { ...this.state, ...changes };
    this.change(this.state, commit);
  }

  device(state = this.state) {
    return this.payload.accelerators.find(({ name }) => name === state.accelerator) ?? this.payload.accelerators[0];
  }

  price(state = this.state) {
    return state.price / (this.device(state).peak * state.mfu * 3600);
  }

  ofMachines(state) {
    return state.count * state.days * 86400 * state.mfu * this.device(state).peak;
  }

  group(title, ...children) {
    const group = make("fieldset", {}, make("legend", { textContent: title }), ...children);
    this.form.append(group);
    return group;
  }

  radios(name, label, options) {
    const box = make("div", { className: "choices", role: "radiogroup" });
    box.setAttribute("aria-label", label);
    for (const [value, text] of options) {
      const input = make("input", { type: "radio", name, value });
      input.addEventListener("change", () => this.chosen(name, value));
      box.append(make("label", {}, input, text));
    }
    this.fields.push((state) => {
      const current = String(name === "discrepancy" ? Number(state.discrepancy) : state[name]);
      box.querySelectorAll("input").forEach((input) => (input.checked = input.value === current));
    });
    return box;
  }

  chosen(name, value) {
    if (name === "prob") return this.set({ prob: Number(value) });
    if (name === "discrepancy") return this.set({ discrepancy: value === "1" });
    if (name === "unit") return this.set({ unit: value, ...(value === "machines" && { days: this.state.budget / this.ofMachines({ ...this.state, days: 1 }) }) });
    return this.set({ shape: value, ...this.startOf(value) });
  }

  startOf(shape) {
    const plan = this.current?.();
    if (!plan || shape === "free" || this.state[shape] !== null) return {};
    return { [shape]: Number(plan[shape].toPrecision(3)) };
  }

  /** A label, a slider and a text box for one number. `get` and `put` lead from the state to it and back. */
  number({ id, label, get, put, format, parse, range, hint, when, optional }) {
    const text = make("input", { type: "text", id, inputMode: "text", spellcheck: false });
    const wrong = make("p", { className: "wrong", id: `${id}-wrong`, hidden: true });
    const row = make("div", { className: "row" }, make("label", { htmlFor: id, textContent: label }), text);
    const box = make("div", {}, row);
    let slider = null;
    if (range) {
      slider = make("input", { type: "range", min: 0, max: 1000, step: 1 });
      slider.setAttribute("aria-label", `${label}, slider`);
      const value = () => {
        const [low, high] = range(this.state).map(Math.log);
        return Number(Math.exp(low + ((high - low) * slider.value) / 1000).toPrecision(3));
      };
      slider.addEventListener("input", () => this.set(put(value(), this.state), false));
      slider.addEventListener("change", () => this.set(put(value(), this.state), true));
      box.append(slider);
    }
    if (hint) box.append(make("p", { className: "hint", textContent: hint }));
    box.append(wrong);
    text.setAttribute("aria-describedby", wrong.id);
    const read = () => {
      const empty = text.value.trim() === "" || /^(none|unlimited|off)$/i.test(text.value.trim());
      const value = empty && optional ? null : parse(text.value);
      const bad = value !== null && !(isFinite(value) && (value > 0 || (optional === 0 && value === 0)));
      text.setAttribute("aria-invalid", String(bad));
      wrong.hidden = !bad;
      wrong.textContent = bad ? `${text.value ? `“${text.value}” is not a number that fits here` : "A number is missing"}. Write it like ${format(get(this.state) || 7e9)}.` : "";
      if (!bad) this.set(put(empty && optional !== undefined ? (optional ?? null) : value, this.state), true);
    };
    text.addEventListener("change", read);
    this.fields.push((state) => {
      box.hidden = when ? !when(state) : false;
      const value = get(state);
      if (document.activeElement !== text || text.getAttribute("aria-invalid") !== "true") {
        text.value = value === null || value === undefined || (optional === 0 && value === 0) ? "" : format(value);
        text.placeholder = optional === undefined ? "" : "none";
        text.setAttribute("aria-invalid", "false");
        wrong.hidden = true;
      }
      if (slider) {
        const [low, high] = range(state).map(Math.log);
        const share = value > 0 ? (Math.log(value) - low) / (high - low) : optional === 0 ? 0 : 1;
        slider.value = Math.round(1000 * Math.min(1, Math.max(0, share)));
        slider.setAttribute("aria-valuetext", value ? format(value) : "none");
      }
    });
    return box;
  }

  build() {
    const { payload } = this;
    const [low, high] = payload.budgets;
    const own = (name) => ({ get: (s) => s[name], put: (value) => ({ [name]: value }) });
    const budget = (value) => ({ budget: Math.min(high, Math.max(low, value)), target: null });
    const devices = make("select", { id: "accelerator" }, ...payload.accelerators.map(({ name }) => make("option", { value: name, textContent: name })));
    devices.addEventListener("change", () => this.set({ accelerator: devices.value, ...(this.state.unit === "machines" && budget(this.ofMachines({ ...this.state, accelerator: devices.value }))) }));
    this.fields.push((state) => (devices.value = state.accelerator));
    const again = (changes) => ({ ...changes, ...(this.state.unit === "machines" && budget(this.ofMachines({ ...this.state, ...changes }))) });
    const presets = make("div", { className: "choices" });
    const largest = payload.ranges.flops[1];
    const eight = { count: 8, accelerator: "H100", days: 30 };
    for (const [label, changes] of [
      ["10 × the largest run", () => ({ unit: "flop", ...budget(10 * largest) })], ["100 ×", () => ({ unit: "flop", ...budget(100 * largest) })],
      ["$1M", () => ({ unit: "money", ...budget(1e6 / this.price()) })], ["8 H100, 30 days", () => ({ unit: "machines", ...eight, ...budget(this.ofMachines({ ...this.state, ...eight })) })],
    ]) {
      const button = make("button", { type: "button", textContent: label });
      button.addEventListener("click", () => this.set(changes()));
      presets.append(button);
    }
    presets.setAttribute("role", "group");
    presets.setAttribute("aria-label", "Presets");
    this.group("Budget",
      this.radios("unit", "Unit of the budget", [["flop", "FLOP"], ["money", "money"], ["machines", "machines"]]),
      this.number({ id: "budget", label: "FLOP", get: (s) => s.budget, put: budget, format: formatFlops, parse: parseQuantity, range: () => [low, high], when: (s) => s.unit === "flop" }),
      this.number({ id: "money", label: "Money", get: (s) => s.budget * this.price(s), put: (v) => budget(v / this.price()), format: formatMoney, parse: parseMoney, range: (s) => [low * this.price(s), high * this.price(s)], when: (s) => s.unit === "money" }),
      this.number({ id: "count", label: "Accelerators", get: (s) => s.count, put: (v) => again({ count: v }), format: formatWhole, parse: parseQuantity, range: () => [1, 1e5], when: (s) => s.unit === "machines" }),
      this.number({ id: "days", label: "Time", get: (s) => s.budget / this.ofMachines({ ...s, days: 1 }), put: (v) => again({ days: v }), format: (v) => `${Number(v.toPrecision(3))} days`, parse: parseDays, range: () => [0.1, 1000], when: (s) => s.unit === "machines" }),
      presets,
      this.machines(devices, again),
    );
    const kinds = this.state.hasDiscrepancy ? [this.radios("discrepancy", "Posterior", [["1", "with discrepancy"], ["0", "law only"]])] : [];
    this.group("Intervals", this.radios("prob", "Probability", [0.5, 0.8, 0.9, 0.95].map((p) => [String(p), formatPercent(p)])), ...kinds);
    this.group("Size and tokens",
      this.radios("shape", "What is fixed", [["free", "optimal"], ["params", "fixed size"], ["tokens", "fixed tokens"], ["ratio", "fixed ratio"]]),
      this.number({ id: "params", label: "Parameters", ...own("params"), format: formatCount, parse: parseQuantity, range: () => [payload.ranges.params[0], payload.ranges.params[1] * 1e3], when: (s) => s.shape === "params" }),
      this.number({ id: "tokens", label: "Tokens", ...own("tokens"), format: formatCount, parse: parseQuantity, range: () => [payload.ranges.tokens[0], payload.ranges.tokens[1] * 1e3], when: (s) => s.shape === "tokens" }),
      this.number({ id: "ratio", label: "Tokens per parameter", ...own("ratio"), format: formatRatio, parse: parseQuantity, range: () => [1, 1e4], when: (s) => s.shape === "ratio" }),
      this.number({ id: "unique", label: "Unique tokens", ...own("unique"), format: formatCount, parse: parseQuantity, optional: null, range: () => [payload.ranges.tokens[0], payload.ranges.tokens[1] * 1e3], hint: payload.law.columns.includes("unique_tokens") ? "Repeated tokens have the value that the law gives them." : "Repeated tokens change nothing." }),
      ...Object.keys(this.state.inputs).map((name) => this.number({ id: `input-${name}`, label: name.replaceAll("_", " "), get: (s) => s.inputs[name], put: (v, s) => ({ inputs: { ...s.inputs, [name]: v } }), format: formatCount, parse: parseQuantity, optional: this.state.inputs[name] === 0 ? 0 : undefined })),
    );
    this.group("Inference",
      this.number({ id: "served", label: "Tokens of inference", ...own("served"), format: formatCount, parse: parseQuantity, optional: 0, range: () => [1e9, 1e15], hint: `The budget pays for them too, ${payload.measured ? "a third of a token of training each" : "2 N a token"}.` }),
      this.number({ id: "servedPrice", label: "Price of their FLOP", ...own("servedPrice"), format: formatRatio, parse: parseQuantity, hint: "In multiples of a FLOP of training.", when: (s) => s.served > 0 }),
    );
    this.said = make("p", { className: "hint", id: "target-said" });
    this.group("Target",
      this.number({ id: "target", label: "Loss to reach", ...own("target"), format: (v) => String(Number(v.toPrecision(4))), parse: parseQuantity, optional: null }),
      this.said,
    );
  }

  machines(devices, again) {
    const details = make("details", {}, make("summary", { textContent: "Machines and price" }));
    const own = (name) => ({ get: (s) => s[name], put: (value) => again({ [name]: value }) });
    details.append(
      make("div", { className: "row" }, make("label", { htmlFor: "accelerator", textContent: "Accelerator" }), devices),
      this.number({ id: "mfu", label: "Utilisation (MFU)", ...own("mfu"), format: (v) => `${Number((100 * v).toPrecision(3))}%`, parse: (text) => { const v = parseShare(text); return v <= 1 ? v : NaN; } }),
      this.number({ id: "price", label: "Price of an hour", ...own("price"), format: (v) => `$${Number(v.toPrecision(4))}`, parse: parseMoney }),
      this.number({ id: "machines", label: "How many", get: (s) => s.count, put: (v) => again({ count: v }), format: formatWhole, parse: parseQuantity, when: (s) => s.unit !== "machines" }),
    );
    return details;
  }

  /** Let the form show a state. */
  show(state) {
    this.state = { ...state };
    for (const field of this.fields) field(this.state);
  }
}
