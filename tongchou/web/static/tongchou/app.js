// The shell: theme, drawer, menus, dialogs, toasts, command palette, keyboard, live stream.
// No framework; every behaviour hangs on a data attribute, so a page without JavaScript still reads and submits.

const root = document.documentElement;
const strings = JSON.parse(document.getElementById("strings")?.textContent || "{}");
const t = (key) => strings[key] ?? key;
const csrf = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

/* ---------- htmx ---------- */
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = csrf();
});
let pending = 0;
const busy = (change) => {
  pending = Math.max(0, pending + change);
  document.body.classList.toggle("busy", pending > 0);
};
const inUse = (calm) => $("dialog[open]") || document.activeElement?.closest("form, details") && calm.contains(document.activeElement);
document.addEventListener("htmx:beforeSwap", (event) => {
  // One that was asked for before, and answers now, leaves it alone, too.
  const { target, requestConfig } = event.detail;
  if (target.matches?.("[data-calm]") && requestConfig.elt === target && inUse(target)) event.detail.shouldSwap = false;
});
// A refresh takes away what has the focus: who works by keyboard goes on where they were. (htmx does so for what has an id.)
const place = (element) => [element.tagName, element.getAttribute("href") ?? "", element.name ?? "", element.type ?? "", element.dataset.act ?? ""].join(" ");
const alike = (element) => $$(element.tagName).filter((other) => place(other) === place(element));
let left = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  const element = document.activeElement;
  if (event.detail.shouldSwap === false || element.id || element === document.body || !event.detail.target.contains(element)) return;
  left = { element, nth: alike(element).indexOf(element), visible: element.matches(":focus-visible") };
});
document.addEventListener("htmx:afterSwap", () => {
  if (!left || left.element.isConnected) return;
  const found = alike(left.element);
  if (document.activeElement === document.body) (found[left.nth] ?? found[0])?.focus({ preventScroll: true, focusVisible: left.visible });
  left = null;
});
document.addEventListener("htmx:beforeRequest", (event) => {
  // A refresh nobody asked for leaves a form that is being filled in alone; what it missed comes with the next.
  const calm = event.detail.elt.closest("[data-calm], [data-asked]");
  if (calm?.matches("[data-calm]") && inUse(calm)) { event.preventDefault(); return; }
  // Refreshes nobody asked for show no progress.
  if (!event.detail.elt.closest("[data-quiet]")) busy(1);
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.elt.closest("[data-quiet]")) busy(-1);
});
document.addEventListener("htmx:responseError", (event) => {
  const { xhr } = event.detail;
  if (xhr.status === 401) { location.reload(); return; }
  let text = "";
  try { const body = JSON.parse(xhr.responseText); text = [body.detail, body.remedy].filter(Boolean).join(" "); } catch { text = ""; }
  toast(text || `${t("request_failed")} (${xhr.status})`, "critical");
});
document.addEventListener("htmx:sendError", () => toast(t("server_unreachable"), "critical"));

/* ---------- theme ---------- */
function applyTheme(theme) {
  if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
  $$("[data-set-theme]").forEach((button) => button.setAttribute("aria-checked", String(button.dataset.setTheme === theme)));
  document.dispatchEvent(new CustomEvent("tc:theme"));
}
function saveTheme(theme) {
  applyTheme(theme);
  const url = document.body.dataset.themeUrl;
  if (url) fetch(url, { method: "POST", body: new URLSearchParams({ theme }), headers: { "X-CSRFToken": csrf() } }).catch(() => {});
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new CustomEvent("tc:theme")));

/* ---------- toasts ---------- */
function toast(text, tone = "ok", href = null) {
  const box = $("#toasts");
  if (!box || !text) return;
  const node = $("#toast-template").content.firstElementChild.cloneNode(true);
  node.classList.add(tone);
  $$("[data-tone]", node).forEach((icon) => { if (icon.dataset.tone !== tone) icon.remove(); });
  const body = $(".toast-text", node);
  if (href) { const link = document.createElement("a"); link.href = href; link.textContent = text; body.append(link); } else body.textContent = text;
  $("button", node).addEventListener("click", () => node.remove());
  box.append(node);
  if (tone !== "critical") setTimeout(() => node.remove(), 7000);
}
window.tongchou = { toast, t };

