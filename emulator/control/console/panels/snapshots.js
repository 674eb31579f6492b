// What a team has, kept under a name: save it, come back to it, take it along.

import { h, replace } from "../dom.js";
import { bytes } from "../format.js";
import { button, complain, confirmLoss, emptiness, field, guarded, heading, moment, notice, table } from "../widgets.js";

export const snapshots = { name: "snapshots", title: "Snapshots", icon: "snapshots", mount };

function mount(outlet, { api, clock, live, signal, team }) {
  const rows = h("div.list");
  const name = h("input", { required: true, pattern: "[A-Za-z0-9_\\-][A-Za-z0-9._\\-]{0,63}", autocomplete: "off", placeholder: "before-the-import",
    title: "1 to 64 characters of A-Z a-z 0-9 . _ - that do not begin with a dot" });

  const draw = async () => {
    const answer = await api.control("GET", "/snapshots");
    if (!signal.aborted) replace(rows, drawRows(answer.snapshots, { restore, remove, address: (each) => api.controlAddress(`/snapshots/${each}`) }));
  };
  const restore = (each) => guarded(async () => {
    const done = await confirmLoss(`Go back to “${each}”?`, "All that the team has now is gone then, its clock and its settings too.",
      "Go back", () => api.control("POST", `/snapshots/${each}/restore`));
    if (done === null) return;
    await clock.read();
    live.changed("everything");
    notice(`The team ${team} is as it was in “${each}”.`, "ok");
  });
  const remove = (each) => guarded(async () => {
    await api.control("DELETE", `/snapshots/${each}`);
    await draw();
  });
  const save = guarded(async () => {
    await api.control("POST", "/snapshots", { body: { name: name.value } });
    name.value = "";
    await draw();
  });
  const reset = guarded(async () => {
    const done = await confirmLoss("Back to the beginning?", `The team ${team} is then as it was when the emulator started.`, "Reset",
      () => api.control("POST", "/reset"));
    if (done === null) return;
    await clock.read();
    live.changed("everything");
    notice("The team is as it was at first.", "ok");
  });

  replace(outlet,
    heading("Snapshots", "Everything a team has, with its clock and its settings, kept under a name.",
      button("Reset the team", reset, { look: "danger", sign: "refresh" })),
    h("form.card.row", { on: { submit: (event) => {
      event.preventDefault();
      save();
    } } }, field("Save as", name), button("Save", null, { look: "primary", type: "submit", sign: "snapshots" })),
    rows);
  draw().catch(complain);
}

function drawRows(rows, { restore, remove, address }) {
  return table("Snapshots", [
    ["Name", (each) => h("span.strong", each.name), "lead"],
    ["Of", (each) => moment(each.at)],
    ["Size", (each) => bytes(each.bytes), "number"],
    ["", (each) => [
      button("Go back to it", restore(each.name), { look: "quiet", label: `Go back to ${each.name}` }),
      h("a.button.quiet", { href: address(each.name), download: `${each.name}.snapshot`, "aria-label": `Download ${each.name}` }, "Download"),
      button("Remove", remove(each.name), { look: "quiet", label: `Remove ${each.name}` })], "end"],
  ], rows, { empty: emptiness(h("p", "Nothing is saved yet."), h("p.faint", "Save a state, try something, and come back.")) });
}
