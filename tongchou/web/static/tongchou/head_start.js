// Asks for the first charts' data while the page is still being read: the answers are there, or on their way, when
// charts.js wants to draw. Only for the range the page opens with; what was not asked here, a chart asks itself.
(() => {
  const { url, preset, seconds, panels } = document.currentScript.dataset;
  const query = new URLSearchParams(location.search);
  if (query.get("from") || (query.get("range") || sessionStorage.getItem("range") || preset) !== preset) return;
  const to = Date.now(), points = Math.max(60, Math.min(1000, Math.round(innerWidth / 3)));
  window.tongchouAhead = new Map(JSON.parse(panels).map(([asked, legend]) => {
    const fields = new URLSearchParams({ query: asked, legend, start: to - 1000 * Number(seconds), end: to, points });
    const answer = fetch(`${url}?${fields}`, { headers: { Accept: "application/json" } });
    return [JSON.stringify([asked, legend]), answer.then((got) => (got.ok ? got.json() : undefined)).catch(() => undefined)];
  }));
})();
