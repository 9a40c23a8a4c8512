/** The attack in a short form. The whole one is run by hand (`npm run attack`). */

import { expect, test } from "vitest";
import { attackWithDamage } from "../damage.ts";
import { attackScene, scenes } from "../kills.ts";
import { seeded } from "../random.ts";

test("200 damaged files: no hang, no defect, nothing lost, little memory", async () => {
  const { found, memory, taken } = await attackWithDamage(1, 200, 5);
  expect(found).toEqual([]);
  expect(memory).toBeLessThan(250);
  // Some damage does not show; else the files would be refused for one and the same reason.
  expect(taken).toBeGreaterThan(10);
  expect(taken).toBeLessThan(100);
});

test.each(["apply, in place of results", "permute, in place"])(
  "%s: killed processes leave the state of before, or the new one",
  async (name) => {
    const scene = scenes.find(({ what }) => what === name)!;
    const { found, killed } = await attackScene(scene, 3, false, seeded(Date.now()));
    expect(found).toEqual([]);
    expect(killed).toBeGreaterThan(0);
  },
);
