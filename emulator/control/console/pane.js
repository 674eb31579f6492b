// The pane beside a list, which shows one row of it.

import { replace } from "./dom.js";

/** Shows one row of a list in a pane. On narrow screens the pane replaces the list. */
export function sidePane(outlet, list, side) {
  let scrolled = null; // where the page was when the pane took the place of the list

  /** Shows the row of a key with this content; without a key, closes the pane. */
  return function show(key, content) {
    const wasOpen = outlet.classList.contains("with-detail");
    const isOpen = key !== undefined;
    const before = scrollY;
    outlet.classList.toggle("with-detail", isOpen);
    replace(side, isOpen && content());
    markCurrent(list, key);
    if (isOpen && !wasOpen && !isShown(list)) {
      scrolled = before;
      scrollTo(0, 0);
      side.querySelector(".back")?.focus({ preventScroll: true });
    } else if (!isOpen && scrolled !== null) {
      scrollTo(0, scrolled);
      scrolled = null;
    }
    if (!isOpen && wasOpen) list.querySelector("tr.was-current a")?.focus({ preventScroll: true });
  };
}

/** Marks the row of a key, and remembers which row was marked before. */
function markCurrent(list, key) {
  for (const row of list.querySelectorAll("tbody tr")) {
    const isCurrent = key !== undefined && row.querySelector("a")?.dataset.key === key;
    row.classList.toggle("was-current", row.hasAttribute("aria-current"));
    if (isCurrent) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

function isShown(element) {
  return element.getClientRects().length > 0;
}
