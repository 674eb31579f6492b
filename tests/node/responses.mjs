// Responses under OpenAI's Node SDK. Takes the base URL, a key and a collection, prints one JSON object.
import OpenAI from "openai";

const [baseURL, apiKey, collection] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const model = "grok-4.3";
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { type: "function", name: "weather", parameters, strict: true };
const format = { type: "json_schema", name: "m", schema: parameters, strict: true };

const created = await client.responses.create({ model, input: "one two three" });
const events = [];
for await (const event of await client.responses.create({ model, input: "one two", stream: true })) events.push(event);
const streamed = await client.responses.stream({ model, input: "one two three" }).finalResponse();
const parsed = await client.responses.parse({ model, input: "How?", text: { format } });

const called = await client.responses.create({ model, input: "Rain?", tools: [weather], tool_choice: "required" });
const result = { type: "function_call_output", call_id: called.output[0].call_id, output: "rain" };
const answered = await client.responses.create({
  model,
  input: [result],
  previous_response_id: called.id,
  tools: [weather],
});

const tools = [{ type: "file_search", vector_store_ids: [collection] }];
const include = ["file_search_call.results"];
const found = await client.responses.create({ model, input: "ferns", tools, include });

const kept = await client.responses.retrieve(created.id);
const items = await client.responses.inputItems.list(created.id);
await client.responses.delete(created.id);
const gone = await client.responses.retrieve(created.id).then(() => null, (error) => error.status);
const refused = await client.responses
  .create({ model, input: "x", background: true })
  .then(() => null, (error) => [error.status, error.message]);

console.log(
  JSON.stringify({
    created: created.output_text,
    usage: created.usage,
    types: events.map((event) => event.type),
    text: events.at(-1).response.output[0].content[0].text,
    streamed: streamed.output_text,
    parsed: parsed.output_parsed,
    called: called.output.map((item) => [item.type, item.name, item.arguments]),
    answered: answered.output_text,
    found: found.output.map((item) => item.type),
    results: found.output[0].results.map((each) => each.text),
    quoted: found.output_text,
    kept: kept.output_text,
    items: items.data.map((item) => item.content),
    gone,
    refused,
  }),
);
