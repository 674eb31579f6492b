// The page: its bar, its list of panels, and the panel that the address names.

import { Api } from "./api.js";
import { bar } from "./bar.js";
import { TeamClock } from "./clock.js";
import { h, replace } from "./dom.js";
import { listenToKeys } from "./keys.js";
import { Live } from "./live.js";
import { batches } from "./panels/batches.js";
import { chat } from "./panels/chat.js";
import { clock as clockPanel } from "./panels/clock.js";
import { collections } from "./panels/collections.js";
import { faults } from "./panels/faults.js";
import { files } from "./panels/files.js";
import { journal } from "./panels/journal.js";
import { keys } from "./panels/keys.js";
import { limits } from "./panels/limits.js";
import { search } from "./panels/search.js";
import { settings } from "./panels/settings.js";
import { snapshots } from "./panels/snapshots.js";
import { start } from "./panels/start.js";
import { parse } from "./router.js";
import { applyTheme, currentTeam, keepKeys, keysOf } from "./session.js";
import { ask, complain, field, icon, keepTime, notice, tick } from "./widgets.js";

const PANELS = [start, files, collections, search, chat, batches, journal, faults, clockPanel, snapshots, keys, limits, settings];
const TICK_MS = 1_000;

const team = currentTeam();
const api = new Api(team, askForKeys);
const context = { team, api, clock: new TeamClock(api), live: new Live(api) };
const main = document.getElementById("main");
let shown = null; // the panel on the page: { panel, show, leave }

async function askForKeys(refusal) {
  const known = keysOf(team);
  const typed = (name) => h("input", { name, required: true, autocomplete: "off", spellcheck: "false", value: known[name] });
  const data = await ask("Enter the keys of this emulator", [
    h("p", refusal.message),
    h("p", "It accepts only the keys that it was started with (", h("code", "--auth strict"), " or ", h("code", "--key"),
      "). The keys are kept in this tab only."),
    field("Inference key", typed("inference"), "For files, search and batches."),
    field("Management key", typed("management"), "For collections and keys."),
  ], { action: "Use these keys" });
  if (data === null) return false;
  keepKeys(team, { inference: data.get("inference"), management: data.get("management") });
  return true;
}

function drawPanelList() {
  const links = PANELS.map((panel) =>
    h("a", { href: `#/${panel.name}`, "data-panel": panel.name }, icon(panel.icon), h("span", panel.title)));
  replace(document.getElementById("panels"), links);
}

// On a narrow page the panels are a row that scrolls; when a window gets narrow again, a browser restores where it was.
function scrollToLink() {
  const row = document.getElementById("panels");
  const link = row.querySelector("[aria-current]");
  if (link) row.scrollLeft = link.offsetLeft - (row.clientWidth - link.offsetWidth) / 2;
}

function show() {
  if (location.hash && !location.hash.startsWith("#/")) return; // the skip link
  const route = parse(location.hash);
  const panel = PANELS.find((each) => each.name === route.segments[0]) ?? PANELS[0];
  if (shown?.panel !== panel) enter(panel, route);
  else shown.show?.(route);
  document.title = `${[route.segments.at(-1) ?? panel.title, team].join(" · ")} · xai-emulator`;
}

function enter(panel, route) {
  shown?.leave.abort();
  for (const link of document.querySelectorAll("#panels a")) {
    if (link.dataset.panel === panel.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollToLink();
  const leave = new AbortController();
  const outlet = h("section.panel", { "data-panel": panel.name, "aria-label": panel.title });
  shown = { panel, leave, show: undefined };
  replace(main, outlet);
  scrollTo(0, 0);
  try {
    shown.show = panel.mount(outlet, { ...context, signal: leave.signal }, route);
  } catch (error) {
    complain(error);
  }
}

applyTheme();
drawPanelList();
bar(document.getElementById("bar"), context);
listenToKeys();
show();
addEventListener("hashchange", () => {
  for (const box of document.querySelectorAll("[popover]:popover-open")) box.hidePopover();
  show();
});
addEventListener("resize", scrollToLink);
addEventListener("pagehide", () => context.live.close());
addEventListener("unhandledrejection", ({ reason }) => {
  if (reason instanceof Error) complain(reason);
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
keepTime(() => context.clock.now());
context.clock.addEventListener("set", tick);
setInterval(tick, TICK_MS);
context.clock.read().catch((error) => notice(error.message, "bad"));
