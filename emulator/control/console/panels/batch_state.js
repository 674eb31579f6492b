// The state of a batch: what it is called, and how far it has come.

import { h } from "../dom.js";
import { count, number } from "../format.js";
import { progress } from "../widgets.js";

export const STATES = ["open", "validating", "running", "done", "done, with errors", "cancelled"];

/** Return the state of a batch, one of `STATES`, and its tone. The API has counters, but no state. */
export function standing({ state, cancel_time: cancelled, input_file_id: fromFile }) {
  if (cancelled) return ["cancelled", "bad"];
  if (state.num_requests === 0) return fromFile ? ["validating", "busy"] : ["open", "none"];
  if (state.num_pending > 0) return ["running", "busy"];
  return state.num_error > 0 ? ["done, with errors", "warn"] : ["done", "ok"];
}

/** Whether a batch will change by itself. */
export function isBusy(batch) {
  return standing(batch)[1] === "busy";
}

/** How many requests are finished, as a number and as a bar. */
export function done({ state }) {
  const finished = state.num_requests - state.num_pending;
  const label = `${number(finished)} of ${count(state.num_requests, "request")}`;
  return h("div.gauge", h("span.fraction", `${number(finished)} / ${number(state.num_requests)}`),
    progress(label, finished, state.num_requests, state.num_error ? "warn" : ""));
}
