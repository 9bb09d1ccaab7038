/* What signing in needs beside allauth's own script: say why a passkey was not used, save recovery codes as a file. */
const place = document.querySelector("[data-passkey-error]");
function say(text) {
  if (place) { place.textContent = text; place.hidden = false; }
}
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  say(place?.dataset.failed ?? String(event.detail.exception));
});
if (!window.PublicKeyCredential) {
  let needed = false;
  for (const button of document.querySelectorAll("[data-passkey]")) {
    if (button.dataset.passkey === "optional") button.hidden = true;
    else { button.disabled = true; needed = true; }
  }
  if (needed) say(place?.dataset.unsupported ?? "");
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-save-text]");
  if (!button) return;
  const text = document.querySelector(button.dataset.saveText).textContent.trim() + "\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = button.dataset.saveName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});
