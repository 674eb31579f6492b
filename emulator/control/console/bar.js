// The bar of the page: where it is, which team, what time the team has, which faults wait.

import { h, replace } from "./dom.js";
import { clockTime, count, duration } from "./format.js";
import { EFFECTS, plan } from "./presets.js";
import { nextTheme, teamAddress, theme } from "./session.js";
import { ask, badge, button, complain, field, guarded, icon, notice, select } from "./widgets.js";

const STEPS = [["+1 minute", 60], ["+1 hour", 3_600], ["+1 day", 86_400], ["+30 days", 30 * 86_400]];
const OTHER = "\u0000other";

/** Draws the bar and keeps it up to date. */
export function bar(element, context) {
  const version = h("small.version");
  replace(element,
    h("a.brand", { href: "#/start" }, h("img", { src: "./console/icon.svg", alt: "", width: 28, height: 28 }),
      h("span", "xai-emulator", version)),
    connection(context.live),
    h("div.spacer"),
    faultsChip(context), clockChip(context), teamSwitch(context), themeButton());
  context.api.control("GET", "/health", { server: true }).then((health) => version.append(` ${health.version}`), complain);
}

function connection(live) {
  const element = h("span.connection", { role: "status" }, "Connecting");
  live.addEventListener("state", ({ detail: connected }) => {
    element.classList.toggle("lost", !connected);
    replace(element, connected ? "Live" : "No connection");
  });
  return element;
}

/** A button that opens a small box below it. */
function chip(name, label, content) {
  const id = `box-${name}`;
  const text = h("span");
  const opener = h("button.chip", { type: "button", popovertarget: id, "aria-label": label, title: label }, icon(name), text);
  const box = h("div.box", { id, popover: "auto", "aria-label": label }, content);
  box.addEventListener("beforetoggle", () => {
    const { right, bottom } = opener.getBoundingClientRect();
    box.style.setProperty("--top", `${bottom + 6}px`);
    box.style.setProperty("--right", `${Math.max(8, innerWidth - right)}px`);
  });
  return { opener, box, text };
}

function clockChip({ clock, live }) {
  const set = (verb, body, said) => guarded(async () => {
    const answer = await clock.set(verb, body);
    live.changed("everything");
    box.hidePopover();
    notice(`${said}${answer.jobs?.length ? `: ${count(answer.jobs.length, "job")} ran` : ""}.`, "ok");
  });
  const state = h("p");
  const freeze = h("span");
  const { opener, box, text } = chip("clock", "The team's clock", [
    h("h2", "The team's clock"), state,
    h("div.grid", STEPS.map(([label, seconds]) => button(label, set("advance", { seconds }, `Moved on by ${duration(seconds)}`)))),
    h("div.grid", freeze, button("Back to the real time", set("reset", undefined, "The clock shows the real time again"))),
    h("a", { href: "#/clock", on: { click: () => box.hidePopover() } }, "More about time"),
  ]);
  const draw = () => {
    const shown = `${clockTime(new Date(clock.now()))} UTC`;
    const [day, ...time] = shown.split(" ");
    replace(text, h("span.wide-only", `${day} `), time.join(" "));
    opener.setAttribute("aria-label", `The team's clock: ${shown}${clock.frozen ? ", frozen" : ""}`);
    opener.classList.toggle("active", clock.frozen || Math.abs(clock.offset) > 1);
  };
  const drawState = () => {
    const ahead = Math.abs(clock.offset) > 1 ? `${duration(clock.offset)} ahead of the real time` : "the real time";
    replace(state, clock.frozen ? badge("frozen", "warn") : badge("running", "ok"), " ", clock.frozen ? "" : ahead);
    replace(freeze, clock.frozen
      ? button("Resume", set("resume", undefined, "The clock runs again"))
      : button("Freeze", set("freeze", undefined, "The clock is frozen")));
    draw();
  };
  clock.addEventListener("set", drawState);
  live.onChange(["everything"], () => clock.read().catch(complain));
  setInterval(draw, 1_000);
  drawState();
  return [opener, box];
}

function faultsChip({ api, live }) {
  const { opener, box, text } = chip("faults", "Planned faults", [
    h("h2", "The next call…"),
    h("div.stack", EFFECTS.map(({ label, rule }) => button(label, guarded(async () => {
      await plan(api, live, { operation: "*", ...rule });
      box.hidePopover();
    })))),
    h("a", { href: "#/faults", on: { click: () => box.hidePopover() } }, "All faults and scripts"),
  ]);
  const draw = async () => {
    const { rules, scripts } = await api.control("GET", "/faults");
    const waiting = rules.filter((rule) => !rule.exhausted).length + scripts.filter((script) => !script.completed).length;
    replace(text, waiting ? count(waiting, "fault") : "No faults");
    opener.setAttribute("aria-label", `Planned faults: ${waiting}`);
    opener.classList.toggle("active", waiting > 0);
  };
  live.onChange(["faults"], () => draw().catch(complain));
  draw().catch(complain);
  return [opener, box];
}

function teamSwitch({ api, live, team }) {
  const element = h("select", { "aria-label": "Team", on: { change: () => choose(element.value) } });
  const draw = async () => {
    const { teams } = await api.control("GET", "/teams", { server: true });
    const names = [...new Set([...teams.map((each) => each.name), team])].sort();
    replace(element, names.map((name) => h("option", { value: name }, name)), h("option", { value: OTHER }, "New team…"));
    element.value = team;
  };
  const choose = async (name) => {
    if (name !== OTHER) location.assign(teamAddress(name) + location.hash.split("/").slice(0, 2).join("/"));
    else if ((await newTeam(api)) === null) element.value = team;
  };
  live.onChange(["everything", "teams"], () => draw().catch(complain));
  element.addEventListener("focus", () => draw().catch(complain));
  draw().catch(complain);
  return h("label.chip.team", icon("team"), element);
}

async function newTeam(api) {
  const name = h("input", { name: "name", required: true, pattern: "[A-Za-z0-9._\\-]{1,64}", autocomplete: "off",
    title: "1 to 64 characters of A-Z a-z 0-9 . _ -" });
  const profile = select([["", "that of the server"], ["documented", "documented"], ["strict", "strict"], ["relaxed", "relaxed"]], "", { name: "profile" });
  return ask("New team", [
    h("p", "A team has its own files, clock, faults and journal. Its keys end in ", h("code", "@"), " and its name."),
    field("Name", name, "Letters, digits, dot, dash and underscore."),
    field("Profile", profile, "How it handles what the documentation leaves open."),
  ], {
    action: "Create",
    submit: async (data) => {
      const body = { name: data.get("name"), ...(data.get("profile") && { profile: data.get("profile") }) };
      await api.control("POST", "/teams", { body, server: true });
      location.assign(teamAddress(body.name));
    },
  });
}

function themeButton() {
  const SIGNS = { system: "system", light: "sun", dark: "moon" };
  const element = button("", () => draw(nextTheme()), { look: "quiet", sign: "system", label: "Colours" });
  const draw = (now) => {
    element.setAttribute("aria-label", `Colours: ${now}`);
    element.title = `Colours: ${now}`;
    replace(element, icon(SIGNS[now]));
  };
  draw(theme());
  return element;
}
