// A dashboard: variables in the address, panels that ask once they come into view, the full view, keys.
// Graphs are charts.js's own; figures, gauges, tables and texts are drawn here, from text nodes only.
const { t, charts, bounds, drawPanel: draw, reloadChart: reload } = window.tongchou;
const page = document.getElementById("dash");
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const panels = new Map(); // element -> {about, due, visible, request, chart}
let variables = [];
let ready = false;

/* ---------- what the address says ---------- */
const address = () => new URLSearchParams(location.search);
function write(change) {
  const query = address();
  change(query);
  const text = String(query);
  history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}${location.hash}`);
}
function chosen() {
  const out = new URLSearchParams();
  if (!variables.length) { for (const [key, value] of address()) if (key.startsWith("var-")) out.append(key, value); return out; }
  for (const each of variables) for (const value of each.value.length ? each.value : [""]) out.append(`var-${each.name}`, value);
  return out;
}

/* ---------- panels ---------- */
function adopt() {
  for (const element of $$(".dash-panel", page)) {
    const about = JSON.parse(element.querySelector("script[type='application/json']").textContent);
    panels.set(element, { about, due: true, visible: false });
    const chart = element.querySelector("[data-dash-chart]");
    if (chart) {
      const { unit, min, max, decimals, stack, draw: way, thresholds } = about;
      Object.assign(chart.dataset, { unit: unit || "auto", draw: way });
      if (min !== null) chart.dataset.min = min;
      if (max !== null) chart.dataset.max = max;
      if (decimals !== null) chart.dataset.decimals = decimals;
      if (stack) chart.dataset.stack = "1";
      const levels = thresholds.filter(([at, tone]) => at !== null && tone !== "neutral");
      if (levels.length) chart.dataset.levels = JSON.stringify(levels);
      chart.addEventListener("tc:data", (event) => { failed(element, ""); titled(element, event.detail); });
      chart.addEventListener("tc:failed", (event) => failed(element, event.detail));
    } else if (element.querySelector("[data-dash-out]")) seen.observe(element);
  }
}
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const state = panels.get(entry.target);
    state.visible = entry.isIntersecting;
    if (entry.isIntersecting && state.due && ready) load(entry.target);
  }
}, { rootMargin: "160px" });
function titled(element, answer) {
  const title = element.querySelector("[data-dash-title]");
  if (title && answer.title !== undefined && title.textContent !== answer.title) { title.textContent = answer.title; title.title = answer.title; }
  const explore = element.querySelector("[data-dash-explore]");
  if (explore && answer.queries) {
    const query = new URLSearchParams();
    answer.queries.forEach((each) => query.append("query", each));
    if (panels.get(element).about.unit) query.set("unit", panels.get(element).about.unit);
    explore.href = `${page.dataset.explore}?${query}`;
  }
}
function failed(element, text) {
  const alert = element.querySelector("[data-dash-alert]");
  if (!alert) return;
  alert.hidden = !text;
  alert.title = text;
  element.toggleAttribute("data-failed", Boolean(text));
}
function source(element) {
  const url = new URL(element.dataset.url, location.href);
  url.search = String(chosen());
  return url;
}
async function load(element) {
  const state = panels.get(element), out = element.querySelector("[data-dash-out]");
  state.due = false;
  state.request?.abort();
  const request = state.request = new AbortController();
  const [from, to] = bounds(), url = source(element);
  url.searchParams.set("start", String(Math.round(from)));
  url.searchParams.set("end", String(Math.round(to)));
  url.searchParams.set("points", String(Math.max(60, Math.min(1000, Math.round((out.clientWidth || 400) / (state.about.kind === "heatmap" ? 8 : 2))))));
  element.toggleAttribute("data-waiting", !state.answer);
  try {
    const answer = await charts.ask(url, request.signal);
    if (!answer || request.signal.aborted) return;
    state.answer = answer;
    failed(element, "");
    titled(element, answer);
    await draw(out, state.about, answer);
    element.dataset.ready = "1";
  } catch (error) {
    if (error.name === "AbortError") return;
    failed(element, error.message);
    if (!state.answer) draw(out, state.about, { problem: `${t("chart_failed")} ${error.message}` });
    element.dataset.ready = "error";
  } finally { element.removeAttribute("data-waiting"); }
}
function loadAll() {
  for (const [element, state] of panels) {
    const chart = element.querySelector("[data-dash-chart]");
    if (chart) {
      chart.dataset.url = source(element);
      if (!("chart" in chart.dataset)) { chart.dataset.chart = ""; document.body.dispatchEvent(new CustomEvent("tc:charts")); } else if (onScreen(chart)) reload(chart);
    } else if (element.querySelector("[data-dash-out]")) { if (state.visible) load(element); else state.due = true; }
  }
}
/* Graphs that are not in view keep their old picture until then: charts.js asks for those that are due. */
function onScreen(chart) { const box = chart.getBoundingClientRect(); return box.height > 0 && box.bottom > -120 && box.top < innerHeight + 120; }
document.addEventListener("tc:load", () => {
  if (!ready) return;
  for (const [element, state] of panels) if (element.querySelector("[data-dash-out]")) { if (state.visible) load(element); else state.due = true; }
});
document.addEventListener("tc:theme", () => { for (const [element, state] of panels) if (state.answer && state.about.kind === "heatmap") draw(element.querySelector("[data-dash-out]"), state.about, state.answer); });

/* ---------- variables ---------- */
const bar = document.getElementById("dash-vars");
let asking = null;
async function askVariables() {
  if (!bar) return;
  asking?.abort();
  const request = asking = new AbortController();
  const [from, to] = bounds(), url = new URL(bar.dataset.url, location.href);
  for (const [key, value] of address()) if (key.startsWith("var-")) url.searchParams.append(key, value);
  url.searchParams.set("start", String(Math.round(from)));
  url.searchParams.set("end", String(Math.round(to)));
  try {
    const answer = await charts.ask(url, request.signal);
    if (!answer || request.signal.aborted) return;
    variables = answer.variables;
    drawBar();
  } catch (error) {
    if (error.name !== "AbortError") bar.replaceChildren(Object.assign(document.createElement("span"), { className: "s-critical", textContent: error.message }));
  }
}
async function choose(name, values) {
  write((query) => { query.delete(`var-${name}`); for (const value of values.length ? values : [""]) query.append(`var-${name}`, value); });
  await askVariables(); // others may depend on it
  loadAll();
}
function drawBar() {
  const open = bar.querySelector("details[open]")?.dataset.name;
  bar.replaceChildren(...variables.filter((each) => !each.hide).map((each) => field(each, open)));
  for (const each of $$("[data-dash-text]", page)) each.textContent = filled(each.dataset.dashText || (each.dataset.dashText = each.textContent));
}
/* The headings of rows, which no panel's answer fills. */
function filled(text) {
  return text.replace(/\$(\w+)|\$\{(\w+)(?::\w+)?\}|\[\[(\w+)(?::\w+)?\]\]/g, (whole, a, b, c) => {
    const found = variables.find((each) => each.name === (a || b || c));
    return found ? shown(found) : whole;
  });
}
function textOf(each, value) { return value === "$__all" ? t("every") : (each.options.find(([, found]) => found === value)?.[0] ?? value); }
function shown(each) {
  if (!each.value.length || (each.value.length === 1 && each.value[0] === "")) return t("none_chosen");
  return each.value.length > 3 ? t("chosen").replace("%n", each.value.length) : each.value.map((value) => textOf(each, value)).join(" + ");
}
function field(each, open) {
  const label = document.createElement("label"), name = document.createElement("span");
  label.className = "dash-var";
  name.textContent = each.label;
  name.className = "name";
  label.append(name);
  if (each.problem) { name.classList.add("s-critical"); label.title = each.problem; }
  if (each.kind === "textbox") {
    const box = Object.assign(document.createElement("input"), { className: "input small", value: each.value[0] ?? "" });
    box.addEventListener("change", () => choose(each.name, [box.value]));
    label.append(box);
    return label;
  }
  if (!each.multi && each.options.length <= 60) {
    const select = Object.assign(document.createElement("select"), { className: "select" });
    const options = [...(each.all ? [[t("every"), "$__all"]] : []), ...each.options];
    if (!options.some(([, value]) => value === each.value[0])) options.unshift([each.value[0] ?? "", each.value[0] ?? ""]);
    for (const [text, value] of options) select.append(new Option(text, value, false, value === each.value[0]));
    select.addEventListener("change", () => choose(each.name, [select.value]));
    label.append(select);
    return label;
  }
  const box = document.createElement("div");
  box.className = "dash-var";
  box.title = label.title;
  box.append(name, chooser(each, open === each.name));
  return box;
}
/* A menu with a filter: boxes where several may be chosen, buttons where one is. */
const MOST_SHOWN = 200;
function chooser(each, open) {
  const details = document.createElement("details"), summary = document.createElement("summary"), body = document.createElement("div");
  details.className = "menu";
  details.dataset.name = each.name;
  details.open = open;
  summary.className = "btn";
  summary.textContent = shown(each);
  summary.setAttribute("aria-label", `${each.label}: ${shown(each)}`);
  body.className = "menu-body dash-options";
  const filter = Object.assign(document.createElement("input"), { className: "input small", type: "search", placeholder: t("filter") });
  filter.setAttribute("aria-label", t("filter"));
  const list = document.createElement("div");
  let picked = [...each.value];
  const send = () => choose(each.name, picked);
  const list_ = () => {
    const word = filter.value.toLowerCase();
    const fits = each.options.filter(([text]) => text.toLowerCase().includes(word));
    const all = each.all && !word ? [[t("every"), "$__all"]] : [];
    list.replaceChildren(...[...all, ...fits.slice(0, MOST_SHOWN)].map(([text, value]) => (each.multi ? boxed(text, value) : button(text, value))));
    const more = Math.max(0, fits.length - MOST_SHOWN) + (word ? 0 : Math.max(0, each.count - each.options.length));
    if (more) list.append(Object.assign(document.createElement("div"), { className: "menu-label", textContent: t("options_more").replace("%n", more) }));
  };
  function boxed(text, value) {
    const line = document.createElement("label"), input = Object.assign(document.createElement("input"), { type: "checkbox", checked: picked.includes(value) });
    line.className = "check menu-check";
    line.append(input, Object.assign(document.createElement("span"), { textContent: text }));
    input.addEventListener("change", () => {
      if (value === "$__all") picked = input.checked ? ["$__all"] : [];
      else picked = input.checked ? [...picked.filter((one) => one !== "$__all" && one !== ""), value] : picked.filter((one) => one !== value);
      for (const other of $$("input[type=checkbox]", list)) other.checked = picked.includes(other.value);
      details.dataset.changed = "1";
      summary.textContent = shown({ ...each, value: picked });
    });
    input.value = value;
    return line;
  }
  function button(text, value) {
    const line = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    line.setAttribute("aria-pressed", String(picked[0] === value));
    line.addEventListener("click", () => { details.open = false; choose(each.name, [value]); });
    return line;
  }
  filter.addEventListener("input", list_);
  filter.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); if (!each.multi) list.querySelector("button")?.click(); else details.open = false; } });
  details.addEventListener("toggle", () => {
    if (details.open) { list_(); filter.focus(); return; }
    if (details.dataset.changed) { delete details.dataset.changed; send(); }
  });
  body.append(filter, list);
  details.append(summary, body);
  return details;
}
bar?.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("tc:range", () => { if (variables.some((each) => each.kind === "query")) askVariables(); });

/* ---------- marks, refresh ---------- */
const marks = document.getElementById("dash-marks");
function markAll() {
  for (const chart of $$("[data-dash-marks]", page)) if (marks?.checked) chart.dataset.marks = chart.dataset.dashMarks; else delete chart.dataset.marks;
}
marks?.addEventListener("change", () => { write((query) => { if (marks.checked) query.delete("marks"); else query.set("marks", "0"); }); markAll(); loadAll(); });
const refresh = document.getElementById("dash-refresh");
function every(seconds) {
  document.body.dataset.refreshSeconds = seconds || "";
  $$("[data-seconds]", refresh).forEach((button) => button.setAttribute("aria-checked", String(button.dataset.seconds === String(seconds))));
}
refresh?.addEventListener("click", (event) => {
  const button = event.target.closest("[data-seconds]");
  if (!button) return;
  write((query) => query.set("refresh", button.dataset.seconds));
  every(Number(button.dataset.seconds));
  button.closest("details").open = false;
});

/* ---------- the full view, one panel alone, keys ---------- */
function kiosk(on, told = true) {
  document.body.classList.toggle("kiosk", on);
  write((query) => { if (on) query.set("kiosk", "1"); else query.delete("kiosk"); });
  if (on && told) window.tongchou.toast(t("kiosk_leave"));
  dispatchEvent(new Event("resize"));
}
function alone(element) {
  const now = page.querySelector("[data-alone]");
  now?.removeAttribute("data-alone");
  page.toggleAttribute("data-one", Boolean(element));
  if (element) { element.dataset.alone = ""; element.closest("details.dash-row")?.setAttribute("open", ""); }
  for (const row of $$("details.dash-row, .dash-grid", page)) row.toggleAttribute("data-holds", Boolean(element) && row.contains(element));
  write((query) => { if (element) query.set("panel", element.dataset.panel); else query.delete("panel"); });
  (element ?? now)?.scrollIntoView({ block: element ? "start" : "nearest" });
  document.dispatchEvent(new CustomEvent("tc:load"));
}
document.getElementById("dash-kiosk")?.addEventListener("click", () => kiosk(true));
page.addEventListener("click", (event) => {
  const element = event.target.closest(".dash-panel");
  if (event.target.closest("[data-dash-retry]")) {
    const chart = element.querySelector("[data-dash-chart]");
    if (chart) reload(chart); else load(element);
  }
  if (event.target.closest("[data-dash-alone]")) { event.target.closest("details").open = false; alone(element.hasAttribute("data-alone") ? null : element); }
});
function move(step) {
  const all = $$(".dash-panel", page).filter((each) => each.offsetParent);
  const at = all.indexOf(document.activeElement.closest?.(".dash-panel"));
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step))];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: "nearest" });
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]")) return;
  const here = document.activeElement.closest?.(".dash-panel");
  if (event.key === "Escape") {
    if (document.querySelector("details.menu[open]")) return;
    if (page.hasAttribute("data-one")) alone(null); else if (document.body.classList.contains("kiosk")) kiosk(false);
  } else if (event.key === "f") kiosk(!document.body.classList.contains("kiosk"));
  else if (event.key === "r") document.querySelector("[data-range-refresh]")?.click();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "v") { if (page.hasAttribute("data-one")) alone(null); else if (here) alone(here); }
  else if (event.key === "e") (here?.querySelector("[data-dash-edit]") ?? document.getElementById("dash-edit"))?.click();
});

/* ---------- begin ---------- */
adopt();
markAll();
every(Number(address().get("refresh") ?? page.dataset.refresh));
if ("kiosk" in page.dataset) kiosk(true, false);
await askVariables();
ready = true;
loadAll();
for (const [element, state] of panels) if (state.visible && state.due) load(element);
const single = address().get("panel");
if (single) alone(page.querySelector(`[data-panel="${CSS.escape(single)}"]`));
page.dataset.ready = "1";
