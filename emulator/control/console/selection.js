// Rows that are ticked, and what can be done with all of them at once.

import { h, replace } from "./dom.js";
import { count } from "./format.js";
import { button, confirmLoss, guarded } from "./widgets.js";

/**
 * `noun` is what the rows are, `verb` what is done with them, and `warning` what that means. `remove(key)` does it to
 * one; `done(keys)` is called when all are done.
 */
export function selection({ noun, verb, warning, remove, done }) {
  const chosen = new Set(); // keys
  const bar = h("div.selection", { role: "status", hidden: true });

  const run = guarded(async () => {
    const gone = [];
    const answer = await confirmLoss(`${verb} ${count(chosen.size, noun)}?`, warning, verb, async () => {
      for (const key of [...chosen]) {
        await remove(key); // what is refused stays chosen, and so does what comes after it
        chosen.delete(key);
        gone.push(key);
      }
      return true;
    });
    draw();
    if (answer !== null || gone.length > 0) done(gone);
  });

  function draw() {
    bar.hidden = chosen.size === 0;
    replace(bar, h("span", `${count(chosen.size, noun)} selected`),
      button(`${verb} ${chosen.size === 1 ? "it" : "them"}`, run, { look: "danger", sign: "trash", key: "bulk" }),
      button("Clear the selection", () => {
        chosen.clear();
        draw();
        for (const box of document.querySelectorAll("td.select input, th.select input")) box.checked = false;
      }, { look: "quiet" }));
  }

  /** The column of boxes for these rows; rows that are not among them any more are no longer chosen. */
  function column(rows, keyOf, nameOf) {
    const keys = new Set(rows.map(keyOf));
    for (const key of chosen) if (!keys.has(key)) chosen.delete(key);
    draw();
    const all = h("input", {
      type: "checkbox", "aria-label": "Select all shown", "data-key": "select-all",
      checked: rows.length > 0 && chosen.size === rows.length,
      on: { change: () => {
        for (const key of keys) chosen[all.checked ? "add" : "delete"](key);
        for (const box of all.closest("table").querySelectorAll("td.select input")) box.checked = all.checked;
        draw();
      } },
    });
    const box = (row) => h("input", {
      type: "checkbox", "aria-label": `Select ${nameOf(row)}`, "data-key": `select-${keyOf(row)}`, checked: chosen.has(keyOf(row)),
      on: { change: (event) => {
        chosen[event.target.checked ? "add" : "delete"](keyOf(row));
        all.checked = chosen.size === rows.length;
        draw();
      } },
    });
    return [all, box, "select"];
  }

  return { bar, column };
}
