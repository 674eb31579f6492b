// Which rules answer, and how often each has: the planned answers of the team, and those of its canned file.

import { h, replace } from "../dom.js";
import { count } from "../format.js";
import { badge, button, complain, emptiness, field, guarded, notice, refusalBox, table } from "../widgets.js";

const ANSWERS = ["response", "responses", "error"];

/** The card of the rules of a team; it draws itself again when one was used or planned. */
export function rulesCard({ api, live, signal }) {
  const known = h("div.stacked");
  const draw = async () => {
    const answers = await api.control("GET", "/answers");
    if (!signal.aborted) replace(known, drawRules(answers, api, live));
  };
  live.onChange(["answers", "chat", "responses", "everything"], () => draw().catch(complain), signal);
  draw().catch(complain);
  return h("div.card", h("h2", "Rules"), h("p.faint", "The first rule that fits answers. Without one the answer quotes what was found."),
    ruleForm(api, live), known);
}

function ruleForm(api, live) {
  const regex = h("input", { placeholder: "any question", spellcheck: "false" });
  const response = h("input", { required: true, placeholder: "{quote} {citation}", spellcheck: "false" });
  const times = h("input", { type: "number", min: "1", step: "1", placeholder: "always" });
  const problem = h("div");
  const submit = async (event) => {
    event.preventDefault();
    replace(problem);
    const rule = { response: response.value, ...(regex.value && { regex: regex.value }), ...(times.value && { times: Number(times.value) }) };
    try {
      const { answer } = await api.control("POST", "/answers", { body: rule });
      live.changed("answers");
      notice(`${answer.id} is planned.`, "ok");
    } catch (error) {
      replace(problem, refusalBox(error));
    }
  };
  return h("form", { on: { submit } },
    h("div.row", field("Question matches", regex, "A regular expression."), field("Answer with", response, "May name what was found."),
      field("How many times", times, "Empty: every time.")),
    problem, h("div.actions", button("Plan the answer", null, { type: "submit" })));
}

function drawRules({ answers, canned }, api, live) {
  if (answers.length === 0 && canned === null) {
    return emptiness(h("p", "No rule answers."), h("p.faint", "Plan an answer above, or start with ", h("code", "--responder canned:FILE"), "."));
  }
  const remove = (id) => button("Remove", guarded(async () => {
    await api.control("DELETE", `/answers/${encodeURIComponent(id)}`);
    live.changed("answers");
  }), { look: "quiet", label: `Remove ${id}` });
  return [
    answers.length > 0 && drawTable("Planned answers", answers, ["", (each) => remove(each.id), "end"]),
    canned !== null && [
      h("h3.filename", canned.file, " ", canned.strict && badge("strict", "warn")),
      drawTable(`Rules of ${canned.file}`, canned.rules),
      h("p.faint", `${count(canned.unmatched, "request")} fitted no rule.`),
    ],
  ];
}

function drawTable(caption, rules, ...more) {
  return table(caption, [
    ["Rule", (each) => h("code", each.id), "lead"],
    ["When", ({ rule }) => condition(rule), "prose"],
    ["Says", ({ rule }) => h("code", said(rule)), "prose"],
    ["Used", (each) => [badge(each.exhausted ? "done" : each.hits ? "used" : "waiting", each.hits ? "ok" : "warn"), ` ${each.hits}${each.rule.times ? ` of ${each.rule.times}` : ""}`]],
    ...more,
  ], rules, { empty: emptiness(h("p", "The file has no rules.")) });
}

const PACE = new Set(["times", "delay", "ttft", "tokens_per_second", "chunk", "cut_after", ...ANSWERS]);

function condition(rule) {
  const given = Object.entries(rule).filter(([name]) => !PACE.has(name));
  return given.length === 0 ? "any question" : given.map(([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");
}

function said(rule) {
  const value = ANSWERS.map((name) => rule[name]).find((each) => each !== undefined);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}
