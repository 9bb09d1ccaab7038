// The logs explorer: lines by search and time range, older ones on demand, a live tail, a line opened in its place.
const { t, reloadChart } = window.tongchou;
const root = document.getElementById("logs");
const form = document.getElementById("log-search");
const box = document.getElementById("query");
const chart = document.getElementById("chart");
const list = document.getElementById("lines");
const error = document.getElementById("query-error");
const none = document.getElementById("none");
const pager = document.getElementById("pager");
const shown = document.getElementById("shown");
const live = document.getElementById("live");
const waiting = document.getElementById("waiting");
const words = JSON.parse(document.getElementById("logs-words").textContent);
const say = (key, n) => words[key].replace("%n", n.toLocaleString());
const PAGE = 200, KEPT_LIVE = 1000, POLL_MS = 1500, TAIL = 500;
let cursor = null, request = null, timer = 0, after = "", held = [], dropped = 0, range = null;
let columns = new URLSearchParams(location.search).getAll("column");

function showError(body) {
  const lines = [body.detail || body.title || ""];
  if (Number.isInteger(body.position)) {
    lines.push("", box.value, `${" ".repeat(body.position)}^`);
    box.setSelectionRange(body.position, Math.min(body.position + 1, box.value.length));
  }
  if (body.remedy) lines.push(body.remedy);
  error.textContent = lines.join("\n");
  error.hidden = false;
  box.setAttribute("aria-invalid", "true");
}
function clearError() { error.hidden = true; box.removeAttribute("aria-invalid"); }
function span(className, text) { const node = document.createElement("span"); node.className = className; node.textContent = text; return node; }
/* What a line holds under a name: a label, a fact beside it, a member of a JSON body (dotted names go deeper). */
function valueOf(line, name) {
  if (name === "level" || name === "resource" || name === "trace_id") return line[name];
  const beside = line.labels[name] ?? line.fields[name];
  if (beside !== undefined) return beside;
  if (!line.body.startsWith("{")) return "";
  try {
    const body = JSON.parse(line.body);
    const found = body[name] ?? name.split(".").reduce((value, key) => value?.[key], body);
    return found === undefined || found === null ? "" : typeof found === "object" ? JSON.stringify(found) : String(found);
  } catch { return ""; }
}
/* JSON that keeps to ASCII, as a person reads it; escapes of control characters and quotes stay. */
function readable(text) {
  return text.startsWith("{") && text.includes("\\u") ? text.replace(/\\u([0-9a-f]{4})/gi, (whole, code) => (parseInt(code, 16) > 0x9f ? String.fromCharCode(parseInt(code, 16)) : whole)) : text;
}
function row(line) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "log-row";
  button.dataset.id = line.id;
  button.setAttribute("aria-expanded", "false");
  const time = document.createElement("time");
  const ms = Number(BigInt(line.ts_ns) / 1000000n);
  time.dateTime = line.at;
  time.textContent = `${window.tongchou.stamp(ms).slice(11)}.${String(ms % 1000).padStart(3, "0")}`;
  time.title = window.tongchou.stamp(ms);
  const body = document.createElement("span");
  body.className = "log-body";
  for (const name of columns) {
    const value = valueOf(line, name);
    if (value) body.append(span("log-cell", `${name}=${value.slice(0, 120)}`), " ");
  }
  body.append(readable(line.body.slice(0, 1200)).slice(0, 600));
  button.append(time, span(`log-level ${line.level}`, line.level), span("log-source", line.resource), body);
  item.append(button);
  return item;
}
async function ask(address, parameters) {
  request?.abort();
  request = new AbortController();
  const answer = await fetch(`${address}?${new URLSearchParams(parameters)}`, { signal: request.signal, headers: { Accept: "application/json" } });
  if (answer.status === 401) { location.reload(); return null; }
  const body = await answer.json();
  if (!answer.ok) { showError(body); return null; }
  clearError();
  return body;
}
function iso(ms) { return new Date(ms).toISOString(); }
async function load(older = false) {
  if (!older) range = window.tongchou.bounds();
  const parameters = { query: box.value, start: iso(range[0]), end: iso(range[1]), limit: PAGE };
  if (older) parameters.cursor = cursor;
  try {
    const body = await ask(root.dataset.url, parameters);
    if (!body) return;
    if (!older) { list.replaceChildren(); loadFacets(); }
    list.append(...body.items.map(row));
    cursor = body.next;
    finish();
  } catch (failure) {
    if (failure.name !== "AbortError") window.tongchou.toast(t("server_unreachable"), "critical");
  }
}
function finish() {
  pager.hidden = !cursor;
  none.hidden = list.childElementCount > 0;
  shown.textContent = list.childElementCount ? `${list.childElementCount}${cursor ? "+" : ""}` : "";
  root.dataset.ready = "1";
}
function search() {
  const address = new URLSearchParams(location.search);
  if (box.value) address.set("query", box.value); else address.delete("query");
  history.replaceState(null, "", `?${address}`);
  chart.dataset.query = box.value;
  reloadChart(chart);
  if (timer) after = "";
  load();
}
/* While somebody reads (a line is open, or the page is scrolled down) what arrives waits, so that nothing jumps away. */
function reading() { return window.scrollY > 240 || list.querySelector('[aria-expanded="true"]') !== null; }
function showWaiting() {
  waiting.hidden = !held.length;
  waiting.textContent = held.length ? `${say("waiting", held.length)}${dropped ? ` · ${say("dropped", dropped)}` : ""}` : "";
}
function flush() {
  for (const line of held) list.prepend(row(line));
  held = [];
  while (list.childElementCount > KEPT_LIVE) { list.lastElementChild.remove(); dropped += 1; }
  showWaiting();
  finish();
  shown.textContent += ` · ${words.following}${dropped ? ` · ${say("dropped", dropped)}` : ""}`;
}
async function poll() {
  let pause = POLL_MS;
  try {
    const body = await ask(`${root.dataset.url}/tail`, { query: box.value, after, limit: TAIL });
    if (!body) { stopLive(); return; }
    after = body.after;
    held.push(...body.items);
    if (held.length > KEPT_LIVE) { dropped += held.length - KEPT_LIVE; held = held.slice(-KEPT_LIVE); }
    if (reading()) showWaiting(); else if (held.length) flush();
    if (body.items.length === TAIL) pause = 0; // more than one answer holds: the rest is asked for at once
  } catch (failure) {
    if (failure.name === "AbortError") return;
  }
  if (timer) timer = setTimeout(poll, pause);
}
function stopLive() {
  clearTimeout(timer);
  timer = 0;
  if (held.length) flush();
  dropped = 0;
  live.setAttribute("aria-pressed", "false");
  live.classList.remove("primary");
  finish();
}
waiting.addEventListener("click", () => { flush(); window.scrollTo({ top: 0 }); });
live.addEventListener("click", () => {
  if (timer) { stopLive(); return; }
  live.setAttribute("aria-pressed", "true");
  live.classList.add("primary");
  after = ""; held = []; dropped = 0;
  shown.textContent = words.following;
  timer = setTimeout(poll, 0);
});
async function toggle(button, around = "") {
  const open = button.nextElementSibling;
  if (open && !around) { button.setAttribute("aria-expanded", "false"); open.remove(); return; }
  button.setAttribute("aria-expanded", "true");
  const holder = open ?? document.createElement("div");
  button.after(holder);
  const answer = await fetch(`${root.dataset.lineUrl.replace("ID", button.dataset.id)}?around=${around}`, { headers: { Accept: "text/html" } });
  if (answer.ok) holder.innerHTML = await answer.text(); // rendered by our own template, which escapes
  else { holder.remove(); button.setAttribute("aria-expanded", "false"); window.tongchou.toast(`${t("request_failed")} (${answer.status})`, "critical"); }
}
/* ---------- narrowing: by level, by a value, without a value ---------- */
const NAME = /^[A-Za-z_@][A-Za-z0-9_@.-]*$/;
function add(term) { if (!` ${box.value} `.includes(` ${term} `)) box.value = `${box.value} ${term}`.trim(); search(); }
document.addEventListener("click", (event) => {
  const button = event.target.closest(".log-row");
  if (button) { toggle(button); return; }
  const around = event.target.closest("[data-log-around]");
  if (around) { toggle(around.closest(".log-lines > li").querySelector(".log-row"), around.dataset.logAround); return; }
  const filter = event.target.closest("[data-log-filter]");
  if (filter) { add(filter.dataset.logFilter); return; }
  const column = event.target.closest("[data-log-column]");
  if (column) { toggleColumn(column.dataset.logColumn); return; }
  const fact = event.target.closest("[data-log-name]");
  if (fact) {
    const { logName: name, logValue: value } = fact.dataset;
    const term = NAME.test(name) ? `${name}:${JSON.stringify(value)}` : JSON.stringify(value);
    add(fact.dataset.logNot === undefined ? term : `-${term}`);
    return;
  }
  const file = event.target.closest("[data-log-download]");
  if (file) { location.href = `${root.dataset.url}/download?${new URLSearchParams({ ...asked(), format: file.dataset.logDownload, limit: root.dataset.most })}`; return; }
  const example = event.target.closest("[data-log-example]");
  if (example) { box.value = example.dataset.logExample; search(); }
});

