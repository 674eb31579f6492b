// Texts, objects, functions and searches under the AI SDK, whose provider calls /v1/responses. Takes the base URL, a
// key, a collection and a file, prints one JSON object.
import { createXai } from "@ai-sdk/xai";
import { generateObject, generateText, isStepCount, jsonSchema, streamText, tool } from "ai";

const [baseURL, apiKey, collection, file] = process.argv.slice(2);
const xai = createXai({ baseURL, apiKey });
const common = { model: xai.responses("grok-4.3"), maxRetries: 0 };
const properties = { city: { type: "string" } };
const schema = jsonSchema({ type: "object", properties, required: ["city"], additionalProperties: false });

const generated = await generateText({ ...common, prompt: "one two three" });
const stream = streamText({ ...common, prompt: "one two three" });
const pieces = [];
for await (const piece of stream.textStream) pieces.push(piece);
const { object } = await generateObject({ ...common, prompt: "Where?", schema });

// The rule that the test plans calls the function in the first turn; the AI SDK runs it and sends its result.
const asked = [];
const weather = tool({ inputSchema: schema, execute: ({ city }) => asked.push(city) && `rain in ${city}` });
const loop = { ...common, prompt: "Rain?", tools: { weather }, stopWhen: isStepCount(3) };
const looped = await generateText(loop);
const streamedLoop = await streamText(loop).text;

const thought = await generateText({ ...common, prompt: "Think." });
const streamedThought = await streamText({ ...common, prompt: "Think." }).reasoningText;

const tools = { file_search: xai.tools.fileSearch({ vectorStoreIds: [collection], maxNumResults: 1 }) };
const providerOptions = { xai: { include: ["file_search_call.results"] } };
const found = await generateText({ ...common, prompt: "ferns", tools, providerOptions });
const search = streamText({ ...common, prompt: "ferns", tools, providerOptions });
const parts = [];
for await (const part of search.fullStream) parts.push(part.type);

const content = [
  { type: "text", text: "ferns?" },
  { type: "file", mediaType: "text/plain", data: { type: "reference", reference: { xai: file } } },
];
const attached = await generateText({ ...common, messages: [{ role: "user", content }] });
const refused = await generateText({ ...common, model: xai.responses("grok-2"), prompt: "x" }).then(
  () => null,
  (error) => [error.statusCode, error.message],
);

console.log(
  JSON.stringify({
    text: generated.text,
    finish: generated.finishReason,
    tokens: (await generated.usage).outputTokens,
    pieces,
    streamed: [await stream.finishReason, (await stream.usage).outputTokens],
    object,
    looped: looped.text,
    streamedLoop,
    asked,
    thoughts: [thought.reasoningText, streamedThought],
    found: found.text,
    sources: found.sources.map((each) => each.url),
    results: found.toolResults.map((each) => each.output),
    searched: await search.text,
    parts: [...new Set(parts)],
    attached: attached.text,
    refused,
  }),
);
