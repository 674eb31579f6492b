// Every limit, its value for this team, and where it is from.

import { h, replace } from "../dom.js";
import { bytes, count, duration, number, withUnit } from "../format.js";
import { filterBox } from "../listing.js";
import { ask, badge, button, complain, emptiness, field, guarded, heading, named, table } from "../widgets.js";

const TONES = { documented: "ok", recorded: "busy", assumed: "warn" };

export const limits = { name: "limits", title: "Limits", icon: "limits", mount };

function mount(outlet, { api, live, signal }) {
  const rows = h("div.list");
  const counter = h("span.faint.counter", { role: "status" });
  const changed = h("input", { type: "checkbox", on: { change: () => draw() } });
  let known = [];
  const filter = filterBox("Filter the limits", "Part of a name or source", "", () => draw());

  replace(outlet,
    heading("Limits", "What the real service allows, and the source of each value. A change is for this team alone."),
    h("div.tools", filter, h("label.check", changed, "Changed only"), counter), rows);

  const draw = () => {
    const text = filter.value.toLowerCase();
    const wanted = known.filter((row) => `${row.name} ${row.source}`.toLowerCase().includes(text) && (!changed.checked || differs(row)));
    replace(counter, known.length > 0 && `${number(wanted.length)} of ${count(known.length, "limit")}`);
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
    ["Value", (row) => [h("span", { class: differs(row) ? "changed" : "" }, shown(row.name, row.value)),
      differs(row) && h("div.faint", `default ${shown(row.name, row.default)}`)], "number"],
    ["Source", (row) => [row.source, " ", badge(row.confidence, TONES[row.confidence])], "prose"],
    ["", (row) => button("Change", change, { look: "quiet", key: row.name, label: `Change ${row.name}` }), "end"],
  ], rows, { empty: emptiness(h("p", "No limit matches.")) });
}

/** Whether a limit is not what it is by default. */
export function differs(row) {
  return row.value !== row.default;
}

/** A value with its unit, which the name of its row ends with. */
export function shown(name, value) {
  if (value === null) return "off";
  if (name.includes("_bytes")) return bytes(value);
  if (name.includes("_seconds")) return duration(value);
  return number(value);
}

function edit(row, save) {
  const inUnit = (value) => value === null ? "" : row.name.includes("_bytes") ? withUnit(value) : String(value);
  const example = row.name.includes("_bytes") ? ", with a unit such as 512KiB, 48MiB or 2GiB" : "";
  const value = h("input", { name: "value", value: inUnit(row.value), placeholder: "off", autocomplete: "off", spellcheck: "false" });
  return ask(row.name, [
    h("p", row.source, " ", badge(row.confidence, TONES[row.confidence])),
    field("Value", value, `A whole number${example}. The default is ${inUnit(row.default)}. Leave it empty to switch the limit off.`),
  ], { action: "Set", submit: (data) => save(data.get("value").trim() || null) });
}
