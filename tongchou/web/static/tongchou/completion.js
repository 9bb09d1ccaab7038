// Completion under a PromQL text: the server says what fits at the cursor, this shows it and writes the choice.
// Keys: Ctrl-Space asks; arrows choose; Tab or Enter takes; Esc closes. Ctrl-Enter is the form's.

const { t } = window.tongchou;
const WAIT_MS = 120;

export function attach(box, list, address) {
  let items = [], chosen = 0, answer = null, timer = 0, request = null;
  list.id = `offers-${Math.random().toString(36).slice(2)}`;
  box.setAttribute("aria-controls", list.id);

  function close() {
    clearTimeout(timer);
    request?.abort();
    list.hidden = true;
    items = [];
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  }
  function choose(next) {
    chosen = (next + items.length) % items.length;
    [...list.querySelectorAll(".offer")].forEach((node, i) => node.setAttribute("aria-selected", String(i === chosen)));
    const node = list.querySelectorAll(".offer")[chosen];
    node.scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", node.id);
  }
  function part(className, text) { const node = document.createElement("span"); node.className = className; node.textContent = text; return node; }
  function show() {
    list.replaceChildren();
    items.forEach((item, i) => {
      const node = document.createElement("div");
      node.className = "offer";
      node.id = `${list.id}-${i}`;
      node.setAttribute("role", "option");
      node.append(part("text", item.text), part("detail", item.detail), part("kind", t(`offer_${item.kind}`)));
      if (item.help) node.append(part("help", item.help));
      node.addEventListener("pointerdown", (event) => { event.preventDefault(); chosen = i; take(); });
      list.append(node);
    });
    const rest = answer.count - items.length;
    if (answer.note || rest > 0) list.append(part("offers-note", answer.note || t("offers_more").replace("%n", rest)));
    list.hidden = !items.length && !answer.note;
    list.scrollTop = 0;
    box.setAttribute("aria-expanded", String(!list.hidden));
    if (items.length) choose(0);
  }
  function take() {
    const item = items[chosen];
    let { insert, back } = item;
    const { end } = answer;
    const next = box.value.slice(end, end + 1);
    if (insert.endsWith("()") && next === "(") { insert = insert.slice(0, -2); back = 0; }
    if (insert.endsWith('=""') && next === "=") { insert = insert.slice(0, -3); back = 0; }
    box.focus();
    box.setSelectionRange(answer.start, end);
    // Through the browser's own editing, so that Ctrl-Z takes it back.
    if (!document.execCommand("insertText", false, insert)) box.setRangeText(insert, answer.start, end, "end");
    const closed = item.kind === "value" && /["'`]/.test(box.value[answer.start + insert.length] ?? "") && !/["'`]$/.test(insert);
    const place = answer.start + insert.length - back + (closed ? 1 : 0);
    box.setSelectionRange(place, place);
    close();
    box.dispatchEvent(new Event("change", { bubbles: true }));
    if (back) ask(); // inside the brackets or the quotes it goes on
  }
  async function ask() {
    request?.abort();
    request = new AbortController();
    const url = new URL(address, location.href);
    const { value, selectionEnd } = box;
    url.search = new URLSearchParams({ text: value, cursor: [...value.slice(0, selectionEnd)].length });
    try {
      const reply = await fetch(url, { signal: request.signal, headers: { Accept: "application/json" } });
      if (!reply.ok) { close(); return; }
      const body = await reply.json();
      if (box.value !== value || box.selectionEnd !== selectionEnd || document.activeElement !== box) return;
      // The server counts characters, the browser units of UTF-16.
      const units = (count) => [...value].slice(0, count).join("").length;
      answer = { ...body, start: units(body.start), end: units(body.end) };
      // What is typed in full and alone needs no list over the text below.
      items = body.items.length === 1 && body.items[0].text === value.slice(answer.start, answer.end) ? [] : body.items;
      show();
    } catch (error) { if (error.name !== "AbortError") close(); }
  }
  function later() { clearTimeout(timer); timer = setTimeout(ask, WAIT_MS); }

  box.addEventListener("input", (event) => {
    if (event.isComposing) return;
    const before = box.value.slice(0, box.selectionEnd);
    if (/[\w:"'{,([=~|]$/.test(before)) later(); else close();
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.ctrlKey && event.code === "Space") { event.preventDefault(); ask(); return; }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { close(); return; }
    if (list.hidden) return;
    if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); close(); return; }
    if (!items.length) return;
    if (event.key === "ArrowDown") { event.preventDefault(); choose(chosen + 1); }
    else if (event.key === "ArrowUp") { event.preventDefault(); choose(chosen - 1); }
    else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey) { event.preventDefault(); take(); }
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight" || event.key === "Home" || event.key === "End") close();
  });
  box.addEventListener("blur", close);
}
window.tongchou.attachCompletion = attach;
