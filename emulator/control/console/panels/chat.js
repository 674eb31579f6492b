// Chat: ask a model endpoint with collections and files, and see the stream, the searches and the citations.

import { h, replace } from "../dom.js";
import { address, go } from "../router.js";
import { keysOf, lastCollections, rememberCollections } from "../session.js";
import { button, complain, copyButton, field, heading, jsonView, refusalBox, select } from "../widgets.js";
import { drawAnswer, drawSearches } from "./chat_answer.js";
import { bodyOf, CODE, ENDPOINTS } from "./chat_code.js";
import { readAnswer } from "./chat_stream.js";
import { rulesCard } from "./rules.js";

const APIS = [["responses", "Responses: collections and files"], ["chat", "Chat completions: files only"]];
const SHOWN = 50; // collections, and files, to choose from

export const chat = { name: "chat", title: "Chat", icon: "chat", mount };

function mount(outlet, context, { query: given }) {
  const { api, live, signal } = context;
  const text = h("input", { type: "search", name: "q", required: true, value: given.get("q") ?? "", placeholder: "Your question", "aria-label": "Question" });
  const endpoint = select(APIS, given.get("api") ?? "responses", { on: { change: () => drawOptions() } });
  const model = select([["grok-4.3", "grok-4.3"]]);
  const collections = choices(new Set(given.getAll("collection")));
  const files = choices(new Set(given.getAll("file")));
  const noCollections = h("p.faint", "Chat completions take no tool that searches collections: choose Responses.");
  const results = h("div.results", { "aria-live": "polite" });
  const code = h("div");
  let asking = new AbortController(); // of the question whose answer is read

  const question = () => ({
    endpoint: endpoint.value, model: model.value, text: text.value,
    collections: endpoint.value === "responses" ? collections.chosen() : [], files: files.chosen(),
  });
  const drawCode = () => replace(code, snippets(question(), api.team));
  const drawOptions = () => {
    noCollections.hidden = endpoint.value === "responses";
    collections.element.hidden = !noCollections.hidden;
    drawCode();
  };

  const run = async () => {
    asking.abort();
    asking = new AbortController();
    const asked = question();
    go(addressOf(asked), { quietly: true });
    rememberCollections(api.team, asked.collections);
    await ask(api, asked, results, AbortSignal.any([asking.signal, signal]));
  };

  const form = h("form.card", { on: { submit: (event) => {
    event.preventDefault();
    run().catch(complain);
  }, input: drawCode } },
  h("div.tools", text, button("Ask", null, { look: "primary", type: "submit", sign: "play" })),
  h("fieldset", h("legend", "Collections"), collections.element, noCollections),
  h("fieldset", h("legend", "Files"), files.element),
  h("div.row", field("API", endpoint), field("Model", model)));

  replace(outlet,
    heading("Chat", "Asks a model endpoint. No language model answers: the text quotes what was found, or comes from your rules."),
    form, results, code, rulesCard(context));
  drawOptions();

  const drawChoices = async () => {
    const [shelves, all] = await Promise.all([
      api.management("GET", "/collections", { query: { limit: SHOWN, order: "ORDERING_ASCENDING" } }),
      api.inference("GET", "/files", { query: { limit: SHOWN, order: "desc" } }),
    ]);
    if (signal.aborted) return;
    collections.draw(shelves.collections.map((each) => [each.collection_id, each.collection_name, each.documents_count]), lastCollections(api.team),
      ["This team has no collections yet: ", h("a", { href: address(["collections"]) }, "create one"), "."]);
    files.draw(all.data.map((each) => [each.id, each.filename]), [],
      ["This team has no files yet: ", h("a", { href: address(["files"]) }, "upload one"), "."]);
    drawCode();
  };
  const drawModels = async () => {
    const { models } = await api.inference("GET", "/language-models");
    const wanted = given.get("model") ?? model.value;
    replace(model, models.map(({ id }) => h("option", { value: id }, id)));
    model.value = models.some(({ id }) => id === wanted) ? wanted : models[0].id;
    drawCode();
  };
  live.onChange(["collections", "documents", "files"], () => drawChoices().catch(complain), signal);
  Promise.all([drawChoices(), drawModels()]).then(() => text.value && run()).catch(complain);
}

/** Boxes to choose from. Those of `wanted` are ticked when they are first drawn. */
function choices(wanted) {
  const element = h("div.places");
  const chosen = () => [...element.querySelectorAll("input:checked")].map((box) => box.value);
  const draw = (rows, last, empty) => {
    const marked = new Set(wanted ? (wanted.size ? wanted : last) : chosen());
    wanted = null;
    replace(element, rows.length === 0 ? h("p.faint", empty) : rows.map(([id, name, extra]) => h("label.check.choice",
      h("input", { type: "checkbox", value: id, "data-key": id, checked: marked.has(id) }), h("span", name), extra !== undefined && h("span.faint", extra))));
  };
  return { element, chosen, draw };
}

/** Asks, and shows what was found and the answer as it comes. */
async function ask(api, question, results, signal) {
  const body = bodyOf(question);
  const answer = h("div.card", { "data-key": "answer" }, h("h2", "Answer"), h("p.faint", "Waits for the answer…"));
  const found = h("div.stacked");
  replace(results, answer, found);
  const names = new Map();
  try {
    const { searches } = await api.control("POST", "/chat/searches", { body: { endpoint: question.endpoint, body } });
    if (signal.aborted) return;
    for (const each of searches.flatMap((search) => search.passages)) names.set(each.file_id, each.filename);
    replace(found, drawSearches(searches, question.collections));
    const reply = await api.v1("inference", "POST", ENDPOINTS[question.endpoint], { body: { ...body, stream: true }, signal });
    await readAnswer(question.endpoint, reply.body, (each) => signal.aborted || replace(answer, drawAnswer(each, names)));
  } catch (error) {
    if (!signal.aborted) replace(answer, h("h2", "Answer"), refusalBox(error));
  }
}

function addressOf({ endpoint, model, text, collections, files }) {
  const target = new URLSearchParams({ q: text, api: endpoint, model });
  for (const id of collections) target.append("collection", id);
  for (const id of files) target.append("file", id);
  return `#/chat?${target}`;
}

let shownClient = "curl";

/** The card with the request as curl and as code. */
function snippets(question, team) {
  const place = { base: `${location.origin}/v1`, grpc: location.host, ...keysOf(team) };
  const slot = h("div.snippet");
  const client = select(Object.keys(CODE).map((name) => [name, name]), shownClient, { "aria-label": "Client", "data-key": "client", on: { change: () => draw() } });
  const draw = () => {
    shownClient = client.value;
    const text = CODE[client.value](question, place);
    replace(slot, jsonView(text), copyButton(text, "Copy the code"));
  };
  draw();
  return h("div.card", h("div.heading", h("h2", "The request"), client), slot);
}
