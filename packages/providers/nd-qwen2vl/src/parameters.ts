/** Parameters of the rope types `mrope` and `nd`, the source of each default, and checks for contradictions. */

import type { ParameterSchema, RopeSettings, RopeIssue } from "@ropewalk/core";

/** Parameters of the rope type `mrope`. */
export interface MropeParameters {
  /** Pairs of each axis (time, height, width); their sum is `rotaryDim/2`. */
  readonly sections: readonly number[];
  /** How axes are assigned to pairs: in runs, or cyclically. */
  readonly order?: "sectioned" | "cyclic";
}

/** Schema of the rope type `mrope`. */
export const mropeParameters: ParameterSchema<MropeParameters> = {
  sections: { type: "numbers", min: 1, description: "pairs of each axis; models differ" },
  order: {
    type: "string",
    oneOf: ["sectioned", "cyclic"],
    default: "sectioned",
    description: "in runs (Qwen2-VL, vLLM) or round and round (Qwen3-VL)",
  },
};

/** Parameters of the rope type `nd`. */
export interface NdParameters {
  /** The number of axes. Needed only without `sections`. */
  readonly axisCount?: number | null;
  /** Pairs of each axis, in this order. Absent: an even split of the rotated pairs. */
  readonly sections?: readonly number[] | null;
  /**
   * How axes are assigned to pairs: each axis has a run (`"sectioned"`), or axis `a` of `n` has the pairs `a, a + n, …`
   * (`"alternating"`).
   */
  readonly order?: "sectioned" | "alternating";
  /**
   * The exponent of pair `k` of an axis is `k` divided by the number of pairs of that axis (`"section"`), or of the
   * largest axis (`"largest"`).
   */
  readonly denominator?: "section" | "largest";
  /**
   * The frequencies start again at 1 on each axis (`"restart"`), or axis `a` has entries `a, a + n, …` of one list
   * (`"shared"`).
   */
  readonly frequencies?: "restart" | "shared";
  /** The base of each axis, if they differ (Cosmos scales one of them). Absent: `base` for all. */
  readonly bases?: readonly number[] | null;
  /** Multiplies every frequency: 2π if positions count full turns. */
  readonly angleScale?: number;
  /** The number of pairs before those of the axes that are not rotated. */
  readonly padFront?: number;
  /** The number of pairs after those of the axes that are not rotated. */
  readonly padEnd?: number;
}

/** Schema of the rope type `nd`, with the source of each default. */
export const ndParameters: ParameterSchema<NdParameters> = {
  axisCount: { type: "integer", min: 1, max: 255, default: null, description: "axes; absent: as many as sections" },
  sections: {
    type: "numbers",
    min: 0,
    default: null,
    description: "pairs of each axis; absent: an even split (ndrope)",
  },
  order: {
    type: "string",
    oneOf: ["sectioned", "alternating"],
    default: "sectioned",
    description: "axes in runs (Qwen2-VL's tower) or by turns (MoonViT)",
  },
  denominator: {
    type: "string",
    oneOf: ["section", "largest"],
    default: "section",
    description: "exponents over the axis's pairs (vision towers, diffusers) or the largest axis's (ndrope)",
  },
  frequencies: {
    type: "string",
    oneOf: ["restart", "shared"],
    default: "restart",
    description: "each axis from 1 on (Qwen2-VL's tower) or every n-th of one list (Pixtral)",
  },
  bases: { type: "numbers", above: 1, default: null, description: "base of each axis; absent: the rope's" },
  angleScale: { type: "number", above: 0, default: 1, description: "multiplies frequencies (DINOv3: 2π)" },
  padFront: { type: "integer", min: 0, default: 0, description: "pairs in front that do not turn (LTX)" },
  padEnd: { type: "integer", min: 0, default: 0, description: "pairs at the end that do not turn (ESMFold2)" },
};

/** Pairs of each axis of an `nd` rope: the given ones, or an even split of the rotated pairs. */
export function ndSections(
  { axisCount, padEnd, padFront, sections }: Required<NdParameters>,
  rotaryDim: number,
): readonly number[] {
  const count = axisCount ?? 1;
  return sections ?? new Array<number>(count).fill((rotaryDim / 2 - padFront - padEnd) / count);
}

/** The issue of sections that are not integers with the sum `pairs`, with the arithmetic; `[]` if they are. */
function checkSections(sections: readonly number[], pairs: number): RopeIssue[] {
  const sum = sections.reduce((total, size) => total + size, 0);
  const whole = sections.length > 0 && sections.every(Number.isInteger);
  if (whole && sum === pairs) return [];
  return [
    {
      path: "parameters.sections",
      expected: `integers that add up to ${pairs}, the pairs that turn`,
      received: whole ? `${sections.join(" + ")} = ${sum}` : `[${sections.join(", ")}]`,
      remedy: "Sections count pairs, not elements.",
    },
  ];
}

/** Contradictions in the parameters of `mrope`; `[]` if there are none. */
export function checkMrope({ sections }: Required<MropeParameters>, { rotaryDim }: RopeSettings): RopeIssue[] {
  return checkSections(sections, rotaryDim / 2);
}

/** Contradictions in the parameters of `nd`; `[]` if there are none. */
export function checkNd(parameters: Required<NdParameters>, { rotaryDim }: RopeSettings): RopeIssue[] {
  const { axisCount, bases, frequencies, order, padEnd, padFront } = parameters;
  const sections = ndSections(parameters, rotaryDim);
  const issues: RopeIssue[] = [];
  const refuse = (name: string, expected: string, received: string): void => {
    issues.push({ path: `parameters.${name}`, expected, received });
  };
  const turning = rotaryDim / 2 - padFront - padEnd;
  if (turning <= 0) {
    refuse("padFront", `less than ${rotaryDim / 2}, the number of pairs, together with padEnd`, `${padFront + padEnd}`);
  } else if (parameters.sections === null && axisCount === null) {
    refuse("axisCount", "axisCount or sections", "neither");
  } else issues.push(...checkSections(sections, turning));
  if (axisCount !== null && sections.length !== axisCount) {
    refuse("axisCount", `${sections.length}, the number of sections, or nothing`, `${axisCount}`);
  }
  if (bases !== null && bases.length !== sections.length) {
    refuse("bases", `${sections.length}, one for each axis`, `${bases.length}`);
  }
  const isShared = frequencies === "shared";
  if (bases !== null && isShared) refuse("bases", "nothing, since the axes share one list", `[${bases.join(", ")}]`);
  if ((isShared || order === "alternating") && new Set(sections).size > 1) {
    const reason = isShared ? "share one list" : "alternate";
    refuse("sections", `equal sections, since the axes ${reason}`, `[${sections.join(", ")}]`);
  }
  return issues;
}
