/** Reads the settings of Ascend ATB's `RopeOperation`. */

import { RopeError } from "@ropewalk/core";
import type { Pairing } from "@ropewalk/core";
import { checkKeys } from "@ropewalk/core/backend";
import { isObject, shown } from "./locate/found.ts";

/** `RopeParam` of ATB, and the size of the head that it rotates. */
export interface AtbRope {
  /** 2, 4, `headDim/2` or `headDim`. ATB's own default is 4. */
  readonly rotaryCoeff: number;
  readonly headDim: number;
}

/** The fields of a rope request that an ATB rope determines, and the form in which ATB expects cos and sin. */
export interface AtbRequest {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly rotaryOffset: 0;
  readonly pairing: Pairing;
  /** `width` for `rope.cosSin` that gives a table of `headDim` columns. */
  readonly width: "half" | "full";
}

/**
 * Translates an ATB `rotaryCoeff` to a pairing:
 *
 * | `rotaryCoeff` | rotates | here | table |
 * | --- | --- | --- | --- |
 * | 2 | halves of the head | `half` | `headDim/2` columns, or doubled |
 * | 4 | each half of the head by halves | `{ blocks: 2 }` | `headDim` columns, doubled within each half |
 * | `headDim/2` | neighbours in the first half | `adjacent`, `rotaryDim = headDim/2` | `headDim/2` columns, doubled |
 * | `headDim` | neighbours | `adjacent` | `headDim` columns, doubled |
 *
 * If two rows apply (a head of 8 with 4, a head of 4 with 2), the upper one wins, as in ATB's documentation.
 *
 * @returns fields to spread into a request, and the `width` of ATB's table for
 * `rope.cosSin(positions, { width, dtype })`.
 * @throws RopeError `ROPE_CONFIG` for another coefficient or an odd head; `ROPE_INVALID_PARAMETERS` for an unknown key.
 * Source: Ascend ATB `infer::RopeParam`; golden tests of MindIE-LLM's RopeOperation.
 * @example
 * import "@ropewalk/default";
 *
 * const { width, ...fields } = fromAtb({ rotaryCoeff: 4, headDim: 128 });
 * const rope = getRope({ ...fields, base: 10000, parameters: { ropeType: "default" } });
 * rope.cosSin({ start: 0, count: 16 }, { width }).cos.length; // 2048
 */
export function fromAtb(rope: AtbRope): AtbRequest {
  if (!isObject(rope)) {
    throw new RopeError("ROPE_CONFIG", {
      what: "the rope of ATB is not an object",
      expected: "an object with rotaryCoeff and headDim",
      received: shown(rope),
    });
  }
  checkKeys("the rope of ATB", rope, ["rotaryCoeff", "headDim"]);
  const { rotaryCoeff, headDim } = rope;
  const whole = { headDim, rotaryDim: headDim, rotaryOffset: 0, width: "full" } as const;
  if (Number.isSafeInteger(headDim) && headDim > 0 && headDim % 2 === 0) {
    if (rotaryCoeff === 2) return { ...whole, pairing: "half" };
    if (rotaryCoeff === 4 && headDim % 4 === 0) return { ...whole, pairing: { blocks: 2 } };
    if (rotaryCoeff === headDim) return { ...whole, pairing: "adjacent" };
    if (rotaryCoeff === headDim / 2 && headDim % 4 === 0) {
      return { ...whole, rotaryDim: headDim / 2, pairing: "adjacent" };
    }
  }
  throw new RopeError("ROPE_CONFIG", {
    what: "ATB has no such rope",
    expected: `rotaryCoeff 2, 4, headDim/2 or headDim for an even headDim`,
    received: `rotaryCoeff ${shown(rotaryCoeff)}, headDim ${shown(headDim)}`,
    facts: { rotaryCoeff, headDim },
  });
}
