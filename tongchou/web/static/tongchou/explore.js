// The metrics explorer. What is asked stands in the address: query, legend, unit (one each a query), off, view, stack,
// compare, marks, and the time range of charts.js. The chart asks through answerAll; legend, table, figures and heatmaps
// are drawn from the same answer.

const { t, format, remarks, reloadChart, redrawChart, drawHeatmap, chartSource, attachCompletion, toast } = window.tongchou;
const page = document.getElementById("explore-page");
const chart = document.getElementById("chart");
const queryList = document.getElementById("queries");
const template = document.getElementById("query-template");
const form = document.getElementById("explore");
const marksBox = document.getElementById("marks");
const legend = document.getElementById("legend");
const heats = document.getElementById("heats");
const MOST = Number(page.dataset.most), LIMIT = 100, KEPT = 40;
const HISTORY = `explore-history:${page.dataset.person}`;
const hidden = new Set(); // keys of series switched off in the legend
let sort = { by: "last", down: true };
let answers = { times: [], series: [], heats: [], marks: [] };
let focused = null; // the query that was written in last

const rows = () => [...queryList.children];
const text = (row) => row.querySelector("textarea");
const letter = (row) => String.fromCharCode(65 + rows().indexOf(row));
const isOn = (row) => !row.hasAttribute("data-off");
const compared = () => [...document.querySelectorAll("#compare input:checked")].map((box) => box.value);

/* ---------- queries ---------- */
function reletter() {
  for (const row of rows()) {
    const button = row.querySelector(".query-letter");
    button.textContent = letter(row);
    text(row).setAttribute("aria-label", `PromQL ${letter(row)}`);
    text(row).id = `query-${letter(row)}`;
  }
  document.getElementById("add").disabled = rows().length >= MOST;
  queryList.querySelectorAll('[data-do="remove"]').forEach((button) => { button.disabled = rows().length === 1; });
}
function addRow({ query = "", legendFormat = "", unit = "auto", on = true } = {}, after = null) {
  if (rows().length >= MOST) { toast(t("queries_most").replace("%n", MOST), "warning"); return null; }
  const row = template.content.firstElementChild.cloneNode(true);
  if (after) after.after(row); else queryList.append(row);
  text(row).value = query;
  row.querySelector("[data-legend-format]").value = legendFormat;
  const units = row.querySelector("[data-unit]");
  units.value = unit;
  if (units.selectedIndex < 0) units.value = "auto";
  setOn(row, on);
  attachCompletion(text(row), row.querySelector(".offers"), page.dataset.complete);
  text(row).addEventListener("focus", () => { focused = row; });
  reletter();
  return row;
}
function setOn(row, on) {
  row.toggleAttribute("data-off", !on);
  row.querySelector(".query-letter").setAttribute("aria-pressed", String(on));
}
function stateOf(row) { return { query: text(row).value.trim(), legendFormat: row.querySelector("[data-legend-format]").value, unit: row.querySelector("[data-unit]").value, on: isOn(row) }; }
function asked() { return rows().filter((row) => isOn(row) && text(row).value.trim()); }

/* ---------- the address ---------- */
function viewNow() { return page.querySelector('[role="tab"][aria-selected="true"]').dataset.view; }
function writeAddress() {
  const address = new URLSearchParams(location.search);
  for (const key of ["query", "legend", "unit", "off", "view", "stack", "compare", "marks"]) address.delete(key);
  const states = rows().map(stateOf).filter((each) => each.query);
  states.forEach((each) => address.append("query", each.query));
  if (states.some((each) => each.legendFormat)) states.forEach((each) => address.append("legend", each.legendFormat));
  if (states.some((each) => each.unit !== "auto")) states.forEach((each) => address.append("unit", each.unit));
  states.forEach((each, i) => { if (!each.on) address.append("off", String.fromCharCode(65 + i)); });
  if (viewNow() !== "graph") address.set("view", viewNow());
  if (chart.dataset.stack === "1") address.set("stack", "1");
  if (compared().length) address.set("compare", compared().join(","));
  if (marksBox.checked) address.set("marks", "1");
  history.replaceState(null, "", `?${address}`);
  const [from, to] = window.tongchou.bounds();
  const file = new URLSearchParams({ start: Math.round(from), end: Math.round(to) });
  asked().forEach((row) => file.append("query", text(row).value.trim()));
  document.getElementById("csv").href = `${page.dataset.csv}?${file}`;
}
function readAddress() {
  const address = new URLSearchParams(location.search);
  const legends = address.getAll("legend"), units = address.getAll("unit"), off = address.getAll("off");
  address.getAll("query").slice(0, MOST).forEach((query, i) => addRow({ query, legendFormat: legends[i] ?? "", unit: units[i] || (units.length > i && units.length > 1 ? units[i] : "auto"), on: !off.includes(String.fromCharCode(65 + i)) }));
  if (!rows().length) addRow();
  const ago = (address.get("compare") || "").split(",");
  document.querySelectorAll("#compare input").forEach((box) => { box.checked = ago.includes(box.value); });
  marksBox.checked = address.get("marks") === "1";
  stackAs(address.get("stack") === "1" ? "1" : "0");
  page.querySelector(`[data-view="${CSS.escape(address.get("view") || "graph")}"]`)?.click();
  showCompared();
}

