// How panels look that are no graphs: figures, gauges, tables, log lines, texts; heatmap.js draws heatmaps. Text nodes only.

const { t, format, drawHeatmap } = window.tongchou;
const SVG = "http://www.w3.org/2000/svg";
function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/* ---------- values ---------- */
const REDUCE = {
  last: (values) => values.at(-1), first: (values) => values[0], min: (values) => Math.min(...values), max: (values) => Math.max(...values),
  mean: (values) => values.reduce((a, b) => a + b, 0) / values.length, sum: (values) => values.reduce((a, b) => a + b, 0),
  count: (values) => values.length, range: (values) => Math.max(...values) - Math.min(...values),
};
function reduced(values, how) {
  const there = values.filter((value) => value !== null);
  return there.length ? REDUCE[how](there) : null;
}
function toneOf(value, about) {
  if (value === null) return "";
  const named = about.names.find(([least, most]) => value >= least && value <= most);
  if (named?.[3]) return named[3];
  let tone = "";
  for (const [at, each] of about.thresholds) if (at === null || value >= at) tone = each;
  return tone;
}
function textOf(value, about, unit) {
  if (value === null) return "–";
  const named = about.names.find(([least, most]) => value >= least && value <= most);
  return named ? named[2] : format(value, about.unit || unit, about.decimals);
}
function coloured(element, tone) { if (tone && tone !== "neutral") element.style.setProperty("--tone", `var(--${tone})`); element.dataset.tone = tone || "neutral"; }