/* ---------- columns ---------- */
function showColumns() {
  const holder = document.getElementById("columns");
  holder.hidden = !columns.length;
  holder.replaceChildren(...columns.map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chip-button mono";
    button.dataset.logColumn = name;
    button.textContent = `${name} ×`;
    return button;
  }));
}
function toggleColumn(name) {
  columns = columns.includes(name) ? columns.filter((each) => each !== name) : [...columns, name].slice(-8);
  const address = new URLSearchParams(location.search);
  address.delete("column");
  columns.forEach((each) => address.append("column", each));
  history.replaceState(null, "", `?${address}`);
  showColumns();
  load();
}

/* ---------- fields and their values ---------- */
let facetRequest = null;
function asked() { const [start, end] = range ?? window.tongchou.bounds(); return { query: box.value, start: iso(start), end: iso(end) }; }
function icon(name) { return document.getElementById(`icon-${name}`).content.firstElementChild.cloneNode(true); }
function small(name, label, data) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn ghost icon small";
  button.title = label;
  button.setAttribute("aria-label", label);
  Object.assign(button.dataset, data);
  button.append(icon(name));
  return button;
}
function facet(found) {
  const holder = document.createElement("details");
  holder.open = found.name === "level" || found.name === "service";
  const head = document.createElement("summary");
  head.append(span("mono grow", found.name), span("faint tabular", say("distinct", found.distinct)));
  const values = document.createElement("ul");
  const most = Math.max(...found.values.map((each) => each.lines));
  for (const { value, lines } of found.values) {
    const item = document.createElement("li");
    const only = document.createElement("button");
    only.type = "button";
    only.className = "log-value";
    only.title = `${words.only}: ${value}`;
    Object.assign(only.dataset, { logName: found.name, logValue: value });
    only.append(span("grow", value), span("tabular faint", lines.toLocaleString()));
    only.style.setProperty("--share", `${Math.round((lines / most) * 100)}%`);
    item.append(only, small("minus", words.without, { logName: found.name, logValue: value, logNot: "" }));
    values.append(item);
  }
  holder.append(head, values, small("columns-2", words.column, { logColumn: found.name }));
  return holder;
}
async function loadFacets() {
  facetRequest?.abort();
  facetRequest = new AbortController();
  const holder = document.getElementById("facets");
  try {
    const answer = await fetch(`${root.dataset.url}/facets?${new URLSearchParams(asked())}`, { signal: facetRequest.signal, headers: { Accept: "application/json" } });
    if (!answer.ok) { holder.replaceChildren(); return; }
    const body = await answer.json();
    const opened = new Set([...holder.querySelectorAll("details[open] summary .grow")].map((node) => node.textContent));
    const nodes = [...body.labels, ...body.fields].map(facet);
    nodes.forEach((node) => { if (opened.has(node.querySelector(".grow").textContent)) node.open = true; });
    holder.replaceChildren(...nodes);
    if (!nodes.length) holder.append(span("faint", words.no_facets));
    document.getElementById("facets-note").textContent = body.fields.length ? say("sampled", body.sampled) : "";
    root.dataset.facets = "1";
  } catch (failure) {
    if (failure.name !== "AbortError") holder.replaceChildren();
  }
}

