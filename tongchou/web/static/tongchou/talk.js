/* Comments and files of a noun: loaded by themselves, sent without leaving the page, kept as a draft until they arrived. */
const $ = (selector, scope = document) => scope.querySelector(selector);
const $$ = (selector, scope = document) => [...scope.querySelectorAll(selector)];
const { toast, t } = window.tongchou;
const csrf = () => $('meta[name="csrf-token"]').content;
const part = $("[data-talk]");
const body = $("[data-talk-body]");

/* ---------- drafts: in this browser only ---------- */
const draftKey = (form) => `draft:${part.dataset.ref}:${form.dataset.draft}`;
function saveDraft(area) {
  const form = area.form;
  if (!form?.dataset.draft) return;
  try {
    if (area.value.trim() && area.value !== area.defaultValue) localStorage.setItem(draftKey(form), area.value);
    else localStorage.removeItem(draftKey(form));
  } catch { /* storage is off or full: the text stays in the field */ }
}
function restoreDrafts(scope) {
  for (const form of $$("form[data-draft]", scope)) {
    let kept = null;
    try { kept = localStorage.getItem(draftKey(form)); } catch { kept = null; }
    const area = $("textarea", form);
    if (kept && area && area.value === area.defaultValue) { area.value = kept; form.closest("details")?.setAttribute("open", ""); }
  }
}

/* ---------- loading and refreshing ---------- */
let loading = false;
let again = false;
const plain = (node) => node.outerHTML.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "").replace(/(<time[^>]*>)[^<]*/g, "$1");
const busy = (node) => $$("textarea, input:not([type=hidden])", node).some((field) => field.value !== field.defaultValue && field.offsetParent) || node.contains(document.activeElement) && document.activeElement.matches("textarea, input, summary");
async function load() {
  if (loading) { again = true; return; }
  loading = true;
  try {
    const answer = await fetch(part.dataset.url, { headers: { Accept: "text/html" } });
    if (answer.status === 401 || answer.redirected) { if (!body.childElementCount) location.reload(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = document.createElement("template");
    fresh.innerHTML = await answer.text();
    if (body.getAttribute("aria-busy") === "true") first(fresh.content); else merge(fresh.content);
  } catch {
    if (body.getAttribute("aria-busy") === "true") body.replaceChildren($("[data-talk-failed]").content.cloneNode(true));
  } finally {
    loading = false;
    if (again) { again = false; load(); }
  }
}
function first(fresh) {
  body.replaceChildren(fresh);
  body.setAttribute("aria-busy", "false");
  restoreDrafts(document);
  const wanted = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
  if (wanted && (wanted === part || part.contains(wanted))) { location.replace(location.hash); wanted.scrollIntoView({ block: "center" }); }
  fetch(part.dataset.read, { method: "POST", body: new URLSearchParams({ ref: part.dataset.ref }), headers: { "X-CSRFToken": csrf() } }).catch(() => {});
}
let waiting = 0;
function merge(fresh) {
  for (const node of $$("[data-talk-live]", fresh)) {
    const old = $(`[data-talk-live="${node.dataset.talkLive}"]`, body);
    if (!old || plain(old) === plain(node)) continue;
    if (busy(old)) { clearTimeout(waiting); waiting = setTimeout(load, 4000); continue; }
    old.replaceWith(node);
    restoreDrafts(node);
  }
  document.dispatchEvent(new CustomEvent("htmx:afterSwap"));
}
document.body.addEventListener("ledger", load);
document.addEventListener("click", (event) => { if (event.target.closest("[data-talk-again]")) load(); });

/* ---------- sending ---------- */
function send(url, data, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", csrf());
    request.timeout = 600000;
    if (progress) request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) { progress.hidden = false; progress.value = Math.round((event.loaded / event.total) * 100); } });
    request.addEventListener("load", () => {
      if (progress) progress.hidden = true;
      let told = {};
      try { told = JSON.parse(request.responseText); } catch { told = {}; }
      if (request.status >= 200 && request.status < 300) resolve(told);
      else reject(new Error([told.detail, told.remedy].filter(Boolean).join(" ") || `${t("request_failed")} (${request.status})`));
    });
    for (const name of ["error", "timeout"]) request.addEventListener(name, () => { if (progress) progress.hidden = true; reject(new Error(t("server_unreachable"))); });
    request.send(data);
  });
}
function fail(form, error) {
  const place = form && $(".error", form);
  if (place) { place.textContent = error.message; place.hidden = false; } else toast(error.message, "critical");
}
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.matches("[data-talk-form]")) return;
  event.preventDefault();
  const buttons = $$("button", form);
  const place = $(".error", form);
  if (place) place.hidden = true;
  if (form.dataset.sending) return;
  form.dataset.sending = "1";
  try {
    await send(form.action, new FormData(form), $("progress", form));
    sent(form);
  } catch (error) {
    fail(form, error);
  } finally {
    delete form.dataset.sending;
    setTimeout(() => buttons.forEach((button) => { button.disabled = false; }), 0);
  }
});
function sent(form) {
  if (form.dataset.draft) { try { localStorage.removeItem(draftKey(form)); } catch { /* nothing was kept */ } }
  if (form.dataset.undo) undo(form.dataset.undo);
  form.reset();
  const staged = $("[data-staged]", form);
  if (staged) { staged.replaceChildren(); staged.hidden = true; }
  $$("textarea", form).forEach((area) => { area.value = area.defaultValue; });
  document.activeElement?.closest("details.talk-fold")?.removeAttribute("open");
  if (!form.closest('[data-talk-keep="write"]')) document.activeElement?.blur?.();
  load();
  document.body.dispatchEvent(new CustomEvent("ledger"));
}
function undo(url) {
  toast(t("file_deleted"), "ok");
  const text = $("#toasts .toast:last-child .toast-text");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn small";
  button.textContent = t("undo");
  button.addEventListener("click", async () => {
    try { await send(url, new FormData()); button.closest(".toast")?.remove(); load(); } catch (error) { toast(error.message, "critical"); }
  });
  text?.append(" ", button);
}

