// The settings in force for the team, who set each, and the limits that are not at their default.

import { h, replace } from "../dom.js";
import { address } from "../router.js";
import { badge, breakable, complain, emptiness, facts, heading, named, table } from "../widgets.js";
import { differs, shown } from "./limits.js";

const ORIGINS = { default: ["default", "none"], server: ["server", "busy"], team: ["this team", "warn"] };

export const settings = { name: "settings", title: "Settings", icon: "settings", mount };

function mount(outlet, { api, live, signal }) {
  const overview = h("div.card");
  const changed = h("div.list");
  const all = h("div.list");
  replace(outlet,
    heading("Settings", "How this emulator is set up for the team. Flags and environment variables set the server; a team can differ."),
    overview, h("h2", "Limits that are not at their default"), changed, h("h2", "All settings"), all);

  const draw = async () => {
    const [{ settings: rows }, { limits }] = await Promise.all([api.control("GET", "/settings"), api.control("GET", "/limits")]);
    if (signal.aborted) return;
    const value = (name) => rows.find((row) => row.name === name).value;
    replace(overview, facts([
      ["Profile", value("profile")],
      ["Indexing", value("indexing")],
      ["Batches", value("batches")],
      ["Data directory", value("data_dir") === null ? "none: state is in memory" : h("code", breakable(value("data_dir"), "/"))],
      ["Seed file", value("seed") && h("code", breakable(value("seed"), "/"))],
    ]));
    replace(changed, drawLimits(Object.entries(limits).map(([name, row]) => ({ name, ...row })).filter(differs)));
    replace(all, drawSettings(rows));
  };
  live.onChange(["everything"], () => draw().catch(complain), signal);
  draw().catch(complain);
}

function drawLimits(rows) {
  return table("Limits that are not at their default", [
    ["Name", (row) => h("a", { href: address(["limits"]) }, named(row.name)), "lead"],
    ["Value", (row) => h("span.changed", shown(row.name, row.value)), "number"],
    ["Default", (row) => shown(row.name, row.default), "number"],
  ], rows, { empty: emptiness(h("p", "Every limit is at its default.")) });
}

function drawSettings(rows) {
  return table("Settings", [
    ["Flag", (row) => h("code.key", row.flag), "lead"],
    ["Value", (row) => row.value === null ? h("span.faint", "off") : h("code.key", breakable(row.value, "/"))],
    ["Set by", (row) => badge(...ORIGINS[row.origin])],
    ["Meaning", (row) => row.help, "prose"],
  ], rows);
}
