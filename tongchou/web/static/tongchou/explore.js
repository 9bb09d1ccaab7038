// The metrics explorer: runs the query into the chart, fills the table from the same answer, shows where an error is.
const { t, format, reloadChart } = window.tongchou;
const form = document.getElementById("explore");
const box = document.getElementById("query");
const chart = document.getElementById("chart");
const error = document.getElementById("query-error");
const unit = document.getElementById("unit");

function showError(body) {
  const position = body.position;
  const lines = [body.detail || body.title || ""];
  if (Number.isInteger(position)) {
    const before = box.value.slice(0, position);
    const line = before.split("\n").length - 1;
    const column = position - (before.lastIndexOf("\n") + 1);
    lines.push("", box.value.split("\n")[line] ?? "", `${" ".repeat(column)}^`);
    box.setSelectionRange(position, Math.min(position + 1, box.value.length));
  }
  if (body.remedy) lines.push(body.remedy);
  error.textContent = lines.join("\n");
  error.hidden = false;
  box.setAttribute("aria-invalid", "true");
}
async function run() {
  const query = box.value.trim();
  if (!query) { box.focus(); return; }
  const address = new URLSearchParams(location.search);
  address.set("query", query);
  if (unit.value) address.set("unit", unit.value); else address.delete("unit");
  history.replaceState(null, "", `?${address}`);
  error.hidden = true;
  box.removeAttribute("aria-invalid");
  document.getElementById("hint")?.remove();
  // The chart asks by itself; asking first for two points tells an error apart, with its place, before anything is drawn.
  const [from, to] = window.tongchou.bounds();
  const probe = new URL(chart.dataset.url, location.href);
  probe.search = new URLSearchParams({ query, start: Math.round(to - 1000), end: Math.round(to), points: 10 });
  const started = performance.now();
  const answer = await fetch(probe, { headers: { Accept: "application/json" } });
  if (!answer.ok) { showError(await answer.json()); return; }
  document.getElementById("answer").hidden = false;
  chart.dataset.query = query;
  chart.dataset.unit = unit.value;
  chart.dataset.started = String(started);
  chart.toggleAttribute("data-chart", true);
  reloadChart(chart);
}
form.addEventListener("submit", (event) => { event.preventDefault(); run(); });
// The shell disables the button of a form that was sent; this form stays on its page.
form.addEventListener("submit", () => setTimeout(() => { form.querySelectorAll("button").forEach((button) => { button.disabled = false; }); }, 50));
unit.addEventListener("change", run);

document.addEventListener("tc:data", (event) => {
  const { series, dropped } = event.detail;
  const body = document.getElementById("rows");
  body.replaceChildren();
  for (const one of series) {
    const values = one.values.filter((value) => value !== null);
    const row = document.createElement("tr");
    const name = document.createElement("td");
    const labels = Object.entries(one.labels).filter(([key]) => key !== "__name__").sort().map(([key, value]) => `${key}="${value}"`).join(", ");
    name.className = "mono wrap-any";
    name.textContent = `${one.labels.__name__ ?? ""}${labels ? `{${labels}}` : ""}` || one.name;
    row.append(name);
    const sum = values.reduce((total, value) => total + value, 0);
    for (const value of [values.at(-1), Math.min(...values), values.length ? sum / values.length : null, Math.max(...values)]) {
      const cell = document.createElement("td");
      cell.className = "num";
      cell.textContent = values.length ? format(value, unit.value) : "–";
      row.append(cell);
    }
    body.append(row);
  }
  document.getElementById("count").textContent = series.length + (dropped || 0);
  const cost = performance.now() - Number(chart.dataset.started || performance.now());
  document.getElementById("query-cost").textContent = `${series.length + (dropped || 0)} ${t("series")}${cost > 1 ? ` · ${Math.round(cost)} ms` : ""}`;
  chart.dataset.started = "";
});

const names = document.getElementById("names");
document.getElementById("names-filter").addEventListener("input", (event) => {
  const word = event.target.value.toLowerCase();
  names?.querySelectorAll("button").forEach((button) => { button.hidden = !button.dataset.name.toLowerCase().includes(word); });
});
names?.addEventListener("click", (event) => {
  const name = event.target.dataset?.name;
  if (!name) return;
  const selected = box.selectionEnd > box.selectionStart;
  if (box.value.trim() && (selected || document.activeElement === box)) box.setRangeText(name, box.selectionStart, box.selectionEnd, "end");
  else box.value = /_(total|count|sum|bucket)$/.test(name) ? `rate(${name}[5m])` : name;
  run();
});
