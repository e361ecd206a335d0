// What the reader chose, in the hash of the address: a link carries it, back and forward work.

const TEXT = { c: "unit", s: "shape", a: "accelerator" };
const NUMBERS = {
  b: "budget", n: "params", d: "tokens", r: "ratio", u: "unique", t: "served", q: "servedPrice", l: "target", p: "prob",
  k: "count", w: "days", m: "mfu", h: "price", i: "wasteParams", j: "wasteTokens",
};
const OF_SHAPE = ["params", "tokens", "ratio"]; // of which only the one that is fixed counts
const CHOICES = { unit: ["flop", "money", "machines"], shape: ["free", "params", "tokens", "ratio"] };

export function encode(state, initial) {
  const parts = [];
  for (const [key, name] of Object.entries({ ...TEXT, ...NUMBERS }))
    if (state[name] !== initial[name] && state[name] !== null && !(OF_SHAPE.includes(name) && state.shape !== name))
      parts.push(`${key}=${encodeURIComponent(String(state[name]).replace("e+", "e"))}`);
  if (state.discrepancy !== initial.discrepancy) parts.push(`e=${state.discrepancy ? 1 : 0}`);
  for (const [name, value] of Object.entries(state.inputs))
    if (value !== initial.inputs[name]) parts.push(`x.${encodeURIComponent(name)}=${value}`);
  return parts.join("&");
}

/** The state that a hash describes; what it gets wrong stays as it was at first. */
export function decode(hash, initial) {
  const state = { ...initial, inputs: { ...initial.inputs } };
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [key, raw] = part.split("=");
    if (raw === undefined) continue;
    let value;
    try {
      value = decodeURIComponent(raw);
    } catch {
      continue;
    }
    const number = Number(value);
    const positive = isFinite(number) && number > 0;
    if (NUMBERS[key] && (positive || (key === "t" && number === 0))) state[NUMBERS[key]] = number;
    else if (TEXT[key] && (CHOICES[TEXT[key]] ?? [value]).includes(value)) state[TEXT[key]] = value;
    else if (key === "e") state.discrepancy = initial.hasDiscrepancy && value === "1";
    else if (key.startsWith("x.") && decodeURIComponent(key.slice(2)) in state.inputs && positive)
      state.inputs[decodeURIComponent(key.slice(2))] = number;
  }
  if (!(state.prob > 0 && state.prob < 1)) state.prob = initial.prob;
  return state;
}