/* ---------- asking ---------- */
function showError(row, body) {
  const error = row.querySelector(".query-error"), box = text(row);
  const lines = [body.detail || body.title || ""];
  if (Number.isInteger(body.position)) {
    const before = box.value.slice(0, body.position);
    const column = body.position - (before.lastIndexOf("\n") + 1);
    lines.push(box.value.split("\n")[before.split("\n").length - 1] ?? "", `${" ".repeat(column)}^`);
  }
  if (body.remedy) lines.push(body.remedy);
  error.textContent = lines.join("\n");
  error.hidden = false;
  box.setAttribute("aria-invalid", "true");
}
function clearError(row) { row.querySelector(".query-error").hidden = true; text(row).removeAttribute("aria-invalid"); }
async function answerOne(row, offset, { from, to, points, signal, heat }) {
  const url = new URL(page.dataset.query, location.href);
  const { query, legendFormat } = stateOf(row);
  url.search = new URLSearchParams({ query, legend: legendFormat, start: Math.round(from), end: Math.round(to), points, limit: LIMIT, offset });
  if (heat) url.searchParams.set("heat", "1");
  const reply = await fetch(url, { signal, headers: { Accept: "application/json" } });
  if (reply.status === 401) { location.reload(); return null; }
  const body = await reply.json();
  if (!reply.ok) { showError(row, body); return null; }
  return body;
}
async function marksOf({ from, to, signal }) {
  if (!marksBox.checked) return [];
  const url = `${page.dataset.marks}?${new URLSearchParams({ start: Math.round(from), end: Math.round(to) })}`;
  const reply = await fetch(url, { signal, headers: { Accept: "application/json" } });
  return reply.ok ? (await reply.json()).marks : [];
}
async function answerAll(given) {
  const heat = viewNow() === "heatmap";
  const request = heat ? { ...given, heat, points: Math.max(60, Math.round(heats.clientWidth / 8)) } : given;
  const ago = heat ? [] : [...document.querySelectorAll("#compare input:checked")];
  const wanted = asked();
  const parts = await Promise.all(wanted.flatMap((row) => [["0", ""], ...ago.map((box) => [box.value, box.dataset.label])].map(async ([offset, label]) => {
    const began = performance.now();
    return { row, offset, label, body: await answerOne(row, offset, request), cost: performance.now() - began };
  })));
  const marks = await marksOf(request);
  const series = [], maps = [];
  for (const { row, offset, label, body, cost } of parts) {
    if (!body) continue;
    const units = row.querySelector("[data-unit]");
    const guessed = body.heat ? body.heat.unit : body.unit, unit = units.value === "auto" ? guessed : units.value;
    if (body.heat) maps.push({ letter: letter(row), query: text(row).value.trim(), unit: units.value === "auto" ? "" : unit || "plain", body });
    if (offset === "0") {
      clearError(row);
      const first = units.options[0], word = first.dataset.word ??= first.textContent;
      first.textContent = guessed ? `${word} (${[...units.options].find((each) => each.value === guessed)?.textContent ?? guessed})` : word;
      const shown = body.count ?? body.series.length, total = shown + body.dropped;
      row.querySelector("[data-status]").textContent = `${body.dropped ? t("series_of").replace("%shown", shown).replace("%total", total.toLocaleString()) : t("series_count").replace("%n", total)} · ${Math.round(cost)} ms${remarks(body).map((each) => ` · ${each}`).join("")}`;
    }
    for (const each of body.series) {
      const own = `${letter(row)}|${JSON.stringify(each.labels)}`;
      const same = offset === "0" ? null : series.find((one) => one.own === own);
      const name = wanted.length > 1 ? `${letter(row)} ${each.name}` : each.name;
      const key = `${own}|${offset}`;
      series.push({ ...each, own, key, letter: letter(row), offset, name: label ? t("compared").replace("%name", name).replace("%ago", label) : name, unit, dashed: offset !== "0", hidden: hidden.has(key), colour: same ? same.colour : series.filter((one) => one.offset === "0").length });
    }
  }
  const times = parts.find((part) => part.body?.times.length)?.body.times ?? [];
  answers = { times, series: series.map((each) => ({ ...each, ...figures(each) })), heats: maps, marks, dropped: 0 };
  return answers;
}
function figures({ values }) {
  const there = values.filter((value) => value !== null);
  if (!there.length) return { last: null, min: null, mean: null, max: null };
  return { last: there.at(-1), min: Math.min(...there), mean: there.reduce((a, b) => a + b, 0) / there.length, max: Math.max(...there) };
}
function run() {
  rows().forEach(clearError);
  writeAddress();
  const any = asked().length > 0;
  document.getElementById("answer").hidden = !any;
  document.getElementById("hint").hidden = any;
  if (!any) { text(rows()[0]).focus(); return; }
  remember();
  chart.toggleAttribute("data-chart", true);
  reloadChart(chart);
}

