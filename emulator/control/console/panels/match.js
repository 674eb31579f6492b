// One match of a search, and why it ranks where it does.

import { h } from "../dom.js";
import { address } from "../router.js";
import { badge } from "../widgets.js";

const RANKINGS = { keyword: ["Keywords", "text_weight"], vector: ["Vectors", "embedding_weight"] };
const WORD = /[\p{L}\p{N}]+/gu;

/** A match: its text with the words that were asked for, and its place in each ranking. */
export function drawMatch(match, { mode, asked, best }) {
  const href = address(["collections", match.collection_id, match.file_id]);
  return h("article.match",
    h("header", h("span.rank", match.rank), h("a.strong", { href }, match.filename), h("span.faint", `chunk ${match.chunk_number + 1}`),
      Object.entries(match.fields).map(([key, value]) => badge(`${key}: ${value}`)),
      h("span.score", { title: "The score in the response of the API" }, significant(match.score))),
    h("p.chunk", marked(match.chunk_content, asked.query)),
    why(match, mode, asked.retrieval_mode.reranker, best));
}

/** What each ranking gives: its bar is its part of the best score of all. */
function why(match, mode, fusion, best) {
  const rows = Object.entries(RANKINGS).map(([name, [label, weight]]) => {
    const place = match[name];
    if (!place) return h("tr", h("th", { scope: "row" }, label), h("td.faint", { colspan: 3 }, absence(name, mode)));
    const part = mode === "hybrid" ? fusion[weight] / (fusion.k + place.rank) : null;
    return h("tr", h("th", { scope: "row" }, label),
      h("td", `rank ${place.rank}`),
      h("td", name === "keyword" ? `BM25 ${significant(place.score)}` : `score ${significant(place.score)}`),
      h("td", part !== null && [h("code", `${fusion[weight]} / (${fusion.k} + ${place.rank}) = ${significant(part)}`), bar(part / best, name)]));
  });
  return h("table.why", h("caption.unseen", `Why it ranks ${match.rank}`), h("tbody", rows,
    mode === "hybrid" && h("tr", h("th", { scope: "row" }, "Fused"), h("td", `rank ${match.rank}`), h("td", `score ${significant(match.score)}`),
      h("td", bar(match.score / best, "fused")))));
}

function absence(name, mode) {
  if ((mode === "keyword" && name === "vector") || (mode === "semantic" && name === "keyword")) return "not part of this mode";
  return "not among the candidates of this ranking";
}

function bar(share, kind) {
  return h("progress", { class: kind, value: Math.max(0, Math.min(1, share)), max: 1, "aria-hidden": "true" });
}

export function significant(value) {
  const short = Number(value.toPrecision(4));
  return short !== 0 && Math.abs(short) < 1e-4 ? short.toExponential(2) : String(short);
}

/** A text in which the words of a query stand out. */
export function marked(text, query) {
  const wanted = new Set((query.toLowerCase().match(WORD) ?? []));
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(WORD)) {
    if (!wanted.has(found[0].toLowerCase())) continue;
    parts.push(text.slice(end, found.index), h("mark", found[0]));
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}
