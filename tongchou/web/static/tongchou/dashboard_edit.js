// Where panels stand: by keyboard, by dragging, by the corner. Nothing is sent before "Save the places".
const page = document.getElementById("dash"), form = document.getElementById("dash-change");
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const COLUMNS = 24, LINE = 36; // a line of the grid and its gap, in pixels

const get = (element, name) => Number(element.style.getPropertyValue(`--${name}`)) - (name === "x" || name === "y" ? 1 : 0);
const set = (element, name, value) => element.style.setProperty(`--${name}`, String(value + (name === "x" || name === "y" ? 1 : 0)));
const panelsOf = (grid) => $$(".dash-panel", grid);

/* As the server does it: who stands higher, then further left, floats up first. */
function compact(grid) {
  const tops = Array(COLUMNS).fill(0);
  for (const element of panelsOf(grid).sort((a, b) => get(a, "y") - get(b, "y") || get(a, "x") - get(b, "x"))) {
    const x = get(element, "x"), w = get(element, "w");
    const y = Math.max(...tops.slice(x, x + w));
    set(element, "y", y);
    tops.fill(y + get(element, "h"), x, x + w);
  }
}
function changed() {
  const places = {};
  for (const grid of $$(".dash-grid[data-row]", page)) {
    compact(grid);
    for (const each of panelsOf(grid)) places[each.dataset.panel] = [Number(grid.dataset.row), get(each, "x"), get(each, "y"), get(each, "w"), get(each, "h")];
  }
  form.elements.places.value = JSON.stringify(places);
  document.getElementById("dash-places").hidden = false;
  document.querySelector(".banner form, form.banner[action*='restore']")?.remove();
}
function place(element, x, y, w = get(element, "w"), h = get(element, "h")) {
  w = Math.max(1, Math.min(COLUMNS, w));
  set(element, "w", w);
  set(element, "h", Math.max(1, Math.min(60, h)));
  set(element, "x", Math.max(0, Math.min(COLUMNS - w, x)));
  set(element, "y", y);
}
const share = (a, b) => get(a, "x") < get(b, "x") + get(b, "w") && get(b, "x") < get(a, "x") + get(a, "w");

/* ---------- keys ---------- */
function vertical(element, down) {
  const grid = element.closest(".dash-grid"), y = get(element, "y");
  const others = panelsOf(grid).filter((each) => each !== element && share(each, element));
  const next = down ? others.filter((each) => get(each, "y") > y).sort((a, b) => get(a, "y") - get(b, "y"))[0] : others.filter((each) => get(each, "y") < y).sort((a, b) => get(b, "y") - get(a, "y"))[0];
  if (next) { place(element, get(element, "x"), get(next, "y") + (down ? 0.5 : -0.5)); return; }
  const grids = $$(".dash-grid[data-row]", page), other = grids[grids.indexOf(grid) + (down ? 1 : -1)];
  if (!other) return;
  other.append(element);
  place(element, get(element, "x"), down ? -1 : 10_000);
  element.focus();
}
document.addEventListener("keydown", (event) => {
  const element = document.activeElement.closest?.(".dash-panel");
  if (!element || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, details[open]")) return;
  const x = get(element, "x"), y = get(element, "y"), w = get(element, "w"), h = get(element, "h");
  const acts = event.shiftKey
    ? { ArrowLeft: () => place(element, x, y, w - 1), ArrowRight: () => place(element, x, y, w + 1), ArrowUp: () => place(element, x, y, w, h - 1), ArrowDown: () => place(element, x, y, w, h + 1) }
    : { ArrowLeft: () => place(element, x - 1, y), ArrowRight: () => place(element, x + 1, y), ArrowUp: () => vertical(element, false), ArrowDown: () => vertical(element, true) };
  if (acts[event.key]) { event.preventDefault(); acts[event.key](); changed(); element.scrollIntoView({ block: "nearest" }); return; }
  if (event.key === "d") element.querySelector("[data-dash-double]").click();
  if (event.key === "Delete") element.querySelector("[data-dash-remove]").click();
});

/* ---------- dragging ---------- */
let held = null;
page.addEventListener("pointerdown", (event) => {
  const element = event.target.closest(".dash-grid[data-row] .dash-panel");
  const grip = event.target.closest("[data-dash-grip]");
  if (!element || event.button !== 0 || (!grip && (!event.target.closest(".panel-head") || event.target.closest("a, button, summary")))) return;
  held = { element, grip: Boolean(grip), x: get(element, "x"), y: get(element, "y"), w: get(element, "w"), h: get(element, "h"), fromX: event.pageX, fromY: event.pageY };
  element.dataset.held = "";
  element.setPointerCapture(event.pointerId);
  event.preventDefault();
});
page.addEventListener("pointermove", (event) => {
  if (!held) return;
  const column = held.element.closest(".dash-grid").clientWidth / COLUMNS;
  const right = Math.round((event.pageX - held.fromX) / column), down = Math.round((event.pageY - held.fromY) / LINE);
  if (held.grip) place(held.element, held.x, held.y, Math.min(COLUMNS - held.x, held.w + right), held.h + down);
  else {
    const over = $$(".dash-grid[data-row]", page).find((grid) => { const box = grid.getBoundingClientRect(); return event.clientY >= box.top && event.clientY <= box.bottom; });
    if (over && over !== held.element.closest(".dash-grid")) { over.append(held.element); held.y = Math.round((event.clientY - over.getBoundingClientRect().top) / LINE); held.fromY = event.pageY; }
    place(held.element, held.x + right, held.y + down - (down < 0 ? 0.5 : down > 0 ? -0.5 : 0));
  }
  changed();
});
page.addEventListener("pointerup", () => { if (held) delete held.element.dataset.held; held = null; });
page.addEventListener("pointercancel", () => { if (held) delete held.element.dataset.held; held = null; });
