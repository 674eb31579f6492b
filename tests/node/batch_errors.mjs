// Batch results with an error under the AI SDK's xAI provider. Takes the base URL, a key and the id of a batch, prints
// one JSON object: the results, or the error that reading them ended with.
import { createXai } from "@ai-sdk/xai";

const [baseURL, apiKey, batchId] = process.argv.slice(2);
const results = [];
let failed = null;
try {
  for await (const result of await createXai({ baseURL, apiKey }).experimental_batch().doGetBatchResults({ batchId })) {
    results.push(result);
  }
} catch (error) {
  failed = { name: error.name, message: error.message };
}
console.log(JSON.stringify({ results, failed }));
