// The time of the team, and its planned jobs.

import { h, replace } from "../dom.js";
import { clockTime, count, duration } from "../format.js";
import { address } from "../router.js";
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
  } } }, field("Advance by", amount), field("Unit", unit), button("Advance", null, { look: "primary", type: "submit" }));

  replace(outlet,
    heading("Clock", "Files and URLs expire, documents are indexed and batches run by this clock alone."),
    h("div.cards",
      h("div.card", face, state, h("div.actions",
        button("Freeze", set("freeze"), { sign: "pause" }), button("Resume", set("resume"), { sign: "play" }),
        button("Back to the real time", set("reset"), { sign: "refresh" }))),
      h("div.card", h("h2", "Advance it"), form,
        h("div.grid", [["1 minute", 60], ["1 hour", 3_600], ["1 day", 86_400], ["30 days", 2_592_000]].map(([label, seconds]) =>
          button(`+${label}`, set("advance", { seconds })))))),
    h("h2", "Planned jobs"), planned);

  const tick = () => replace(face, clockTime(new Date(team.now())), h("small", " UTC"));
  const drawState = () => {
    replace(state, facts([
      ["State", team.frozen ? badge("frozen", "warn") : badge("running", "ok")],
      ["Ahead of the real time", Math.abs(team.offset) > 1 ? duration(team.offset) : "no"],
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

/** What a job is about, as a link to it where there is a panel for it. */
function subjectOf({ kind, subject }) {
  const segments = {
    expire_file: () => ["files", subject],
    index_document: () => ["collections", ...subject.split("/").slice(0, 2)],
  }[kind]?.() ?? (kind.includes("batch") ? ["batches", subject] : null);
  return segments ? h("a", { href: address(segments) }, segments.slice(1).join(" / ")) : subject;
}

function drawPlanned({ jobs, planned }, api, live, team) {
  const until = (job) => guarded(async () => {
    const seconds = Math.max(0, (Date.parse(job.at) - team.now() + 1) / 1000); // a Date has no microseconds
    said(await team.set("advance", { seconds }), live);
  });
  const release = guarded(async () => said(await api.control("POST", "/jobs/run"), live));
  const held = jobs.some((job) => job.at === null);
  return [
    held && h("div.actions", button("Run the held jobs", release, { sign: "play" })),
    table("Planned jobs", [
      ["What", (job) => [named(job.kind), h("div.faint.target", subjectOf(job))], "lead"],
      ["Due", (job) => job.at ? moment(job.at) : badge("held", "warn")],
      ["", (job) => job.at && button("Advance to it", until(job), { look: "quiet", label: `Advance to ${job.kind} of ${job.subject}` }), "end"],
    ], jobs, { empty: emptiness(h("p", "No job is planned."), h("p.faint", "Upload a file that expires, for example.")) }),
    planned > jobs.length && h("p.faint", `${count(planned - jobs.length, "more job")}.`),
  ];
}
