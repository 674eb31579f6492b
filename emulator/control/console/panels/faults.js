// Planned faults: rules and scripts, the calls they hit, and a form for new rules.

import { h, replace } from "../dom.js";
import { count } from "../format.js";
import { EFFECTS, plan } from "../presets.js";
import { address } from "../router.js";
import { badge, button, complain, emptiness, facts, field, guarded, heading, moment, refusalBox, select, table } from "../widgets.js";

export const faults = { name: "faults", title: "Faults", icon: "faults", mount };

// The effects of a rule that the form offers: name, label, what its field looks like.
const EFFECT_FIELDS = {
  error: ["fails with an error", (vocabulary) => select(vocabulary.errors.map((each) => [each.name, `${each.name} (${each.status}, ${each.grpc})`]))],
  status: ["fails with a status", (vocabulary) => select(vocabulary.statuses.map((each) => [each, each]), "503")],
  delay_seconds: ["is delayed (seconds)", () => numeric(2, "any")],
  drop: ["loses its connection", () => select([["before", "before the operation runs"], ["after", "after it ran, without a response"]])],
  cut_upload_after_bytes: ["has its upload cut after (bytes)", () => numeric(1024)],
  cut_download_after_bytes: ["has its download cut after (bytes)", () => numeric(1024)],
  drip_bytes_per_second: ["is slow (bytes per second)", () => numeric(1024)],
  behaviour: ["shows a race of the real service", () => select([["cancel_reverts", "batches.cancel: cancelled requests finish nevertheless"]])],
};
const NUMBERS = new Set(["status", "delay_seconds", "cut_upload_after_bytes", "cut_download_after_bytes", "drip_bytes_per_second"]);

const numeric = (value, step = "1") => h("input", { type: "number", min: "0", step, value });

function mount(outlet, context) {
  const { api, live, signal } = context;
  const planned = h("div.stacked");
  const form = h("div.card");
  const operation = select([["*", "any operation"]], "*", { "aria-label": "Operation" });

  replace(outlet,
    heading("Faults", "Make calls fail on purpose, and see how your client handles it.",
      button("Remove all", guarded(async () => {
        await api.control("DELETE", "/faults");
        live.changed("faults");
      }), { sign: "trash" })),
    h("div.cards",
      h("div.card", h("h2", "One click"), field("The next call of", operation), h("div.stack", EFFECTS.map(({ label, rule }) =>
        button(label, guarded(() => plan(api, live, { operation: operation.value, ...rule })))))),
      form),
    planned);

  const draw = async () => {
    const answer = await api.control("GET", "/faults");
    if (!signal.aborted) replace(planned, drawPlanned(answer, api, live));
  };
  live.onChange(["faults", "everything"], () => draw().catch(complain), signal);
  draw().catch(complain);
  api.control("GET", "/faults/vocabulary", { server: true }).then((vocabulary) => {
    const options = operationOptions(vocabulary);
    replace(operation, options.map(([value, text]) => h("option", { value }, text)));
    replace(form, ruleForm(vocabulary, options, api, live));
  }).catch(complain);
}

function operationOptions({ operations }) {
  const resources = [...new Set(operations.map((each) => each.name.split(".")[0]))];
  return [["*", "any operation"], ...resources.map((each) => [`${each}.*`, `any of ${each}`]), ...operations.map((each) => [each.name, each.name])];
}

