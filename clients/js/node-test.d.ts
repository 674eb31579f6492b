import type { TestContext } from "node:test";

import type { StartOptions, Team } from "./index.js";

export function useEmulator(options?: StartOptions): (test: TestContext) => Promise<Team>;
