// Every limit, its value for this team, and where it is from.

import { h, replace } from "../dom.js";
import { bytes, duration, number } from "../format.js";
import { filterBox } from "../listing.js";
import { ask, badge, button, complain, emptiness, field, guarded, heading, named, table } from "../widgets.js";

const TONES = { documented: "ok", recorded: "busy", assumed: "warn" };

export const limits = { name: "limits", title: "Limits", icon: "limits", mount };

function mount(outlet, { api, live, signal }) {
  const rows = h("div.list");
  let known = [];
  const filter = filterBox("Filter the limits", "name or source", "", () => draw());

  replace(outlet,
    heading("Limits", "What the real service allows, and how that is known. A change is for this team alone."),
    h("div.tools", filter), rows);

  const draw = () => {
    const text = filter.value.toLowerCase();
    const wanted = known.filter((row) => `${row.name} ${row.source}`.toLowerCase().includes(text));
    replace(rows, drawRows(wanted, change));
  };
  const take = ({ limits: answer }) => {
    known = Object.entries(answer).map(([name, row]) => ({ name, ...row }));
    draw();
  };
  const change = guarded(async (event) => {
    const row = known.find((each) => each.name === event.currentTarget.dataset.key);
    await edit(row, async (value) => take(await api.control("PUT", "/limits", { body: { [row.name]: value } })));
  });
  const load = async () => take(await api.control("GET", "/limits"));
  live.onChange(["everything"], () => load().catch(complain), signal);
  load().catch(complain);
}

function drawRows(rows, change) {
  return table("Limits", [
    ["Name", (row) => named(row.name), "lead"],
    ["Value", (row) => [h("span", { class: row.value === row.default ? "" : "changed" }, shown(row.name, row.value)),
      row.value !== row.default && h("div.faint", `default ${shown(row.name, row.default)}`)], "number"],
    ["Source", (row) => [row.source, " ", badge(row.confidence, TONES[row.confidence])], "prose"],
    ["", (row) => button("Change", change, { look: "quiet", key: row.name, label: `Change ${row.name}` }), "end"],
  ], rows, { empty: emptiness(h("p", "No limit matches.")) });
}

/** A value with its unit, which the name of its row ends with. */
function shown(name, value) {
  if (value === null) return "off";
  if (name.includes("_bytes")) return bytes(value);
  if (name.includes("_seconds")) return duration(value);
  return number(value);
}

function edit(row, save) {
  const value = h("input", { name: "value", type: "number", min: "0", step: "1", value: row.value ?? "", placeholder: "off" });
  return ask(row.name, [
    h("p", row.source, " ", badge(row.confidence, TONES[row.confidence])),
    field("Value", value, `${shown(row.name, row.default)} is the default (${row.default}). Empty switches a limit off.`),
  ], { action: "Set", submit: (data) => save(data.get("value") === "" ? null : Number(data.get("value"))) });
}
