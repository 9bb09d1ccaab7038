// A heatmap of a classic histogram: time across, the bands of its buckets upwards, the more the stronger. Dashboards and
// the metrics explorer draw with it: drawHeatmap(out, {unit, decimals}, {times, unit, heat: {bounds, counts, unit}}).

const { format, charts } = window.tongchou;
const drawn = new WeakMap(); // canvas -> {chart, times}
function line(className, text) { const made = document.createElement("div"); made.className = className; made.textContent = text; return made; }

/* The chart in `out`, made once; dragging over it zooms the page as on every chart. */
async function chartIn(out) {
  const echarts = await charts.library();
  let canvas = out.querySelector(".heatmap");
  if (canvas && drawn.has(canvas)) return [canvas, drawn.get(canvas)];
  canvas = line("heatmap", "");
  out.replaceChildren(canvas);
  const state = { chart: echarts.init(canvas, null, { renderer: "canvas" }), times: [] };
  drawn.set(canvas, state);
  charts.brush(canvas, state.chart, (x, last) => { // a category axis tells a column; the last column counts to its end
    const { times } = state, at = Math.min(times.length - 1, Math.max(0, state.chart.convertFromPixel({ xAxisIndex: 0 }, x)));
    return times[at] + (last && times.length > 1 ? times[1] - times[0] : 0);
  });
  new ResizeObserver(() => { if (!canvas.isConnected) state.chart.dispose(); else if (canvas.clientWidth) state.chart.resize(); }).observe(canvas);
  return [canvas, state];
}
/** Draw, and tell the greatest number of a cell. The colour goes by the square root, so that what is rare is seen too. */
async function drawHeatmap(out, about, answer) {
  const { bounds: tops, counts, unit: named } = answer.heat, { times } = answer, [canvas, state] = await chartIn(out);
  state.times = times;
  const c = charts.palette(), unit = about.unit || named || "";
  const name = (bound) => (bound === "inf" ? "∞" : bound === "-inf" ? "−∞" : format(bound, unit, about.decimals));
  const cells = [];
  let most = 0;
  counts.forEach((row, band) => row.forEach((value, at) => { if (value) { cells.push([at, band, Math.sqrt(value), value]); if (value > most) most = value; } }));
  const span = [times[0], times.at(-1)], at = (ms) => charts.axisTime(Number(ms), span), top = Math.sqrt(most) || 1;
  state.chart.setOption({
    animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    grid: { left: 6, right: 10, top: 8, bottom: 4, containLabel: true },
    tooltip: { confine: true, backgroundColor: c.panel, borderColor: c.line, textStyle: { color: c.text, fontSize: 12 }, formatter: ({ value: [at, band, , value] }) => {
      const box = line("", "");
      box.append(line("faint", charts.stamp(times[at])), line("", `${band ? name(tops[band - 1]) : tops[band] > 0 ? "0" : "−∞"} – ${name(tops[band])}: `));
      box.lastChild.append(Object.assign(document.createElement("b"), { textContent: format(value, answer.unit || "") }));
      return box;
    } },
    xAxis: { type: "category", data: times, axisLine: { lineStyle: { color: c.line } }, axisTick: { show: false }, axisLabel: { color: c.third, fontSize: 11, hideOverlap: true, interval: at(times[0]) === at(times[1] ?? 0) ? (i) => i > 0 && at(times[i]) !== at(times[i - 1]) : "auto", formatter: at } }, // a day is named where it begins
    yAxis: { type: "category", data: tops.map(name), axisLine: { show: false }, axisTick: { show: false }, axisLabel: { color: c.third, fontSize: 11 } },
    visualMap: { show: false, dimension: 2, min: -0.12 * top, max: top, inRange: { color: [c.panel, c.accent] } },
    series: [{ type: "heatmap", data: cells, progressive: 4000, itemStyle: { borderWidth: 0 } }],
  }, { notMerge: true });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${about.title ? `${about.title}: ` : ""}${tops.length} × ${times.length}`);
  return most;
}
window.tongchou.drawHeatmap = drawHeatmap;
