// The time of the team, and what is planned for later.

import { h, replace } from "../dom.js";
import { clockTime, count, duration } from "../format.js";
import { badge, button, complain, emptiness, facts, field, guarded, heading, moment, named, notice, select, table } from "../widgets.js";

const UNITS = [["1", "seconds"], ["60", "minutes"], ["3600", "hours"], ["86400", "days"]];

export const clock = { name: "clock", title: "Clock", icon: "clock", mount };

function mount(outlet, { api, clock: team, live, signal }) {
  const face = h("div.face");
  const state = h("div");
  const planned = h("div");
  const amount = h("input", { type: "number", name: "amount", min: "0", step: "any", value: "1", required: true });
  const unit = select(UNITS, "3600", { "aria-label": "Unit", name: "unit" });

  const set = (verb, body) => guarded(async () => said(await team.set(verb, body), live));
  const form = h("form.row", { on: { submit: (event) => {
    event.preventDefault();
    guarded(async () => said(await team.set("advance", { seconds: amount.value * unit.value }), live))();
  } } }, field("Move on by", amount), field("Unit", unit), button("Advance", null, { look: "primary", type: "submit" }));

  replace(outlet,
    heading("Clock", "Files and URLs expire, documents are indexed and batches run by this clock, and by no other."),
    h("div.cards",
      h("div.card", face, state, h("div.actions",
        button("Freeze", set("freeze"), { sign: "pause" }), button("Resume", set("resume"), { sign: "play" }),
        button("Back to the wall clock", set("reset"), { sign: "refresh" }))),
      h("div.card", h("h2", "Move it on"), form,
        h("div.grid", [["1 minute", 60], ["1 hour", 3_600], ["1 day", 86_400], ["30 days", 2_592_000]].map(([label, seconds]) =>
          button(`+${label}`, set("advance", { seconds })))))),
    h("h2", "Planned for later"), planned);

  const tick = () => replace(face, clockTime(new Date(team.now())), h("small", " UTC"));
  const drawState = () => {
    replace(state, facts([
      ["State", team.frozen ? badge("frozen", "warn") : badge("running", "ok")],
      ["Ahead of the wall clock", Math.abs(team.offset) > 1 ? duration(team.offset) : "no"],
    ]));
    tick();
  };
  const drawJobs = async () => {
    const answer = await api.control("GET", "/jobs");
    if (!signal.aborted) replace(planned, drawPlanned(answer, api, live, team));
  };
  const every = setInterval(tick, 1_000);
  signal.addEventListener("abort", () => clearInterval(every));
  team.addEventListener("set", () => {
    drawState();
    drawJobs().catch(complain);
  }, { signal });
  live.onChange(["files", "documents", "collections", "batches"], () => drawJobs().catch(complain), signal);
  drawState();
  drawJobs().catch(complain);
}

function said({ jobs = [] }, live) {
  live.changed("everything");
  if (jobs.length) notice(`${count(jobs.length, "job")} ran.`, "ok");
}

function drawPlanned({ jobs, planned }, api, live, team) {
  const until = (job) => guarded(async () => {
    const seconds = Math.max(0, (Date.parse(job.at) - team.now() + 1) / 1000); // a Date has no microseconds
    said(await team.set("advance", { seconds }), live);
  });
  const release = guarded(async () => said(await api.control("POST", "/jobs/run"), live));
  const held = jobs.some((job) => job.at === null);
  return [
    held && h("div.actions", button("Run what waits to be released", release, { sign: "play" })),
    table("Planned jobs", [
      ["What", (job) => [named(job.kind), h("div.faint.target", job.subject)], "lead"],
      ["Due", (job) => job.at ? moment(job.at) : badge("waits to be released", "warn")],
      ["", (job) => job.at && button("Move on to it", until(job), { look: "quiet", label: `Move on to ${job.kind} of ${job.subject}` }), "end"],
    ], jobs, { empty: emptiness(h("p", "Nothing is planned."), h("p.faint", "Upload a file that expires, and see it here.")) }),
    planned > jobs.length && h("p.faint", `${count(planned - jobs.length, "more job")}.`),
  ];
}
