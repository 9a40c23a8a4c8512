import { expect, test } from "vitest";
import { getRopeUntyped, ropeCacheStatistics } from "@ropewalk/core";
import type { UntypedRopeRequest } from "@ropewalk/core";
import { testRegistry } from "./providers.ts";

const cache = () => {
  const registry = testRegistry();
  return { registry, get: (request: object) => getRopeUntyped(request as UntypedRopeRequest, { registry }) };
};
const weighted = (weights: unknown): object => ({ headDim: 64, parameters: { ropeType: "tuned", factor: 4, weights } });

test("a typed array whose numbers changed is another request", () => {
  const { get } = cache();
  const weights = Float64Array.of(1, 2);
  const request = weighted(weights);
  const before = get(request);
  weights[1] = 3;
  const after = get(request);
  expect(after).not.toBe(before);
  expect(after.spec.parameters["weights"]).toEqual([1, 3]);
  expect(get(weighted([1, 2]))).toBe(before);
});

test("a list inside a repeated request may change between two calls", () => {
  const { get } = cache();
  const weights = [1, 2];
  const request = weighted(weights);
  const before = get(request);
  expect(get(request)).toBe(before);
  weights.push(3);
  expect(get(request)).not.toBe(before);
  weights.length = 1;
  expect(get(request)).not.toBe(before);
  weights[1] = 2;
  expect(get(request)).toBe(before);
});

test("more alternating requests than are kept as written still get their own instances", () => {
  const { get, registry } = cache();
  const request = (base: number) => ({ headDim: 64, base, parameters: { ropeType: "tuned", factor: 4 } });
  const ropes = Array.from({ length: 40 }, (_, i) => get(request(2 + i)));
  for (let round = 0; round < 3; round++) ropes.forEach((rope, i) => expect(get(request(2 + i))).toBe(rope));
  expect(ropeCacheStatistics(registry)).toMatchObject({ size: 40, misses: 40, hits: 120 });
});
