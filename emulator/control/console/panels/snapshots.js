// Snapshots of a team: save, restore, download, import, delete.

import { h, replace } from "../dom.js";
import { bytes } from "../format.js";
import { chooser } from "../uploads.js";
import { ask, button, complain, confirmLoss, emptiness, field, guarded, heading, moment, notice, table } from "../widgets.js";

export const snapshots = { name: "snapshots", title: "Snapshots", icon: "snapshots", mount };

function mount(outlet, { api, clock, live, signal, team }) {
  const rows = h("div.list");
  const name = nameInput({ placeholder: "before-the-import" });

  const draw = async () => {
    const answer = await api.control("GET", "/snapshots");
    if (!signal.aborted) replace(rows, drawRows(answer.snapshots, { restore, remove, address: (each) => api.controlAddress(`/snapshots/${each}`) }));
  };
  const restore = (each) => guarded(async () => {
    const done = await confirmLoss(`Restore “${each}”?`, "Everything that the team has now is lost, its clock and its settings too.",
      "Restore", () => api.control("POST", `/snapshots/${each}/restore`));
    if (done === null) return;
    await clock.read();
    live.changed("everything");
    notice(`The team ${team} was restored from “${each}”.`, "ok");
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
    const done = await confirmLoss(`Reset the team ${team}?`, "Everything that it has is lost; it is then as it was when the emulator started.", "Reset",
      () => api.control("POST", "/reset"));
    if (done === null) return;
    await clock.read();
    live.changed("everything");
    notice(`The team ${team} was reset.`, "ok");
  });

  const importFile = async ([file]) => {
    if (await askForImport(api, file)) await draw();
  };

  replace(outlet,
    heading("Snapshots", "Everything a team has, with its clock and its settings, saved under a name.",
      chooser("Import a file", importFile, { look: "plain", accept: ".snapshot,application/octet-stream", multiple: false }),
      button("Reset the team", reset, { look: "danger", sign: "refresh" })),
    h("form.card.row", { on: { submit: (event) => {
      event.preventDefault();
      save();
    } } }, field("Save as", name), button("Save", null, { look: "primary", type: "submit", sign: "snapshots" })),
    rows);
  draw().catch(complain);
}

/** A field for the name of a snapshot. */
function nameInput(properties) {
  return h("input", { required: true, pattern: "[A-Za-z0-9_\\-][A-Za-z0-9._\\-]{0,63}", autocomplete: "off",
    title: "1 to 64 characters of A-Z a-z 0-9 . _ - that do not begin with a dot", ...properties });
}

/** Sends the file of a snapshot, under the name that is then given; whether that was done. */
async function askForImport(api, file) {
  const proposed = file.name.replace(/\.snapshot$/, "").replace(/[^A-Za-z0-9._-]/g, "-").replace(/^\.+/, "").slice(0, 64);
  const answer = await ask("Import a snapshot", [
    h("p", h("code", file.name), `, ${bytes(file.size)}. It is listed here afterwards, and changes nothing until you restore it.`),
    field("Name", nameInput({ name: "name", value: proposed }), "A snapshot of the same name is replaced."),
  ], {
    action: "Import",
    submit: (data) => api.controlUpload("PUT", `/snapshots/${encodeURIComponent(data.get("name"))}`, file),
  });
  return answer !== null;
}

function drawRows(rows, { restore, remove, address }) {
  return table("Snapshots", [
    ["Name", (each) => h("span.strong", each.name), "lead"],
    ["Taken", (each) => moment(each.at)],
    ["Size", (each) => bytes(each.bytes), "number"],
    ["", (each) => [
      button("Restore", restore(each.name), { look: "quiet", label: `Restore ${each.name}` }),
      h("a.button.quiet", { href: address(each.name), download: `${each.name}.snapshot`, "aria-label": `Download ${each.name}` }, "Download"),
      button("Delete", remove(each.name), { look: "quiet", label: `Delete ${each.name}` })], "end"],
  ], rows, { empty: emptiness(h("p", "This team has no snapshots yet."), h("p.faint", "Save a state, try something, and come back.")) });
}
