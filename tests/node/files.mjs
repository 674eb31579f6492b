// The Files API under OpenAI's Node SDK. Takes the base URL and a key, prints one JSON object.
import OpenAI, { toFile } from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const expires_after = { anchor: "created_at", seconds: 3600 };
const make = (name) => toFile(Buffer.from("from node"), name);

const expiryFirst = await client.files.create({
  expires_after,
  file: await make("expiry-first.txt"),
  purpose: "assistants",
});

// The properties go out in the order of the object, so here the file comes first.
const fileFirst = await client.files
  .create({ file: await make("file-first.txt"), purpose: "assistants", expires_after })
  .then(() => null, (error) => ({ status: error.status, body: error.error }));

const plain = await client.files.create({ file: await make("plain.txt"), purpose: "assistants" });
const listed = [];
for await (const file of client.files.list({ limit: 1 })) listed.push(file.filename);
const content = await (await client.files.content(plain.id)).text();
const deleted = await client.files.delete(plain.id);
const missing = await client.files.retrieve(plain.id).then(() => null, (error) => error.status);

console.log(JSON.stringify({ expiryFirst, fileFirst, listed, content, deleted, missing }));
