import assert from "node:assert/strict";
import { test } from "node:test";

import { Refused, startEmulator } from "../index.js";
import { useEmulator } from "../node-test.js";
import { ask, list, upload } from "./calls.mjs";

const command = JSON.parse(process.env.EMULATOR_COMMAND ?? '["xai-emulator"]');
const newTeam = useEmulator({ command });

test("file expires when the clock is advanced", async (t) => {
  const team = await newTeam(t);
  await upload(team, "a.txt", 3600);
  assert.deepEqual((await list(team)).names, ["a.txt"]);
  const before = await team.clock.now();
  await team.clock.advance(3600);
  assert.ok((await team.clock.now()) - before >= 3_600_000);
  assert.deepEqual((await list(team)).names, []);
});

test("teams have files of their own", async (t) => {
  const [one, other] = [await newTeam(t), await newTeam(t)];
  await upload(one, "one.txt");
  assert.deepEqual((await list(other)).names, []);
});

test("planned fault meets the calls it was planned for", async (t) => {
  const team = await newTeam(t);
  await team.plan("files.list", { error: "rate_limited", times: 1 });
  await team.plan("files.list", ["ok", { status: 503 }]);
  const statuses = [];
  for (let call = 0; call < 4; call++) statuses.push((await list(team)).status);
  assert.deepEqual([...statuses].sort(), [200, 200, 429, 503]);
  assert.deepEqual((await team.requests({ operation: "files.list" })).map((call) => call.status), statuses);
});

test("planned answer is given to matching requests", async (t) => {
  const team = await newTeam(t);
  await team.answer(/^weather/i, "It rains.");
  assert.equal(await ask(team, "Weather in Bern?"), "It rains.");
  assert.equal(await ask(team, "one two"), "one two");
});

test("reset removes files and plans", async (t) => {
  const team = await newTeam(t);
  await upload(team, "a.txt");
  await team.plan("files.list", { status: 503 });
  await team.reset();
  assert.deepEqual(await list(team), { status: 200, names: [] });
});

test("refused control call rejects with its status", async (t) => {
  const team = await newTeam(t);
  await assert.rejects(team.plan("no.such", { status: 503 }), (error) => error instanceof Refused && error.status === 422);
});

test("running emulator is used and not stopped", async (t) => {
  const team = await newTeam(t);
  const found = await startEmulator({ url: team.url });
  await found.stop();
  assert.equal((await list(await found.team(team.name))).status, 200);
});

test("emulator that cannot start rejects with what it printed", async () => {
  await assert.rejects(startEmulator({ url: "", command, args: ["--profile", "none-such"] }), /ended before it was ready[^]*profile/);
  await assert.rejects(startEmulator({ url: "", command: ["no-such-program"] }), /cannot be started/);
});
