// A list that is loaded page by page, and drawn anew whenever it changed.

import { append, h, replace } from "./dom.js";
import { button, complain, guarded, refusalBox } from "./widgets.js";

const WAIT_MS = 700; // between two looks at rows that change by themselves

/** `load(token)` gives `{ rows, token }`; `draw(rows)` what to show; while `busy(rows)`, it looks again and again. */
export function listing(outlet, { load, draw, signal, busy = () => false }) {
  let pages = 1;
  let turn = 0;
  let timer;

  async function refresh() {
    const mine = ++turn;
    clearTimeout(timer);
    const rows = [];
    let token;
    try {
      for (let page = 0; page < pages; page += 1) {
        const loaded = await load(token);
        rows.push(...loaded.rows);
        token = loaded.token;
        if (!token) break;
      }
    } catch (error) {
      if (mine === turn && !signal.aborted) replace(outlet, refusalBox(error));
      return;
    }
    if (mine !== turn || signal.aborted) return; // a newer one is under way, or nobody looks any more
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
    refresh: () => refresh().catch(complain),
    restart: () => {
      pages = 1;
      return refresh().catch(complain);
    },
  };
}

/** A field whose text filters a list, some moments after the last key. */
export function filterBox(label, placeholder, value, changed) {
  const WAIT_MS = 250;
  let timer;
  const element = h("input", {
    type: "search", "aria-label": label, placeholder, value, spellcheck: "false", autocomplete: "off",
    on: {
      input: () => {
        clearTimeout(timer);
        timer = setTimeout(() => changed(element.value.trim()), WAIT_MS);
      },
    },
  });
  return element;
}
