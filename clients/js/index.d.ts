import type { ChildProcess } from "node:child_process";

export interface StartOptions {
  /** A running emulator; by default XAI_EMULATOR_URL. Without either one is started. */
  url?: string;
  /** Its control token, if it needs one; by default XAI_EMULATOR_CONTROL_TOKEN. */
  controlToken?: string;
  /** The program and its first arguments; by default `["xai-emulator"]`. */
  command?: string[];
  /** Further flags of `xai-emulator serve`, such as `["--profile", "strict"]`. */
  args?: string[];
  /** Further variables of its environment. */
  env?: Record<string, string>;
}

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Condition =
  | { batch_done: string }
  | { file_expired: string }
  | { document_indexed: { collection_id: string; file_id: string } };
/** The effect of a fault as in `POST /_emulator/faults`: `{ error: "rate_limited" }`, `{ status: 503 }` and others. */
export type Effect = { [name: string]: Json };

export interface Call {
  number: number;
  operation: string | null;
  transport: string;
  status: number | string;
  [name: string]: unknown;
}

export interface Clock {
  now(): Promise<Date>;
  advance(seconds: number): Promise<{ [name: string]: unknown }>;
  advanceUntil(condition: Condition): Promise<{ [name: string]: unknown }>;
  freeze(at?: Date | string): Promise<{ [name: string]: unknown }>;
  resume(): Promise<{ [name: string]: unknown }>;
}

export class Refused extends Error {
  readonly status: number;
}

export class Emulator {
  constructor(url: string, options?: { grpcTarget?: string; controlToken?: string; child?: ChildProcess });
  readonly url: string;
  readonly baseURL: string;
  readonly grpcTarget: string;
  team(name?: string): Promise<Team>;
  control(method: string, path: string, body?: unknown, query?: Record<string, string | number>): Promise<any>;
  stop(): Promise<void>;
}

export class Team {
  readonly emulator: Emulator;
  readonly name: string;
  readonly url: string;
  readonly baseURL: string;
  readonly grpcTarget: string;
  readonly apiKey: string;
  readonly managementKey: string;
  readonly openaiOptions: { baseURL: string; apiKey: string };
  readonly clock: Clock;
  plan(operation: string, effect: Effect | (Effect | "ok")[]): Promise<string>;
  answer(pattern: RegExp | string, response: Json, rule?: { [name: string]: Json }): Promise<string>;
  requests(query?: { operation?: string; limit?: number; [name: string]: string | number | undefined }): Promise<Call[]>;
  reset(): Promise<void>;
  remove(): Promise<void>;
  control(method: string, path: string, body?: unknown, query?: Record<string, string | number>): Promise<any>;
}

export function startEmulator(options?: StartOptions): Promise<Emulator>;
