// The batches of a team: how far each has come, and new ones.

import { append, h, replace } from "../dom.js";
import { filterBox, listing } from "../listing.js";
import { sidePane } from "../pane.js";
import { address, go } from "../router.js";
import { ask, badge, button, emptiness, field, guarded, heading, select, table } from "../widgets.js";
import { batchDetail } from "./batch.js";
import { STATES, done, isBusy, standing } from "./batch_state.js";

const PAGE = 50;
const MODEL = "grok-4.3";

export const batches = { name: "batches", title: "Batches", icon: "batches", mount };

function mount(outlet, context, first) {
  const { api, live, signal } = context;
  const rows = h("div.list");
  const side = h("div.side");
  const filter = filterBox("Filter", "Part of a name", "", () => list.restart());
  const state = select([["", "Every state"], ...STATES.map((each) => [each, each])], first.query.get("state") ?? "", {
    "aria-label": "State",
    on: { change: () => {
      go(address(route.segments, { state: state.value }), { quietly: true });
      list.restart();
    } },
  });
  let route = first;

  replace(outlet,
    heading("Batches", "Requests that are answered in the background.",
      button("From a JSONL file", guarded(() => fromFile(api, live)), { sign: "files" }),
      button("New batch", guarded(() => create(api, live)), { look: "primary", sign: "plus" })));
  const list = listing(rows, {
    signal,
    noun: "batch",
    // The API filters no batches: pages are asked for until enough of them fit.
    load: async (token) => {
      const fitting = [];
      do {
        const page = await api.inference("GET", "/batches", { query: { limit: PAGE, ...(token && { pagination_token: token }) } });
        fitting.push(...page.batches.filter((batch) => fits(batch, state.value, filter.value)));
        token = page.pagination_token;
      } while (token && fitting.length < PAGE);
      return { rows: fitting, token };
    },
    total: async () => (await api.control("GET", "/totals")).batches,
    filtered: () => state.value + filter.value !== "",
    draw: (loaded) => drawRows(loaded, route.segments[1], state.value + filter.value),
    busy: (loaded) => loaded.some(isBusy),
  });
  append(outlet, [h("div.tools", filter, state, list.counter), h("div.split", rows, side)]);
  const showInPane = sidePane(outlet, rows, side);
  live.onChange(["batches", "files"], list.refresh, signal);
  list.refresh();

  const show = (next) => {
    route = next;
    const id = next.segments[1];
    showInPane(id, () => batchDetail(id, { ...context, changed: list.refresh }));
  };
  show(first);
  return show;
}

function fits(batch, state, text) {
  return (!state || standing(batch)[0] === state) && batch.name.toLowerCase().includes(text.toLowerCase());
}

function drawRows(rows, current, filtered) {
  return table("Batches", [
    ["Name", (batch) => h("a.strong", { href: address(["batches", batch.batch_id]), "data-key": batch.batch_id }, batch.name || "without a name"), "lead"],
    ["State", (batch) => badge(...standing(batch))],
    ["Done", (batch) => done(batch)],
    ["Created", (batch) => batch.create_time, "wide-only"],
  ], rows, {
    current: (batch) => batch.batch_id === current,
    empty: filtered
      ? emptiness(h("p", "No batch matches."))
      : emptiness(h("p", "This team has no batches yet."), h("p.faint", "Create one from a few prompts, or from a JSONL file.")),
  });
}

async function create(api, live) {
  const prompts = h("textarea", { name: "prompts", required: true, placeholder: "One prompt per line" });
  const made = await ask("New batch", [
    field("Name", h("input", { name: "name", required: true, autocomplete: "off" })),
    field("Prompts", prompts, "Each line is one chat request."),
    field("Model", h("input", { name: "model", value: MODEL, required: true })),
  ], {
    action: "Send",
    submit: async (data) => {
      const texts = data.get("prompts").split("\n").map((line) => line.trim()).filter(Boolean);
      const batch = await api.inference("POST", "/batches", { body: { name: data.get("name") } });
      const batch_requests = texts.map((content, index) => ({
        batch_request_id: `request-${String(index + 1).padStart(3, "0")}`,
        batch_request: { chat_get_completion: { model: data.get("model"), messages: [{ role: "user", content }] } },
      }));
      await api.inference("POST", `/batches/${encodeURIComponent(batch.batch_id)}/requests`, { body: { batch_requests } });
      return batch;
    },
  });
  if (made === null) return;
  live.changed("batches");
  go(address(["batches", made.batch_id]));
}

async function fromFile(api, live) {
  const { data } = await api.inference("GET", "/files", { query: { limit: 100, filter: 'name:".jsonl"' } });
  const made = await ask("A batch from a file", data.length === 0
    ? [h("p", "This team has no file that ends in ", h("code", ".jsonl"), ". Upload one first.")]
    : [field("Name", h("input", { name: "name", required: true, autocomplete: "off" })),
      field("File", select(data.map((file) => [file.id, file.filename]), data[0].id, { name: "file" }))], {
    action: data.length === 0 ? "Go to the files" : "Send",
    submit: async (form) => form.has("file")
      ? api.inference("POST", "/batches", { body: { name: form.get("name"), input_file_id: form.get("file") } })
      : { files: true },
  });
  if (made === null) return;
  live.changed("batches");
  go(made.files ? address(["files"]) : address(["batches", made.batch_id]));
}
