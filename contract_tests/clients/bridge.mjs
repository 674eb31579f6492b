// Calls JavaScript libraries for the contract kit: reads {"call", "with"} as JSON lines, writes one line for each.
// Packages are imported when first asked for, from the folder this runs in.
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

class EndlessList extends Error {}

const bytes = (base64) => Buffer.from(base64, "base64");
const base64 = (buffer) => Buffer.from(buffer).toString("base64");

// What the server refused has a status, what the library refused has a name; anything else is a failure.
function outcome(error) {
  if (error instanceof EndlessList) return { endless: error.message };
  if (error?.name === "AI_InvalidArgumentError") return { unsent: error.message };
  const status = error?.status ?? error?.statusCode;
  if (typeof status !== "number") return { failed: String(error?.stack ?? error) };
  const body = error.error ?? error.responseBody ?? error.message;
  return { refused: { status, message: typeof body === "string" ? body : JSON.stringify(body) } };
}

async function* installed(name) {
  const require = createRequire(join(process.cwd(), "any.js"));
  for (const folder of require.resolve.paths(name) ?? []) yield join(folder, name, "package.json");
}

const openai = {};
async function openaiClient({ baseURL, apiKey }) {
  const { default: OpenAI } = await import("openai");
  return (openai[apiKey] ??= new OpenAI({ baseURL, apiKey, maxRetries: 0 }));
}

const xai = {};
async function xaiProvider({ baseURL, apiKey }) {
  const { createXai } = await import("@ai-sdk/xai");
  return (xai[apiKey] ??= createXai({ baseURL, apiKey }));
}

async function toFile(content, filename, type) {
  const { toFile } = await import("openai");
  return toFile(bytes(content), filename, type ? { type } : {});
}

const prompted = (text) => [{ role: "user", content: [{ type: "text", text }] }];

const calls = {
  version: () => process.versions.node,

  async package({ name }) {
    for await (const path of installed(name)) {
      const found = await readFile(path, "utf8").catch(() => null);
      if (found !== null) return JSON.parse(found).version;
    }
    return null;
  },

  async fetch({ method, url, headers, body, form }) {
    let sent = body === null ? undefined : bytes(body);
    if (form !== null) {
      sent = new FormData();
      for (const part of form) {
        if ("value" in part) sent.append(part.name, part.value);
        else if (part.filename === null) sent.append(part.name, bytes(part.content).toString());
        else sent.append(part.name, new File([bytes(part.content)], part.filename, { type: part.type }));
      }
    }
    const answer = await fetch(url, { method, headers, body: sent, redirect: "manual" });
    const content = await answer.arrayBuffer();
    return { status: answer.status, headers: Object.fromEntries(answer.headers), body: base64(content) };
  },

  async "openai.upload"({ content, filename, type, expires_after, ...key }) {
    const client = await openaiClient(key);
    const expiry = expires_after === null ? {} : { expires_after: { anchor: "created_at", seconds: expires_after } };
    // The properties go out in the order of the object: the expiry has to come first.
    return client.files.create({ ...expiry, file: await toFile(content, filename, type), purpose: "assistants" });
  },
  async "openai.get"({ id, ...key }) {
    return (await openaiClient(key)).files.retrieve(id);
  },
  async "openai.list"({ query, ...key }) {
    const page = await (await openaiClient(key)).files.list(query);
    return { data: page.data, pagination_token: page.body?.pagination_token ?? null };
  },
  async "openai.content"({ id, ...key }) {
    return base64(await (await (await openaiClient(key)).files.content(id)).arrayBuffer());
  },
  async "openai.delete"({ id, ...key }) {
    return (await openaiClient(key)).files.delete(id);
  },

  async "xai.upload"({ content, filename, type, expires_after, ...key }) {
    const file = await (await xaiProvider(key)).files().uploadFile({
      data: { type: "data", data: new Uint8Array(bytes(content)) },
      mediaType: type || "application/octet-stream",
      filename,
      ...(expires_after === null ? {} : { providerOptions: { xai: { expiresAfter: expires_after } } }),
    });
    return { id: file.providerReference.xai, ...file.providerMetadata.xai };
  },
  async "xai.get"({ id, ...key }) {
    const file = await (await xaiProvider(key)).files().getFileMetadata({ file: { xai: id } });
    return { id: file.providerReference.xai, ...file.providerMetadata.xai };
  },
  async "xai.content"({ id, ...key }) {
    const { content } = await (await xaiProvider(key)).files().downloadFile({ file: { xai: id } });
    return base64(await new Response(content).arrayBuffer());
  },
  async "xai.delete"({ id, ...key }) {
    return (await xaiProvider(key)).files().deleteFile({ file: { xai: id } });
  },
  async "xai.submit"({ prompts, model, ...key }) {
    const requests = Object.entries(prompts).map(([id, text]) => ({
      id, type: "text", modelId: model, options: { prompt: prompted(text) },
    }));
    return (await xaiProvider(key)).experimental_batch().doStartBatch({
      requests,
      providerOptions: { xai: { inputFileExpiresAfter: 3600 } }, // its name is not ours to choose, so it goes by itself
    });
  },
  async "xai.batch"({ id, ...key }) {
    return (await xaiProvider(key)).experimental_batch().doGetBatchStatus({ batchId: id });
  },
  async "xai.batches"({ limit, token, ...key }) {
    const batches = (await xaiProvider(key)).experimental_batch();
    return batches.doListBatches({ limit: limit ?? undefined, cursor: token ?? undefined });
  },
  async "xai.cancel"({ id, ...key }) {
    return (await xaiProvider(key)).experimental_batch().doCancelBatch({ batchId: id });
  },
  async "xai.results"({ id, ...key }) {
    const results = await (await xaiProvider(key)).experimental_batch().doGetBatchResults({ batchId: id });
    return collected(results);
  },
};

// Some servers have lists that never end: an item that comes twice shows it.
async function collected(items) {
  const found = new Map();
  for await (const item of items) {
    if (found.has(item.id)) throw new EndlessList(`${item.id} comes a second time after ${found.size} items`);
    found.set(item.id, item);
  }
  return [...found.values()];
}

for await (const line of createInterface({ input: process.stdin })) {
  const { call, with: given } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await calls[call](given)) ?? null };
  } catch (error) {
    answer = outcome(error);
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
