import type { RotaryEmbedding, Tensor } from "@ropewalk/core";
import { getRope } from "ropewalk";
import type { Contestant } from "../contestant.ts";
import { versionOf } from "../machine.ts";
import type { Elements, QueryAndKey, Workload } from "../workload.ts";

const source = `@ropewalk/core ${versionOf("@ropewalk/core")}`;

/** The rope of a workload, as it comes or on a backend. */
export function ropeOf({ headDim, base, pairing }: Workload, options?: { readonly backend: string }): RotaryEmbedding {
  return getRope({ headDim, base, pairing, maxPosition: 131072, parameters: { ropeType: "default" } }, options);
}

/** Queries and keys as callers pass them: plain arrays, or tensors with an element type for 16-bit data. */
function tensorsOf(
  { dtype, tokens, headDim, queryHeads, keyHeads }: Workload,
  { query, key }: QueryAndKey,
): { query: Tensor; key: Tensor } {
  const tensor = (data: Elements, heads: number): Tensor =>
    dtype === "float32" ? data : { data, dtype, shape: [tokens, heads, headDim] };
  return { query: tensor(query, queryHeads), key: tensor(key, keyHeads) };
}

/**
 * What a program does that has read one line of the manual: the package `ropewalk`, no option, arrays of its own. The
 * arrays of the workload lie in an arena.
 */
export const byDefault: Contestant = {
  name: "ropewalk, arrays, apply",
  source: `ropewalk ${versionOf("ropewalk")}`,
  angles: "float32",
  prepare(workload) {
    const { pristine, start, tokens } = workload;
    const own = { query: pristine.query.slice(), key: pristine.key.slice() };
    const rope = ropeOf(workload);
    const tensors = { ...tensorsOf(workload, own), positions: { start, count: tokens } };
    return { run: () => rope.apply(tensors), result: own };
  },
};

/** One call for everything: positions are checked and cos and sin gathered each time. In place. */
export const ropewalkApply: Contestant = {
  name: "ropewalk js, apply",
  source,
  angles: "float32",
  prepare(workload) {
    const rope = ropeOf(workload, { backend: "js" });
    const tensors = {
      ...tensorsOf(workload, workload.working),
      positions: { start: workload.start, count: workload.tokens },
    };
    return { run: () => rope.apply(tensors), result: workload.working };
  },
};

/** The call of all layers after the first of a step. In place. */
export const ropewalkStep: Contestant = {
  name: "ropewalk js, step",
  source,
  angles: "float32",
  prepare(workload) {
    const step = ropeOf(workload, { backend: "js" }).at({ start: workload.start, count: workload.tokens });
    const tensors = tensorsOf(workload, workload.working);
    return { run: () => step.apply(tensors), result: workload.working };
  },
};
