// The form of a panel: what fits its kind, and a preview that follows what is typed.
const { t, charts, drawPanel } = window.tongchou;
const form = document.getElementById("dash-form"), chart = document.getElementById("preview-chart"), out = document.getElementById("preview-out");
const wrong = document.getElementById("preview-error"), title = document.querySelector("#dash-preview [data-dash-title]");
let request = null, timer = 0;

function fits() {
  const kind = form.elements.kind.value;
  for (const each of form.querySelectorAll("[data-only], [data-not]")) {
    const { only, not } = each.dataset;
    each.hidden = only ? !only.split(" ").includes(kind) : not.split(" ").includes(kind);
  }
}
async function ask(from, to, points) {
  request?.abort();
  request = new AbortController();
  const url = new URL(form.dataset.try, location.href);
  url.search = String(new URLSearchParams({ start: Math.round(from), end: Math.round(to), points }));
  const answer = await fetch(url, { method: "POST", body: new FormData(form), signal: request.signal, headers: { Accept: "application/json" } });
  if (answer.status === 401) { location.reload(); return null; }
  const body = await answer.json();
  if (!answer.ok) throw new Error([body.query && `${body.query}:`, body.field && `${body.field}:`, body.detail, body.remedy].filter(Boolean).join(" "));
  return body;
}
async function preview() {
  const [from, to] = window.tongchou.bounds();
  try {
    const body = await ask(from, to, Math.max(60, Math.min(1000, Math.round(chart.parentElement.clientWidth / (form.elements.kind.value === "heatmap" ? 8 : 1)))));
    if (!body) return;
    wrong.hidden = true;
    const { about, answer } = body, graph = about.kind === "graph" && answer;
    chart.hidden = !graph;
    out.hidden = Boolean(graph);
    title.textContent = answer?.title || t("preview");
    if (!answer) { out.replaceChildren(Object.assign(document.createElement("div"), { className: "dash-empty", textContent: t("preview_empty") })); return; }
    if (!graph) { drawPanel(out, about, answer); return; }
    for (const key of ["min", "max", "decimals", "stack"]) delete chart.dataset[key];
    Object.assign(chart.dataset, { unit: about.unit || "auto", draw: about.draw, levels: JSON.stringify(about.thresholds.filter(([at, tone]) => at !== null && tone !== "neutral")) });
    for (const key of ["min", "max", "decimals"]) if (about[key] !== null) chart.dataset[key] = about[key];
    if (about.stack) chart.dataset.stack = "1";
    window.tongchou.chartSource(chart, async () => answer);
    if (!("chart" in chart.dataset)) chart.dataset.chart = "";
    window.tongchou.reloadChart(chart);
  } catch (error) {
    if (error.name === "AbortError") return;
    wrong.textContent = error.message;
    wrong.hidden = false;
  }
}
form.addEventListener("input", () => { fits(); clearTimeout(timer); timer = setTimeout(preview, 500); });
document.addEventListener("tc:range", preview);
fits();
preview();
