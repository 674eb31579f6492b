// Calls to the emulator: the control API below `/_emulator/`, and `/v1` with the keys of a team.

import { keysOf } from "./session.js";

/** A call that was refused; `rule` is the limit or rule that refused it. */
class Refusal extends Error {
  constructor(message, { status = 0, rule = null, fault = null } = {}) {
    super(message);
    Object.assign(this, { status, rule, fault });
  }
}

/** The calls of one team. */
export class Api {
  #asking = null;

  /** `askForKeys(refusal)` is called when a key is refused; it resolves to whether there are other keys now. */
  constructor(team, askForKeys) {
    Object.assign(this, { team, askForKeys });
  }

  /** The address of a control path, with the team in its query. */
  controlAddress(path, query = {}) {
    return `/_emulator${path}?${new URLSearchParams({ team: this.team, ...query })}`;
  }

  /** A control call; its JSON. */
  async control(method, path, { body, query, server = false } = {}) {
    const address = server ? `/_emulator${path}` : this.controlAddress(path, query);
    return json(await send(address, { method, ...content(body) }));
  }

  /** A control call whose body is a file; its JSON. */
  async controlUpload(method, path, file) {
    return json(await send(this.controlAddress(path), { method, body: file }));
  }

  /** A call to `/v1` on the inference plane; its JSON. */
  async inference(method, path, { body, query } = {}) {
    return json(await this.v1("inference", method, path, { body, query }));
  }

  /** A call to `/v1` on the management plane; its JSON. */
  async management(method, path, { body, query } = {}) {
    return json(await this.v1("management", method, path, { body, query }));
  }

  /** A call to `/auth` or `/audit` on the management plane; its JSON. */
  async administration(method, path, { body, query } = {}) {
    return json(await this.#call("management", method, path, { body, query }));
  }

  /** A call to `/v1`; its response. */
  v1(plane, method, path, options) {
    return this.#call(plane, method, `/v1${path}`, options);
  }

  async #call(plane, method, path, { body, query, signal } = {}) {
    const tail = query ? `?${new URLSearchParams(query)}` : "";
    const { headers, ...rest } = content(body);
    // What the page reads is not in the journal, and uses up no fault that is planned for a client.
    const internal = method === "GET" ? { "x-emulator-internal": "console" } : {};
    return this.#withKeys(() =>
      send(`${path}${tail}`, { method, headers: { ...headers, ...internal, ...this.#credentials(plane) }, signal, ...rest }));
  }

  /** Uploads a form and reports its progress; its JSON. */
  upload(plane, path, form, watch) {
    return this.#withKeys(() => this.#upload(plane, path, form, watch));
  }

  /** Runs a call; when its key is refused, asks for keys and runs it once more with those. */
  async #withKeys(call) {
    try {
      return await call();
    } catch (error) {
      if (error.rule !== "key" || error.fault) throw error;
      this.#asking ??= this.askForKeys(error).finally(() => (this.#asking = null));
      if (!(await this.#asking)) throw error;
      return call();
    }
  }

  // XMLHttpRequest, because fetch reports no progress of an upload
  #upload(plane, path, form, { progress, signal }) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", `/v1${path}`);
      for (const [name, value] of Object.entries(this.#credentials(plane))) request.setRequestHeader(name, value);
      request.upload.addEventListener("progress", (event) => progress(event.loaded, event.total));
      request.addEventListener("error", () => reject(new Refusal("The connection ended before the upload did.")));
      request.addEventListener("abort", () => reject(new Refusal("The upload was stopped.")));
      request.addEventListener("load", () => {
        if (request.status < 400) resolve(JSON.parse(request.responseText));
        else reject(refusal(request.status, request.responseText, (name) => request.getResponseHeader(name)));
      });
      signal?.addEventListener("abort", () => request.abort());
      request.send(form);
    });
  }

  #credentials(plane) {
    return { authorization: `Bearer ${keysOf(this.team)[plane]}` };
  }
}

function content(body) {
  return body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

async function send(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Refusal("The emulator does not answer: is it still running?");
  }
  if (response.ok) return response;
  throw refusal(response.status, await response.text(), (name) => response.headers.get(name));
}

async function json(response) {
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/** Reads a refusal of any of the three dialects: control, inference, management. */
function refusal(status, text, header) {
  let message = text;
  try {
    const body = JSON.parse(text);
    message = body.error?.message ?? body.error ?? body.message ?? text;
  } catch {
    // plain text, as some refusals are
  }
  const named = { status, rule: header("x-emulator-rule"), fault: header("x-emulator-fault") };
  return new Refusal(String(message).trim() || `The emulator answered ${status}.`, named);
}
