// Uploads: files dropped or chosen, each with a bar that fills.

import { append, h, replace } from "./dom.js";
import { bytes } from "./format.js";
import { button, icon, progress, refusalBox } from "./widgets.js";

/** Makes an element accept dropped files, and shows that it does. */
export function takeDrops(element, taken, signal) {
  let depth = 0; // dragenter and dragleave also come from children
  const over = (change) => {
    depth = Math.max(0, depth + change);
    element.classList.toggle("dropping", depth > 0);
  };
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  const on = (name, run) => element.addEventListener(name, (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    run(event);
  }, { signal });
  on("dragenter", () => over(1));
  on("dragover", () => {});
  on("dragleave", () => over(-1));
  on("drop", (event) => {
    depth = 0;
    over(0);
    taken([...event.dataTransfer.files]);
  });
}

/** A button that opens the file dialog of the browser. */
export function chooser(text, taken, { look = "primary", accept, multiple = true } = {}) {
  const input = h("input.unseen", { type: "file", multiple, accept, tabindex: "-1", "aria-hidden": "true" });
  input.addEventListener("change", () => {
    taken([...input.files]);
    input.value = "";
  });
  return [button(text, () => input.click(), { look, sign: "upload" }), input];
}

/** The uploads under way. `send(file, watch)` uploads one; a finished one is removed, a refused one says why. */
export function uploadList(send) {
  const element = h("ul.uploads", { "aria-label": "Uploads" });

  async function start(file) {
    const stop = new AbortController();
    const gauge = progress(`Upload of ${file.name}`, 0, file.size);
    const state = h("span.faint", bytes(0));
    const end = button("", () => stop.abort(), { look: "quiet", sign: "close", label: `Stop the upload of ${file.name}` });
    const item = h("li", icon("files", 16), h("span.name", file.name), gauge, state, end);
    append(element, [item]);
    try {
      await send(file, {
        signal: stop.signal,
        progress: (sent, total) => {
          gauge.value = sent;
          gauge.max = Math.max(total, 1);
          replace(state, `${bytes(sent)} of ${bytes(total)}`);
        },
      });
      item.remove();
    } catch (error) {
      item.classList.add("failed");
      replace(item, h("span.name", file.name), refusalBox(error),
        button("", () => item.remove(), { look: "quiet", sign: "close", label: "Dismiss" }));
    }
  }

  return { element, start: (files) => Promise.all(files.map(start)) };
}
