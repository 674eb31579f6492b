// The errors of a filter while it is typed: all of them, with their places.

import { h, replace } from "./dom.js";
import { guarded } from "./widgets.js";

/**
 * Shows the errors of filters of a list, or of searches where `list` is null. `check(text)` asks for them and resolves
 * with whether there are none; where a later call overtakes it, with false. `element` is where they are shown.
 */
export function filterErrors(api, list) {
  const element = h("div.filter-errors", { "aria-live": "polite" });
  let latest = 0;
  const check = async (text) => {
    const number = ++latest;
    const { errors } = text === "" ? { errors: [] } : await api.control("POST", "/filters/check", { body: { filter: text, list } });
    if (number !== latest) return false;
    replace(element, errors.length > 0 && drawErrors(text, errors));
    return errors.length === 0;
  };
  return { element, check };
}

/** Calls `check` with the text of a field some moments after the last key. */
export function checkWhileTyping(input, check) {
  const WAIT_MS = 250;
  let timer;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(guarded(() => check(input.value.trim())), WAIT_MS);
  });
}

function drawErrors(text, errors) {
  return h("div.refusal", { role: "group", "aria-label": "Errors of the filter" },
    h("div.drawn", { "aria-hidden": "true" }, marked(text, errors.map((error) => error.position))),
    h("ol", errors.map((error) => h("li", h("strong", `Column ${error.position + 1}: ${error.message}`), h("div", error.hint)))));
}

/** The text with a mark on the character at each position; behind the end a blank is marked. */
function marked(text, positions) {
  const characters = [...text]; // as Python counts them
  const parts = [];
  let start = 0;
  for (const position of positions) {
    parts.push(characters.slice(start, position).join(""), h("mark", characters[position] ?? "\u00a0"));
    start = position + 1;
  }
  return [...parts, characters.slice(start).join("")];
}
