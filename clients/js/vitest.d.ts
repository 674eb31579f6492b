import type { TestAPI } from "vitest";

import type { Emulator, StartOptions, Team } from "./index.js";

export function testWithEmulator(options?: StartOptions): TestAPI<{ emulator: Emulator; team: Team }>;
export const test: TestAPI<{ emulator: Emulator; team: Team }>;
