// One batch: its counters while they move, its requests, its results.

import { append, h, replace } from "../dom.js";
import { number } from "../format.js";
import { address } from "../router.js";
import { badge, button, confirmLoss, detail, facts, guarded, identifier, jsonView, refusalBox } from "../widgets.js";
import { done, isBusy, standing } from "./batch_state.js";

const WAIT_MS = 700;
const SHOWN = 100;
const TONES = { succeeded: "ok", failed: "bad", cancelled: "warn", pending: "busy" };

/** The detail of a batch, kept fresh while it changes. */
export function batchDetail(id, context) {
  const { api, live, signal, changed } = context;
  const path = `/batches/${encodeURIComponent(id)}`;
  const body = h("div");
  const requests = h("div");
  let timer;
  let seen = "";

  async function draw() {
    clearTimeout(timer);
    const batch = await api.inference("GET", path);
    if (signal.aborted) return;
    replace(body, describe(batch, path, api, live));
    const now = JSON.stringify(batch.state);
    if (now !== seen) {
      seen = now;
      await drawRequests(requests, path, api);
      changed();
    }
    if (isBusy(batch)) timer = setTimeout(redraw, WAIT_MS);
  }

  const redraw = () => body.isConnected && draw().catch((error) => replace(body, refusalBox(error)));
  signal.addEventListener("abort", () => clearTimeout(timer));
  live.onChange(["batches"], redraw, signal);
  draw().catch((error) => replace(body, refusalBox(error)));
  return detail("Batch", address(["batches"]), body, requests);
}

function describe(batch, path, api, live) {
  const { state } = batch;
  const cancel = guarded(async () => {
    const gone = await confirmLoss("Cancel this batch?", "What is pending is cancelled; results that are there stay.", "Cancel the batch",
      () => api.inference("POST", `${path}:cancel`));
    if (gone !== null) live.changed("batches");
  });
  return [
    h("h3.filename", batch.name || "without a name"),
    done(batch),
    batch.cancel_by_xai_message && h("div.refusal", batch.cancel_by_xai_message),
    facts([
      ["State", badge(...standing(batch))],
      ["Requests", number(state.num_requests)],
      ["Pending", number(state.num_pending)],
      ["Succeeded", number(state.num_success)],
      ["Failed", state.num_error > 0 && number(state.num_error)],
      ["Cancelled", state.num_cancelled > 0 && number(state.num_cancelled)],
      ["Id", identifier(batch.batch_id)],
      ["Input file", batch.input_file_id && h("a", { href: address(["files", batch.input_file_id]) }, batch.input_file_id)],
      ["Created", batch.create_time],
      ["Expires", batch.expire_time],
    ]),
    !batch.cancel_time && (state.num_pending > 0 || state.num_requests === 0) && h("div.actions", button("Cancel the batch", cancel, { look: "danger" })),
  ];
}

async function drawRequests(element, path, api) {
  const query = { limit: SHOWN };
  const [known, answered] = await Promise.all([
    api.inference("GET", `${path}/requests`, { query }),
    api.inference("GET", `${path}/results`, { query }),
  ]);
  const results = new Map(answered.results.map((each) => [each.batch_request_id, each.batch_result]));
  const opened = new Set([...element.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  replace(element, h("h3", "Requests"),
    known.batch_request_metadata.map((request) => drawRequest(request, results.get(request.batch_request_id), opened)),
    known.pagination_token && h("p.faint", `Only the first ${SHOWN} are shown.`));
}

function drawRequest(request, result, opened) {
  const { batch_request_id: id } = request;
  const element = h("details.request", { "data-key": id, open: opened.has(id) },
    h("summary", h("code", id), " ", badge(request.state, TONES[request.state]), h("span.faint", ` ${request.model}`)));
  return append(element, [result === undefined ? h("p.faint", "No result yet.") : drawResult(result)]);
}

function drawResult(result) {
  if (result.error !== undefined) return h("div.refusal", result.error);
  const [response] = Object.values(result.response);
  const answer = response?.choices?.[0]?.message?.content;
  return [typeof answer === "string" && h("p.answer", answer), h("details", h("summary.faint", "As JSON"), jsonView(result))];
}
