// Start an emulator, or connect to a running one, and steer it from tests. No dependencies; Node 18 or newer.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";

const KEY = "xai-emulator";
const MANAGEMENT_KEY = "xai-token-emulator";
const READY = /^xai-emulator ready (\S+) grpc=(\S+)/;

/** The emulator refused a control call; `status` is that of its answer. */
export class Refused extends Error {
  constructor(call, status, text) {
    super(`${call}: ${status} ${text}`);
    this.name = "Refused";
    this.status = status;
  }
}

export class Emulator {
  #child;
  #token;

  constructor(url, { grpcTarget, controlToken, child } = {}) {
    this.url = url.replace(/\/+$/, "");
    this.baseURL = `${this.url}/v1`;
    this.grpcTarget = grpcTarget ?? new URL(this.url).host;
    this.#token = controlToken;
    this.#child = child;
  }

  /** Create a team, by default with a name of its own. An existing one is used as it is. */
  async team(name = `js-${randomUUID()}`) {
    try {
      await this.control("POST", "/teams", { name });
    } catch (error) {
      if (!(error instanceof Refused && error.status === 409)) throw error;
    }
    return new Team(this, name);
  }

  /** Call the control API; the answer is its JSON. */
  async control(method, path, body, query = {}) {
    const headers = {};
    if (body !== undefined) headers["content-type"] = "application/json";
    if (this.#token) headers.authorization = `Bearer ${this.#token}`;
    const url = new URL(`${this.url}/_emulator${path}`);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    const response = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Refused(`${method} /_emulator${path}`, response.status, text);
    return JSON.parse(text);
  }

  /** Stop the process that `startEmulator` has started; an emulator that was already running is left alone. */
  async stop() {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  }

  [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    return this.stop();
  }
}

/** A team: keys of its own, and with them files, a clock, faults, answers and a journal of its own. */
export class Team {
  constructor(emulator, name) {
    this.emulator = emulator;
    this.name = name;
    this.url = emulator.url;
    this.baseURL = emulator.baseURL;
    this.grpcTarget = emulator.grpcTarget;
    this.apiKey = `${KEY}@${name}`;
    this.managementKey = `${MANAGEMENT_KEY}@${name}`;
    const move = (verb, body) => this.control("POST", `/clock/${verb}`, body);
    this.clock = {
      now: async () => new Date((await this.control("GET", "/clock")).now),
      advance: (seconds) => move("advance", { seconds }),
      advanceUntil: (condition) => move("advance", { until: condition }),
      freeze: (at) => move("freeze", at === undefined ? {} : { at: at instanceof Date ? at.toISOString() : at }),
      resume: () => move("resume", {}),
    };
  }

  /** The options of `new OpenAI(…)`. */
  get openaiOptions() {
    return { baseURL: this.baseURL, apiKey: this.apiKey };
  }

  /** Plan an effect for calls of an operation, or with an array a step for each of the next calls. Returns the id. */
  async plan(operation, effect) {
    if (!Array.isArray(effect)) return (await this.control("POST", "/faults", { operation, ...effect })).rule.id;
    return (await this.control("POST", "/scripts", { operation, steps: effect })).script.id;
  }

  /** Plan the answer to requests whose last user text matches a pattern. Returns the id. */
  async answer(pattern, response, rule = {}) {
    const regex = pattern instanceof RegExp ? source(pattern) : pattern;
    return (await this.control("POST", "/answers", { regex, response, ...rule })).answer.id;
  }

  /** The calls of the team, oldest first. */
  async requests(query = {}) {
    return (await this.control("GET", "/requests", undefined, query)).requests;
  }

  /** Remove everything the team has, with its plans and its journal, and set its clock back. */
  async reset() {
    await this.control("POST", "/reset");
  }

  /** Remove the team. */
  async remove() {
    await this.emulator.control("DELETE", `/teams/${encodeURIComponent(this.name)}`);
  }

  /** Call the control API for this team. */
  control(method, path, body, query = {}) {
    return this.emulator.control(method, path, body, { team: this.name, ...query });
  }
}

/** The source of a pattern with its flags as the emulator reads them. */
function source(pattern) {
  const flags = pattern.flags.replace(/[gdyu]/g, "");
  return flags ? `(?${flags})${pattern.source}` : pattern.source;
}

/**
 * Connect to the emulator at `url` or XAI_EMULATOR_URL. Without either start one on a free port; it ends with `stop()`,
 * and with this process.
 */
export async function startEmulator(options = {}) {
  const { url = process.env.XAI_EMULATOR_URL, controlToken = process.env.XAI_EMULATOR_CONTROL_TOKEN } = options;
  if (url) return new Emulator(url, { controlToken });
  const { command = ["xai-emulator"], args = [], env = {} } = options;
  const [program, ...first] = command;
  const child = spawn(program, [...first, "serve", "--port", "0", ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const kill = () => child.kill();
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));
  const [, found, grpcTarget] = await ready(child);
  // Neither the process nor its output keeps this one from ending.
  for (const each of [child, child.stdout, child.stderr]) each.unref();
  return new Emulator(found, { grpcTarget, controlToken, child });
}

/** Wait for the line that says where the emulator listens. Rejects with what it printed if it ends before. */
function ready(child) {
  let printed = "";
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (text) => {
    printed = (printed + text).slice(-4096);
  });
  return new Promise((resolve, reject) => {
    child.once("error", (error) => reject(new Error(`xai-emulator cannot be started: ${error.message}`)));
    child.once("close", () => reject(new Error(`xai-emulator ended before it was ready:\n${printed}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = READY.exec(line);
      if (found) resolve(found);
    });
  });
}
