// A list that is loaded page by page, and drawn again after every change.

import { append, h, replace } from "./dom.js";
import { count, number } from "./format.js";
import { button, complain, guarded, refusalBox } from "./widgets.js";

const WAIT_MS = 700; // between two loads of rows that change by themselves

/**
 * A list. `load(token)` gives `{ rows, token }`; `draw(rows)` what to show; while `busy(rows)`, it is loaded again and
 * again. `total()` gives how many there are in all, and `noun` what they are; `filtered()` whether not all are wanted.
 */
export function listing(outlet, { load, draw, signal, total, noun, filtered = () => false, busy = () => false }) {
  const counter = h("span.faint.counter", { role: "status" });
  let pages = 1;
  let turn = 0;
  let timer;

  async function refresh() {
    const mine = ++turn;
    clearTimeout(timer);
    const rows = [];
    let token;
    let all;
    try {
      for (let page = 0; page < pages; page += 1) {
        const loaded = await load(token);
        rows.push(...loaded.rows);
        token = loaded.token;
        if (!token) break;
      }
      all = await total?.();
    } catch (error) {
      if (mine === turn && !signal.aborted) {
        replace(outlet, refusalBox(error));
        replace(counter);
      }
      return;
    }
    if (mine !== turn || signal.aborted) return; // a newer one is under way, or the panel was left
    if (all !== undefined) replace(counter, counted(rows.length, all, noun, filtered(), Boolean(token)));
    replace(outlet, draw(rows), token && h("div.more", button("Show more", guarded(more), { key: "more" })));
    if (busy(rows)) timer = setTimeout(refresh, WAIT_MS);
  }

  async function more() {
    pages += 1;
    await refresh();
  }

  signal.addEventListener("abort", () => clearTimeout(timer));
  append(outlet, [h("p.faint", "Loading…")]);
  return {
    counter,
    refresh: () => refresh().catch(complain),
    restart: () => {
      pages = 1;
      return refresh().catch(complain);
    },
  };
}

/** `2 of 61 files match`: how many rows are shown, and of how many. */
function counted(shown, all, noun, isFiltered, isMore) {
  const text = `${number(shown)} of ${count(Math.max(all, shown), noun)}`;
  if (!isFiltered) return text;
  return isMore ? `${text}, more match` : `${text} ${shown === 1 ? "matches" : "match"}`;
}

/** Whether a text is meant as a filter of the API. */
function isFilter(text) {
  return /[:=<>()"]/.test(text);
}

/** The filter that a text means: one of the API as it is, any other text as a part of the name, whatever its case. */
export function filterOf(text, nameField) {
  if (text === "" || isFilter(text)) return text;
  return `${nameField}:"${text.replaceAll("\\", "\\\\")}"`;
}

/**
 * A field whose text filters a list, some moments after the last key. `check` resolves with whether a filter of the API
 * is valid; where it is not, the list stays as it is.
 */
export function filterBox(label, placeholder, value, changed, check = async () => true) {
  const WAIT_MS = 250;
  let timer;
  const element = h("input", {
    type: "search", "aria-label": label, placeholder, value, spellcheck: "false", autocomplete: "off",
    on: {
      input: () => {
        clearTimeout(timer);
        timer = setTimeout(guarded(async () => {
          const text = element.value.trim();
          if (await check(isFilter(text) ? text : "")) changed(text);
        }), WAIT_MS);
      },
    },
  });
  return element;
}
