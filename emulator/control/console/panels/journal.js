// The calls of a team as they come: what was asked, what came of it, which rule refused it.

import { h, replace } from "../dom.js";
import { bytes, count, milliseconds } from "../format.js";
import { filterBox } from "../listing.js";
import { sidePane } from "../pane.js";
import { remedy } from "../remedies.js";
import { address } from "../router.js";
import { badge, button, complain, confirmLoss, detail, emptiness, facts, guarded, heading, jsonView, moment, named, select,
  table } from "../widgets.js";

const SHOWN_MAX = 500;
const OUTCOMES = [["", "Every outcome"], ["ok", "Done"], ["refused", "Refused"], ["fault", "Met by a fault"]];

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
  const outcome = select(OUTCOMES, first.query.get("outcome") ?? "", { "aria-label": "Outcome", on: { change: draw } });
  const filter = filterBox("Filter the calls", "operation, path or rule", first.query.get("filter") ?? "", draw);
  const pause = button("Pause", () => {
    paused = !paused;
    pause.lastChild.textContent = paused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    draw();
  }, { sign: "pause" });
  const clear = button("Clear", guarded(async () => {
    const done = await confirmLoss("Forget every call?", "Tests that count calls start from zero then.", "Forget them",
      () => api.control("DELETE", "/requests"));
    if (done === null) return;
    calls.clear();
    draw();
  }), { sign: "trash" });

  replace(outlet,
    heading("Journal", "Every call that reached this team, newest first.", pause, clear),
    h("div.tools", filter, outcome),
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
    replace(note, paused && "Paused: new calls are kept, and shown when you go on. ",
      evicted > 0 && `${count(evicted, "older call")} had to be forgotten.`);
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
  return !text || [call.operation, call.target, call.rule, call.outcome, ...call.faults].some((each) => each?.toLowerCase().includes(text));
}

function drawRows(calls, current, known) {
  return table("Calls", [
    ["#", (call) => h("a", { href: address(["journal", call.number].map(String)), "data-key": call.number }, call.number), "number"],
    ["Operation", (call) => [h("span.strong", call.operation ?? "no such path"), h("div.faint.target", `${call.method} ${call.target}`)], "lead"],
    ["Outcome", (call) => outcomeOf(call)],
    ["Door", (call) => badge(call.door === "grpc" ? "gRPC" : "REST"), "wide-only"],
    ["Time", (call) => milliseconds(call.ms), "number wide-only"],
    ["When", (call) => moment(call.at), "wide-only"],
  ], calls, {
    current: (call) => String(call.number) === current,
    empty: known
      ? emptiness(h("p", "No call matches."))
      : emptiness(h("p", "No call yet."), h("p.faint", "They appear here as they come.")),
  });
}

function outcomeOf(call) {
  const tone = call.outcome === "ok" ? "ok" : call.outcome === null ? "busy" : "bad";
  return [badge(call.status ?? call.outcome ?? "running", tone), call.rule && [" ", named(call.rule, "rule")],
    call.faults.map((fault) => [" ", badge(fault, "warn")])];
}

function drawCall(call, number, api) {
  const back = address(["journal"]);
  if (!call) return detail(`Call ${number}`, back, h("p", "This call is not remembered, or no longer."));
  const part = (title, content) => content && [h("h3", title), content];
  return detail(`Call ${number}`, back,
    h("p.target", h("code", `${call.method} ${call.target}`)),
    facts([
      ["Operation", call.operation ?? "none: no route fits"],
      ["Outcome", [badge(call.outcome ?? "running", call.outcome === "ok" ? "ok" : "bad"), " ", String(call.status ?? "")]],
      ["Rule", call.rule && [h("code", call.rule), remedy(call.rule)]],
      ["Planned faults", call.faults.length > 0 && call.faults.map((fault) => [h("code", fault), " "])],
      ["Door", call.door === "grpc" ? "gRPC" : "REST"],
      ["Took", milliseconds(call.ms)],
      ["When", moment(call.at, { exactly: true })],
    ]),
    call.operation === null && nearMisses(call, api),
    part("Warnings", call.warnings.length > 0 && h("ul", call.warnings.map((text) => h("li", text)))),
    part("Sent, but read by nobody", call.unread_fields.length > 0 && h("ul", call.unread_fields.map((name) => h("li", h("code", name))))),
    part("Request", drawBody(call.request)),
    part("Response", drawBody(call.response)),
    part("Headers", Object.keys(call.headers).length > 0 && jsonView(call.headers)));
}

/** The paths that a call may have meant which fits none; they come when the emulator has told. */
function nearMisses(call, api) {
  const element = h("div");
  api.control("GET", "/requests/unmatched").then(({ requests }) => {
    const found = requests.find(({ request }) => request.number === call.number)?.near_misses ?? [];
    if (found.length) replace(element, h("h3", "Meant, perhaps"), h("ul", found.map((each) => h("li", h("code", `${each.method} ${each.path}`)))));
  }).catch(complain);
  return element;
}

function drawBody(body) {
  if (!body) return null;
  const size = body.bytes === null ? "of unknown length" : bytes(body.bytes);
  return [h("p.faint", size, body.truncated && ", only the beginning is kept", body.hash && [" · ", h("code.hash", { title: "BLAKE3" }, body.hash.slice(0, 16))]),
    body.json !== undefined ? jsonView(body.json) : body.text !== undefined && jsonView(body.text)];
}