/* ---------- clicks ---------- */
function closeMenus(except = null) {
  $$("details.menu[open]").forEach((menu) => { if (menu !== except) menu.open = false; });
}
document.addEventListener("click", (event) => {
  const target = event.target;
  closeMenus(target.closest("details.menu"));
  const theme = target.closest("[data-set-theme]");
  if (theme) { saveTheme(theme.dataset.setTheme); closeMenus(); return; }
  if (target.closest("[data-drawer]")) { toggleDrawer(); return; }
  const opener = target.closest("[data-dialog]");
  if (opener) { event.preventDefault(); openDialog(opener.dataset.dialog); return; }
  if (target.closest("[data-close]")) { target.closest("dialog")?.close(); return; }
  if (target.matches("dialog")) { target.close(); return; }
  const copy = target.closest("[data-copy]");
  if (copy) { copyText(copy); return; }
  const fill = target.closest("[data-fill]");
  if (fill) { const input = $(fill.dataset.fill); input.value = fill.dataset.value; input.focus(); input.dispatchEvent(new Event("input", { bubbles: true })); return; }
  if (target.closest("[data-print]")) { window.print(); return; }
  const row = target.closest("tr[data-href]");
  if (row && !target.closest("a, button, input, label, summary") && !String(getSelection())) location.href = row.dataset.href;
});
function toggleDrawer(open = !document.body.classList.contains("drawer-open")) {
  document.body.classList.toggle("drawer-open", open);
  $$("[data-drawer][aria-expanded]").forEach((button) => button.setAttribute("aria-expanded", String(open)));
  if (open) $(".nav a")?.focus();
}
async function copyText(button) {
  const source = button.dataset.copy ? $(button.dataset.copy) : button.closest(".copybox")?.querySelector("code");
  try { await navigator.clipboard.writeText(source.textContent.trim()); toast(t("copied")); } catch { toast(t("copy_failed"), "warning"); }
}
function openDialog(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  closeMenus();
  dialog.showModal();
  $("[autofocus]", dialog)?.focus();
}

/* A form with data-confirm asks first, in a native dialog. */
let confirmed = null;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.confirm || confirmed === form) {
    confirmed = null;
    if (event.defaultPrevented || form.method === "dialog") return;
    // A double click must not send twice.
    $$("button[type=submit], button:not([type])", form).forEach((button) => setTimeout(() => { button.disabled = true; }, 0));
    return;
  }
  event.preventDefault();
  const dialog = $("#confirm");
  $("#confirm-text").textContent = form.dataset.confirm;
  const submitter = event.submitter;
  $("#confirm-ok").textContent = submitter?.textContent.trim() || t("confirm");
  $("#confirm-ok").classList.toggle("danger", form.hasAttribute("data-danger"));
  $("#confirm-ok").classList.toggle("primary", !form.hasAttribute("data-danger"));
  dialog.returnValue = "";
  dialog.onclose = () => { if (dialog.returnValue === "ok") { confirmed = form; form.requestSubmit(submitter); } };
  dialog.showModal();
}, true);
window.addEventListener("pageshow", () => $$("form button[disabled]:not([data-disabled])").forEach((button) => { button.disabled = false; }));

/* Filters submit themselves. */
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-autosubmit]")) event.target.form?.requestSubmit();
  if (event.target.matches("[data-set-density]")) {
    root.dataset.density = event.target.value;
    localStorage.setItem("density", event.target.value);
  }
});
try { if (localStorage.getItem("density") === "compact") root.dataset.density = "compact"; } catch { /* storage is off: the default density stays */ }

/* ---------- rows of a form: without a script there are empty ones to fill, with it one adds, moves, removes ---------- */
$$("[data-scripted]").forEach((node) => { node.hidden = false; });
let rowsAdded = 0;
function numberRows(box) { $$("[data-row-number]", box).forEach((node, i) => { node.textContent = String(i + 1); }); }
function firstInput(row) { return $("input, select, textarea", row); }
function addFormRow(button) {
  const row = document.getElementById(button.dataset.rowAdd).content.firstElementChild.cloneNode(true);
  const box = $("[data-rows]", button.closest("[role=group]"));
  const key = `new${rowsAdded += 1}`;
  for (const name of ["id", "for"]) $$(`[${name}]`, row).forEach((node) => node.setAttribute(name, node.getAttribute(name).replace("-new-", `-${key}-`)));
  $$("[data-scripted]", row).forEach((node) => { node.hidden = false; });
  box.append(row);
  numberRows(box);
  firstInput(row).focus();
}
document.addEventListener("click", (event) => {
  const add = event.target.closest("[data-row-add]");
  if (add) { addFormRow(add); return; }
  const act = event.target.closest("[data-row-do]");
  if (!act) return;
  const row = act.closest("[data-row]"), box = row.closest("[data-rows]");
  if (act.dataset.rowDo === "up") row.previousElementSibling?.before(row);
  else if (act.dataset.rowDo === "down") row.nextElementSibling?.after(row);
  else {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    (next ? firstInput(next) : $("[data-row-add]", box.closest("[role=group]"))).focus();
  }
  numberRows(box);
  if (act.isConnected) act.focus();
});
for (const box of $$("[data-rows]")) $$("[data-row-empty]", box).reverse().forEach((row) => { if (box.children.length > 1) row.remove(); });

