/** The pass from projection to cache: whole texts of its kernel, and that its tests see a mistake in it. */
import { afterAll, test } from "vitest";
import { newDevice } from "./node-device.ts";
import { passCases } from "./pass-body.ts";

const device = await newDevice();
afterAll(() => device.destroy());
test.each(passCases)("$name", async ({ run }) => run(device));
