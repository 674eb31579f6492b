// One collection: its chunk configuration, its fields, its documents.

import { append, h, replace } from "../dom.js";
import { bytes, number } from "../format.js";
import { filterErrors } from "../filter_errors.js";
import { filterBox, filterOf, listing } from "../listing.js";
import { sidePane } from "../pane.js";
import { address, go } from "../router.js";
import { selection } from "../selection.js";
import { rememberCollections } from "../session.js";
import { chooser, takeDrops, uploadList } from "../uploads.js";
import { ask, badge, button, complain, confirmLoss, emptiness, facts, field, guarded, icon, identifier, moment, refusalBox,
  select, table } from "../widgets.js";
import { documentDetail, isIndexing, readFields, statusOf } from "./document.js";

const PAGE = 50;

/** Draws a collection; returns what shows one of its documents, or none. */
export function collectionView(outlet, context, id) {
  const { api, live, signal } = context;
  const path = `/collections/${encodeURIComponent(id)}`;
  const head = h("div.stacked");
  const rows = h("div.list");
  const side = h("div.side");
  const uploads = uploadList((file, watch) => upload(api, path, file, collection, watch));
  const errors = filterErrors(api, "documents");
  const filter = filterBox("Filter the documents", 'Part of a name, or a filter: fields.author = "Ada" AND size_bytes > 1024', "", () => list.restart(), errors.check);
  const chosen = selection({
    noun: "document", verb: "Remove", warning: "They leave this collection; their files stay.",
    remove: (fileId) => api.management("DELETE", `${path}/documents/${encodeURIComponent(fileId)}`),
    done: (ids) => {
      live.changed("documents");
      if (ids.includes(shown)) go(address(["collections", id]));
    },
  });
  let collection = null;
  let shown; // the file id of the document on the side

  const list = listing(rows, {
    signal,
    load: async (token) => {
      const wanted = filterOf(filter.value, "name");
      const query = { limit: PAGE, order: "ORDERING_ASCENDING", ...(wanted && { filter: wanted }), ...(token && { pagination_token: token }) };
      const page = await api.management("GET", `${path}/documents`, { query });
      return { rows: page.documents, token: page.pagination_token };
    },
    total: async () => (await api.management("GET", path)).documents_count,
    noun: "document",
    filtered: () => filter.value !== "",
    draw: (loaded) => drawDocuments(loaded, id, shown, filter.value, chosen),
    busy: (loaded) => loaded.some(isIndexing),
  });
  replace(outlet,
    h("a.faint.up", { href: address(["collections"]) }, icon("back", 16), "All collections"), head, uploads.element,
    h("div.tools", filter, list.counter), errors.element, chosen.bar, h("div.split", rows, side));
  takeDrops(outlet, uploads.start, signal);
  const showInPane = sidePane(outlet, rows, side);

  const drawHead = async () => {
    collection = await api.management("GET", path);
    if (signal.aborted) return;
    rememberCollections(api.team, [id]);
    replace(head, describe(collection, {
      remove: guarded(() => remove(api, live, path, collection)),
      edit: guarded(() => edit(api, live, path, collection, drawHead)),
      addFile: guarded(() => addFile(api, live, path, collection)),
      uploader: chooser("Upload documents", uploads.start),
    }));
  };
  const refresh = () => {
    drawHead().catch((error) => replace(head, refusalBox(error)));
    list.refresh();
  };
  live.onChange(["collections", "documents", "files"], refresh, signal);
  refresh();

  return (fileId) => {
    shown = fileId;
    showInPane(fileId, () => documentDetail(id, fileId, context));
  };
}

function describe(collection, { remove, edit, addFile, uploader }) {
  return [
    h("div.heading",
      h("div", h("h1", collection.collection_name), collection.collection_description && h("p", collection.collection_description)),
      h("div.actions",
        h("a.button", { href: address(["search"], { collection: collection.collection_id }) }, icon("search", 16), "Search"),
        button("Add a file", addFile, { sign: "plus" }), uploader,
        button("Edit", edit), button("Delete", remove, { look: "danger", sign: "trash" }))),
    h("div.card", facts([
      ["Id", identifier(collection.collection_id)],
      ["Documents", `${number(collection.documents_count)}, ${bytes(collection.total_file_size)}`],
      ["Chunks", chunkingText(collection.chunk_configuration)],
      ["Embedding model", h("code", collection.index_configuration.model_name)],
      ["Fields", collection.field_definitions.length ? collection.field_definitions.map(definitionBadge) : "none are defined"],
      ["Created", moment(collection.created_at)],
    ])),
  ];
}

