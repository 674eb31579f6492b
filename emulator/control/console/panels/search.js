// The search playground: ask, and see for every match where it stands in each ranking and what that gives.

import { h, replace } from "../dom.js";
import { checkWhileTyping, filterErrors } from "../filter_errors.js";
import { address, go } from "../router.js";
import { lastCollections, rememberCollections } from "../session.js";
import { button, complain, copyButton, emptiness, field, heading, jsonView, refusalBox, select } from "../widgets.js";
import { drawMatch } from "./match.js";

const MODES = [["hybrid", "Hybrid: keywords and vectors"], ["keyword", "Keyword: BM25 only"], ["semantic", "Semantic: vectors only"]];
const COLLECTIONS_SHOWN = 100;

export const search = { name: "search", title: "Search", icon: "search", mount };

function mount(outlet, { api, live, signal }, first) {
  const given = first.query;
  const query = h("input", { type: "search", name: "q", required: true, value: given.get("q") ?? "", placeholder: "Your question", "aria-label": "Query" });
  const mode = select(MODES, given.get("mode") ?? "hybrid", { on: { change: () => (fusion.hidden = mode.value !== "hybrid") } });
  const limit = whole(given.get("limit") ?? 10, 1);
  const filter = h("input", { value: given.get("filter") ?? "", placeholder: 'author = "Ada" AND year >= 2020', spellcheck: "false" });
  const errors = filterErrors(api, null);
  checkWhileTyping(filter, errors.check);
  const multiplier = whole(1, 1);
  const k = whole(60, 0);
  const text = weight();
  const embedding = weight();
  const fusion = h("div.row", field("k", k, "The larger k, the smaller the lead of the first ranks."), field("Weight of keywords", text),
    field("Weight of vectors", embedding), field("Multiplier", multiplier, "Candidates per ranking: limit × this."));
  fusion.hidden = mode.value !== "hybrid";
  const places = h("div.places");
  const chosen = new Set(given.getAll("collection"));
  const results = h("div.results", { "aria-live": "polite" });

  const body = () => ({
    query: query.value,
    source: { collection_ids: [...places.querySelectorAll("input:checked")].map((box) => box.value) },
    limit: Number(limit.value),
    ...(filter.value && { filter: filter.value }),
    retrieval_mode: mode.value !== "hybrid" ? { type: mode.value } : {
      type: "hybrid",
      search_multiplier: Number(multiplier.value),
      reranker: { type: "rrf", k: Number(k.value), embedding_weight: Number(embedding.value), text_weight: Number(text.value) },
    },
  });

  const run = async () => {
    const asked = body();
    if (asked.source.collection_ids.length === 0) {
      replace(results, emptiness(h("p", "Choose at least one collection.")));
      return;
    }
    const target = new URLSearchParams({ q: asked.query, mode: mode.value, limit: limit.value, ...(filter.value && { filter: filter.value }) });
    for (const id of asked.source.collection_ids) target.append("collection", id);
    go(`#/search?${target}`, { quietly: true });
    rememberCollections(api.team, asked.source.collection_ids);
    try {
      const report = await api.control("POST", "/search", { body: asked });
      if (!signal.aborted) replace(results, drawReport(report, asked));
    } catch (error) {
      replace(results, refusalBox(error));
    }
  };

  const form = h("form.card", { on: { submit: (event) => {
    event.preventDefault();
    run().catch(complain);
  } } },
  h("div.tools", query, button("Search", null, { look: "primary", type: "submit", sign: "search" })),
  h("fieldset", h("legend", "In"), places),
  h("div.row", field("Mode", mode), field("Limit", limit), field("Filter by fields", filter)),
  errors.element,
  h("details", h("summary", "How rankings are fused"), fusion));

  replace(outlet, heading("Search", "Runs POST /v1/documents/search and shows how each match got its rank."), form, results);

  const drawPlaces = async () => {
    const page = await api.management("GET", "/collections", { query: { limit: COLLECTIONS_SHOWN, order: "ORDERING_ASCENDING" } });
    if (signal.aborted) return;
    const marked = new Set([...places.querySelectorAll("input:checked")].map((box) => box.value));
    const only = page.collections.length === 1;
    const last = new Set(chosen.size + marked.size === 0 && places.childElementCount === 0 ? lastCollections(api.team) : []);
    replace(places, page.collections.length === 0
      ? h("p.faint", "This team has no collections yet: ", h("a", { href: address(["collections"]) }, "create one"), ".")
      : page.collections.map((each) => h("label.check.choice", h("input", {
        type: "checkbox", value: each.collection_id, "data-key": each.collection_id,
        checked: only || [marked, chosen, last].some((ids) => ids.has(each.collection_id)),
      }), each.collection_name, h("span.faint", each.documents_count))));
    chosen.clear();
  };
  live.onChange(["collections", "documents"], () => drawPlaces().catch(complain), signal);
  drawPlaces().then(() => query.value && run()).catch(complain);
  return (route) => {
    const asked = route.query.get("q");
    if (asked && asked !== query.value) {
      query.value = asked;
      run().catch(complain);
    }
  };
}

const whole = (value, min) => h("input", { type: "number", min, step: "1", value, required: true });
const weight = () => h("input", { type: "number", min: "0", step: "0.1", value: "0.5", required: true });

function drawReport({ matches, mode, warnings }, asked) {
  const best = Math.max(...matches.map((match) => match.score), Number.MIN_VALUE);
  return [
    warnings.map((text) => h("p.faint", text)),
    matches.length === 0 && emptiness(h("p", "Nothing matches."), h("p.faint", "Only indexed documents are searched.")),
    matches.length > 0 && h("ol.matches", matches.map((match) => h("li", drawMatch(match, { mode, asked, best })))),
    h("details", h("summary", "The request as JSON"), h("div.snippet", jsonView(asked), copyButton(JSON.stringify(asked, null, 2), "Copy the request"))),
  ];
}
