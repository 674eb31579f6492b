// One file: what it is, what is in it, its public URL.

import { h, replace } from "../dom.js";
import { bytes, number } from "../format.js";
import { address, go } from "../router.js";
import { ask, button, complain, confirmLoss, copyButton, detail, facts, field, guarded, identifier, jsonView, moment,
  refusalBox, select } from "../widgets.js";

const PREVIEW_BYTES_MAX = 256 * 1024;
const IMAGES = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp" };
const LIFETIMES = [["", "As long as the file"], ["3600", "1 hour"], ["86400", "1 day"], ["2592000", "30 days"]];

/** The detail of a file, kept fresh until its panel is left. */
export function fileDetail(id, context) {
  const { api, live, signal, back } = context;
  const body = h("div");
  const preview = h("div.preview");

  async function draw() {
    const path = `/files/${encodeURIComponent(id)}`;
    const file = await api.inference("GET", path);
    const known = (await api.control("GET", path)).file;
    replace(body, describe(file, known, context, draw));
    return file;
  }

  live.onChange(["files", "documents", "collections"], () => body.isConnected && draw().catch((error) => replace(body, refusalBox(error))), signal);
  draw().then((file) => showPreview(preview, file, context), (error) => replace(body, refusalBox(error)));
  return detail("File", back, body, preview);
}

function describe(file, known, context, draw) {
  const { api, live, back } = context;
  const path = `/files/${encodeURIComponent(file.id)}`;
  const revoke = guarded(async () => {
    await api.inference("POST", `${path}/public-url/revoke`);
    await draw();
  });
  const remove = guarded(async () => {
    const gone = await confirmLoss("Delete this file?", `“${file.filename}” also leaves every collection it is in.`,
      "Delete", () => api.inference("DELETE", path));
    if (gone === null) return;
    live.changed("files");
    go(back);
  });
  return [
    h("h3.filename", file.filename),
    facts([
      ["Id", identifier(file.id)],
      ["Size", file.bytes < 1024 ? bytes(file.bytes) : `${bytes(file.bytes)} (${number(file.bytes)} bytes)`],
      ["Content type", h("code", known.content_type)],
      ["Collections", known.collections.length === 0 ? "none" : known.collections.map((each) =>
        h("div", h("a", { href: address(["collections", each.collection_id, file.id]) }, each.collection_name)))],
      ["Created", moment(file.created_at)],
      ["Expires", file.expires_at === null ? "never" : moment(file.expires_at)],
      ["Public URL", file.public_url && publicUrl(file)],
    ]),
    h("div.actions",
      button("Download", guarded(() => download(api, file)), { sign: "download" }),
      file.public_url
        ? button("Revoke the URL", revoke, { sign: "link" })
        : button("Make public", guarded(() => makePublic(api, path, draw)), { sign: "link" }),
      button("Delete", remove, { look: "danger", sign: "trash" })),
  ];
}

function publicUrl(file) {
  return [h("span.identifier", h("a.line", { href: file.public_url, title: file.public_url, target: "_blank", rel: "noreferrer" }, file.public_url),
    copyButton(file.public_url)), file.public_url_expires_at && h("div.faint", "expires ", moment(file.public_url_expires_at))];
}

async function makePublic(api, path, draw) {
  await ask("Make this file public", [
    h("p", "Anyone who knows the URL can read the file. The real service allows it for PNG, JPEG, MP4 and PDF."),
    field("For how long", select(LIFETIMES, "", { name: "expires_after" })),
  ], {
    action: "Make public",
    submit: async (data) => {
      const seconds = data.get("expires_after");
      await api.inference("POST", `${path}/public-url`, { body: seconds ? { expires_after: Number(seconds) } : {} });
      await draw();
    },
  });
}

async function download(api, file) {
  const response = await api.v1("inference", "GET", `/files/${encodeURIComponent(file.id)}/content`);
  const url = URL.createObjectURL(await response.blob());
  h("a", { href: url, download: file.filename }).click();
  URL.revokeObjectURL(url);
}

async function showPreview(element, file, { api, signal }) {
  const extension = file.filename.split(".").at(-1).toLowerCase();
  const query = IMAGES[extension] ? {} : { format: "text" };
  try {
    if (IMAGES[extension] ? file.bytes > 8 * PREVIEW_BYTES_MAX : file.bytes > 64 * PREVIEW_BYTES_MAX) {
      replace(element, h("p.faint", "Too large for a preview."));
      return;
    }
    const response = await api.v1("inference", "GET", `/files/${encodeURIComponent(file.id)}/content`, { query });
    if (IMAGES[extension]) showImage(element, await response.arrayBuffer(), IMAGES[extension], file.filename, signal);
    else showText(element, await response.text(), extension);
  } catch (error) {
    if (error.status === 400) replace(element, h("p.faint", "This file has no text to preview."));
    else complain(error);
  }
}

function showImage(element, content, type, name, signal) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  signal.addEventListener("abort", () => URL.revokeObjectURL(url));
  replace(element, h("h3", "Content"), h("img", { src: url, alt: name }));
}

function showText(element, text, extension) {
  const cut = text.length > PREVIEW_BYTES_MAX;
  const shown = cut ? text.slice(0, PREVIEW_BYTES_MAX) : text;
  replace(element, h("h3", "Content"), jsonView(extension === "json" && !cut ? parsed(shown) : shown),
    cut && h("p.faint", "Only the beginning is shown."));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
