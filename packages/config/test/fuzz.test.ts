import { expect, test } from "vitest";
import { fuzz } from "./fuzz.ts";

// The first of the million that `node packages/config/test/fuzz.ts 1000000` runs.
test("five thousand random configs and headers give ropes or a RopeError", { timeout: 60_000 }, () => {
  const { cases, ropes, errors, slowest } = fuzz(5_000);
  expect(ropes + Object.values(errors).reduce((sum, count) => sum + count, 0)).toBe(cases);
  // A fuzzer whose inputs are all refused, or all accepted, shows nothing.
  expect(ropes).toBeGreaterThan(cases / 5);
  expect(Object.keys(errors).sort()).toEqual(["ROPE_CONFIG", "ROPE_INVALID_PARAMETERS", "ROPE_UNKNOWN_TYPE"]);
  // No case is more than a few lists of 200 000 entries; a hang would be seconds.
  expect(slowest.milliseconds).toBeLessThan(2000);
});
