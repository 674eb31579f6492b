// The parts that panels are made of.

import { append, h, replace, svg } from "./dom.js";
import { clockTime, date, relative } from "./format.js";
import { ICONS } from "./icons.js";
import { ruleHint } from "./hints.js";

/** A drawing by its name. */
export function icon(name, size) {
  return svg(ICONS[name], size);
}

/** A button; with an icon alone it needs a label. */
export function button(text, run, { look = "plain", sign, label, key, disabled, type = "button", title } = {}) {
  const properties = { type, "aria-label": label, "data-key": key, disabled, title: title ?? (text ? undefined : label) };
  return h(`button.button.${look}`, { ...properties, on: run ? { click: run } : {} }, sign && icon(sign, 16), text);
}

/** A word that stands for a state, in the colour of its tone: ok, busy, warn, bad or none. */
export function badge(text, tone = "none") {
  return h(`span.badge.${tone}`, text);
}

let teamNow = Date.now;

/** Sets the clock that moments are relative to. */
export function keepTime(now) {
  teamNow = now;
}

const CLOCKS = { team: () => teamNow(), real: () => Date.now() };

/** A moment relative to a clock, the team's or the real one; its title, by default the exact time, is shown on hover. */
export function moment(value, { exactly = false, clock = "team", title } = {}) {
  const at = date(value);
  if (at === undefined) return h("span.faint", "–");
  if (exactly) return h("time", { datetime: at.toISOString() }, exactTime(value));
  const properties = { datetime: at.toISOString(), title: title ?? exactTime(value), "data-relative": clock };
  return h("time", properties, relative(at, CLOCKS[clock]()));
}

/** A moment in full: `2026-04-09 14:03:07 UTC`. */
export function exactTime(value) {
  return `${clockTime(date(value))} UTC`;
}

/** Brings every relative moment of the page up to date. */
export function tick() {
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const text = relative(Date.parse(element.dateTime), CLOCKS[element.dataset.relative]());
    if (element.textContent !== text) element.textContent = text;
  }
}

/** An identifier that a click copies. */
export function identifier(text) {
  return h("span.identifier", h("code", text), copyButton(text));
}

/** A button that copies a text. */
export function copyButton(text, label = "Copy") {
  return button("", () => copy(text), { look: "quiet", sign: "copy", label });
}

