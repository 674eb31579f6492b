// What to do about a refusal, by the rule that refused.

import { h } from "./dom.js";

let known; // asked for once

/** A sentence that says what to do; it fills once it is loaded. */
export function ruleHint(rule) {
  const element = h("p.rule-hint");
  known ??= fetch("/_emulator/rules").then((answer) => answer.json());
  known.then(({ rules }) => element.append(rules[rule] ?? ""), () => (known = undefined));
  return element;
}