/* ---------- export ---------- */
document.getElementById("log-curl").addEventListener("click", async () => {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = Object.entries({ ...asked(), limit: "1000" }).map(([name, value]) => `  --data-urlencode ${quoted(`${name}=${value}`)}`);
  const command = `curl -G -H "Authorization: Bearer $TOKEN" ${quoted(`${location.origin}${root.dataset.url}`)} \\\n${parts.join(" \\\n")}`;
  try { await navigator.clipboard.writeText(command); window.tongchou.toast(t("copied")); } catch { window.tongchou.toast(t("copy_failed"), "warning"); }
});
document.getElementById("log-save")?.addEventListener("submit", (event) => { event.target.elements.query.value = box.value; });

/* ---------- keyboard ---------- */
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.target.closest?.("input, textarea, select, dialog[open]")) return;
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  const now = document.activeElement?.closest?.(".log-lines > li");
  if (step && (now || event.key.length === 1)) {
    event.preventDefault();
    const next = now ? (step > 0 ? now.nextElementSibling : now.previousElementSibling) : list.firstElementChild;
    next?.querySelector(".log-row").focus();
  } else if (event.key === "l") live.click();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
  setTimeout(() => { form.querySelectorAll("button").forEach((each) => { each.disabled = false; }); }, 50); // the shell disables a sent form's button
});
document.getElementById("older").addEventListener("click", () => load(true));
document.addEventListener("tc:range", () => { if (!timer) load(); });
document.addEventListener("click", (event) => { if (event.target.closest("[data-range-refresh]") && !timer) load(); });
chart.addEventListener("tc:data", (event) => { document.getElementById("total").textContent = event.detail.total ?? ""; });
showColumns();
load();
