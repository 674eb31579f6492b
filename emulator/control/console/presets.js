// The faults that are set with one click.

import { notice } from "./widgets.js";

/** What one click can plan; `rule` is the body of `POST /_emulator/faults` without the operation. */
export const EFFECTS = [
  { label: "fails: unavailable (503)", rule: { error: "unavailable" } },
  { label: "fails: too many requests (429)", rule: { error: "rate_limited", retry_after_seconds: 1 } },
  { label: "fails: internal error (500)", rule: { error: "internal" } },
  { label: "fails: out of credits", rule: { error: "out_of_credits" } },
  { label: "takes two seconds longer", rule: { delay_seconds: 2 } },
  { label: "loses its connection", rule: { drop: "before" } },
];

/** Plans a rule and confirms it in a notice. */
export async function plan(api, live, rule) {
  const { rule: planned } = await api.control("POST", "/faults", { body: rule });
  live.changed("faults");
  notice(`${planned.id} is planned for ${rule.operation === "*" ? "the next call" : rule.operation}.`, "ok");
  return planned;
}