/* ---------- what came back ---------- */
function cell(className, content) { const node = document.createElement("td"); if (className) node.className = className; node.textContent = content; return node; }
function sorted() {
  const { by, down } = sort;
  const number = (word) => (word === "+Inf" ? Infinity : /^-?[\d.]+(e[-+]?\d+)?$/.test(word) ? Number(word) : word); // le="10" is behind le="2.5"
  const value = (each) => (by === "name" ? number(each.name) : by.startsWith("label:") ? number(each.labels[by.slice(6)] ?? "") : each[by]);
  return [...answers.series].sort((a, b) => {
    const x = value(a), y = value(b);
    if (x === y) return 0;
    if (x === null) return 1;
    if (y === null) return -1;
    const less = typeof x === typeof y ? x < y : typeof x === "number";
    return (less ? -1 : 1) * (down ? -1 : 1);
  });
}
function showSort() {
  for (const head of page.querySelectorAll("th[aria-sort]")) {
    const own = head.querySelector("[data-sort]")?.dataset.sort === sort.by;
    head.setAttribute("aria-sort", own ? (sort.down ? "descending" : "ascending") : "none");
  }
}
function drawLegend() {
  legend.replaceChildren(...sorted().map((each) => {
    const row = document.createElement("tr");
    const name = document.createElement("td");
    const button = document.createElement("button");
    button.type = "button";
    button.className = `legend-name${each.dashed ? " dashed" : ""}`;
    button.dataset.key = each.key;
    button.setAttribute("aria-pressed", String(!each.hidden));
    const key = document.createElement("span");
    key.className = "key";
    key.style.borderTopColor = `var(--series-${(each.colour % 8) + 1})`;
    const word = document.createElement("span");
    word.textContent = each.name;
    button.append(key, word);
    name.append(button);
    row.append(name, ...["last", "min", "mean", "max"].map((which) => cell("num", format(each[which], each.unit))));
    return row;
  }));
}
function drawTable() {
  const names = [...new Set(answers.series.flatMap((each) => Object.keys(each.labels)))].sort((a, b) => (b === "__name__") - (a === "__name__") || (a < b ? -1 : 1));
  const several = new Set(answers.series.map((each) => each.letter + each.offset)).size > 1;
  const head = document.getElementById("table-head");
  const columns = [...(several ? [["name", t("series")]] : []), ...names.map((name) => [`label:${name}`, name]), ["last", t("value")]];
  head.replaceChildren(...columns.map(([key, word]) => {
    const node = document.createElement("th");
    node.setAttribute("aria-sort", "none");
    if (key === "last") node.className = "num";
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "th-sort", textContent: word });
    button.dataset.sort = key;
    node.append(button);
    return node;
  }));
  document.getElementById("rows").replaceChildren(...sorted().map((each) => {
    const row = document.createElement("tr");
    if (several) row.append(cell("mono wrap-any", each.name));
    row.append(...names.map((name) => cell("mono wrap-any", each.labels[name] ?? "")), cell("num", format(each.last, each.unit)));
    row.lastChild.title = each.last === null ? "" : String(each.last);
    return row;
  }));
}
function drawStats() {
  const now = answers.series.filter((each) => each.offset === "0").slice(0, 48);
  document.getElementById("stats").replaceChildren(...now.map((each) => {
    const box = document.createElement("div");
    box.className = "stat";
    const part = (className, content) => { const node = document.createElement("div"); node.className = className; node.textContent = content; box.append(node); };
    part("name", each.name);
    part("value", format(each.last, each.unit));
    for (const then of answers.series.filter((one) => one.own === each.own && one.offset !== "0")) {
      const change = each.last !== null && then.last ? ` (${each.last >= then.last ? "+" : "−"}${Math.abs((each.last / then.last - 1) * 100).toFixed(1)}%)` : "";
      part("change", `${document.querySelector(`#compare input[value="${then.offset}"]`).dataset.label}: ${format(then.last, each.unit)}${change}`);
    }
    return box;
  }));
}
/* A heatmap for each query that is on; what has no buckets says so. */
function drawHeats() {
  const found = answers.heats;
  while (heats.children.length > found.length) heats.lastElementChild.remove();
  while (heats.children.length < found.length) heats.append(document.getElementById("heat-template").content.firstElementChild.cloneNode(true));
  found.forEach(async ({ letter: own, query, unit, body }, i) => {
    const box = heats.children[i], out = box.querySelector(".heat-out"), scale = box.querySelector(".heat-scale");
    box.querySelector(".heat-name").textContent = found.length > 1 ? `${own} ${query}` : query;
    const bare = !body.times.length || !body.heat.bounds.length;
    scale.hidden = bare;
    if (bare) { out.replaceChildren(Object.assign(document.createElement("div"), { className: "empty", textContent: t(body.times.length ? "heat_none" : "chart_empty") })); return; }
    const most = await drawHeatmap(out, { unit, title: query }, { times: body.times, unit: body.unit, heat: body.heat });
    scale.querySelector("[data-most]").textContent = format(most, body.unit);
    box.dataset.ready = "1";
  });
}
function drawAnswers() {
  if (viewNow() === "heatmap") { drawHeats(); return; }
  document.getElementById("count").textContent = answers.series.length;
  drawLegend(); drawTable(); drawStats(); showSort();
}
chart.addEventListener("tc:data", drawAnswers);
legend.addEventListener("click", (event) => {
  const button = event.target.closest("[data-key]");
  if (!button) return;
  const { key } = button.dataset;
  if (event.altKey || event.ctrlKey || event.metaKey) { // this one alone; again: all
    const others = answers.series.filter((each) => each.key !== key).map((each) => each.key);
    const alone = others.every((each) => hidden.has(each)) && !hidden.has(key);
    hidden.clear();
    if (!alone) others.forEach((each) => hidden.add(each));
  } else if (!hidden.delete(key)) hidden.add(key);
  for (const each of answers.series) each.hidden = hidden.has(each.key);
  redrawChart(chart);
  drawLegend();
  legend.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
});
page.addEventListener("click", (event) => {
  const by = event.target.closest("[data-sort]")?.dataset.sort;
  if (!by) return;
  sort = { by, down: sort.by === by ? !sort.down : !(by === "name" || by.startsWith("label:")) };
  drawAnswers();
  page.querySelector(`[role="tabpanel"]:not([hidden]) [data-sort="${CSS.escape(by)}"]`)?.focus();
});

/* ---------- buttons ---------- */
function quoted(word) { return `'${word.replaceAll("'", "'\\''")}'`; }
function curl(row) {
  const [from, to] = window.tongchou.bounds();
  const step = Math.max(1, Math.round((to - from) / 1000 / 600));
  return `curl -G ${quoted(new URL(page.dataset.api, location.href).href)} -H 'Authorization: Bearer TOKEN' --data-urlencode ${quoted(`query=${text(row).value.trim()}`)} -d start=${Math.round(from / 1000)} -d end=${Math.round(to / 1000)} -d step=${step}`;
}
async function copy(words, told) { try { await navigator.clipboard.writeText(words); toast(told); } catch { toast(t("copy_failed"), "warning"); } }
queryList.addEventListener("click", (event) => {
  const what = event.target.closest("[data-do]")?.dataset.do;
  const row = event.target.closest(".query");
  if (!what) return;
  if (what === "toggle") { setOn(row, !isOn(row)); run(); }
  if (what === "duplicate") { const made = addRow(stateOf(row), row); if (made) { text(made).focus(); run(); } }
  if (what === "remove" && rows().length > 1) { row.remove(); focused = null; reletter(); run(); text(rows()[0]).focus(); }
  if (what === "copy-promql") copy(text(row).value.trim(), t("copied"));
  if (what === "copy-curl") copy(curl(row), t("copied"));
  if (what.startsWith("copy")) row.querySelector("details.menu").open = false;
});
queryList.addEventListener("change", (event) => { if (event.target.matches("[data-unit], [data-legend-format]")) run(); });
document.getElementById("add").addEventListener("click", () => { const row = addRow(); if (row) text(row).focus(); });
document.getElementById("share").addEventListener("click", () => {
  writeAddress();
  const [from, to] = window.tongchou.bounds();
  const link = new URL(location.href); // what "the last hour" is changes; a link shows what its sender saw
  link.searchParams.delete("range");
  link.searchParams.set("from", Math.round(from));
  link.searchParams.set("to", Math.round(to));
  copy(link.href, t("link_copied"));
});
function showCompared() { const mark = document.getElementById("compare-count"); mark.textContent = compared().length; mark.hidden = !compared().length; }
document.getElementById("compare").addEventListener("change", () => { showCompared(); run(); });
marksBox.addEventListener("change", run);
function stackAs(value) {
  chart.dataset.stack = value;
  page.querySelectorAll("[data-stack-as]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.stackAs === value)));
}
page.addEventListener("click", (event) => {
  const button = event.target.closest("[data-stack-as]");
  if (button) { stackAs(button.dataset.stackAs); redrawChart(chart); writeAddress(); }
});
/* Lines and areas are ways to draw a graph. */
function showTools() { document.getElementById("stack-as").hidden = viewNow() !== "graph"; }
document.addEventListener("tc:shown", () => { showTools(); writeAddress(); });
document.addEventListener("tc:theme", () => { if (viewNow() === "heatmap") drawHeats(); });
document.addEventListener("tc:range", writeAddress);
form.addEventListener("submit", (event) => { event.preventDefault(); run(); });
// The shell disables the buttons of a form that was sent; this form stays on its page.
form.addEventListener("submit", () => setTimeout(() => { document.getElementById("run").disabled = false; document.getElementById("add").disabled = rows().length >= MOST; form.querySelectorAll(".query button").forEach((button) => { button.disabled = false; }); reletter(); }, 0));

/* ---------- history: this person's, in this browser ---------- */
function kept() { try { const found = JSON.parse(localStorage.getItem(HISTORY) || "[]"); return Array.isArray(found) ? found : []; } catch { return []; } }
function remember() {
  const now = rows().map((row) => text(row).value.trim()).filter(Boolean);
  if (!now.length) return;
  const others = kept().filter((each) => JSON.stringify(each) !== JSON.stringify(now));
  try { localStorage.setItem(HISTORY, JSON.stringify([now, ...others].slice(0, KEPT))); } catch { /* storage is off: no history */ }
}
document.getElementById("history").addEventListener("toggle", () => {
  const box = document.getElementById("history-list");
  const found = kept();
  box.replaceChildren(...found.map((queries) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = queries.join("\n");
    button.addEventListener("click", () => { queryList.replaceChildren(); queries.slice(0, MOST).forEach((query) => addRow({ query })); document.getElementById("history").open = false; run(); });
    return button;
  }));
  if (!found.length) { const none = document.createElement("div"); none.className = "empty tight"; none.textContent = t("history_empty"); box.append(none); }
});

/* ---------- names ---------- */
const names = document.getElementById("names");
document.getElementById("names-filter").addEventListener("input", (event) => {
  const word = event.target.value.toLowerCase();
  names?.querySelectorAll("button").forEach((button) => { button.hidden = !button.dataset.name.toLowerCase().includes(word); });
});
names?.addEventListener("pointerdown", (event) => event.preventDefault()); // the query keeps the focus and its selection
names?.addEventListener("click", (event) => {
  const name = event.target.dataset?.name;
  if (!name) return;
  const row = focused?.isConnected ? focused : rows().at(-1);
  const box = text(row);
  if (box.value.trim() && document.activeElement === box) { box.setRangeText(name, box.selectionStart, box.selectionEnd, "end"); return; }
  box.value = name.endsWith("_bucket") ? `sum by (le) (rate(${name}[5m]))` : /_(total|count|sum)$/.test(name) ? `rate(${name}[5m])` : name;
  run();
});

chartSource(chart, answerAll);
readAddress();
if (asked().length) run(); else { document.getElementById("hint").hidden = false; text(rows()[0]).focus(); }