/* ---------- tabs inside a page ---------- */
document.addEventListener("click", (event) => {
  const tab = event.target.closest('[role="tab"]');
  if (!tab) return;
  const list = tab.closest('[role="tablist"]');
  $$('[role="tab"]', list).forEach((other) => {
    const on = other === tab;
    other.setAttribute("aria-selected", String(on));
    other.tabIndex = on ? 0 : -1;
    const panel = document.getElementById(other.getAttribute("aria-controls"));
    if (panel) panel.hidden = !on;
  });
  document.dispatchEvent(new CustomEvent("tc:shown"));
});
document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.('[role="tab"]');
  if (!tab || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  const tabs = $$('[role="tab"]', tab.closest('[role="tablist"]'));
  const next = tabs[(tabs.indexOf(tab) + (event.key === "ArrowRight" ? 1 : tabs.length - 1)) % tabs.length];
  next.focus(); next.click();
});

/* ---------- command palette ---------- */
const palette = $("#palette");
const paletteInput = $("#palette-input");
const paletteList = $("#palette-list");
let paletteTimer = 0;
let paletteRequest = null;
let paletteShown = null; // what the list is the answer to
function openPalette() {
  if (!palette || palette.open) return;
  paletteInput.value = "";
  palette.showModal();
  paletteInput.focus();
  searchPalette();
}
async function searchPalette() {
  paletteRequest?.abort();
  paletteRequest = new AbortController();
  const query = paletteInput.value.trim();
  clearTimeout(paletteTimer);
  try {
    const answer = await fetch(`${palette.dataset.url}?q=${encodeURIComponent(query)}`, { signal: paletteRequest.signal, headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    drawPalette((await answer.json()).groups);
    paletteShown = query;
  } catch (error) {
    if (error.name !== "AbortError") drawPalette([]);
  }
}
/* Enter opens what was asked for, not what an earlier letter found. */
async function enterPalette() {
  if (paletteShown !== paletteInput.value.trim()) await searchPalette();
  if (palette.open && paletteShown === paletteInput.value.trim()) $('.palette-item[aria-selected="true"]', paletteList)?.click();
}
function drawPalette(groups) {
  paletteList.replaceChildren();
  let index = 0;
  for (const group of groups) {
    const head = document.createElement("div");
    head.className = "palette-group";
    head.textContent = group.title;
    paletteList.append(head);
    for (const item of group.items) {
      const link = document.createElement("a");
      link.className = "palette-item";
      link.href = item.url;
      link.id = `palette-${index}`;
      link.setAttribute("role", "option");
      link.setAttribute("aria-selected", String(index === 0));
      const title = document.createElement("span");
      title.className = "truncate";
      title.textContent = item.title;
      const hint = document.createElement("span");
      hint.className = "hint";
      hint.textContent = item.hint || "";
      link.append(title, hint);
      paletteList.append(link);
      index += 1;
    }
  }
  if (!index) {
    const none = document.createElement("div");
    none.className = "empty tight";
    none.textContent = t("nothing_found");
    paletteList.append(none);
  }
  paletteInput.setAttribute("aria-activedescendant", index ? "palette-0" : "");
}
function movePalette(step) {
  const items = $$(".palette-item", paletteList);
  if (!items.length) return;
  const now = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
  const next = (now + step + items.length) % items.length;
  items.forEach((item, i) => item.setAttribute("aria-selected", String(i === next)));
  items[next].scrollIntoView({ block: "nearest" });
  paletteInput.setAttribute("aria-activedescendant", items[next].id);
}
paletteInput?.addEventListener("input", () => { clearTimeout(paletteTimer); paletteTimer = setTimeout(searchPalette, 120); });
paletteInput?.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") { event.preventDefault(); movePalette(1); }
  if (event.key === "ArrowUp") { event.preventDefault(); movePalette(-1); }
  if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); enterPalette(); }
});
document.addEventListener("click", (event) => { if (event.target.closest("[data-palette]")) openPalette(); });

