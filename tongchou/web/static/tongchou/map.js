// The map by keyboard: arrows go to the nearest box in that direction, "a" asks for what is around it.
const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.addEventListener("keydown", (event) => {
  const from = event.target.closest?.(".scene a");
  if (!from || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "a" && from.dataset.around) {
    location.assign(from.dataset.around);
    return;
  }
  const step = STEP[event.key];
  if (!step) return;
  event.preventDefault();
  const centre = (each) => {
    const box = each.querySelector("rect.box").getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const [x, y] = centre(from);
  let best = null;
  let least = Infinity;
  for (const each of from.ownerSVGElement.querySelectorAll("a")) {
    const [u, v] = centre(each);
    const ahead = (u - x) * step[0] + (v - y) * step[1];
    const aside = Math.abs((u - x) * step[1]) + Math.abs((v - y) * step[0]);
    // a box that is straight ahead before one that is nearer and aside
    if (each !== from && ahead > 4 && ahead + 2 * aside < least) [best, least] = [each, ahead + 2 * aside];
  }
  best?.focus();
});
