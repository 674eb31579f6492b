// Images and videos under the AI SDK's models. Takes the base URL and a key, prints one JSON object.
import { createXai } from "@ai-sdk/xai";

const [baseURL, apiKey] = process.argv.slice(2);
const xai = createXai({ baseURL, apiKey });
const common = { headers: {}, providerOptions: {} };
const first = (data) => Buffer.from(data, "base64").subarray(0, 8).toString("hex");

const drawn = await xai.image("grok-imagine-image").doGenerate({ ...common, prompt: "a kettle", n: 2 });
const file = { type: "file", mediaType: "image/png", data: drawn.images[0] };
const edited = await xai
  .image("grok-imagine-image")
  .doGenerate({ ...common, prompt: "a hat on it", n: 1, files: [file] });
const refused = await xai
  .image("no-such-model")
  .doGenerate({ ...common, prompt: "a kettle", n: 1 })
  .then(() => null, (error) => [error.statusCode, error.message]);

const film = xai.video("grok-imagine-video");
const started = await film.doStart({ ...common, prompt: "a kettle", duration: 3 });
const status = await film.doStatus({ ...common, operation: started.operation });

console.log(
  JSON.stringify({
    images: drawn.images.map(first),
    cost: edited.providerMetadata.xai.costInUsdTicks,
    refused,
    status: status.status,
    video: status.providerMetadata?.xai,
  }),
);
