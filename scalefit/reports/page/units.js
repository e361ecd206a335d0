// Numbers as people write them, both ways: the counterpart of scalefit/units.py.

const SUFFIX = { t: 1e12, b: 1e9, m: 1e6, k: 1e3 };
const WORDS = { thousand: "k", million: "m", mn: "m", mio: "m", billion: "b", bn: "b", trillion: "t", tn: "t" };

/** Compute: "5.76e23". */
export function formatFlops(value, digits = 3) {
  if (!isFinite(value)) return isNaN(value) ? "–" : "out of reach";
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(digits)))));
  if (exponent >= -4 && exponent < digits) return String(Number(value.toPrecision(digits)));
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  return `${Number(mantissa)}e${Number(power)}`;
}

/** A count: "71.2B". */
export function formatCount(value) {
  if (!isFinite(value)) return isNaN(value) ? "–" : "out of reach";
  const rounded = Number(value.toPrecision(3));
  for (const [name, size] of Object.entries(SUFFIX))
    if (Math.abs(rounded) < 1e15 && Math.abs(rounded) >= size)
      return `${Number((rounded / size).toPrecision(3))}${name.toUpperCase()}`;
  return Math.abs(rounded) >= 1e15 ? formatFlops(rounded) : String(rounded);
}

export const formatMoney = (value) => `$${formatCount(value)}`;
export const formatLoss = (value) => (isFinite(value) ? formatFlops(value, 4) : "–");
export const formatShare = (value) => (isFinite(value) ? `${(100 * value).toFixed(1)}%` : "–");
export const formatPercent = (prob) => `${Number((100 * prob).toPrecision(10))}%`;

/** A factor with two digits and no exponent: "44", "1200"; with three near one. */
export function formatRatio(value) {
  if (!isFinite(value)) return "–";
  return String(Number(value.toPrecision(value > 0.95 && value < 1.05 ? 3 : 2)));
}

/** "7B", "1.5T", "3e23", "10^18", "1,000", "1.4 trillion"; NaN for anything else. */
export function parseQuantity(text) {
  const found =
    /^\s*(?:((?:\d[\d,_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\s*[x×*]\s*10(?:\^|\*\*)([+-]?\d+))?|10(?:\^|\*\*)([+-]?\d+))\s*([kmbt]|thousand|million|mn|mio|billion|bn|trillion|tn)?s?\s*(?:tokens?|params?|parameters?|flops?)?\s*$/i.exec(text);
  if (!found) return NaN;
  const [, number, times, power, suffix] = found;
  const letter = (suffix ?? "").toLowerCase();
  const factor = letter ? SUFFIX[WORDS[letter] ?? letter] : 1;
  if (power !== undefined) return Number(`1e${power}`) * factor;
  return Number(number.replace(/[,_]/g, "")) * Number(`1e${times ?? 0}`) * factor;
}

/** "$2M", "2e6". */
export const parseMoney = (text) => parseQuantity(text.replace(/^\s*(?:US)?\$/, "").replace(/\$\s*$/, ""));

/** "40%", "0.4". */
export const parseShare = (text) => (/%\s*$/.test(text) ? parseQuantity(text.replace("%", "")) / 100 : parseQuantity(text));

/** Days: "30 days", "2 weeks", "12 h", "30". */
export function parseDays(text) {
  const found = /^\s*([\d.]+)\s*(h|d|w)?[a-z]*\s*$/i.exec(text);
  return found ? Number(found[1]) * { h: 1 / 24, d: 1, w: 7 }[(found[2] ?? "d").toLowerCase()] : NaN;
}
