import { getRope } from "@ropewalk/core";
import type { RotaryEmbedding, Tensor } from "@ropewalk/core";
import "@ropewalk/default";
import type { Contestant } from "../contestant.ts";
import { versionOf } from "../machine.ts";
import type { Elements, Workload } from "../workload.ts";

const source = `@ropewalk/core ${versionOf("@ropewalk/core")}`;

/** The rope of a workload, in JavaScript. */
export function ropeOf({ headDim, base, pairing }: Workload): RotaryEmbedding {
  return getRope({ headDim, base, pairing, maxPosition: 131072, parameters: { ropeType: "default" } });
}

/** Queries and keys as callers pass them: plain arrays, or tensors with an element type for 16-bit data. */
function tensorsOf({ working, dtype, tokens, headDim, queryHeads, keyHeads }: Workload): {
  query: Tensor;
  key: Tensor;
} {
  const tensor = (data: Elements, heads: number): Tensor =>
    dtype === "float32" ? data : { data, dtype, shape: [tokens, heads, headDim] };
  return { query: tensor(working.query, queryHeads), key: tensor(working.key, keyHeads) };
}

/** One call for everything: positions are checked and cos and sin gathered each time. In place. */
export const ropewalkApply: Contestant = {
  name: "ropewalk js, apply",
  source,
  angles: "float32",
  prepare(workload) {
    const rope = ropeOf(workload);
    const tensors = { ...tensorsOf(workload), positions: { start: workload.start, count: workload.tokens } };
    return { run: () => rope.apply(tensors), result: workload.working };
  },
};

/** The call of all layers after the first of a step. In place. */
export const ropewalkStep: Contestant = {
  name: "ropewalk js, step",
  source,
  angles: "float32",
  prepare(workload) {
    const step = ropeOf(workload).at({ start: workload.start, count: workload.tokens });
    const tensors = tensorsOf(workload);
    return { run: () => step.apply(tensors), result: workload.working };
  },
};
