// An answer on the page: its text with citations as links, what it used, and the searches with their ranks.

import { h } from "../dom.js";
import { count, number } from "../format.js";
import { address } from "../router.js";
import { badge, emptiness, facts } from "../widgets.js";
import { marked, significant } from "./match.js";

const TICKS_PER_DOLLAR = 1e10;
const CITED = /^collections:\/\/([^/]+)\/files\/(.+)$/;
const MARKER = /\[\[(\d+)\]\]\(([^)\s]+)\)/g;
const TOOLS = { collections_search: "Search in collections", read_attachment: "Search in the attached files" };

/** The card of an answer; `names` has the names of files by their ids. */
export function drawAnswer(answer, names) {
  const { usage } = answer;
  const state = answer.error ? badge("cut", "bad") : badge(answer.finished ?? "streams", answer.finished ? "ok" : "busy");
  return [
    h("div.heading", h("h2", "Answer"), h("div.actions", h("span.faint", count(answer.deltas, "delta")), state)),
    answer.reasoning && h("details", h("summary", "Reasoning"), h("p.answer", answer.reasoning)),
    answer.text && h("p.answer", { "data-key": "answer" }, withLinks(answer.text, names)),
    answer.calls.map((call) => h("p.answer", h("code", `${call.name}(${call.args})`))),
    answer.error && h("div.refusal", { role: "alert" }, h("strong", answer.error)),
    answer.citations.length > 0 && [h("h3", "Citations"), h("ol.tour", answer.citations.map((uri) => h("li", citation(uri, names))))],
    usage && facts([
      ["Tokens", `${number(usage.read)} read, ${number(usage.written)} written`],
      ["Cost", `$${(usage.ticks / TICKS_PER_DOLLAR).toFixed(6)}`],
    ]),
  ];
}

/** The text of an answer, in which each marker `[[1]](…)` is a link to what it cites. */
function withLinks(text, names) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(MARKER)) {
    const href = hrefOf(found[2]);
    if (href === null) continue;
    parts.push(text.slice(end, found.index), h("a", { href, title: nameOf(found[2], names) }, `[${found[1]}]`));
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}

function citation(uri, names) {
  const href = hrefOf(uri);
  return href === null ? h("code", uri) : [h("a", { href }, nameOf(uri, names)), " ", h("span.target.faint", uri)];
}

/** Where on this page the source of a citation is shown; null for one that is not here. */
function hrefOf(uri) {
  const found = CITED.exec(uri);
  return found === null ? null : address(["collections", found[1], found[2]]);
}

const nameOf = (uri, names) => names.get(CITED.exec(uri)[2]) ?? CITED.exec(uri)[2];

/** The searches that ran for a question, each with what it found. */
export function drawSearches(searches, collections) {
  if (searches.length === 0) return emptiness(h("p", "No search ran."), h("p.faint", "Choose a collection or a file to search."));
  return searches.map((search) => h("div.card",
    h("div.heading", h("h2", TOOLS[search.tool] ?? search.tool), h("div.actions", badge(search.mode),
      search.tool === "collections_search" && h("a", { href: explained(search, collections) }, "Why these ranks"))),
    h("p.faint", "Query: ", h("q", search.query)),
    search.notes.map((note) => h("p.faint", note)),
    search.passages.length > 0 && h("ol.matches", search.passages.map((each) => h("li", drawPassage(each, search.query)))),
    search.passages.length === 0 && h("p", "Nothing matches."),
    search.opening && [h("p.faint", "No word of the question occurs, so an answer may quote the beginning:"), drawPassage(search.opening, "")]));
}

function explained({ query, mode }, collections) {
  const target = new URLSearchParams({ q: query, mode });
  for (const id of collections) target.append("collection", id);
  return `#/search?${target}`;
}

function drawPassage(passage, query) {
  const name = passage.filename || "the attached file";
  const href = passage.collection_id ? address(["collections", passage.collection_id, passage.file_id]) : address(["files", passage.file_id]);
  return h("article.match",
    h("header", h("span.rank", passage.rank), passage.file_id ? h("a.strong", { href }, name) : h("span.strong", name),
      query && h("span.score", { title: "The score of the search" }, significant(passage.score))),
    h("p.chunk", marked(passage.text, query)));
}
