import assert from "node:assert/strict";
import { test } from "node:test";
import { conformance } from "@ropewalk/conformance";
import { getRopeUntyped } from "@ropewalk/core";
import { linear } from "../example/linear.js";

conformance(test, {
  provider: linear,
  cases: [{ name: "factor 4", request: { headDim: 8, parameters: { factor: 4 } } }],
});

test("by hand: 10000^0 = 1 and 10000^(-1/2) = 0.01 radians per position, each divided by 4", () => {
  const parameters = { ropeType: "linear", factor: 4 };
  const rope = getRopeUntyped({ headDim: 4, base: 10_000, precision: "float64", parameters }, { provider: linear });
  assert.deepEqual([...rope.frequencies().invFreq], [0.25, 0.0025]);
});
