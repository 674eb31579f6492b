// The faults that are set with one click.

import { notice } from "./widgets.js";

/** What a click can let happen; `rule` is what `POST /_emulator/faults` takes, but for the operation. */
export const EFFECTS = [
  { label: "be refused: unavailable (503)", rule: { error: "unavailable" } },
  { label: "be refused: too many requests (429)", rule: { error: "rate_limited", retry_after_seconds: 1 } },
  { label: "be refused: out of credits", rule: { error: "out_of_credits" } },
  { label: "take two seconds longer", rule: { delay_seconds: 2 } },
  { label: "lose its connection", rule: { drop: "before" } },
];

/** Plans a rule and says so. */
export async function plan(api, live, rule) {
  const { rule: planned } = await api.control("POST", "/faults", { body: rule });
  live.changed("faults");
  notice(`${planned.id} is planned for ${rule.operation === "*" ? "the next call" : rule.operation}.`, "ok");
  return planned;
}
