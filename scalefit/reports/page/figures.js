// Pictures: from a description in words of this page to Plotly. The only module that knows Plotly.
//
// A picture is { x, y, series, shade, lines, tall }. Axes are { label, log, format, range }; series are
// { kind: "band" | "line" | "points" | "range" | "bars" | "map" | "solid", label, tone, ... }.

const DASHES = { solid: "solid", dashed: "dash", dotted: "dot" };
const SYMBOLS = { circle: "circle", diamond: "diamond", cross: "x-thin", star: "star" };
let plotly = null;

/** Plotly from the page, or the one that a script of its own brought; null where the browser cannot unpack it. */
export async function loadPlotly() {
  if (window.Plotly) return (plotly = window.Plotly);
  const packed = document.getElementById("plotly");
  if (!packed || typeof DecompressionStream === "undefined") return null;
  const bytes = Uint8Array.from(atob(packed.textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  packed.remove();
  return (plotly = window.Plotly ?? null);
}

export const canDraw = () => plotly !== null;

function palette() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  return Object.fromEntries(["ink", "muted", "rule", "card", "main", "law", "runs", "beyond", "third"].map((name) => [name, get(name)]));
}

function faded(color, share) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${share})`;
}

/** Ticks of a logarithmic axis: decades, and 2 and 5 between few of them. */
export function logTicks(low, high, most = 6) {
  const decades = Math.log10(high / low);
  const steps = decades < 1.2 ? [1, 1.5, 2, 3, 4, 5, 7] : decades < 2.2 ? [1, 2, 5] : decades < 3.2 ? [1, 3] : [1];
  let found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const step of steps) found.push(step * 10 ** power);
  found = found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  const every = Math.ceil(found.length / most);
  return every > 1 ? found.filter((_, k) => k % every === 0) : found;
}

function axis({ label, log, format, range, ticks, labels }, colors, wide) {
  const found = {
    title: { text: label, standoff: 8, font: { size: 13, color: colors.muted } }, gridcolor: colors.rule, linecolor: colors.beyond,
    zeroline: false, tickfont: { size: 12, color: colors.muted }, automargin: true, fixedrange: true, ticks: "outside",
    tickcolor: colors.beyond, ticklen: 4, showline: true,
  };
  if (log) {
    const tickvals = ticks ?? logTicks(range[0], range[1], wide ? 8 : 5);
    Object.assign(found, { type: "log", range: range.map(Math.log10), tickvals, ticktext: tickvals.map((value) => format(value)), tickmode: "array" });
  } else if (ticks) Object.assign(found, { tickvals: ticks, ticktext: labels, range });
  else if (range) found.range = range;
  if (!log && !ticks && format?.plotly) found.tickformat = format.plotly;
  found.nticks = wide ? 8 : 5;
  return found;
}

function traces(series, colors) {
  const color = colors[series.tone ?? "main"];
  const base = { name: series.label ?? "", showlegend: false, hoverinfo: series.text ? "text" : "skip", hovertext: series.text };
  switch (series.kind) {
    case "band":
      return [
        { ...base, x: series.x, y: series.lower, mode: "lines", line: { width: 0, color }, hoverinfo: "skip" },
        { ...base, x: series.x, y: series.upper, mode: "lines", line: { width: 0, color }, fill: "tonexty", fillcolor: faded(color, series.light ? 0.12 : 0.24), hoverinfo: "skip" },
      ];
    case "line":
      return [{ ...base, x: series.x, y: series.y, mode: "lines", line: { color, width: series.width ?? 2.2, dash: DASHES[series.dash ?? "solid"] } }];
    case "points":
      return [{
        ...base, x: series.x, y: series.y, mode: series.names ? "markers+text" : "markers", text: series.names, textposition: series.places ?? "top center",
        textfont: { size: 11, color: colors.ink }, cliponaxis: !series.names,
        marker: { color: series.hollow ? colors.card : faded(color, series.alpha ?? 0.75), size: series.size ?? 6, symbol: SYMBOLS[series.symbol ?? "circle"], line: { color: series.hollow || series.symbol === "cross" ? color : colors.card, width: series.hollow ? 2 : series.symbol === "cross" ? 2 : 0.6 } },
      }];
    case "range":
      return [{ ...base, x: series.x, y: series.y, mode: "lines+markers", line: { color, width: series.width ?? 4 }, marker: { symbol: series.upright ? "line-ew" : "line-ns", size: 11, color, line: { color, width: 2 } } }];
    case "bars":
      return [{
        ...base, type: "bar", x: series.x, y: series.y, width: series.wide, orientation: series.across ? "h" : "v", marker: { color: faded(color, 0.7), line: { color, width: 1 } },
        ...(series.spread && { error_x: { type: "data", symmetric: false, array: series.spread[1], arrayminus: series.spread[0], color: colors.ink, thickness: 2, width: 6 } }),
      }];
    case "map":
      return [{
        ...base, type: "contour", x: series.x, y: series.y, z: series.z, colorscale: "Viridis", reversescale: true, ncontours: 22, contours: { coloring: "heatmap", showlabels: true, labelfont: { size: 11, color: "#fff" } },
        line: { width: 0.6, color: "rgba(255,255,255,.55)" }, colorbar: { title: { text: "loss", side: "top", font: { color: colors.muted } }, thickness: 12, outlinewidth: 0, tickfont: { color: colors.muted } }, hoverinfo: "text", hovertext: series.text,
      }];
    case "solid":
      return [{ ...base, type: "surface", x: series.x.map(Math.log10), y: series.y.map(Math.log10), z: series.z, colorscale: "Viridis", reversescale: true, showscale: false, opacity: 0.94, contours: { z: { show: true, color: "rgba(255,255,255,.4)", width: 1 } }, hoverinfo: "skip" }];
    case "points3":
      return [{ ...base, type: "scatter3d", mode: "markers", x: series.x.map(Math.log10), y: series.y.map(Math.log10), z: series.z, marker: { size: 3, color } }];
    case "line3":
      return [{ ...base, type: "scatter3d", mode: "lines", x: series.x.map(Math.log10), y: series.y.map(Math.log10), z: series.z, line: { width: 6, color } }];
    default:
      throw new Error(`no series of kind ${series.kind}`);
  }
}

const at = (value, log) => (log ? Math.log10(value) : value);

function layout(picture, colors, wide) {
  const shapes = [];
  const annotations = [];
  for (const { from, to, label } of picture.shade ?? []) {
    shapes.push({ type: "rect", xref: "x", yref: "paper", x0: from, x1: to, y0: 0, y1: 1, layer: "below", line: { width: 0 }, fillcolor: faded(colors.beyond, 0.2) });
    shapes.push({ type: "line", xref: "x", yref: "paper", x0: from, x1: from, y0: 0, y1: 1, line: { color: colors.beyond, width: 1.5, dash: "dot" } });
    if (label) annotations.push({ xref: "x", yref: "paper", x: at(from, picture.x.log), y: 1, xanchor: "left", yanchor: "bottom", text: label, showarrow: false, font: { size: 12, color: colors.muted } });
  }
  for (const { x, y, label, tone } of picture.lines ?? []) {
    const color = colors[tone ?? "main"];
    const vertical = x !== undefined;
    shapes.push(vertical
      ? { type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: { color, width: 1.6, dash: "dash" } }
      : { type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: y, y1: y, line: { color, width: 1.6, dash: "dash" } });
    if (label) annotations.push(vertical
      ? { xref: "x", yref: "paper", x: at(x, picture.x.log), y: 1, xanchor: "center", yanchor: "bottom", text: label, showarrow: false, font: { size: 12, color } }
      : { xref: "paper", yref: "y", x: 1, y: at(y, picture.y.log), xanchor: "right", yanchor: "bottom", text: label, showarrow: false, font: { size: 12, color } });
  }
  const found = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 8, r: 14, t: annotations.length ? 24 : 10, b: 8 }, dragmode: false,
    font: { family: getComputedStyle(document.body).fontFamily, color: colors.ink }, hovermode: "closest", bargap: 0.06, showlegend: false, shapes, annotations,
    hoverlabel: { bgcolor: colors.card, bordercolor: colors.beyond, font: { color: colors.ink, size: 13 } },
  };
  if (picture.series.some(({ kind }) => kind === "solid")) {
    const side = (spec) => ({ title: { text: spec.label }, tickvals: logTicks(...spec.range, 4).map(Math.log10), ticktext: logTicks(...spec.range, 4).map((value) => spec.format(value)), gridcolor: colors.rule, color: colors.muted, backgroundcolor: "rgba(0,0,0,0)" });
    found.scene = { xaxis: side(picture.x), yaxis: side(picture.y), zaxis: { title: { text: "loss" }, gridcolor: colors.rule, color: colors.muted }, aspectmode: "manual", aspectratio: { x: 1.3, y: 1.3, z: 0.8 }, camera: { eye: { x: 1.35, y: 1.35, z: 0.75 } }, dragmode: "turntable" };
    found.dragmode = "turntable";
    found.margin = { l: 0, r: 0, t: 0, b: 0 };
    return found;
  }
  return { ...found, xaxis: axis(picture.x, colors, wide), yaxis: axis(picture.y, colors, wide) };
}

/** Draw a picture into an element, or draw it anew. */
export function draw(element, picture) {
  if (!plotly) return;
  const colors = palette();
  const wide = element.clientWidth > 520;
  const data = picture.series.flatMap((series) => traces(series, colors));
  plotly.react(element, data, layout(picture, colors, wide), { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false });
}

/** Give a picture a size for printing; none lets it fill its place again. */
export function resize(element, size) {
  if (!plotly || !element.data) return;
  element.style.height = size ? `${size[1]}px` : "";
  plotly.relayout(element, size ? { width: size[0], height: size[1], autosize: false } : { width: null, height: null, autosize: true });
}

/** A picture as a file's address, "svg" or "png". */
export async function pictureOf(element, format) {
  const box = element.getBoundingClientRect();
  return plotly.toImage(element, { format, width: Math.round(box.width), height: Math.round(box.height), scale: format === "png" ? 2 : 1 });
}

const SAMPLES = {
  line: (color, dash) => `<line x1="0" y1="6" x2="22" y2="6" stroke="${color}" stroke-width="2.5" ${dash === "dashed" ? 'stroke-dasharray="6 3"' : dash === "dotted" ? 'stroke-dasharray="2 3"' : ""}/>`,
  band: (color) => `<rect x="0" y="1" width="22" height="10" fill="${color}" opacity=".3"/>`,
  points: (color) => `<circle cx="11" cy="6" r="4" fill="${color}"/>`,
  diamond: (color) => `<path d="M11 0L17 6L11 12L5 6Z" fill="${color}"/>`,
  hollow: (color) => `<circle cx="11" cy="6" r="4" fill="none" stroke="${color}" stroke-width="2"/>`,
  range: (color) => `<path d="M1 6H21M1 2V10M21 2V10" stroke="${color}" stroke-width="3" fill="none"/>`,
  bars: (color) => `<rect x="4" y="1" width="14" height="10" fill="${color}" opacity=".7"/>`,
};

/** What stands beside a picture: samples and labels, as a list. */
export function legendOf(pictures) {
  const [list, seen] = [document.createElement("ul"), new Set()];
  list.className = "legend";
  const add = (sample, label) => {
    if (!label || seen.has(label)) return;
    seen.add(label);
    const item = document.createElement("li");
    item.innerHTML = `<svg width="22" height="12" aria-hidden="true">${sample}</svg>`;
    item.append(label);
    list.append(item);
  };
  for (const picture of pictures) {
    for (const series of picture.series) {
      const kind = series.hollow ? "hollow" : series.symbol === "diamond" ? "diamond" : series.kind.replace("3", "");
      if (SAMPLES[kind]) add(SAMPLES[kind](`var(--${series.tone ?? "main"})`, series.dash), series.label);
    }
    if (picture.shade?.length) add(`<rect width="22" height="12" fill="var(--beyond)" opacity=".35"/><line x1="0" y1="0" x2="0" y2="12" stroke="var(--beyond)" stroke-width="2" stroke-dasharray="2 2"/>`, "beyond the largest run: extrapolated");
  }
  return list;
}
