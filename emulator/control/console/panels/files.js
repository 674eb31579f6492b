// The files of a team: upload, filter, look into one.

import { h, replace } from "../dom.js";
import { bytes } from "../format.js";
import { filterErrors } from "../filter_errors.js";
import { filterBox, filterOf, listing } from "../listing.js";
import { sidePane } from "../pane.js";
import { address, go } from "../router.js";
import { selection } from "../selection.js";
import { chooser, takeDrops, uploadList } from "../uploads.js";
import { badge, emptiness, heading, moment, select, table } from "../widgets.js";
import { fileDetail } from "./file.js";

const PAGE = 50;
const LIFETIMES = [["", "Keep until deleted"], ["3600", "Expire after 1 hour"], ["86400", "Expire after 1 day"],
  ["2592000", "Expire after 30 days"]];
const SORTS = [["created_at desc", "Newest first"], ["created_at asc", "Oldest first"], ["filename asc", "By name"],
  ["size desc", "Largest first"]];

export const files = { name: "files", title: "Files", icon: "files", mount };

function mount(outlet, context, first) {
  const { api, live, signal } = context;
  let route = first;
  const lifetime = select(LIFETIMES, "", { "aria-label": "Lifetime of what is uploaded" });
  const sort = select(SORTS, "created_at desc", { "aria-label": "Order", on: { change: () => list.restart() } });
  const uploads = uploadList((file, watch) => upload(api, file, lifetime.value, watch));
  const taken = (chosen) => uploads.start(chosen);
  const errors = filterErrors(api, "files");
  const filter = filterBox("Filter", 'Part of a name, or a filter: name:"report" AND size_bytes > 1024', first.query.get("filter") ?? "", (text) => {
    go(address(route.segments, { filter: text }), { quietly: true });
    list.restart();
  }, errors.check);
  const rows = h("div.list");
  const side = h("div.side");
  const chosen = selection({
    noun: "file", verb: "Delete", warning: "They also leave every collection that they are in.",
    remove: (id) => api.inference("DELETE", `/files/${encodeURIComponent(id)}`),
    done: (ids) => {
      live.changed("files");
      if (ids.includes(route.segments[1])) go(address(["files"], { filter: filter.value }));
    },
  });
  const list = listing(rows, {
    signal,
    noun: "file",
    load: async (token) => {
      const [sort_by, order] = sort.value.split(" ");
      const wanted = filterOf(filter.value, "name");
      const query = { limit: PAGE, sort_by, order, ...(wanted && { filter: wanted }), ...(token && { pagination_token: token }) };
      const page = await api.inference("GET", "/files", { query });
      return { rows: page.data, token: page.pagination_token };
    },
    total: async () => (await api.control("GET", "/totals")).files,
    filtered: () => filter.value !== "",
    draw: (loaded) => drawRows(loaded, route.segments[1], filter.value, chosen),
  });

  replace(outlet,
    heading("Files", "Drop files anywhere on this page, or choose them.", lifetime, chooser("Upload", taken)),
    uploads.element,
    h("div.tools", filter, sort, list.counter), errors.element, chosen.bar,
    h("div.split", rows, side));
  takeDrops(outlet, taken, signal);
  const showInPane = sidePane(outlet, rows, side);

  const show = (next) => {
    route = next;
    const id = next.segments[1];
    showInPane(id, () => fileDetail(id, { ...context, back: address(["files"], { filter: filter.value }) }));
  };
  live.onChange(["files", "documents"], list.refresh, signal);
  list.refresh();
  show(first);
  return show;
}

function drawRows(rows, current, filtered, chosen) {
  return table("Files", [
    chosen.column(rows, (file) => file.id, (file) => file.filename),
    ["Name", (file) => h("a.strong", { href: address(["files", file.id]), "data-key": file.id }, file.filename), "lead"],
    ["Size", (file) => bytes(file.bytes), "number"],
    ["Created", (file) => moment(file.created_at)],
    ["Expires", (file) => moment(file.expires_at), "wide-only"],
    ["Public", (file) => file.public_url ? badge("public", "ok") : h("span.faint", "–"), "wide-only"],
  ], rows, {
    current: (file) => file.id === current,
    empty: filtered
      ? emptiness(h("p", "No file matches this filter."))
      : emptiness(h("p", "This team has no files yet."), h("p.faint", "Drop some here, or upload them with any client.")),
  });
}

async function upload(api, file, lifetime, watch) {
  const form = new FormData();
  if (lifetime) form.append("expires_after", lifetime); // the API requires it before the file
  form.append("file", file, file.name);
  await api.upload("inference", "/files", form, watch);
}