/* ---------- pictures and files for a comment: pasted or dropped ---------- */
async function stage(form, files) {
  const list = $("[data-staged]", form);
  for (const file of files) {
    const data = new FormData();
    data.append("ref", part.dataset.ref);
    data.append("staged", "1");
    data.append("file", file, file.name || "picture.png");
    try {
      const told = await send(part.dataset.files, data, $("progress", form));
      for (const item of told.items) list.append(chip(item));
      list.hidden = false;
    } catch (error) { fail(form, error); }
  }
}
function chip(item) {
  const node = document.createElement("li");
  const kept = Object.assign(document.createElement("input"), { type: "hidden", name: "file", value: item.id });
  const name = document.createElement("span");
  name.className = "truncate";
  name.textContent = item.name;
  const gone = Object.assign(document.createElement("button"), { type: "button", className: "btn icon ghost small", textContent: "×" });
  gone.setAttribute("aria-label", `${t("remove")} ${item.name}`);
  gone.addEventListener("click", () => { send(`${part.dataset.files}/${item.id}/delete`, new FormData()).catch(() => {}); node.remove(); });
  if (item.picture) node.append(Object.assign(document.createElement("img"), { src: `${part.dataset.files}/${item.id}`, alt: "" }));
  node.append(kept, name, gone);
  return node;
}
document.addEventListener("paste", (event) => {
  const area = event.target.closest?.("textarea[data-paste]");
  const files = area ? [...(event.clipboardData?.files || [])] : [];
  if (!files.length) return;
  event.preventDefault();
  stage(area.form, files);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    const form = event.target.closest?.("form[data-talk-drop]");
    if (!form || ![...(event.dataTransfer?.types || [])].includes("Files")) return;
    event.preventDefault();
    form.classList.toggle("dropping", name === "dragover");
    if (name === "drop") stage(form, [...event.dataTransfer.files]);
  });
}

/* ---------- @name ---------- */
let offers = null;
let asked = null;
function closeOffers() {
  if (!offers) return;
  offers.area.removeAttribute("aria-activedescendant");
  offers.area.setAttribute("aria-expanded", "false");
  offers.list.remove();
  offers = null;
}
function begun(area) {
  const before = area.value.slice(0, area.selectionStart);
  const found = before.match(/(?:^|[^\w@./-])@([^\s@{}]{0,60})$/u);
  return found ? { text: found[1], at: before.length - found[1].length - 1 } : null;
}
async function offer(area) {
  const word = begun(area);
  if (!word) { closeOffers(); return; }
  asked?.abort();
  asked = new AbortController();
  try {
    const url = `${part.dataset.people}?${new URLSearchParams({ ref: part.dataset.ref, q: word.text })}`;
    const answer = await fetch(url, { signal: asked.signal, headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    drawOffers(area, (await answer.json()).items);
  } catch (error) { if (error.name !== "AbortError") closeOffers(); }
}
function drawOffers(area, items) {
  closeOffers();
  if (!items.length || document.activeElement !== area) return;
  const list = document.createElement("div");
  list.className = "talk-offers";
  list.id = `offers-${area.id}`;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", t("mention_offers"));
  items.forEach((item, at) => {
    const option = document.createElement("div");
    option.id = `${list.id}-${at}`;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", String(at === 0));
    const name = document.createElement("strong");
    name.textContent = item.write;
    const title = document.createElement("span");
    title.className = "faint";
    title.textContent = item.kind === "team" ? t("offer_team") : item.title;
    option.append(name, title);
    option.addEventListener("mousedown", (event) => { event.preventDefault(); choose(at); });
    list.append(option);
  });
  area.setAttribute("role", "combobox");
  area.setAttribute("aria-controls", list.id);
  area.setAttribute("aria-expanded", "true");
  area.setAttribute("aria-activedescendant", `${list.id}-0`);
  area.after(list);
  list.style.top = `${area.offsetTop + area.offsetHeight + 2}px`;
  offers = { area, items, at: 0, list };
}
function moveOffer(step) {
  offers.at = (offers.at + step + offers.items.length) % offers.items.length;
  $$('[role="option"]', offers.list).forEach((node, at) => node.setAttribute("aria-selected", String(at === offers.at)));
  offers.area.setAttribute("aria-activedescendant", `${offers.list.id}-${offers.at}`);
}
function choose(at) {
  const { area, items } = offers;
  const word = begun(area);
  closeOffers();
  if (!word) return;
  area.setRangeText(`${items[at].write} `, word.at, area.selectionStart, "end");
  saveDraft(area);
}
let typing = 0;
document.addEventListener("input", (event) => {
  const area = event.target.closest?.("textarea[data-mention]");
  if (!area) return;
  saveDraft(area);
  clearTimeout(typing);
  typing = setTimeout(() => offer(area), 120);
});
document.addEventListener("keydown", (event) => {
  if (!offers || event.target !== offers.area || event.isComposing) return;
  if (event.key === "ArrowDown") { event.preventDefault(); moveOffer(1); }
  else if (event.key === "ArrowUp") { event.preventDefault(); moveOffer(-1); }
  else if ((event.key === "Enter" && !event.ctrlKey && !event.metaKey) || event.key === "Tab") { event.preventDefault(); choose(offers.at); }
  else if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); closeOffers(); }
}, true);
document.addEventListener("focusout", (event) => { if (offers && event.target === offers.area) closeOffers(); });

load();