/* ---------- keyboard ---------- */
let chord = "";
let chordTimer = 0;
/* A field of a closed dialog may keep the focus (the palette opened from nowhere): it takes no keys any more. */
document.addEventListener("close", (event) => {
  if (event.target.matches?.("dialog") && event.target.contains(document.activeElement)) document.activeElement.blur();
}, true);
function typing(node) { return node.closest?.("input, textarea, select, [contenteditable], dialog[open]"); }
function moveRow(step) {
  const rows = $$("tr[data-href]");
  if (!rows.length) return;
  const now = rows.findIndex((row) => row.getAttribute("aria-selected") === "true");
  const next = Math.min(rows.length - 1, Math.max(0, now + step));
  rows.forEach((row, i) => row.setAttribute("aria-selected", String(i === next)));
  rows[next].scrollIntoView({ block: "nearest" });
}
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); openPalette(); return; }
  if (event.key === "Escape") { closeMenus(); toggleDrawer(false); }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches("textarea[data-ctrl-enter]")) { event.target.form.requestSubmit(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event.target)) return;
  if (event.key === "Shift") return; // on its way to a capital letter
  if (chord === "g") {
    chord = "";
    const link = $(`.nav a[data-key="${CSS.escape(event.key)}"], a[data-go="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); location.href = link.href; }
    return;
  }
  if (event.key === "g") { chord = "g"; clearTimeout(chordTimer); chordTimer = setTimeout(() => { chord = ""; }, 900); }
  else if (event.key === "?") { event.preventDefault(); openDialog("keys"); }
  else if (event.key === "/") { const box = $("[data-filter]"); event.preventDefault(); if (box) { box.focus(); box.select(); } else openPalette(); }
  else if (event.key === "t") saveTheme(isDark() ? "light" : "dark");
  else if (event.key === "j") moveRow(1);
  else if (event.key === "k") moveRow(-1);
  else if (event.key === "Enter") { const row = $('tr[data-href][aria-selected="true"]'); if (row && event.target === document.body) location.href = row.dataset.href; }
});
function isDark() { return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches; }

/* ---------- live: one stream a page, closed while the page is hidden ---------- */
const liveUrl = document.body.dataset.live;
let stream = null;
let lastId = "";
let refreshTimer = 0;
let refreshedAt = 0;
function liveState(state) {
  $$("[data-live-state]").forEach((node) => { node.dataset.state = state; node.textContent = t(`live_${state}`); });
}
function refreshSoon() {
  // Many events make one refresh: at once, then at most one a second, the last one never lost.
  clearTimeout(refreshTimer);
  const wait = Math.max(60, 1000 - (Date.now() - refreshedAt));
  refreshTimer = setTimeout(() => { refreshedAt = Date.now(); document.body.dispatchEvent(new CustomEvent("ledger")); }, wait);
}
function openStream() {
  if (!liveUrl || stream || document.hidden) return;
  const url = new URL(liveUrl, location.href);
  if (lastId) url.searchParams.set("after", lastId);
  stream = new EventSource(url);
  stream.addEventListener("open", () => liveState("on"));
  stream.addEventListener("hello", (event) => { lastId = event.lastEventId || lastId; });
  stream.addEventListener("ledger", (event) => {
    lastId = event.lastEventId || lastId;
    const body = JSON.parse(event.data);
    if (body.toast) toast(body.toast, body.tone || "ok", body.url || null);
    refreshSoon();
  });
  stream.addEventListener("inbox", refreshSoon);
  stream.addEventListener("error", () => {
    liveState("lost");
    // Refused (the server or its database is away): the browser does not try again by itself.
    if (stream?.readyState === EventSource.CLOSED) { closeStream(); setTimeout(openStream, 5000); }
  });
}
function closeStream() { stream?.close(); stream = null; }
if (liveUrl) {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { closeStream(); return; }
    openStream(); refreshSoon();
  });
  window.addEventListener("pagehide", closeStream);
  openStream();
}

/* Relative times stay true while the page stands open. */
const relative = new Intl.RelativeTimeFormat(root.lang, { numeric: "auto", style: "short" });
function retime() {
  for (const node of $$("time[data-ago]")) {
    const seconds = (Date.parse(node.dateTime) - Date.now()) / 1000;
    const size = Math.abs(seconds);
    const [value, unit] = size < 60 ? [seconds, "second"] : size < 3600 ? [seconds / 60, "minute"] : size < 86400 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"];
    node.textContent = relative.format(Math.trunc(value), unit);
  }
  for (const node of $$("[data-elapsed-since]")) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(node.dataset.elapsedSince)) / 1000));
    const h = Math.floor(seconds / 3600), m = Math.floor((seconds % 3600) / 60), s = seconds % 60;
    node.textContent = h ? `${h}h ${String(m).padStart(2, "0")}m` : `${m}m ${String(s).padStart(2, "0")}s`;
  }
}
retime();
setInterval(retime, 1000);
document.addEventListener("htmx:afterSwap", retime);

/* Messages the server left for this page. */
for (const node of $$("#messages [data-tone]")) toast(node.textContent.trim(), node.dataset.tone);
applyTheme(root.dataset.theme || "auto");
