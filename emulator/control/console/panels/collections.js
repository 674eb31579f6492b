// The collections of a team, and the one that the address names.

import { h, replace } from "../dom.js";
import { bytes, number } from "../format.js";
import { filterErrors } from "../filter_errors.js";
import { filterBox, filterOf, listing } from "../listing.js";
import { address, go } from "../router.js";
import { selection } from "../selection.js";
import { ask, button, emptiness, field, guarded, heading, moment, select, table } from "../widgets.js";
import { collectionView } from "./collection.js";

const PAGE = 50;
const CHUNKINGS = {
  "": "4000 bytes, 800 overlapping (the default)",
  tokens: "By tokens",
  chars: "By characters",
  bytes: "By bytes",
};

export const collections = { name: "collections", title: "Collections", icon: "collections", mount };

function mount(outlet, context, first) {
  let inner = null; // what ends the view on the page
  let current; // the collection on the page; null for the list
  let showDocument;
  let scrolled = 0; // where the list was when a collection was opened

  const show = (route) => {
    const [, id, fileId] = route.segments;
    if (current !== (id ?? null)) {
      if (current === null) scrolled = scrollY;
      inner?.abort();
      inner = new AbortController();
      current = id ?? null;
      const view = { ...context, signal: AbortSignal.any([context.signal, inner.signal]) };
      replace(outlet);
      outlet.classList.remove("with-detail");
      showDocument = id === undefined ? undefined : collectionView(outlet, view, id);
      if (id === undefined) drawList(outlet, view, route).then(() => view.signal.aborted || scrollTo(0, scrolled));
    }
    showDocument?.(fileId);
  };
  show(first);
  return show;
}

/** Draws the list; resolves when its rows are there. */
async function drawList(outlet, { api, live, signal }, route) {
  const rows = h("div.list");
  const errors = filterErrors(api, "collections");
  const filter = filterBox("Filter", 'Part of a name, or a filter: collection_name:"papers" AND documents_count > 2', route.query.get("filter") ?? "", (text) => {
    go(address(["collections"], { filter: text }), { quietly: true });
    list.restart();
  }, errors.check);
  const chosen = selection({
    noun: "collection", verb: "Delete", warning: "Their files stay.",
    remove: (id) => api.management("DELETE", `/collections/${encodeURIComponent(id)}`),
    done: () => live.changed("collections"),
  });
  const list = listing(rows, {
    signal,
    load: async (token) => {
      const wanted = filterOf(filter.value, "collection_name");
      const query = { limit: PAGE, order: "ORDERING_ASCENDING", ...(wanted && { filter: wanted }), ...(token && { pagination_token: token }) };
      const page = await api.management("GET", "/collections", { query });
      return { rows: page.collections, token: page.pagination_token };
    },
    total: async () => (await api.control("GET", "/totals")).collections,
    noun: "collection",
    filtered: () => filter.value !== "",
    draw: (loaded) => drawRows(loaded, filter.value, chosen),
  });
  replace(outlet,
    heading("Collections", "Documents, cut into chunks and indexed for search.",
      button("New collection", guarded(() => create(api, live)), { look: "primary", sign: "plus" })),
    h("div.tools", filter, list.counter), errors.element, chosen.bar, rows);
  live.onChange(["collections", "documents", "files"], list.refresh, signal);
  await list.refresh();
}

function drawRows(rows, filtered, chosen) {
  return table("Collections", [
    chosen.column(rows, (each) => each.collection_id, (each) => each.collection_name),
    ["Name", (each) => [h("a.strong", { href: address(["collections", each.collection_id]), "data-key": each.collection_id }, each.collection_name),
      each.collection_description && h("div.faint", each.collection_description)], "lead"],
    ["Documents", (each) => number(each.documents_count), "number"],
    ["Size", (each) => bytes(each.total_file_size), "number"],
    ["Fields", (each) => each.field_definitions.map((definition) => definition.key).join(", ") || h("span.faint", "–"), "wide-only"],
    ["Created", (each) => moment(each.created_at), "wide-only"],
    ["", (each) => h("a", { href: address(["search"], { collection: each.collection_id }) }, "Search"), "end"],
  ], rows, {
    empty: filtered
      ? emptiness(h("p", "No collection matches this filter."))
      : emptiness(h("p", "This team has no collections yet."), h("p.faint", "Create one, and add documents to it.")),
  });
}

async function create(api, live) {
  const fields = h("div.stack");
  const size = h("input", { type: "number", min: "1", step: "1", value: "1024" });
  const overlap = h("input", { type: "number", min: "0", step: "1", value: "200" });
  const sizes = h("div.row", { hidden: true }, field("Size of a chunk", size), field("Overlap", overlap));
  const chunking = select(Object.entries(CHUNKINGS), "", { on: { change: () => (sizes.hidden = chunking.value === "") } });
  const created = await ask("New collection", [
    field("Name", h("input", { name: "name", required: true, autocomplete: "off" })),
    field("Description", h("input", { name: "description", autocomplete: "off" })),
    field("Chunks", chunking), sizes,
    h("fieldset", h("legend", "Metadata fields"), fields,
      button("Add a field", () => fields.append(fieldRow()), { sign: "plus", look: "quiet" })),
  ], {
    action: "Create",
    submit: (data) => api.management("POST", "/collections", {
      body: {
        collection_name: data.get("name"),
        ...(data.get("description") && { collection_description: data.get("description") }),
        ...(chunking.value && { chunk_configuration: chunkConfiguration(chunking.value, size.value, overlap.value) }),
        field_definitions: [...fields.children].map(readFieldRow).filter((each) => each.key),
      },
    }),
  });
  if (created === null) return;
  live.changed("collections");
  go(address(["collections", created.collection_id]));
}

function chunkConfiguration(unit, size, overlap) {
  return {
    [`${unit}_configuration`]: {
      [`max_chunk_size_${unit}`]: Number(size),
      [`chunk_overlap_${unit}`]: Number(overlap),
      ...(unit === "tokens" && { encoding_name: "o200k_base" }),
    },
    strip_whitespace: true,
  };
}

const FLAGS = { required: "required", unique: "unique", inject_into_chunk: "in every chunk" };

function fieldRow() {
  const flags = Object.entries(FLAGS).map(([name, label]) =>
    h("label.check", h("input", { type: "checkbox", "data-flag": name }), label));
  const row = h("div.row", h("input", { "aria-label": "Key of the field", placeholder: "key", "data-name": "key" }), flags,
    button("", () => row.remove(), { look: "quiet", sign: "close", label: "Remove this field" }));
  return row;
}

function readFieldRow(row) {
  const flags = [...row.querySelectorAll("[data-flag]")].map((box) => [box.dataset.flag, box.checked]);
  return { key: row.querySelector("[data-name]").value.trim(), ...Object.fromEntries(flags) };
}
