/**
 * Frequencies of ropes whose positions have several axes.
 *
 * Three assignments are in use. `mrope`: all axes share one ladder over the whole rotary dimension, and each pair takes
 * its position from one axis, in runs (`sectioned`: Qwen2-VL) or round and round (`cyclic`: Qwen3-VL). `nd`: each axis
 * has a ladder of its own that starts again at 1 (vision towers, Flux, ndrope), or takes every n-th frequency of a
 * shared one (Pixtral).
 *
 * Sources: Qwen2-VL (arXiv 2409.12191) §2.1; Hugging Face transformers 5 `Qwen2VLRotaryEmbedding`,
 * `VisionRotaryEmbedding`, `PixtralRotaryEmbedding`; diffusers `get_1d_rotary_pos_embed`; the crate ndrope, `sin_cos_nd`.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeGeometry, RopeIssue } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";
import { cyclicAxes, sectionedAxes } from "./axes.ts";

/** Parameters of the rope type `mrope`. */
export interface MropeParameters {
  /** Pairs of each axis (time, height, width); their sum is `rotaryDim/2`. */
  readonly sections: readonly number[];
  /** In runs, or round and round. */
  readonly order?: "sectioned" | "cyclic";
}

export const mropeParameters: ParameterSchema<MropeParameters> = {
  sections: { type: "numbers", min: 0, description: "pairs of each axis; no default: models differ" },
  order: {
    type: "string",
    oneOf: ["sectioned", "cyclic"],
    default: "sectioned",
    description: "runs (Qwen2-VL, vLLM's default) or round and round (Qwen3-VL)",
  },
};

/** The ladder of `default` with an axis for each pair. */
export function mropeFrequencies(
  { base, rotaryDim, array }: FrequencyRequest,
  { sections, order }: Required<MropeParameters>,
): RopeFrequencies {
  const axes = order === "cyclic" ? cyclicAxes(sections) : sectionedAxes(sections);
  return { invFreq: inverseFrequencies(base, rotaryDim, array), axes, regimes: axes.map((axis) => `axis ${axis}`) };
}

/** Parameters of the rope type `nd`. */
export interface NdParameters {
  /** The number of axes, where `sections` does not say it. */
  readonly axisCount?: number | null;
  /** Pairs of each axis, in this order; absent: an even split. */
  readonly sections?: readonly number[] | null;
  /**
   * The exponent of pair `k` of an axis is `k` over: the pairs of that axis (`"section"`), or of the largest one
   * (`"largest"`).
   */
  readonly denominator?: "section" | "largest";
  /** Each axis starts again at frequency 1 (`"restart"`), or axis `a` takes entries `a, a + n, …` of one ladder (`"shared"`). */
  readonly ladder?: "restart" | "shared";
  /** The base of each axis, where they differ (Cosmos scales one of them); absent: `base` for all. */
  readonly bases?: readonly number[] | null;
  /** Multiplies every frequency: 2π where positions count turns. */
  readonly angleScale?: number;
  /** Positions may be fractions and negative: normalised or centred coordinates, seconds. */
  readonly fractional?: boolean;
}

export const ndParameters: ParameterSchema<NdParameters> = {
  axisCount: {
    type: "integer",
    min: 1,
    max: 255,
    default: null,
    description: "axes of an even split; needed unless sections are given",
  },
  sections: {
    type: "numbers",
    min: 0,
    default: null,
    description: "pairs of each axis; absent: an even split, as ndrope",
  },
  denominator: {
    type: "string",
    oneOf: ["section", "largest"],
    default: "section",
    description: "section: vision towers, diffusion models; largest: ndrope",
  },
  ladder: {
    type: "string",
    oneOf: ["restart", "shared"],
    default: "restart",
    description: "restart: Qwen2-VL's tower; shared: Pixtral's",
  },
  bases: { type: "numbers", above: 1, default: null, description: "base of each axis; absent: the rope's base" },
  angleScale: { type: "number", above: 0, default: 1, description: "multiplies frequencies; 2π: DINOv3" },
  fractional: { type: "boolean", default: false, description: "admit fractional and negative positions" },
};

/** Pairs of each axis of an `nd` rope. */
export function ndSections(
  { axisCount, sections }: Pick<NdParameters, "axisCount" | "sections">,
  rotaryDim: number,
): readonly number[] {
  return sections ?? new Array<number>(axisCount ?? 1).fill(rotaryDim / 2 / (axisCount ?? 1));
}

/** A ladder for each axis. */
export function ndFrequencies(
  { base, rotaryDim, array }: FrequencyRequest,
  parameters: Required<NdParameters>,
): RopeFrequencies {
  const { angleScale, bases, denominator, ladder } = parameters;
  const sections = ndSections(parameters, rotaryDim);
  const largest = Math.max(...sections);
  const shared = ladder === "shared" ? inverseFrequencies(base, rotaryDim, array) : undefined;
  const invFreq = sections.flatMap((size, axis): Real[] => {
    if (shared !== undefined) return shared.filter((_, i) => i % sections.length === axis);
    return inverseFrequencies(bases?.[axis] ?? base, 2 * (denominator === "largest" ? largest : size), array).slice(
      0,
      size,
    );
  });
  const axes = sectionedAxes(sections);
  return {
    invFreq: angleScale === 1 ? invFreq : invFreq.map((frequency) => array.multiply(frequency, angleScale)),
    axes,
    regimes: axes.map((axis) => `axis ${axis}`),
  };
}

/** What the sections must add up to, with the arithmetic. */
export function checkSections(sections: readonly number[], { rotaryDim }: RopeGeometry): RopeIssue[] {
  const sum = sections.reduce((total, size) => total + size, 0);
  const whole = sections.length > 0 && sections.every(Number.isInteger);
  if (whole && sum === rotaryDim / 2) return [];
  const received = whole ? `${sections.join(" + ")} = ${sum}` : `[${sections.join(", ")}]`;
  return [
    {
      path: "parameters.sections",
      expected: `integers that add up to rotaryDim/2 = ${rotaryDim / 2}`,
      received,
      remedy: "Sections count pairs, not elements.",
    },
  ];
}

/** Contradictions in the parameters of `nd`. */
export function checkNd(parameters: Required<NdParameters>, geometry: RopeGeometry): RopeIssue[] {
  const { axisCount, bases, ladder, sections } = parameters;
  const issues: RopeIssue[] = [];
  if (sections === null && axisCount === null) {
    issues.push({ path: "parameters.axisCount", expected: "axisCount or sections", received: "neither" });
  } else issues.push(...checkSections(ndSections(parameters, geometry.rotaryDim), geometry));
  if (sections !== null && axisCount !== null && sections.length !== axisCount) {
    issues.push({
      path: "parameters.axisCount",
      expected: `${sections.length}, the number of sections`,
      received: `${axisCount}`,
      remedy: "Give one of the two.",
    });
  }
  const count = ndSections(parameters, geometry.rotaryDim).length;
  if (bases !== null && bases.length !== count) {
    issues.push({ path: "parameters.bases", expected: `${count}, one for each axis`, received: `${bases.length}` });
  }
  if (bases !== null && ladder === "shared") {
    issues.push({
      path: "parameters.bases",
      expected: "nothing, since the axes share one ladder",
      received: `[${bases.join(", ")}]`,
    });
  }
  if (ladder === "shared" && new Set(ndSections(parameters, geometry.rotaryDim)).size > 1) {
    issues.push({
      path: "parameters.sections",
      expected: "equal sections, since the axes share one ladder",
      received: `[${sections?.join(", ")}]`,
    });
  }
  return issues;
}