function definitionBadge(definition) {
  const words = [definition.required && "required", definition.unique && "unique", definition.inject_into_chunk && "in every chunk"].filter(Boolean);
  return [badge(words.length ? `${definition.key} (${words.join(", ")})` : definition.key), " "];
}

/** How a chunk configuration reads: `tokens: 1,024, 200 overlapping`. */
function chunkingText(configuration) {
  const [name, values] = Object.entries(configuration).find(([key]) => key.endsWith("_configuration"));
  const [size, overlap] = Object.values(values).filter((value) => typeof value === "number");
  const unit = name.replace("_configuration", "").replaceAll("_", " ");
  return `${unit}: ${number(size)}${overlap ? `, ${number(overlap)} overlapping` : ""}`;
}

function drawDocuments(documents, collectionId, current, filtered, chosen) {
  return table("Documents", [
    chosen.column(documents, (each) => each.file_metadata.file_id, (each) => each.file_metadata.name),
    ["Name", (each) => h("a.strong", { href: address(["collections", collectionId, each.file_metadata.file_id]), "data-key": each.file_metadata.file_id },
      each.file_metadata.name), "lead"],
    ["Status", (each) => statusOf(each)],
    ["Chunks", (each) => number(each.chunk_count), "number"],
    ["Size", (each) => bytes(each.file_metadata.size_bytes), "number"],
    ["Fields", (each) => fieldsText(each.fields), "wide-only"],
  ], documents, {
    current: (each) => each.file_metadata.file_id === current,
    empty: filtered
      ? emptiness(h("p", "No document matches this filter."))
      : emptiness(h("p", "This collection is empty."), h("p.faint", "Drop files here, or add one that is already uploaded.")),
  });
}

function fieldsText(fields) {
  const pairs = Object.entries(fields);
  return pairs.length ? pairs.map(([key, value]) => h("div", h("span.faint", `${key} `), value)) : h("span.faint", "–");
}

async function upload(api, path, file, collection, watch) {
  const fields = collection?.field_definitions.length
    ? await ask(`Fields of ${file.name}`, fieldInputs(collection), { action: "Upload", submit: readFields })
    : {};
  if (fields === null) throw new Error("Not uploaded: you closed the dialog for its fields.");
  const form = new FormData();
  form.append("name", file.name);
  form.append("fields", JSON.stringify(fields));
  if (file.type) form.append("content_type", file.type);
  form.append("data", file, file.name);
  await api.upload("management", `${path}/documents`, form, watch);
}

function fieldInputs(collection, values = {}) {
  return collection.field_definitions.map((definition) =>
    field(definition.key, h("input", { name: `field:${definition.key}`, value: values[definition.key] ?? "", required: definition.required }),
      [definition.description, definition.required && "required", definition.unique && "unique"].filter(Boolean).join(", ") || undefined));
}

async function addFile(api, live, path, collection) {
  const { data } = await api.inference("GET", "/files", { query: { limit: 100 } });
  if (data.length === 0) {
    complain(new Error("This team has no files yet: upload one."));
    return;
  }
  const file = select(data.map((each) => [each.id, `${each.filename} (${bytes(each.bytes)})`]), data[0].id, { name: "file" });
  await ask("Add a file", [field("File", file), fieldInputs(collection)], {
    action: "Add",
    submit: async (form) => {
      await api.management("POST", `${path}/documents/${encodeURIComponent(file.value)}`, { body: { fields: readFields(form) } });
      live.changed("documents");
    },
  });
}

async function edit(api, live, path, collection, done) {
  const name = h("input", { name: "name", value: collection.collection_name, required: true });
  const description = h("input", { name: "description", value: collection.collection_description ?? "" });
  const key = h("input", { name: "key", placeholder: "leave empty for none", autocomplete: "off" });
  const updated = await ask("Edit the collection", append(h("div.stack"), [
    field("Name", name), field("Description", description), field("New field", key),
  ]), {
    action: "Save",
    submit: (data) => api.management("PUT", path, {
      body: {
        collection_name: data.get("name"),
        collection_description: data.get("description"),
        ...(data.get("key") && { field_definition_updates: [{ field_definition: { key: data.get("key") }, operation: "FIELD_DEFINITION_ADD" }] }),
      },
    }),
  });
  if (updated === null) return;
  live.changed("collections");
  await done();
}

async function remove(api, live, path, collection) {
  const gone = await confirmLoss("Delete this collection?", `“${collection.collection_name}” is deleted with its index; its files stay.`, "Delete",
    () => api.management("DELETE", path));
  if (gone === null) return;
  live.changed("collections");
  go(address(["collections"]));
}
