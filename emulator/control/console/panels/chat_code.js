// A question as a body of its endpoint, and as the code that asks it.

export const ENDPOINTS = { responses: "/responses", chat: "/chat/completions" };

/** The body of a question: `{ endpoint, model, text, collections, files }`. */
export function bodyOf({ endpoint, model, text, collections, files }) {
  if (endpoint === "chat") {
    const parts = files.map((id) => ({ type: "file", file: { file_id: id } }));
    const content = parts.length ? [{ type: "text", text }, ...parts] : text;
    return { model, messages: [{ role: "user", content }] };
  }
  const parts = files.map((id) => ({ type: "input_file", file_id: id }));
  const content = parts.length ? [{ type: "input_text", text }, ...parts] : text;
  return {
    model,
    input: [{ role: "user", content }],
    ...(collections.length && { tools: [{ type: "file_search", vector_store_ids: collections }] }),
  };
}

/** The code that asks a question, by client; `place` has the addresses and keys. */
export const CODE = {
  curl: (question, { base, inference }) => `curl -N ${base}${ENDPOINTS[question.endpoint]} \\
  -H "Authorization: Bearer ${inference}" -H "Content-Type: application/json" \\
  -d '${JSON.stringify({ ...bodyOf(question), stream: true }, null, 2).replaceAll("'", "'\\''")}'`,

  "xai-sdk (Python)": (question, { grpc, inference }) => {
    const { model, text, files } = question;
    const collections = question.endpoint === "chat" ? [] : question.collections;
    const parts = [literal(text), ...files.map((id) => `file(${literal(id)})`)];
    return `from xai_sdk import Client
from xai_sdk.chat import ${files.length ? "file, user" : "user"}
${collections.length ? "from xai_sdk.tools import collections_search\n" : ""}
client = Client(api_host=${literal(grpc)}, api_key=${literal(inference)})
chat = client.chat.create(
    model=${literal(model)},
    messages=[user(${parts.length === 1 ? parts[0] : `\n${parts.map((part) => `        ${part},\n`).join("")}    `})],${collections.length ? `
    tools=[collections_search(${python(collections)})],
    include=["inline_citations"],` : ""}
)
for response, chunk in chat.stream():
    print(chunk.content, end="", flush=True)
print(response.citations)`;
  },

  "openai (Python)": (question, { base, inference }) => {
    const { model, ...others } = bodyOf(question);
    const members = Object.entries(others).map(([name, value]) => `    ${name}=${python(value)},\n`).join("");
    const head = `from openai import OpenAI

client = OpenAI(base_url=${literal(base)}, api_key=${literal(inference)})
`;
    if (question.endpoint === "chat") {
      return `${head}stream = client.chat.completions.create(
    model=${literal(model)},
${members}    stream=True,
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)`;
    }
    return `${head}stream = client.responses.create(
    model=${literal(model)},
${members}    stream=True,
)
for event in stream:
    if event.type == "response.output_text.delta":
        print(event.delta, end="", flush=True)`;
  },
};

/** A text as a literal of Python, which reads those of JSON. */
const literal = (text) => JSON.stringify(text);

/** Lists, objects and texts as Python writes them, on one line. */
function python(value) {
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, each]) => `${literal(name)}: ${python(each)}`).join(", ")}}`;
  return literal(value);
}
