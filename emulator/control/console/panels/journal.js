// The calls of a team as they come in: request, response, and the rule that refused it.

import { h, replace } from "../dom.js";
import { bytes, count, milliseconds, number } from "../format.js";
import { filterBox } from "../listing.js";
import { sidePane } from "../pane.js";
import { ruleHint } from "../hints.js";
import { address } from "../router.js";
import { badge, button, complain, confirmLoss, copy, detail, emptiness, exactTime, facts, guarded, heading, icon, jsonView, moment, named,
  select, table } from "../widgets.js";

const SHOWN_MAX = 500;
const OUTCOMES = [["", "Every outcome"], ["ok", "Succeeded"], ["refused", "Refused"], ["fault", "Hit by a fault"]];

export const journal = { name: "journal", title: "Journal", icon: "journal", mount };

function mount(outlet, context, first) {
  const { api, live, signal } = context;
  const calls = new Map(); // by number, oldest first
  let route = first;
  let evicted = 0;
  let paused = false;
  let planned = false;

  const rows = h("div.list");
  const side = h("div.side");
  const note = h("p.faint", { role: "status" });
  const draw = () => drawSoon();
  const counter = h("span.faint.counter", { role: "status" });
  const outcome = select(OUTCOMES, first.query.get("outcome") ?? "", { "aria-label": "Outcome", on: { change: draw } });
  const filter = filterBox("Filter the calls", "Part of an operation, path or rule", first.query.get("filter") ?? "", draw);
  const pause = button("Pause", () => {
    paused = !paused;
    pause.lastChild.textContent = paused ? "Resume" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    draw();
  }, { sign: "pause" });
  const clear = button("Clear", guarded(async () => {
    const done = await confirmLoss("Clear the journal?", "Tests that count calls then start from zero.", "Clear",
      () => api.control("DELETE", "/requests"));
    if (done === null) return;
    calls.clear();
    draw();
  }), { sign: "trash" });

  const exported = h("a.button.plain", { href: api.controlAddress("/requests/har"), download: "" }, icon("download", 16), "Export HAR");

  replace(outlet,
    heading("Journal", "Every call that reached this team, newest first.", exported, pause, clear),
    h("div.tools", filter, outcome, counter),
    note,
    h("div.split", rows, side));
  const showInPane = sidePane(outlet, rows, side);

  function drawSoon() {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => {
      planned = false;
      if (!signal.aborted) drawNow();
    });
  }

  function drawNow() {
    const wanted = [...calls.values()].filter((call) => matches(call, outcome.value, filter.value.toLowerCase())).reverse();
    replace(rows, drawRows(wanted, route.segments[1], calls.size));
    replace(counter, calls.size > 0 && `${number(wanted.length)} of ${count(calls.size, "call")}`);
    replace(note, paused && "Paused: new calls are shown when you resume. ",
      evicted > 0 && `${count(evicted, "older call")} had to be dropped to save memory.`);
  }

  function take(call) {
    calls.delete(call.number);
    calls.set(call.number, call);
    if (calls.size > SHOWN_MAX) calls.delete(calls.keys().next().value);
    if (!paused) drawSoon();
  }

  async function load() {
    const answer = await api.control("GET", "/requests", { query: { limit: SHOWN_MAX } });
    evicted = answer.evicted;
    answer.requests.forEach(take);
    drawNow();
    show(route);
  }

  function show(next) {
    route = next;
    const number = next.segments[1];
    showInPane(number, () => drawCall(calls.get(Number(number)), number, api));
    drawSoon();
  }

  live.addEventListener("call", ({ detail: call }) => take(call), { signal });
  live.onChange(["everything"], () => load().catch(complain), signal);
  load().catch(complain);
  show(first);
  return show;
}

function matches(call, outcome, text) {
  if (outcome === "ok" && call.outcome !== "ok") return false;
  if (outcome === "refused" && (call.outcome === "ok" || call.outcome === null)) return false;
  if (outcome === "fault" && call.faults.length === 0) return false;
  return !text || [call.operation, call.target, ruleOf(call), call.outcome, ...call.faults].some((each) => each?.toLowerCase().includes(text));
}

function drawRows(calls, current, known) {
  return table("Calls", [
    ["#", (call) => h("a", { href: address(["journal", call.number].map(String)), "data-key": call.number }, call.number), "number"],
    ["Operation", (call) => [h("span.strong", call.operation ?? withoutOperation(call)), h("div.faint.target", `${call.method} ${call.target}`)], "lead"],
    ["Outcome", (call) => outcomeOf(call), "outcome"],
    ["Transport", (call) => badge(call.transport === "grpc" ? "gRPC" : "REST"), "wide-only"],
    ["Time", (call) => milliseconds(call.ms), "number wide-only"],
    ["When", (call) => moment(call.real_at, { clock: "real", title: bothTimes(call) }), "wide-only"],
  ], calls, {
    current: (call) => String(call.number) === current,
    empty: known
      ? emptiness(h("p", "No call matches."))
      : emptiness(h("p", "No call yet."), h("p.faint", "Calls appear here as they come in.")),
  });
}

