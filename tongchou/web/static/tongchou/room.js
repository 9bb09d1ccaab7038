// The incident room: every part is asked for by itself, waited for no longer than SLOW seconds, kept when it cannot be
// read again, and put on the page without closing what was open or moving what is being written.

const { t } = window.tongchou;
const SLOW = 20, SOON_MS = 6000, OFTEN_MS = 900, LATE_MS = 60_000;
const parts = [...document.querySelectorAll("[data-part]")].map((element) => ({ element, name: element.dataset.part, print: "", due: true, at: 0, request: null }));
const csrf = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

function told(part, why) {
  const { element } = part;
  element.querySelector(":scope > .part-note")?.remove();
  const note = document.createElement("div");
  note.className = "part-note banner warning";
  note.setAttribute("role", "status");
  const text = document.createElement("div");
  text.className = "grow";
  text.textContent = t("part_unread").replace("%why", why);
  const again = document.createElement("button");
  again.type = "button";
  again.className = "btn small";
  again.dataset.partAgain = "";
  again.textContent = t("try_again");
  note.append(text, again);
  if (!part.print) element.replaceChildren(note); else element.prepend(note); // what was read before stays
}
/* A dry run somebody reads, a reason somebody writes: not to be taken out of their hands. */
function inHand(element) {
  if (element.querySelector("[data-keep]:not(:empty)")) return true;
  const focused = document.activeElement;
  return element.contains(focused) && focused.matches("input, textarea, select");
}
function put(part, html) {
  const { element } = part;
  const open = [...element.querySelectorAll("details[id][open]")].map((node) => node.id);
  const tops = [...element.querySelectorAll("[data-scroll]")].map((node) => node.scrollTop);
  const focus = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.innerHTML = html; // our own server's fragment, escaped there
  for (const id of open) { const node = document.getElementById(id); if (node) node.open = true; }
  element.querySelectorAll("[data-scroll]").forEach((node, i) => { node.scrollTop = tops[i] ?? 0; });
  element.querySelectorAll("[data-csrf]").forEach((input) => { input.value = csrf(); });
  if (focus) document.getElementById(focus)?.focus();
  window.htmx?.process(element);
  document.body.dispatchEvent(new CustomEvent("tc:charts"));
}
async function load(part) {
  const { element, name } = part;
  part.request?.abort();
  const request = part.request = new AbortController();
  part.due = false;
  part.at = Date.now();
  let late = false;
  const timer = setTimeout(() => { late = true; request.abort(); }, SLOW * 1000);
  element.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`?${new URLSearchParams({ part: name, seen: part.print })}`, { signal: request.signal, headers: { "HX-Request": "true" } });
    if (answer.status === 401) { location.reload(); return; }
    if (answer.status === 204) { element.querySelector(":scope > .part-note")?.remove(); return; }
    const text = await answer.text();
    if (!answer.ok) { let body = {}; try { body = JSON.parse(text); } catch { /* not ours: the status says enough */ } throw new Error(body.detail || `${t("request_failed")} (${answer.status})`); }
    if (inHand(element)) { part.due = true; return; }
    part.print = answer.headers.get("X-Part") || String(Date.now());
    put(part, text);
  } catch (error) {
    if (part.request !== request) return;
    if (late) told(part, t("part_slow").replace("%n", SLOW));
    else if (error.name !== "AbortError") told(part, error instanceof TypeError ? t("server_unreachable") : error.message);
  } finally {
    clearTimeout(timer);
    if (part.request === request) element.removeAttribute("aria-busy");
  }
}
document.addEventListener("click", (event) => {
  const again = event.target.closest("[data-part-again]");
  if (again) { const part = parts.find((each) => each.element.contains(again)); part.print = ""; load(part); }
  const link = event.target.closest("a[data-with-range]");
  if (link) { // the explorer opens on the time that is looked at here
    const url = new URL(link.href, location.href);
    const [from, to] = window.tongchou.bounds();
    url.searchParams.set("from", Math.round(from));
    url.searchParams.set("to", Math.round(to));
    link.href = url.href;
  }
});
document.body.addEventListener("ledger", () => { for (const part of parts) if (!("slowly" in part.element.dataset)) part.due = true; });
setInterval(() => {
  if (document.hidden) return;
  const now = Date.now();
  for (const part of parts) {
    const wait = "often" in part.element.dataset ? OFTEN_MS : SOON_MS;
    if ((part.due && now - part.at >= wait) || now - part.at >= LATE_MS) load(part);
  }
}, 1000);

/* A link to a part holds while the parts above it grow. */
let moved = false;
window.addEventListener("wheel", () => { moved = true; }, { passive: true });
window.addEventListener("keydown", () => { moved = true; });
window.addEventListener("touchmove", () => { moved = true; }, { passive: true });
Promise.all(parts.map(async (part) => {
  await load(part);
  if (location.hash.length > 1 && !moved) document.getElementById(location.hash.slice(1))?.scrollIntoView({ block: "start" });
})).then(() => { document.querySelector(".room").dataset.ready = "1"; });
