import { afterAll, expect, test } from "vitest";
import { allCases } from "./pass-body.ts";
import { openPage } from "./chromium.ts";
import { POSITIONS } from "./golden-body.ts";
import { goldenSpecs } from "./golden-specs.ts";
import type { Page } from "./page.ts";

declare const globalThis: { readonly page: Page };

const { page, close } = await openPage("page.ts");
afterAll(close);

test.each(allCases.filter(({ isLong = false }) => !isLong))("headless Chromium: $name", async ({ name }) => {
  await page.evaluate((which) => globalThis.page.run(which), name);
});

test("headless Chromium: every golden rope is JavaScript's within 1e-6 at positions up to 1048575", async () => {
  expect(
    await page.evaluate(([specs, positions]) => globalThis.page.goldens(specs, positions), [
      goldenSpecs,
      POSITIONS,
    ] as const),
  ).toEqual([]);
});
