// Lists: forms without empty fields, columns in another order, selection that survives a refresh, keys.
// Everything hangs on data attributes; without JavaScript filters, columns and views still work.

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

/* A filter form sends only what is filled in: the address stays readable. */
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-skip-empty]")) return;
  const empty = $$("input, select", event.target).filter((field) => field.name && !field.value);
  empty.forEach((field) => { field.disabled = true; });
  setTimeout(() => empty.forEach((field) => { field.disabled = false; }), 0);
});

/* Columns: the order of the list is the order that is kept. */
function moveColumn(item, step) {
  const other = step < 0 ? item.previousElementSibling : item.nextElementSibling;
  if (!other) return;
  if (step < 0) other.before(item); else other.after(item);
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-move]");
  if (!button) return;
  moveColumn(button.closest("li"), Number(button.dataset.move));
  button.focus();
});
document.addEventListener("keydown", (event) => {
  const item = event.target.closest?.("[data-reorder] > li");
  if (!item || !event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
  event.preventDefault();
  moveColumn(item, event.key === "ArrowUp" ? -1 : 1);
  event.target.focus();
});

/* The search box exchanges the rows only: what is kept as a view is what the address says then. */
document.addEventListener("htmx:afterSettle", () => {
  for (const field of $$("[data-current-query]")) {
    const query = new URLSearchParams(location.search);
    ["after", "part", "view", "undo_view"].forEach((name) => query.delete(name));
    field.value = query.toString();
  }
});

/* A refresh reads what the address says now, not what it said when the page was opened. */
document.addEventListener("htmx:configRequest", (event) => {
  if (!event.detail.elt.matches?.("[data-live-list]")) return;
  const query = new URLSearchParams(location.search);
  query.set("part", "live");
  event.detail.path = `${location.pathname}?${query}`;
});

/* A refresh nobody asked for leaves an open menu or a dialog about the rows alone. */
document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail;
  if (!elt.matches?.("[data-live-list]")) return;
  if ($("details[open]", elt) || $("dialog[open]")) event.preventDefault();
});

/* Selection: kept by key while the rows are exchanged; "everything" means all that the filter shows. */
const picked = new Set();
let everything = false;
function drawPicked() {
  const bar = $("[data-picked]");
  if (!bar) return;
  const boxes = $$("[data-pick]");
  boxes.forEach((box) => { box.checked = everything || picked.has(box.value); });
  const all = $("[data-pick-all]");
  const on = boxes.filter((box) => box.checked).length;
  if (all) { all.checked = on > 0 && on === boxes.length; all.indeterminate = on > 0 && on < boxes.length; }
  const count = everything ? Number(bar.dataset.count) : picked.size;
  bar.hidden = count === 0;
  const strings = JSON.parse(document.getElementById("strings")?.textContent || "{}");
  $("[data-picked-count]", bar).textContent = (strings.rows_selected ?? "%n").replace("%n", count);
}
function pick(value, on) {
  if (everything) { everything = false; $$("[data-pick]").forEach((box) => picked.add(box.value)); }
  if (on) picked.add(value); else picked.delete(value);
}
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-pick]")) { pick(event.target.value, event.target.checked); drawPicked(); }
  if (event.target.matches("[data-pick-all]")) {
    const on = event.target.checked;
    everything = false;
    $$("[data-pick]").forEach((box) => { if (on) picked.add(box.value); else picked.delete(box.value); });
    drawPicked();
  }
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-pick-none]")) { picked.clear(); everything = false; drawPicked(); }
  if (event.target.closest("[data-pick-everything]")) { everything = true; drawPicked(); }
});
document.addEventListener("htmx:afterSettle", drawPicked);
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-change]")) return;
  $$("input[name=row], input[name=all]", event.target).forEach((old) => old.remove());
  const add = (name, value) => {
    const field = document.createElement("input");
    field.type = "hidden"; field.name = name; field.value = value;
    event.target.append(field);
  };
  if (everything) add("all", "1"); else picked.forEach((value) => add("row", value));
}, true);

/* Keys: c columns, e changes of the selected rows, x selects the row one is at. */
function typing(node) { return node.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable], dialog[open]"); }
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event.target)) return;
  if (event.key === "x") {
    const box = $('tr[aria-selected="true"] [data-pick]');
    if (box) { box.checked = !box.checked; pick(box.value, box.checked); drawPicked(); }
    return;
  }
  const button = $(`[data-list-key="${CSS.escape(event.key)}"]`);
  if (button && !button.closest("[hidden]")) { event.preventDefault(); button.click(); }
});
