// Chat completions under OpenAI's Node SDK. Takes the base URL and a key, prints one JSON object.
import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const model = "grok-4.3";
const messages = [{ role: "user", content: "one two three" }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const created = await client.chat.completions.create({ model, messages });
const pieces = [];
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  pieces.push(chunk.choices[0].delta.content ?? "");
}
const refused = await client.chat.completions
  .create({ model: "grok-2", messages })
  .then(() => null, (error) => error.status);

const tools = [{ type: "function", function: { name: "weather", parameters } }];
const called = await client.chat.completions.create({ model, messages, tools, tool_choice: "required" });
const response_format = { type: "json_schema", json_schema: { name: "m", schema: parameters, strict: true } };
const parsed = await client.chat.completions.parse({ model, messages, response_format });
const runner = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
const streamed = await runner.finalChatCompletion();

console.log(
  JSON.stringify({
    created: created.choices[0].message.content,
    pieces,
    refused,
    called: called.choices[0].message.tool_calls,
    parsed: parsed.choices[0].message.content,
    streamed: streamed.choices[0].message.content,
    usage: streamed.usage,
  }),
);
