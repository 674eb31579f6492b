// For Vitest: fixtures `emulator`, one for a file of tests, and `team`, one for each test.
import { test as base } from "vitest";

import { startEmulator } from "./index.js";

/** Make a `test` with the fixtures `emulator` and `team`. */
export function testWithEmulator(options) {
  return base.extend({
    emulator: [
      async ({}, use) => {
        const emulator = await startEmulator(options);
        await use(emulator);
        await emulator.stop();
      },
      { scope: "file" },
    ],
    team: async ({ emulator }, use) => {
      const team = await emulator.team();
      await use(team);
      await team.remove();
    },
  });
}

export const test = testWithEmulator();
