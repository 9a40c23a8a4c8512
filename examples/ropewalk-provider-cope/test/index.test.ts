import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { conformance } from "@ropewalk/conformance";
import type { ConformanceCase } from "@ropewalk/conformance";
import { RopeError, getRope } from "@ropewalk/core";
import "ropewalk-provider-cope";

/** The cases are data: `ropewalk conformance` reads the same file. */
const { cases } = JSON.parse(readFileSync(new URL("../conformance.json", import.meta.url), "utf8")) as {
  readonly cases: readonly ConformanceCase[];
};

// The laws of rotary position embedding, and the numbers of the authors' code. Together the cases use every parameter.
conformance(test, { ropeType: "cope", cases });

test("by hand: the third of four pairs is halved, (1 + cos π/2)/2, and the fourth stands still", () => {
  const parameters = { ropeType: "cope", clippedPairs: 3 } as const;
  const rope = getRope({ headDim: 8, base: 10_000, precision: "float64", parameters });
  assert.deepEqual([...rope.frequencies().invFreq], [1, 0.1, 0.005, 0]);
  const { rules, pairs } = rope.explain();
  assert.match(rules.find(({ name }) => name === "clippedPairs")!.rule, /^given: pairs 1 to 3 turn/);
  assert.deepEqual(
    pairs.map(({ regime }) => regime),
    ["kept", "kept", "slowed", "stopped"],
  );
});

test("a head has no more pairs to clip than it has", () => {
  const parameters = { ropeType: "cope", clippedPairs: 5 } as const;
  assert.throws(
    () => getRope({ headDim: 8, parameters }),
    (error) => RopeError.is(error) && /clippedPairs.*≤ 4/.test(error.message),
  );
});
