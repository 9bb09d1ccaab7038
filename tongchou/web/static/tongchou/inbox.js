/* Keys of the inbox: e archives the chosen row, u makes it unread. Choosing (j, k) and opening are every list's. */
const csrf = () => document.querySelector('meta[name="csrf-token"]').content;
const { toast, t } = window.tongchou;
const ACTS = { e: "archive", u: "unread" };
let chosen = "";
document.addEventListener("htmx:beforeSwap", () => { chosen = document.querySelector('tr[data-item][aria-selected="true"]')?.dataset.item || chosen; });
document.addEventListener("htmx:afterSwap", () => {
  if (chosen) document.querySelector(`tr[data-item="${CSS.escape(chosen)}"]`)?.setAttribute("aria-selected", "true");
});
document.addEventListener("keydown", async (event) => {
  const act = ACTS[event.key];
  const row = document.querySelector('tr[data-item][aria-selected="true"]');
  if (!act || !row || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest?.("input, textarea, select, dialog[open]")) return;
  event.preventDefault();
  try {
    const answer = await fetch(`/inbox/${row.dataset.item}/${act}`, { method: "POST", headers: { Accept: "application/json", "X-CSRFToken": csrf() } });
    if (!answer.ok) throw new Error(String(answer.status));
    if (act === "archive") {
      const next = row.nextElementSibling || row.previousElementSibling;
      chosen = next?.dataset.item || "";
      row.remove();
      next?.setAttribute("aria-selected", "true");
    }
    document.body.dispatchEvent(new CustomEvent("ledger"));
  } catch { toast(t("request_failed"), "critical"); }
});
