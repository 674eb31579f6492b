// For node:test: one emulator for a file of tests, and a team for each test.
import { after, before } from "node:test";

import { startEmulator } from "./index.js";

/** Start an emulator before the tests of this file and stop it after them. The answer makes a team for a test. */
export function useEmulator(options) {
  let emulator;
  before(async () => {
    emulator = await startEmulator(options);
  });
  after(() => emulator?.stop());
  return async function team(test) {
    const made = await emulator.team();
    test.after(() => made.remove());
    return made;
  };
}
