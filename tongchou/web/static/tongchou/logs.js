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
const PAGE = 200, KEPT_LIVE = 1000, POLL_MS = 1500;
let cursor = null, request = null, timer = 0, after = "";

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
  button.append(time, span(`log-level ${line.level}`, line.level), span("log-source", line.resource), span("log-body", line.body.slice(0, 600)));
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
let range = null;
async function load(older = false) {
  if (!older) range = window.tongchou.bounds();
  const parameters = { query: box.value, start: iso(range[0]), end: iso(range[1]), limit: PAGE };
  if (older) parameters.cursor = cursor;
  try {
    const body = await ask(root.dataset.url, parameters);
    if (!body) return;
    if (!older) list.replaceChildren();
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
async function poll() {
  try {
    const body = await ask(`${root.dataset.url}/tail`, { query: box.value, after, limit: 500 });
    if (!body) { stopLive(); return; }
    after = body.after;
    for (const line of body.items) list.prepend(row(line));
    while (list.childElementCount > KEPT_LIVE) list.lastElementChild.remove();
    if (body.items.length) finish();
  } catch (failure) {
    if (failure.name === "AbortError") return;
  }
  if (timer) timer = setTimeout(poll, POLL_MS);
}
function stopLive() { clearTimeout(timer); timer = 0; live.setAttribute("aria-pressed", "false"); live.classList.remove("primary"); }
live.addEventListener("click", () => {
  if (timer) { stopLive(); return; }
  live.setAttribute("aria-pressed", "true");
  live.classList.add("primary");
  after = "";
  timer = setTimeout(poll, 0);
});
async function toggle(button) {
  const open = button.nextElementSibling;
  button.setAttribute("aria-expanded", String(!open));
  if (open) { open.remove(); return; }
  const holder = document.createElement("div");
  button.after(holder);
  const answer = await fetch(root.dataset.lineUrl.replace("ID", button.dataset.id), { headers: { Accept: "text/html" } });
  if (answer.ok) holder.innerHTML = await answer.text(); // rendered by our own template, which escapes
  else { holder.remove(); button.setAttribute("aria-expanded", "false"); window.tongchou.toast(`${t("request_failed")} (${answer.status})`, "critical"); }
}
document.addEventListener("click", (event) => {
  const button = event.target.closest(".log-row");
  if (button) { toggle(button); return; }
  const filter = event.target.closest("[data-log-filter]");
  if (filter) { box.value = `${box.value} ${filter.dataset.logFilter}`.trim(); search(); return; }
  const fact = event.target.closest("[data-log-name]");
  if (fact) { box.value = `${box.value} ${fact.dataset.logName}:${JSON.stringify(fact.dataset.logValue)}`.trim(); search(); return; }
  const example = event.target.closest("[data-log-example]");
  if (example) { box.value = example.dataset.logExample; search(); }
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
  setTimeout(() => { form.querySelectorAll("button").forEach((each) => { each.disabled = false; }); }, 50); // the shell disables a sent form's button
});
document.getElementById("saved")?.addEventListener("change", (event) => { if (event.target.value) { box.value = event.target.value; search(); } });
document.getElementById("older").addEventListener("click", () => load(true));
document.addEventListener("tc:range", () => { if (!timer) load(); });
document.addEventListener("click", (event) => { if (event.target.closest("[data-range-refresh]") && !timer) load(); });
chart.addEventListener("tc:data", (event) => { document.getElementById("total").textContent = event.detail.total ?? ""; });
load();