function ruleForm(vocabulary, options, api, live) {
  const operation = select(options, "*");
  const effect = select(Object.entries(EFFECT_FIELDS).map(([name, [label]]) => [name, label]), "error", { on: { change: () => drawValue() } });
  const nth = numeric(1);
  const times = numeric(1);
  const transport = select([["", "REST and gRPC"], ["rest", "REST only"], ["grpc", "gRPC only"]], "");
  const problem = h("div");
  const slot = h("div");
  let value;

  const drawValue = () => {
    value = EFFECT_FIELDS[effect.value][1](vocabulary);
    replace(slot, field("With", value));
  };
  const submit = async (event) => {
    event.preventDefault();
    replace(problem);
    const rule = {
      operation: operation.value,
      [effect.value]: NUMBERS.has(effect.value) ? Number(value.value) : value.value,
      nth: Number(nth.value),
      times: times.value === "" ? null : Number(times.value),
      ...(transport.value && { transport: transport.value }),
    };
    try {
      await plan(api, live, rule);
    } catch (error) {
      replace(problem, refusalBox(error));
    }
  };
  drawValue();
  return h("form", { on: { submit } }, h("h2", "A rule"),
    h("div.row", field("A call of", operation), field("What happens: it", effect)), slot,
    h("div.row", field("From call number", nth), field("How many times", times, "Empty: every time"), field("Transport", transport)),
    problem, h("div.actions", button("Add the rule", null, { look: "primary", type: "submit" })));
}

function drawPlanned({ rules, scripts }, api, live) {
  if (rules.length + scripts.length === 0) {
    return emptiness(h("p", "No fault is planned."), h("p.faint", "Click one above, or write a rule."));
  }
  const remove = (id) => button("Remove", guarded(async () => {
    await api.control("DELETE", `/faults/${encodeURIComponent(id)}`);
    live.changed("faults");
  }), { look: "quiet", label: `Remove ${id}` });
  return [
    rules.length > 0 && [h("h2", "Rules"), table("Rules", [
      ["Id", (rule) => h("code", rule.id), "lead"],
      ["Operations", (rule) => h("code", rule.rule.operation)],
      ["Effect", (rule) => effectText(rule.rule), "prose"],
      ["Calls", (rule) => callsText(rule.rule)],
      ["Hit", (rule) => [badge(rule.exhausted ? "done" : "waiting", rule.exhausted ? "none" : "warn"), ` ${rule.hits} of ${count(rule.calls, "call")}`]],
      ["", (rule) => remove(rule.id), "end"],
    ], rules)],
    scripts.length > 0 && [h("h2", "Scripts"), scripts.map((script) => drawScript(script, remove))],
  ];
}

/** Which calls a rule hits: `call 2`, `calls 2 to 4`, `every call from 2 on`; and over which transport. */
function callsText({ nth, times, transport }) {
  const over = transport ? ` over ${transport === "grpc" ? "gRPC" : "REST"}` : "";
  if (times === null) return (nth === 1 ? "every call" : `every call from ${nth} on`) + over;
  return (times === 1 ? `call ${nth}` : `calls ${nth} to ${nth + times - 1}`) + over;
}

const RULE_WORDS = new Set(["operation", "id", "transport", "nth", "times"]);

function effectText(rule) {
  return Object.entries(rule).filter(([name]) => !RULE_WORDS.has(name)).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`).join(", ");
}

function drawScript(script, remove) {
  const steps = script.script.steps.map((step) => step === "ok" ? "ok" : effectText(step));
  return h("div.card", h("div.heading", h("h2", h("code", script.id)), remove(script.id)),
    facts([
      ["Operations", h("code", script.script.operation)],
      ["Steps", h("ol.steps", steps.map((text, number) => h("li", { class: number < script.consumed ? "done" : "" }, text)))],
      ["Consumed", [badge(script.completed ? "all" : `${script.consumed} of ${steps.length}`, script.completed ? "ok" : "warn")]],
    ]),
    table("Attempts", [
      ["When", (attempt) => moment(attempt.at)],
      ["Operation", (attempt) => h("a", { href: address(["journal"], { filter: attempt.operation }) }, attempt.operation)],
      ["After a gap of", (attempt) => attempt.gap_seconds === null ? "–" : `${attempt.gap_seconds.toFixed(3)} s`, "number"],
      ["Deadline", (attempt) => attempt.deadline_seconds === null ? "–" : `${attempt.deadline_seconds} s`, "number"],
      ["Outcome", (attempt) => attempt.outcome ?? "runs"],
    ], script.attempts, { empty: emptiness(h("p", "No call has reached it yet.")) }));
}
