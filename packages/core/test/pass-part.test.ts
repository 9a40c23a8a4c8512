/** The pass is an entry of its own; until it is imported, core names it. */

import { expect, test } from "vitest";
import { getRope } from "@ropewalk/core";
import { caught } from "./failures.ts";
import { testRegistry } from "./providers.ts";

test("without the import a pass is refused, with the import to add, and nothing is written", async () => {
  const rope = getRope({ headDim: 4, parameters: { ropeType: "plain" } }, { registry: testRegistry() });
  const query = Float32Array.of(1, 2, 3, 4);
  const call = { positions: [1], query, norm: { query: { epsilon: 0 } } };
  expect(caught(() => rope.apply(call), "ROPE_UNSUPPORTED").remedy).toContain('"@ropewalk/core/pass"');
  expect([...query]).toEqual([1, 2, 3, 4]);
  rope.apply({ positions: [0], query });
  await import("@ropewalk/core/pass");
  rope.apply(call);
  expect([...query]).not.toEqual([1, 2, 3, 4]);
});
