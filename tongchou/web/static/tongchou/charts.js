// Charts: one library, loaded once when the first chart comes into view; one time range and one cursor for the page.
//
//   <div class="chart" data-chart data-url="/panels/query" data-query="up" data-unit="percent" data-legend="{{instance}}">
//
// The server answers columns: {times: [ms], series: [{name, labels, values}], marks: [{at, title, text, url}], dropped}.
// A script may answer instead of the server: chartSource(element, async ({from, to, points, signal}) => columns). A series
// may then carry unit (a second unit gets the right axis), colour (its place in the palette), dashed and hidden.

const { t } = window.tongchou;
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const PRESETS = { "15m": 900, "1h": 3600, "4h": 14400, "12h": 43200, "1d": 86400, "7d": 604800, "30d": 2592000 };
const REFRESH_SECONDS = { "15m": 5, "1h": 10, "4h": 30, "12h": 60, "1d": 60, "7d": 300, "30d": 600 };
const sources = new WeakMap(); // element -> what answers instead of its address
const charts = new Map(); // element -> {chart, data, request}
let library = null;
let hovered = null;

/* ---------- time range: in the address, so that a link shows what its sender saw ---------- */
function readRange() {
  const query = new URLSearchParams(location.search);
  const from = Number(query.get("from")), to = Number(query.get("to"));
  if (from && to && from < to) return { from, to };
  // A page about one time (an incident that is over) begins there, whatever was looked at before.
  const own = document.querySelector("[data-range-from]")?.dataset;
  if (own && !query.get("range")) return { from: Number(own.rangeFrom), to: Number(own.rangeTo) };
  if (document.querySelector("[data-range-own]") && !query.get("range")) return { preset: document.querySelector("[data-range-own]").dataset.range };
  const preset = query.get("range") || sessionStorage.getItem("range") || document.querySelector("[data-range]")?.dataset.range || "1h";
  return { preset: preset in PRESETS ? preset : "1h" };
}
let range = readRange();
export function bounds() {
  if (!range.preset) return [range.from, range.to];
  const now = Date.now();
  return [now - PRESETS[range.preset] * 1000, now];
}
function setRange(next) {
  range = next;
  window.tongchouAhead?.clear();
  const query = new URLSearchParams(location.search);
  for (const key of ["range", "from", "to"]) query.delete(key);
  if (next.preset) { query.set("range", next.preset); sessionStorage.setItem("range", next.preset); } else { query.set("from", Math.round(next.from)); query.set("to", Math.round(next.to)); }
  history.replaceState(null, "", `${location.pathname}?${query}${location.hash}`);
  showRange();
  document.dispatchEvent(new CustomEvent("tc:range"));
  loadAll();
}
function pad(n) { return String(n).padStart(2, "0"); }
const zone = document.querySelector("[data-range]")?.dataset.zone || undefined;
const dayParts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
function parts(ms) { return Object.fromEntries(dayParts.formatToParts(ms).map((part) => [part.type, part.value])); }
function stamp(ms) { const p = parts(ms); return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`; }
function showRange() {
  for (const picker of $$("[data-range]")) {
    const label = picker.querySelector("[data-range-label]");
    const chosen = picker.querySelector(`[data-range-preset="${range.preset || ""}"]`);
    if (chosen) label.textContent = chosen.textContent.trim();
    else { const a = parts(range.from), b = parts(range.to); label.textContent = `${a.month}-${a.day} ${a.hour}:${a.minute} – ${a.day === b.day ? "" : `${b.month}-${b.day} `}${b.hour}:${b.minute}`; }
    $$("[data-range-preset]", picker).forEach((button) => button.setAttribute("aria-checked", String(button.dataset.rangePreset === range.preset)));
  }
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-range-preset]");
  if (button) { setRange({ preset: button.dataset.rangePreset }); button.closest("details").open = false; }
  if (event.target.closest("[data-range-refresh]")) loadAll();
  if (event.target.closest("[data-range-out]")) { const [a, b] = bounds(); const half = (b - a) / 2; setRange({ from: a - half, to: Math.min(Date.now(), b + half) }); }
});
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form.range-custom");
  if (!form) return;
  event.preventDefault();
  const from = Date.parse(form.elements.from.value), to = Date.parse(form.elements.to.value);
  if (!(from < to)) { window.tongchou.toast(t("range_order"), "warning"); return; }
  form.closest("details").open = false;
  setRange({ from, to });
});

/* ---------- units ---------- */
function scaled(value, base, names) {
  let size = Math.abs(value), i = 0;
  while (size >= base && i < names.length - 1) { size /= base; value /= base; i += 1; }
  return `${trim(value)}${names[i]}`;
}
function trim(value) {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size === 0 ? 0 : Math.min(6, 2 - Math.floor(Math.log10(size)));
  return String(Number(value.toFixed(digits)));
}
/** What is to be said of an answer besides its lines: the rollup it was read from, and warnings about that. */
export function remarks(body) {
  const read = body.resolution ? [t("chart_resolution").replace("%r", body.resolution)] : [];
  return [...read, ...(body.warnings || []).filter((each) => each.includes("rollup"))];
}

/* Units that are another one times a factor, and those that are only written behind. */
const TIMES = { nanoseconds: [1e-9, "seconds"], microseconds: [1e-6, "seconds"], milliseconds: [1e-3, "seconds"], minutes: [60, "seconds"], hours: [3600, "seconds"], days: [86400, "seconds"], kibibytes: [1024, "bytes"], mebibytes: [1048576, "bytes"], gibibytes: [1073741824, "bytes"] };
const BEHIND = { bytes_si: "B", bytes_si_per_second: "B/s", bits: "bit", bits_per_second: "bit/s", hertz: "Hz", watt: "W", volt: "V", ampere: "A" };
export function format(value, unit, decimals) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (decimals !== undefined && decimals !== null && decimals !== "") {
    const fixed = format(value, unit);
    const number = fixed.match(/^-?[\d.]+/);
    const exact = number ? scaledAlone(value, fixed.slice(number[0].length), unit) : null;
    return exact === null ? fixed : `${exact.toFixed(Number(decimals))}${fixed.slice(number[0].length)}`;
  }
  if (unit in TIMES) return format(value * TIMES[unit][0], TIMES[unit][1]);
  if (unit in BEHIND) return scaled(value, 1000, ["", "k", "M", "G", "T", "P"].map((each) => ` ${each}${BEHIND[unit]}`));
  switch (unit) {
    case "plain": return trim(value);
    case "yes_no": return t(value ? "yes" : "no");
    case "celsius": return `${trim(value)} °C`;
    case "rpm": return `${trim(value)} rpm`;
    case "time": return stamp(value);
    case "percent": return `${trim(value)}%`;
    case "ratio": return `${trim(value * 100)}%`;
    case "bytes": return scaled(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB", " PiB"]);
    case "bytes_per_second": return `${scaled(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB"])}/s`;
    case "seconds": return Math.abs(value) < 1 ? `${trim(value * 1000)} ms` : Math.abs(value) < 120 ? `${trim(value)} s` : Math.abs(value) < 7200 ? `${trim(value / 60)} min` : `${trim(value / 3600)} h`;
    case "per_second": return `${scaled(value, 1000, ["", "k", "M", "G"])}/s`;
    default: return scaled(value, 1000, ["", "k", "M", "G", "T"]);
  }
}

/* The number before a suffix, not rounded: the size of the suffix is what format() divided by. */
function scaledAlone(value, suffix, unit) {
  const base = unit in TIMES ? value * TIMES[unit][0] : value, kind = unit in TIMES ? TIMES[unit][1] : unit;
  const tail = suffix.trim();
  if (kind === "ratio") return value * 100;
  if (kind === "time" || kind === "yes_no") return null;
  if (kind === "seconds") return tail === "ms" ? base * 1000 : tail === "min" ? base / 60 : tail === "h" ? base / 3600 : base;
  const step = kind.startsWith("bytes") && !kind.startsWith("bytes_si") ? 1024 : 1000;
  const letter = "kKMGTP".includes(tail[0]) ? tail[0].toUpperCase() : "";
  return letter ? base / step ** ("KMGTP".indexOf(letter) + 1) : base;
}

/* ---------- drawing ---------- */
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);
function colour(name) { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; }
function palette() {
  return { text: colour("text"), second: colour("text-2"), third: colour("text-3"), line: colour("line"), soft: colour("line-soft"), panel: colour("raised"), accent: colour("accent"), maintenance: colour("maintenance"), critical: colour("critical"), series: Array.from({ length: 8 }, (_, i) => colour(`series-${i + 1}`)) };
}
/* The page's range, unless the chart has its own (data-from, data-to). */
function spanOf(element) { return element.dataset.from ? [Number(element.dataset.from), Number(element.dataset.to) || Date.now()] : bounds(); }
function axisTime(ms, [a, b]) {
  const p = parts(ms), span = b - a;
  if (span > 4 * 86400e3) return `${p.month}-${p.day}`;
  if (span > 86400e3) return `${p.month}-${p.day} ${p.hour}:${p.minute}`;
  return span <= 15 * 60e3 + 1000 && p.second !== "00" ? `${p.hour}:${p.minute}:${p.second}` : `${p.hour}:${p.minute}`;
}
/* Fixed ends where the page gives them; otherwise from zero, unless the lines are all far from it. */
function axisEnds(element, data, unit) {
  const { min, max } = element.dataset;
  if (min !== undefined && max !== undefined) return { min: Number(min), max: Number(max), interval: (Number(max) - Number(min)) / 4 };
  if (unit?.startsWith("bytes") && element.dataset.stack !== "1" && (min === "0" || nearZero(data))) return { min: 0, ...binaryTicks(data) };
  const fromZero = (extent) => (extent.min >= 0 && (extent.min === extent.max || extent.min < extent.max * 0.6) ? 0 : null);
  return { min: min !== undefined ? Number(min) : fromZero };
}
function nearZero(data) {
  let least = Infinity, most = -Infinity;
  for (const { values } of data.series) for (const value of values) if (value !== null) { if (value < least) least = value; if (value > most) most = value; }
  return least >= 0 && least < most * 0.6;
}
/* Four steps that are round in KiB, MiB, GiB. */
function binaryTicks(data) {
  const most = Math.max(1024, ...data.series.map((series) => series.values.reduce((a, b) => (b > a ? b : a), 0)));
  const unit = 1024 ** Math.floor(Math.log2(most / 4) / 10);
  const step = [1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 200, 256, 512, 1024].find((n) => n * unit * 4 >= most) * unit;
  return { interval: step, max: step * Math.ceil(most / step) };
}
function tooltip(element, state, colours) {
  return (points) => {
    if (hovered !== element || !points.length) return "";
    const box = document.createElement("div");
    box.style.cssText = `font: 12px/1.5 var(--font); color: ${colours.text}; max-width: 420px`;
    const head = document.createElement("div");
    head.textContent = stamp(points[0].axisValue);
    head.style.cssText = `color: ${colours.third}; margin-bottom: 3px`;
    box.append(head);
    const shown = state.shown || state.data.series;
    const rows = points.map((point) => ({ point, value: point.data?.length === undefined ? null : shown[point.seriesIndex]?.values[point.dataIndex] })).filter((row) => row.value !== null && row.value !== undefined);
    rows.sort((x, y) => y.value - x.value);
    for (const row of rows.slice(0, 12)) {
      const line = document.createElement("div");
      line.style.cssText = "display: flex; gap: 8px; align-items: center";
      const dot = document.createElement("span");
      dot.style.cssText = `width: 8px; height: 8px; border-radius: 2px; flex: none; background: ${row.point.color}`;
      const name = document.createElement("span");
      name.textContent = shown[row.point.seriesIndex].name;
      name.style.cssText = "flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap";
      const value = document.createElement("b");
      value.textContent = format(row.value, unitOf(shown[row.point.seriesIndex], element), element.dataset.decimals);
      value.style.cssText = "font-variant-numeric: tabular-nums; margin-left: 12px";
      line.append(dot, name, value);
      box.append(line);
    }
    if (rows.length > 12) { const more = document.createElement("div"); more.textContent = `+ ${rows.length - 12}`; more.style.color = colours.third; box.append(more); }
    const [from, to] = spanOf(element), near = (to - from) / 120;
    for (const mark of (state.data.marks || []).filter((each) => Math.abs(each.at - points[0].axisValue) <= near).slice(0, 4)) {
      const line = document.createElement("div");
      line.textContent = `${stamp(mark.at).slice(11)} ${mark.text || mark.title}`;
      line.style.cssText = `color: ${colours.maintenance}; margin-top: 3px; white-space: normal`;
      box.append(line);
    }
    return box;
  };
}
function unitOf(series, element) { return series.unit ?? element.dataset.unit ?? ""; }
/* One axis for each unit, two at most: what has a third unit is read off the right one. */
function axes(element, shown, c) {
  const units = [...new Set(shown.map((series) => unitOf(series, element)))].slice(0, 2);
  return (units.length ? units : [element.dataset.unit]).map((unit, i) => ({
    type: "value", scale: true, position: i ? "right" : "left", ...axisEnds(element, { series: shown.filter((series) => (unitOf(series, element) === units[0]) === (i === 0)) }, unit),
    axisLabel: { color: c.third, fontSize: 11, formatter: (value) => format(value, unit) }, splitLine: { show: i === 0, lineStyle: { color: c.soft } }, splitNumber: element.clientHeight < 180 ? 3 : 4,
  }));
}
/* A span the page wants seen, such as the time of a fault: data-shade-from, data-shade-to (ms; open: until now). */
function shade(element, c, [from, to]) {
  const begin = Number(element.dataset.shadeFrom), end = Number(element.dataset.shadeTo) || Date.now();
  if (!begin || end < from || begin > to) return undefined;
  return { silent: true, animation: false, itemStyle: { color: c.critical, opacity: 0.09 }, data: [[{ xAxis: Math.max(begin, from) }, { xAxis: Math.min(end, to) }]] };
}
function option(element, state) {
  const shown = state.shown = state.data.series.filter((series) => !series.hidden);
  const data = { ...state.data, series: shown };
  const c = palette(), [from, to] = spanOf(element), leftUnit = shown.length ? unitOf(shown[0], element) : "";
  const source = { time: data.times };
  data.series.forEach((series, i) => { source[`s${i}`] = series.values; });
  const single = data.series.length === 1;
  const marks = (data.marks || []).filter((mark) => mark.at >= from && mark.at <= to);
  const area = element.dataset.stack === "1", bars = element.dataset.draw === "bars";
  const levels = JSON.parse(element.dataset.levels || "[]"); // [[value, tone]]: horizontal lines
  return {
    animation: false,
    color: c.series,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: c.second },
    grid: { left: 8, right: 14, top: marks.length && element.clientHeight > 180 ? 20 : 12, bottom: element.dataset.legend === "off" ? 8 : 30, containLabel: true },
    legend: element.dataset.legend === "off" ? { show: false } : { type: "scroll", bottom: 0, left: 4, right: 4, itemWidth: 10, itemHeight: 3, itemGap: 14, icon: "roundRect", textStyle: { color: c.second, fontSize: 12 }, pageIconColor: c.second, pageTextStyle: { color: c.third }, pageIconSize: 10 },
    tooltip: { trigger: "axis", confine: true, backgroundColor: c.panel, borderColor: c.line, borderWidth: 1, padding: [8, 10], extraCssText: "border-radius: 8px; box-shadow: 0 8px 24px rgb(0 0 0 / 18%)", axisPointer: { type: "line", lineStyle: { color: c.third, type: "dashed" } }, formatter: tooltip(element, state, c) },
    xAxis: { type: "time", min: from, max: to, axisLine: { lineStyle: { color: c.line } }, axisTick: { show: false }, axisLabel: { color: c.third, fontSize: 11, hideOverlap: true, formatter: (ms) => axisTime(ms, [from, to]) }, splitLine: { show: false }, splitNumber: Math.max(2, Math.floor(element.clientWidth / 110)) },
    yAxis: axes(element, shown, c),
    dataset: { source, dimensions: ["time", ...data.series.map((_, i) => `s${i}`)] },
    series: data.series.map((series, i) => ({
      type: bars ? "bar" : "line", name: series.name, encode: { x: "time", y: `s${i}` }, sampling: "lttb", symbolSize: 4, connectNulls: false,
      showSymbol: series.values.filter((value) => value !== null).length < 3, step: element.dataset.step || false,
      yAxisIndex: unitOf(series, element) === leftUnit ? 0 : 1, color: series.tone ? colour(series.tone) : series.colour === undefined ? undefined : c.series[series.colour % c.series.length],
      lineStyle: { width: 1.5, type: series.dashed ? [5, 4] : "solid", opacity: series.dashed ? 0.75 : 1 }, stack: area && !series.dashed ? `all${unitOf(series, element)}` : undefined,
      markArea: i === 0 ? shade(element, c, [from, to]) : undefined, emphasis: { disabled: true },
      areaStyle: (single || area) && !series.dashed ? { opacity: area ? 0.35 : 0.08 } : undefined,
      markLine: i === 0 && marks.length + levels.length ? { symbol: ["none", "none"], silent: true, animation: false, label: { show: marks.length && marks.length < 4 && element.clientHeight > 180, formatter: (mark) => (mark.name.length > 18 ? `${mark.name.slice(0, 17)}…` : mark.name), color: c.maintenance, fontSize: 11, rotate: 0, position: "end", distance: [0, 2] }, lineStyle: { color: c.maintenance, type: "dashed" }, data: [...marks.map((mark) => ({ xAxis: mark.at, name: mark.title })), ...levels.map(([yAxis, tone]) => ({ yAxis, name: "", label: { show: false }, lineStyle: { color: colour(tone), type: "solid", opacity: 0.7 } }))] } : undefined,
    })),
  };
}
function note(element, text, tone = "") {
  let node = element.querySelector(".chart-note");
  if (!text) { node?.remove(); return; }
  if (!node) { node = document.createElement("div"); node.className = "chart-note"; element.append(node); }
  node.className = `chart-note ${tone}`;
  node.textContent = text;
}
async function draw(element) {
  const state = charts.get(element);
  if (!library) library = import(document.body.dataset.echarts);
  const echarts = await library;
  if (!element.isConnected) return;
  const canvas = element.querySelector(".chart-canvas") || element.appendChild(Object.assign(document.createElement("div"), { className: "chart-canvas" }));
  if (!state.chart) {
    state.chart = echarts.init(canvas, null, { renderer: "canvas" });
    state.chart.group = "page";
    echarts.connect("page");
    canvas.addEventListener("pointerenter", () => { hovered = element; });
    canvas.addEventListener("pointerleave", () => { if (hovered === element) hovered = null; });
    brush(canvas, state.chart, (x) => state.chart.convertFromPixel({ xAxisIndex: 0 }, x));
    new ResizeObserver(() => { if (element.clientWidth) state.chart?.resize(); }).observe(canvas);
  }
  state.chart.setOption(option(element, state), { notMerge: true });
  canvas.setAttribute("role", "img");
  const title = element.dataset.title || element.dataset.query || "";
  canvas.setAttribute("aria-label", `${title}: ${t("chart_summary").replace("%n", state.data.series.length)} ${state.data.series.slice(0, 5).map((s) => `${s.name} ${format(s.values.findLast((v) => v !== null), element.dataset.unit)}`).join(", ")}`);
  element.dataset.ready = "1";
}
/* Drag over a chart to zoom every chart of the page; double click to zoom out. timeAt(x, last) tells the time there. */
function brush(canvas, chart, timeAt) {
  let start = null, shade = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch" || !chart.containPixel("grid", [event.offsetX, event.offsetY])) return;
    start = event.offsetX;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (start === null) return;
    if (!shade) { shade = document.createElement("div"); shade.style.cssText = "position: absolute; top: 12px; bottom: 30px; background: var(--accent); opacity: .14; pointer-events: none"; canvas.append(shade); }
    const now = event.clientX - canvas.getBoundingClientRect().left;
    shade.style.left = `${Math.min(start, now)}px`;
    shade.style.width = `${Math.abs(now - start)}px`;
  });
  window.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const end = event.clientX - canvas.getBoundingClientRect().left;
    if (Math.abs(end - start) > 8) {
      const [a, b] = [start, end].sort((x, y) => x - y).map((x, i) => timeAt(x, i === 1));
      if (b - a >= 5000) setRange({ from: a, to: b });
    }
    shade?.remove(); shade = null; start = null;
  });
  canvas.addEventListener("dblclick", () => { const [a, b] = bounds(); const half = (b - a) / 2; setRange({ from: a - half, to: Math.min(Date.now(), b + half) }); });
}
async function ask(url, signal) {
  const answer = await fetch(url, { signal, headers: { Accept: "application/json" } });
  if (answer.status === 401) { location.reload(); return null; }
  const body = await answer.json();
  if (!answer.ok) throw new Error([body.query && `${body.query}:`, body.detail, body.remedy].filter(Boolean).join(" "));
  return body;
}
/* What head_start.js asked for already, once. */
function ahead(element) {
  const key = JSON.stringify([element.dataset.query, element.dataset.legend || ""]);
  const asked = window.tongchouAhead?.get(key);
  window.tongchouAhead?.delete(key);
  return asked;
}
/* Marks of the page's own address, asked once for all its charts. Without them the lines are still worth drawing. */
const marked = new Map();
function marksFrom(address, from, to) {
  const url = new URL(address, location.href);
  url.searchParams.set("start", String(Math.round(from / 5000) * 5000));
  url.searchParams.set("end", String(Math.round(to / 5000) * 5000));
  const key = url.href;
  if (!marked.has(key)) {
    if (marked.size > 20) marked.clear();
    marked.set(key, fetch(url, { headers: { Accept: "application/json" } }).then((answer) => (answer.ok ? answer.json() : { marks: [] })).then((body) => body.marks).catch(() => []));
  }
  return marked.get(key);
}
/* What has just begun to send is not in the first picture: nothing for a step or two. Asked again soon, a few times only. */
const AGAIN_MS = 2500, MOST_AGAIN = 4;
function askAgain(element, state) {
  state.again = (state.again || 0) + 1;
  if (state.again > MOST_AGAIN || !range.preset || element.dataset.to) return;
  setTimeout(() => { if (charts.get(element) === state && state.visible && !document.hidden && !state.data?.series.length) load(element); }, AGAIN_MS);
}
async function load(element) {
  const state = charts.get(element);
  if (!state) return;
  state.request?.abort();
  const request = state.request = new AbortController();
  const [from, to] = spanOf(element);
  const url = new URL(element.dataset.url, location.href);
  for (const [key, value] of Object.entries({ query: element.dataset.query, panel: element.dataset.panel, legend: element.dataset.legend === "off" ? "" : element.dataset.legend, about: element.dataset.about })) if (value) url.searchParams.set(key, value);
  url.searchParams.set("start", String(Math.round(from)));
  url.searchParams.set("end", String(Math.round(to)));
  url.searchParams.set("points", String(Math.max(60, Math.min(1000, Math.round(element.clientWidth || 600)))));
  if (!state.data) note(element, "…");
  try {
    const points = Number(url.searchParams.get("points"));
    const body = sources.has(element) ? await sources.get(element)({ from, to, points, signal: request.signal }) : await ahead(element) || await ask(url, request.signal);
    if (!body || request.signal.aborted) return;
    if (element.dataset.unit === "auto") for (const series of body.series) series.unit ??= body.unit ?? "";
    if (element.dataset.marks) body.marks = [...(body.marks || []), ...await marksFrom(element.dataset.marks, from, to)];
    state.data = body;
    const more = element.closest(".panel")?.querySelector("[data-chart-more]");
    if (more) more.textContent = [body.dropped ? t("chart_more").replace("%n", body.dropped) : "", ...remarks(body)].filter(Boolean).join(" ");
    if (!body.series.length) { state.chart?.clear(); note(element, element.dataset.empty || t("chart_empty")); element.dataset.ready = "1"; element.dispatchEvent(new CustomEvent("tc:data", { detail: body, bubbles: true })); askAgain(element, state); return; }
    note(element, "");
    if (element.clientWidth) await draw(element); else state.due = true; // in a closed tab: drawn when it is opened
    element.dispatchEvent(new CustomEvent("tc:data", { detail: body, bubbles: true }));
  } catch (error) {
    if (error.name === "AbortError") return;
    element.dispatchEvent(new CustomEvent("tc:failed", { detail: error.message, bubbles: true }));
    if (state.data?.series.length) return; // an older picture is better than none; the next refresh tries again
    note(element, `${t("chart_failed")} ${error.message || ""}`, "error");
    element.dataset.ready = "error";
  }
}
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const state = charts.get(entry.target);
    if (!state) continue;
    state.visible = entry.isIntersecting;
    if (entry.isIntersecting && state.due) { state.due = false; load(entry.target); }
  }
}, { rootMargin: "120px" });
function adopt() {
  for (const [element, state] of charts) if (!element.isConnected) { state.request?.abort(); state.chart?.dispose(); charts.delete(element); seen.unobserve(element); }
  for (const element of $$("[data-chart]")) if (!charts.has(element)) { charts.set(element, { due: true }); seen.observe(element); }
}
function loadAll() {
  document.dispatchEvent(new CustomEvent("tc:load"));
  for (const [element, state] of charts) { if (state.visible || sources.has(element)) load(element); else state.due = true; }
}
export function reload(element) {
  adopt();
  const state = charts.get(element);
  if (state) { state.due = false; load(element); }
}
/* Draw again what is there already: a series was hidden, lines became areas. */
function redraw(element) { const state = charts.get(element); if (state?.chart && state.data?.series.length) draw(element); }
window.tongchou.chartSource = (element, source) => sources.set(element, source);
window.tongchou.redrawChart = redraw;
window.tongchou.remarks = remarks;
window.tongchou.reloadChart = reload;
window.tongchou.bounds = bounds;
window.tongchou.charts = { colour, palette, stamp, axisTime, ask, brush, library: () => (library ??= import(document.body.dataset.echarts)) };
window.tongchou.format = format;
window.tongchou.stamp = stamp;

let elapsed = 0;
setInterval(() => {
  if (document.hidden || !range.preset) return;
  elapsed += 1;
  if (elapsed >= (Number(document.body.dataset.refreshSeconds) || REFRESH_SECONDS[range.preset])) { elapsed = 0; loadAll(); }
}, 1000);
document.addEventListener("tc:theme", () => { for (const [element, state] of charts) if (state.chart && state.data?.series.length) draw(element); });
document.addEventListener("tc:shown", () => loadAll());
document.addEventListener("htmx:afterSwap", adopt);
document.body.addEventListener("tc:charts", adopt);
showRange();
adopt();
