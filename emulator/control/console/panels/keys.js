// API keys of a team: create, disable, rotate, delete; and its audit log.

import { h, replace } from "../dom.js";
import { ask, badge, button, complain, confirmLoss, copyButton, emptiness, field, guarded, heading, identifier, moment, select, table } from "../widgets.js";

export const keys = { name: "keys", title: "Keys", icon: "keys", mount };

const PAGE_ITEMS = 100;
const RATES = [["qps", "Calls a second"], ["qpm", "Calls a minute"], ["tpm", "Tokens a minute"]];

function mount(outlet, { api, live, signal, team }) {
  const rows = h("div.list");
  const events = h("div.list");
  const of = (kind) => `/${kind}/teams/${encodeURIComponent(team)}`;
  const one = (key) => `/auth/api-keys/${encodeURIComponent(key.apiKeyId)}`;

  const draw = async () => {
    const [found, log] = await Promise.all([
      api.administration("GET", `${of("auth")}/api-keys`, { query: { pageSize: PAGE_ITEMS } }),
      api.administration("GET", `${of("audit")}/events`, { query: { pageSize: 20 } }),
    ]);
    if (signal.aborted) return;
    replace(rows, drawKeys(found, { toggle, rotate, remove }));
    replace(events, drawEvents(log.events));
  };
  const changed = (work) => guarded(async () => {
    if (await work() !== null) await draw();
  });
  const toggle = (key) => changed(() =>
    api.administration("PUT", one(key), { body: { apiKey: { disabled: !key.disabled }, fieldMask: "disabled" } }));
  const rotate = (key) => changed(async () => {
    const made = await confirmLoss(`Rotate “${key.name}”?`, "It gets a new secret, and the present one is refused at once.", "Rotate",
      () => api.administration("POST", `${one(key)}/rotate`, { body: {} }));
    if (made !== null) await showSecret(made);
    return made;
  });
  const remove = (key) => changed(() =>
    confirmLoss(`Delete “${key.name}”?`, "Calls with it are refused from then on.", "Delete", () => api.administration("DELETE", one(key))));
  const create = changed(async () => {
    const made = await askForKey(api, of("auth"));
    if (made !== null) await showSecret(made);
    return made;
  });

  replace(outlet,
    heading("Keys", "API keys that are held to what they may use. They work beside the keys that the emulator was started with.",
      button("Create a key", create, { look: "primary", sign: "plus" })),
    rows, h("h2", "Audit log"), events);
  live.onChange(["everything"], () => draw().catch(complain), signal);
  draw().catch(complain);
}

/** Asks what a new key may use, and creates it; null if the dialog is cancelled. */
async function askForKey(api, base) {
  const [{ acls }, { models }] = await Promise.all(["endpoints", "models"].map((list) => api.administration("GET", `${base}/${list}`)));
  const rate = ([name, label]) => field(label, h("input", { type: "number", name, min: "1", placeholder: "no limit" }));
  return ask("Create an API key", [
    field("Name", h("input", { name: "name", required: true, autocomplete: "off" })),
    field("Endpoint", select(acls.map((acl) => [acl, acl === "api-key:endpoint:*" ? "every endpoint" : acl]), acls[0], { name: "endpoint" })),
    field("Model", select([["*", "every model"], ...models.map(({ name }) => [name, name])], "*", { name: "model" })),
    h("div.row", RATES.map(rate)),
  ], {
    action: "Create",
    submit: (data) => api.administration("POST", `${base}/api-keys`, { body: {
      name: data.get("name"),
      acls: [data.get("endpoint"), `api-key:model:${data.get("model")}`],
      ...Object.fromEntries(RATES.filter(([name]) => data.get(name)).map(([name]) => [name, Number(data.get(name))])),
    } }),
  });
}

/** Shows a secret, this once. */
async function showSecret({ name, apiKey }) {
  await ask(`The key “${name}”`, [
    h("p", "Copy it now: it is not shown again."),
    h("p.secret", h("code", apiKey), " ", copyButton(apiKey, "Copy the key")),
  ], { action: "Done" });
}

function drawKeys({ apiKeys, paginationToken }, { toggle, rotate, remove }) {
  const found = table("API keys", [
    ["Name", (key) => h("span.strong", key.name), "lead"],
    ["Key", (key) => h("code", key.redactedApiKey)],
    ["May use", (key) => key.acls.length ? key.acls.map((acl) => h("div", h("code", acl))) : "nothing"],
    ["Limits", (key) => RATES.filter(([name]) => key[name]).map(([name]) => `${name} ${key[name]}`).join(", ") || "none"],
    ["Expires", (key) => key.expireTime ? moment(key.expireTime) : "never"],
    ["State", (key) => key.disabled ? badge("disabled", "warn") : badge("enabled", "ok")],
    ["", (key) => [
      button(key.disabled ? "Enable" : "Disable", toggle(key), { look: "quiet", label: `${key.disabled ? "Enable" : "Disable"} ${key.name}` }),
      button("Rotate", rotate(key), { look: "quiet", label: `Rotate ${key.name}` }),
      button("Delete", remove(key), { look: "quiet", label: `Delete ${key.name}` })], "end"],
  ], apiKeys, { empty: emptiness(h("p", "This team has made no API keys yet."),
    h("p.faint", "Make one that may use one endpoint or model, and see how your program handles the refusals.")) });
  return [found, paginationToken && h("p.faint", `The newest ${apiKeys.length} are shown.`)];
}

function drawEvents(events) {
  return table("Audit log", [
    ["When", (event) => moment(event.eventTime)],
    ["Action", (event) => h("code", event.action)],
    ["What", (event) => event.description, "prose"],
    ["Key", (event) => identifier(event.apiKeyId)],
  ], events, { empty: emptiness(h("p", "No call has changed anything yet.")) });
}
