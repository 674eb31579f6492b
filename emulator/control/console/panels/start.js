// Where to begin: the addresses, the keys, and the first lines of each client.

import { h, replace } from "../dom.js";
import { breakable, complain, copyButton, facts, heading, identifier, jsonView, select } from "../widgets.js";
import { keysOf } from "../session.js";

export const start = { name: "start", title: "Start", icon: "start", mount };

const CLIENTS = {
  "openai (Python)": ({ base, inference }) => `from openai import OpenAI

client = OpenAI(base_url="${base}", api_key="${inference}")
file = client.files.create(file=open("report.pdf", "rb"), purpose="assistants")
print(file.id)`,
  "xai-sdk (Python)": ({ grpc, inference, management }) => `from xai_sdk import Client

client = Client(
    api_host="${grpc}",
    management_api_host="${grpc}",
    api_key="${inference}",
    management_api_key="${management}",
)
collection = client.collections.create("papers")
client.collections.upload_document(collection.collection_id, "report.pdf", open("report.pdf", "rb").read())`,
  "openai (Node)": ({ base, inference }) => `import fs from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${base}", apiKey: "${inference}" });
const file = await client.files.create({ file: fs.createReadStream("report.pdf"), purpose: "assistants" });
console.log(file.id);`,
  curl: ({ base, inference, management }) => `curl ${base}/files -H "Authorization: Bearer ${inference}" -F file=@report.pdf
curl ${base}/collections -H "Authorization: Bearer ${management}" \\
  -H "Content-Type: application/json" -d '{"collection_name": "papers"}'`,
  environment: ({ base, inference, management }) => `export XAI_API_KEY=${inference}
export XAI_MANAGEMENT_KEY=${management}
export OPENAI_BASE_URL=${base}
export OPENAI_API_KEY=${inference}`,
};

function mount(outlet, { api, team }) {
  const addresses = h("div");
  const code = h("div.snippet");
  const client = select(Object.keys(CLIENTS).map((name) => [name, name]), undefined, { "aria-label": "Client", on: { change: () => draw() } });
  const origin = location.origin;
  const keys = keysOf(team);
  const values = { base: `${origin}/v1`, grpc: location.host, ...keys };

  const draw = () => {
    const text = CLIENTS[client.value](values);
    replace(code, jsonView(text), copyButton(text, "Copy the code"));
  };

  replace(outlet,
    heading("A local xAI API", "Files, collections, search and batches, with a clock that you can move and faults that you can plan."),
    h("div.cards", addresses, tour(team)),
    h("div.card", h("div.heading", h("h2", "First call"), client), code));
  draw();
  drawAddresses(addresses, api, values).catch(complain);
}

async function drawAddresses(element, api, { base, inference, management }) {
  const health = await api.control("GET", "/health", { server: true });
  element.className = "card";
  replace(element, h("h2", "Addresses and keys"), facts([
    ["REST", identifier(base)],
    ["gRPC", identifier(health.grpc)],
    ["Inference key", identifier(inference)],
    ["Management key", identifier(management)],
    ["OpenAPI of /v1", pathLink("/_emulator/openapi.json")],
    ["OpenAPI of the control API", pathLink("/_emulator/control/openapi.json")],
  ]));
}

const pathLink = (path) => h("a", { href: path }, breakable(path, "/"));

function tour(team) {
  const step = (href, title, text) => h("li", h("a", { href }, title), ": ", text);
  return h("div.card", h("h2", "Where to go"), h("ol.tour",
    step("#/files", "Files", "drop one onto the page"),
    step("#/collections", "Collections", "create one and add the file"),
    step("#/search", "Search", "ask a question, and see why each match got its rank"),
    step("#/chat", "Chat", "ask a model endpoint, and see what it found and cites"),
    step("#/batches", "Batches", "send requests and watch them finish"),
    step("#/journal", "Journal", "every call, with the rule that refused it"),
    step("#/faults", "Faults", "make the next call fail, and see how your client handles it"),
    step("#/clock", "Clock", "advance it to let a file expire now"),
    step("#/snapshots", "Snapshots", "save the state, try something, restore it")),
  h("p.faint", "Everything here belongs to the team ", h("strong", team), ". Switch teams at the top."),
  h("p.faint", "Keys: / goes to the filter, the arrow keys move between rows, Enter opens a row, Escape closes it."));
}