/** What a call is that has no operation. */
function withoutOperation(call) {
  return { NOT_EMULATED: "not emulated", METHOD_NOT_ALLOWED: "no such method" }[call.outcome] ?? "no such path";
}

function bothTimes(call) {
  return `${exactTime(call.real_at)}; the team's clock showed ${exactTime(call.at)}`;
}

/** The rule that refused a call: the journal knows it of calls that have an operation, the response headers of all. */
function ruleOf(call) {
  return call.rule ?? call.response_headers["x-emulator-rule"];
}

function outcomeOf(call) {
  const tone = call.outcome === "ok" ? "ok" : call.outcome === null ? "busy" : "bad";
  return [badge(call.status ?? call.outcome ?? "running", tone), ruleOf(call) && [" ", named(ruleOf(call), "rule")],
    call.faults.map((fault) => [" ", badge(fault, "warn")])];
}

function drawCall(call, id, api) {
  const back = address(["journal"]);
  if (!call) return detail(`Call ${id}`, back, h("p", "The journal does not hold this call, or no longer."));
  const part = (title, content) => content && [h("h3", title), content];
  return detail(`Call ${id}`, back,
    h("p.target", h("code", `${call.method} ${call.target}`)),
    call.outcome !== null && h("p.row", copyCode(call, api, "curl", call.transport === "grpc" ? "Copy as grpcurl" : "Copy as curl"),
      copyCode(call, api, "pytest", "Copy as a pytest test")),
    facts([
      ["Operation", call.operation ?? withoutOperation(call)],
      ["Reason", call.reason],
      ["Outcome", [badge(call.outcome ?? "running", call.outcome === "ok" ? "ok" : "bad"), " ", String(call.status ?? "")]],
      ["Rule", ruleOf(call) && [h("code", ruleOf(call)), ruleHint(ruleOf(call))]],
      ["Planned faults", call.faults.length > 0 && call.faults.map((fault) => [h("code", fault), " "])],
      ["Transport", call.transport === "grpc" ? "gRPC" : "REST"],
      ["Took", milliseconds(call.ms)],
      ["Time", moment(call.real_at, { exactly: true })],
      ["Time of the team", moment(call.at, { exactly: true })],
    ]),
    call.operation === null && call.outcome !== "NOT_EMULATED" && nearMisses(call, api),
    part("Warnings", call.warnings.length > 0 && h("ul", call.warnings.map((text) => h("li", text)))),
    part("Unknown fields, which were ignored", call.unread_fields.length > 0 && h("ul", call.unread_fields.map((name) => h("li", h("code", name))))),
    part("Request", drawBody(call.request)),
    part("Response", drawBody(call.response)),
    part("Request headers", Object.keys(call.headers).length > 0 && jsonView(call.headers)),
    part("Response headers", Object.keys(call.response_headers).length > 0 && jsonView(call.response_headers)));
}

/** A button that copies a call as a command line or as a test. */
function copyCode(call, api, form, label) {
  return button(label, guarded(async () => {
    const code = await api.control("GET", `/requests/${call.number}/code`);
    if (code[form] === null) throw new Error(`The call cannot be copied: ${code.reason}.`);
    await copy(code[form]);
  }), { look: "quiet", sign: "copy" });
}

/** The paths that are similar to that of a call that has no operation; the list fills once they are loaded. */
function nearMisses(call, api) {
  const element = h("div");
  api.control("GET", "/requests/unmatched").then(({ requests }) => {
    const found = requests.find(({ request }) => request.number === call.number)?.near_misses ?? [];
    if (found.length) replace(element, h("h3", "Similar paths"), h("ul", found.map((each) => h("li", h("code", `${each.method} ${each.path}`)))));
  }).catch(complain);
  return element;
}

function drawBody(body) {
  if (!body) return null;
  const size = body.bytes === null ? "of unknown length" : bytes(body.bytes);
  return [h("p.faint", size, body.truncated && ", of which only the beginning is kept", body.hash && [" · ", h("code.hash", { title: "BLAKE3" }, body.hash.slice(0, 16))]),
    body.json !== undefined ? jsonView(body.json) : body.text !== undefined && jsonView(body.text)];
}