/** Copies a text, and says whether that worked. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    notice("Copied.", "ok");
  } catch {
    notice("The browser does not let the page copy.", "warn");
  }
}

let fields = 0;

/** A labelled control. */
export function field(label, control, hint) {
  const id = control.id || `field-${++fields}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return h("div.field", h("label", { for: id }, label), control, hint && h("small", { id: `${id}-hint` }, hint));
}

/** A choice of one of `[value, text]`. */
export function select(options, value, properties = {}) {
  const element = h("select", properties, options.map(([each, text]) => h("option", { value: each }, text)));
  if (value !== undefined) element.value = value;
  return element;
}

/**
 * A table. Columns are `[heading, cell(row), look?]`; a click on a row follows the first link in it. Where it is narrow
 * each row becomes a card: the cell of look `lead` is its first line, and the other cells say their heading.
 */
export function table(caption, columns, rows, { empty, current } = {}) {
  if (rows.length === 0 && empty) return empty;
  const head = h("tr", columns.map(([heading, , look]) => h("th", { scope: "col", class: look ?? "" }, heading)));
  const body = rows.map((row) => {
    const cells = columns.map(([heading, cell, look]) =>
      h("td", { class: look ?? "", "data-label": typeof heading === "string" && heading ? heading : undefined }, cell(row)));
    return h("tr", { "aria-current": current?.(row) ? "true" : undefined, on: { click: followLink } }, cells);
  });
  return h("div.scroll", { tabindex: "0", role: "region", "aria-label": caption },
    h("table", h("caption.unseen", caption), h("thead", head), h("tbody", body)));
}

function followLink(event) {
  if (event.target.closest("a, button, input, select, label") || getSelection().toString()) return;
  event.currentTarget.querySelector("a[href^='#']")?.click();
}

/** A name of the emulator's own, such as `not_found`: where a line ends, it breaks between its words. */
export function named(text, look = "") {
  return h("code", { class: `key ${look}` }, breakable(text, "_"));
}

/** A text in which a line may also end after each of these characters. */
export function breakable(text, separator) {
  return text.split(separator).map((part, index) => index ? [separator, h("wbr"), part] : part);
}

/** What is shown in place of an empty list. */
export function emptiness(...children) {
  return h("div.emptiness", children);
}

/** A list of names and values; those without a value are left out. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== null && value !== false);
  return h("dl.facts", shown.map(([name, value]) => h("div", h("dt", name), h("dd", value))));
}

/** A bar that fills. */
export function progress(label, value, max, tone = "") {
  return h("progress", { "aria-label": label, value, max: Math.max(max, 1), class: tone });
}

/** A JSON value, indented; long ones scroll. */
export function jsonView(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return h("pre.code", { tabindex: "0" }, typeof value === "string" ? text : colored(text));
}

const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

function colored(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(TOKENS)) {
    parts.push(text.slice(end, found.index));
    const kind = found[2] ? "name" : found[1] ? "text" : found[3] ? "word" : "number";
    parts.push(h(`span.${kind}`, found[2] ? found[1] : found[0]), found[2] ?? "");
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}

const NOTICE_MS = 5_000;

/** Shows a notice at the edge of the page, which screen readers read out. */
export function notice(text, tone = "none", ...more) {
  const element = h(`div.notice.${tone}`, h("span", text), more,
    button("", () => element.remove(), { look: "quiet", sign: "close", label: "Dismiss" }));
  document.getElementById("notices").append(element);
  if (tone !== "bad") setTimeout(() => element.remove(), NOTICE_MS);
}

/** A refusal as a sentence with the rule that refused. */
export function refusalBox(refusal) {
  return h("div.refusal", { role: "alert" }, h(refusal.message.includes("\n") ? "strong.drawn" : "strong", refusal.message),
    (refusal.rule || refusal.fault) && h("div", refusal.rule && ["rule ", h("code", refusal.rule)], " ",
      refusal.fault && ["planned fault ", h("code", refusal.fault)]),
    refusal.rule && ruleHint(refusal.rule));
}

/**
 * Opens a dialog with a form; resolves with its data, or null when it was dismissed, as it is when the address of the
 * page changes. `submit` may refuse.
 */
export function ask(title, content, { action = "OK", look = "primary", submit } = {}) {
  return new Promise((resolve) => {
    const problem = h("div");
    const left = new AbortController();
    addEventListener("hashchange", () => close(null), { signal: left.signal });
    const close = (value) => {
      left.abort();
      element.close();
      element.remove();
      resolve(value);
    };
    const confirm = button(action, null, { look, type: "submit" });
    const form = h("form", { method: "dialog", on: { submit: onSubmit } },
      h("h2", { id: "dialog-title" }, title), content, problem,
      h("div.actions", button("Cancel", () => close(null)), confirm));
    const element = h("dialog", { "aria-labelledby": "dialog-title", on: { cancel } }, form);

    function cancel(event) {
      event.preventDefault();
      close(null);
    }

    async function onSubmit(event) {
      event.preventDefault();
      confirm.disabled = true;
      try {
        const data = new FormData(form);
        close(submit ? await submit(data) ?? true : data);
      } catch (error) {
        replace(problem, refusalBox(error));
        confirm.disabled = false;
      }
    }

    document.body.append(element);
    element.showModal();
  });
}

/** Asks for confirmation before something is lost. */
export function confirmLoss(title, sentence, action, submit) {
  return ask(title, h("p", sentence), { action, look: "danger", submit });
}

/** The handler of a button: it cannot be pressed twice at a time, and shows a refusal in a notice. */
export function guarded(work) {
  return async (event) => {
    const control = event?.currentTarget ?? {}; // a disabled one would lose the focus
    if (control.ariaBusy === "true") return;
    control.ariaBusy = "true";
    try {
      await work(event);
    } catch (error) {
      complain(error);
    } finally {
      control.ariaBusy = null;
    }
  };
}

/** Shows a refusal in a notice, with its rule. */
export function complain(error) {
  notice(error.message, "bad", error.rule && h("code", error.rule), error.fault && h("code", error.fault));
}

/** The heading of a panel, with what can be done in it. */
export function heading(title, lead, ...actions) {
  return h("div.heading", h("div", h("h1", title), lead && h("p", lead)), append(h("div.actions"), actions));
}

/** The part of a panel that shows one thing; `back` is the address of the list. */
export function detail(title, back, ...content) {
  return h("aside.detail", { "aria-label": title },
    h("div.detail-bar",
      h("a.button.quiet.back", { href: back, "aria-label": "Back to the list" }, icon("back", 16)),
      h("h2", title),
      h("a.button.quiet.close", { href: back, "aria-label": "Close" }, icon("close", 16))),
    content);
}
