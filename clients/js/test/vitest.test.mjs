import { expect } from "vitest";

import { testWithEmulator } from "../vitest.js";
import { list, upload } from "./calls.mjs";

const test = testWithEmulator({ command: JSON.parse(process.env.EMULATOR_COMMAND ?? '["xai-emulator"]') });
const names = [];

for (const name of ["one.txt", "two.txt"]) {
  test(`team of ${name} has only its file`, async ({ team }) => {
    names.push(team.name);
    await upload(team, name, 3600);
    expect((await list(team)).names).toEqual([name]);
    await team.clock.advance(3600);
    expect((await list(team)).names).toEqual([]);
  });
}

test("teams of ended tests are removed", async ({ emulator }) => {
  const left = (await emulator.control("GET", "/teams")).teams.map((team) => team.name);
  expect(names).toHaveLength(2);
  expect(left.filter((name) => names.includes(name))).toEqual([]);
});
