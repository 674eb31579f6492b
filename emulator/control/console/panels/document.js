// One document: how far its indexing has come, its fields, its file.

import { h, replace } from "../dom.js";
import { bytes, count, number } from "../format.js";
import { address, go } from "../router.js";
import { badge, button, confirmLoss, detail, facts, guarded, identifier, moment, progress, refusalBox } from "../widgets.js";

const WAIT_MS = 700;
const CHUNKS = 20; // shown at a time
const TONES = { PROCESSED: "ok", FAILED: "bad" };

/** The status of a document as a badge. */
export function statusOf(document) {
  const word = document.status.replace("DOCUMENT_STATUS_", "");
  return badge(word.toLowerCase(), TONES[word] ?? "busy");
}

/** Whether a document is about to change by itself. */
export function isIndexing(document) {
  return !(document.status.replace("DOCUMENT_STATUS_", "") in TONES);
}

/** The fields that a form gives, without the empty ones. */
export function readFields(data) {
  return Object.fromEntries([...data].filter(([name, value]) => name.startsWith("field:") && value !== "")
    .map(([name, value]) => [name.slice("field:".length), value]));
}

/** The detail of a document, kept fresh until its collection is left. */
export function documentDetail(collectionId, fileId, context) {
  const { api, live, signal } = context;
  const path = `/collections/${encodeURIComponent(collectionId)}/documents/${encodeURIComponent(fileId)}`;
  const back = address(["collections", collectionId]);
  const body = h("div");
  let timer;

  const cut = h("div");

  const draw = async () => {
    clearTimeout(timer);
    const document = await api.management("GET", path);
    if (signal.aborted) return;
    replace(body, describe(document, path, back, context));
    await drawChunks(cut, document, path, context);
    if (isIndexing(document)) timer = setTimeout(redraw, WAIT_MS);
  };
  const redraw = () => body.isConnected && draw().catch((error) => replace(body, refusalBox(error)));
  signal.addEventListener("abort", () => clearTimeout(timer));
  live.onChange(["documents", "collections", "files"], redraw, signal);
  draw().catch((error) => replace(body, refusalBox(error)));
  return detail("Document", back, body, cut);
}

async function drawChunks(element, document, path, { api }) {
  const shown = [];
  const more = async () => {
    const answer = await api.control("GET", `${path}/chunks`, { query: { after: shown.length - 1, limit: CHUNKS } });
    shown.push(...answer.chunks);
    replace(element, shown.length > 0 && h("h3", "Chunks"), h("ol.chunks", shown.map(drawChunk)),
      shown.length < document.chunk_count && h("div.more", button("Show more", guarded(more), { key: "more" })));
  };
  await more();
}

function drawChunk(chunk) {
  const injected = chunk.indexed_text !== chunk.content && [" ", badge("indexed with injected fields")];
  return h("li", { title: chunk.chunk_id }, h("span.faint", chunk.number + 1,
    chunk.page_number !== null && ` · page ${chunk.page_number}`, injected), h("p.chunk", chunk.content));
}

function describe(document, path, back, { api, live }) {
  const { file_metadata: file } = document;
  const processed = Number(document.chunks_processed_count);
  const reindex = guarded(async () => {
    await api.management("PATCH", path);
    live.changed("documents");
  });
  const remove = guarded(async () => {
    const gone = await confirmLoss("Remove it from the collection?", `The file “${file.name}” itself stays.`, "Remove",
      () => api.management("DELETE", path));
    if (gone === null) return;
    live.changed("documents");
    go(back);
  });
  return [
    h("h3.filename", file.name),
    document.error_message && h("div.refusal", document.error_message),
    facts([
      ["Status", statusOf(document)],
      ["Chunks", [count(document.chunk_count, "chunk"), processed < document.chunk_count && [` (${number(processed)} are indexed)`,
        progress("Indexed chunks", processed, document.chunk_count)]]],
      ["Indexed", moment(document.last_indexed_at)],
      ["Content type", h("code", file.content_type)],
      ["Size", bytes(file.size_bytes)],
      ["File", h("a", { href: address(["files", file.file_id]) }, "Open the file")],
      ["Id", identifier(file.file_id)],
      ["Hash", h("code.hash", { title: "BLAKE3" }, file.hash)],
      ["Expires", file.expires_at ? moment(file.expires_at) : "never"],
    ]),
    h("h3", "Fields"),
    Object.keys(document.fields).length ? facts(Object.entries(document.fields)) : h("p.faint", "This document has none."),
    h("div.actions", button("Index again", reindex, { sign: "refresh" }), button("Remove", remove, { look: "danger", sign: "trash" })),
  ];
}
