// The keys of the page: / goes to the filter, Escape closes the pane, the arrows move from row to row.

const TYPED_IN = "input, textarea, select";
const IN_ROW = "a, button, input";

/** Listens to the keys that work in every panel. */
export function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
    if (document.querySelector("dialog[open], [popover]:popover-open")) return; // they have keys of their own
    const run = { "/": toFilter, Escape: closePane, ArrowDown: nextRow, ArrowUp: previousRow }[event.key];
    if (run?.(event.target)) event.preventDefault();
  });
}

function toFilter(target) {
  const filter = [...document.querySelectorAll("main input[type=search]")].find((each) => each.checkVisibility());
  if (target.matches(TYPED_IN) || !filter) return false;
  filter.focus();
  filter.select();
  return true;
}

function closePane(target) {
  const close = document.querySelector("main .detail .close");
  if (!close || (target.matches(TYPED_IN) && target.value)) return false; // there, Escape clears the field
  close.click();
  return true;
}

const nextRow = (target) => moveBy(target, 1);
const previousRow = (target) => moveBy(target, -1);

/** Moves the focus to the same control of another row; from the table itself, into its first row. */
function moveBy(target, step) {
  const row = target.closest("tbody tr");
  if (row === null) {
    const first = step > 0 && target.matches(".scroll") && target.querySelector("tbody tr");
    return focusIn(first, 0);
  }
  const controls = [...row.querySelectorAll(IN_ROW)];
  return focusIn(step > 0 ? row.nextElementSibling : row.previousElementSibling, controls.indexOf(target));
}

function focusIn(row, index) {
  const controls = row ? [...row.querySelectorAll(IN_ROW)] : [];
  const control = controls[index] ?? controls.at(-1);
  control?.focus();
  return control !== undefined;
}
