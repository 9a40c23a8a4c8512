/** Parameters of the rope type `cope`: type, schema, and what the schema cannot say. */

import type { ParameterSchema, RopeIssue, RopeSettings } from "@ropewalk/core";

/** Parameters of the rope type `cope`. */
export interface CopeParameters {
  /** `c`: how many of the slowest pairs are clipped; absent: {@link AUTHORS_PAIRS}, or all where there are fewer. */
  readonly clippedPairs?: number | null;
  /** `"soft"` is CoPE; `"hard"` is what the paper compares it with. */
  readonly clipping?: "soft" | "hard";
}

/** The authors clip 20 of the 64 pairs of Llama 3 (`clip_low_n`). */
export const AUTHORS_PAIRS = 20;

/** Schema of the rope type `cope`, with the source of each default. */
export const copeParameters: ParameterSchema<CopeParameters> = {
  clippedPairs: {
    type: "integer",
    min: 0,
    default: null,
    description: "how many of the slowest pairs are clipped; absent: 20, or all of fewer (hrlics/CoPE, clip_low_n)",
  },
  clipping: {
    type: "string",
    oneOf: ["soft", "hard"],
    default: "soft",
    description: "soft: by a cosine, which is CoPE (arXiv 2602.05258); hard: the HardClip that it is compared with",
  },
};

/** What the schema cannot say: a head has no more pairs to clip than it has. */
export function checkCope({ clippedPairs }: Required<CopeParameters>, { rotaryDim }: RopeSettings): RopeIssue[] {
  const pairs = rotaryDim / 2;
  if (clippedPairs === null || clippedPairs <= pairs) return [];
  return [
    { path: "parameters.clippedPairs", expected: `≤ ${pairs}, the number of pairs`, received: `${clippedPairs}` },
  ];
}