/* ---------- stat ---------- */
function spark(values) {
  const there = values.filter((value) => value !== null);
  if (there.length < 2) return null;
  const least = Math.min(...there), most = Math.max(...there), span = most - least || 1;
  const points = values.map((value, i) => (value === null ? null : `${((i / (values.length - 1)) * 100).toFixed(2)},${(28 - ((value - least) / span) * 26).toFixed(2)}`)).filter(Boolean);
  const svg = shape("svg", { class: "dash-spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(shape("polygon", { class: "area", points: `${points[0].split(",")[0]},30 ${points.join(" ")} ${points.at(-1).split(",")[0]},30` }), shape("polyline", { class: "line", points: points.join(" "), "vector-effect": "non-scaling-stroke" }));
  return svg;
}
function stat(out, about, answer) {
  const many = answer.series.length > 1;
  return answer.series.map((series) => {
    const value = reduced(series.values, about.reduce), box = node("div", "dash-stat");
    coloured(box, toneOf(value, about));
    const drawn = spark(series.values);
    if (drawn) box.append(drawn);
    box.append(node("div", "value", textOf(value, about, answer.unit)));
    if (many) { const name = node("div", "name", series.name); name.title = series.name; box.append(name); }
    return box;
  });
}

/* ---------- gauge ---------- */
function arc(from, to, r) {
  const point = (share) => { const angle = Math.PI * (1 - share); return `${(50 + r * Math.cos(angle)).toFixed(2)} ${(50 - r * Math.sin(angle)).toFixed(2)}`; };
  return `M ${point(from)} A ${r} ${r} 0 0 1 ${point(to)}`;
}
function gauge(out, about, answer) {
  return answer.series.map((series) => {
    const value = reduced(series.values, about.reduce), unit = about.unit || answer.unit;
    const most = about.max ?? (unit === "percent" ? 100 : unit === "ratio" ? 1 : Math.max(...series.values.map((each) => each ?? 0), value ?? 0) || 1), least = about.min ?? 0;
    const share = value === null ? 0 : Math.min(1, Math.max(0, (value - least) / (most - least || 1)));
    const box = node("div", "dash-gauge"), svg = shape("svg", { viewBox: "0 0 100 56", "aria-hidden": "true" });
    const tone = toneOf(value, about);
    coloured(box, tone);
    svg.append(shape("path", { class: "rest", d: arc(0, 1, 40) }));
    if (share > 0) svg.append(shape("path", { class: "now", d: arc(0, share, 40) }));
    const steps = about.thresholds.map(([at, each]) => [at === null ? 0 : Math.min(1, Math.max(0, (at - least) / (most - least || 1))), each]);
    steps.forEach(([from, each], i) => { const to = steps[i + 1]?.[0] ?? 1; if (to > from && each !== "neutral") { const band = shape("path", { class: "band", d: arc(from, to, 47) }); band.style.stroke = `var(--${each})`; svg.append(band); } });
    box.append(svg, node("div", "value", textOf(value, about, answer.unit)));
    const name = node("div", "name", answer.series.length > 1 || series.name !== "{}" ? series.name : "");
    name.title = series.name;
    if (answer.series.length > 1) box.append(name);
    return box;
  });
}

/* ---------- table ---------- */
const sorted = new WeakMap(); // out -> {column, down}
function table(out, about, answer) {
  const { labels, rows, dropped } = answer.table, legends = answer.legends;
  const heads = [...labels, ...legends.map((legend, i) => (legend && !legend.includes("{{") ? legend : "") || (legends.length > 1 ? `${t("value")} ${"ABCDEFGHIJ"[i]}` : t("value")))];
  const order = sorted.get(out) ?? (legends.length === 1 && labels.length ? { column: labels.length, down: true } : null);
  const shown = [...rows];
  if (order) shown.sort((a, b) => compare(a[order.column], b[order.column]) * (order.down ? -1 : 1));
  const made = node("table", "table"), head = node("thead"), line = node("tr"), body = node("tbody");
  heads.forEach((text, i) => {
    const cell = node("th", i >= labels.length ? "num" : ""), button = node("button", "th-sort", text);
    button.type = "button";
    cell.setAttribute("aria-sort", order?.column === i ? (order.down ? "descending" : "ascending") : "none");
    button.addEventListener("click", () => { sorted.set(out, { column: i, down: order?.column === i ? !order.down : i >= labels.length }); draw(out, about, answer); });
    cell.append(button);
    line.append(cell);
  });
  for (const row of shown) {
    const tr = node("tr");
    row.forEach((value, i) => {
      const cell = node("td", i >= labels.length ? "num" : "wrap-any", i >= labels.length ? textOf(value, about, answer.unit) : value);
      if (i >= labels.length) coloured(cell, toneOf(value, about));
      tr.append(cell);
    });
    body.append(tr);
  }
  head.append(line);
  made.append(head, body);
  const wrap = node("div", "table-wrap dash-table");
  wrap.append(made);
  return dropped ? [wrap, node("p", "faint dash-note", t("rows_more").replace("%n", dropped))] : [wrap];
}
function compare(a, b) {
  if (a === null || b === null) return (a === null ? 0 : 1) - (b === null ? 0 : 1);
  return typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
}

/* ---------- heatmap ---------- */
async function heatmap(out, about, answer) { await drawHeatmap(out, about, answer); return null; }

/* ---------- log lines ---------- */
function log(out, about, answer) {
  const list = node("ol", "dash-lines");
  for (const line of answer.lines) {
    const item = node("li"), link = node("a", "", window.tongchou.stamp(line.at).slice(11));
    link.href = `/logs?query=${encodeURIComponent(answer.queries[0])}&from=${line.at - 60_000}&to=${line.at + 60_000}`;
    item.dataset.level = line.level;
    item.append(link, node("span", "level", line.level), node("span", "service", line.service), node("span", "body", line.body));
    list.append(item);
  }
  return [list];
}

/* ---------- all of them ---------- */
const DRAWN = { stat, gauge, table, heatmap, log };
function empty(answer) {
  if (answer.lines) return !answer.lines.length;
  if (answer.heat) return !answer.heat.counts.length;
  if (answer.table) return !answer.table.rows.length;
  return !answer.series?.length;
}
async function draw(out, about, answer) {
  out.dataset.kind = about.kind;
  if (answer.problem) { out.replaceChildren(node("div", "dash-empty s-critical", answer.problem)); return; }
  if (about.kind === "text") { out.className = "dash-out prose dash-text"; out.innerHTML = answer.html; return; } // made by the server's Markdown, which lets no markup through
  if (empty(answer)) { out.replaceChildren(node("div", "dash-empty", t("panel_empty"))); return; }
  const made = await DRAWN[about.kind](out, about, answer);
  if (made) out.replaceChildren(...made);
  // what scrolls is reached by keyboard
  for (const each of [out, ...out.querySelectorAll(".dash-table")]) if (each.scrollHeight > each.clientHeight || each.scrollWidth > each.clientWidth) each.tabIndex = 0; else each.removeAttribute("tabindex");
}
window.tongchou.drawPanel = draw;
