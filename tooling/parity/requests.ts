/**
 * The request of each fixture in parameters of core; and the answers that are not compared, with the reason.
 *
 * A fixture's request names the rule of its engine; here the rule becomes a parameter. Frequencies are never copied
 * from an answer. Axes are copied if no type of ropewalk has their order; then only the frequencies and the gathering
 * are compared.
 */

import type { Request } from "./vectors.ts";

type Parameters = Request["parameters"];

/** A request, and how its engine reads it. */
export interface Question {
  readonly engine: "truth" | "vllm" | "sglang" | "mlx" | "ggml";
  readonly request: { readonly parameters: Parameters };
  readonly equivalent?: Parameters;
  readonly axisOfPair?: readonly number[];
  readonly length?: number | undefined;
}

export function asked({
  engine,
  request,
  equivalent,
  axisOfPair = [],
  length,
}: Question): Pick<Request, "parameters" | "axes"> {
  const { ropeType, assignment, frequencies, alpha, ...own } = equivalent ?? request.parameters;
  const { sections, ...rest } = own;
  switch (ropeType) {
    case "mrope":
      if (
        frequencies === undefined &&
        (sections as readonly number[]).length === Math.max(...axisOfPair) + 1 &&
        !(engine === "sglang" && assignment === "round-robin")
      ) {
        return { parameters: { ropeType, sections, order: assignment } };
      }
      return { parameters: (frequencies as Parameters | undefined) ?? { ropeType: "default" }, axes: axisOfPair };
    case "ernie45_vl":
    case "openpangu":
      return { parameters: { ropeType: "default" }, axes: axisOfPair };
    case "dynamic_alpha":
      return { parameters: { ropeType, alpha } };
    case "dynamic":
      if (alpha !== undefined) return { parameters: { ropeType: "dynamic_alpha", alpha } };
      return {
        parameters: {
          ropeType,
          ...rest,
          ...(engine === "vllm" || engine === "sglang" ? { selection: "by-capacity", capacity: length } : {}),
        },
      };
    case "longrope": {
      const rules: Partial<Record<Question["engine"], object>> = {
        mlx: { selection: "long" },
        ggml: { selection: "long" },
        sglang: { switchLength: Number(rest["originalMaxPosition"]) + 1 },
      };
      return { parameters: { ropeType, ...rest, ...rules[engine] } };
    }
    default:
      return { parameters: { ropeType, ...own } };
  }
}

/** The two axes of a vision tower. */
export function tower(model: string, axisOfPair: readonly number[]): Pick<Request, "parameters"> {
  const axisCount = Math.max(...axisOfPair) + 1;
  return {
    parameters: { ropeType: "nd", axisCount, ...(model.startsWith("mistralai/") ? { frequencies: "shared" } : {}) },
  };
}

/** By engine: the names or rope types that are not compared, with the reason. */
const reasons: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  vllm: {
    fope: "learned matrices mix the frequencies: no rotation, no inverse, nothing to cache by position alone",
    dual_chunk:
      "five queries at positions of their own, which its attention kernel needs: positions modulo a chunk over the type `default`",
    mllama4: "a table by patch index; the same tower is compared with transformers",
  },
  sglang: {
    "longrope-phi-3-mini-boundary":
      "its token 4096 is not turned at all: it counts as short, and the row behind the short table is the long one's first",
  },
  vision: {
    "facebook/dinov3-vits16-class-defaults":
      "positions are not in the answer; a test of @ropewalk/config compares the angles",
    "meta-llama/Llama-4-Scout-17B-16E-vision":
      "positions are not in the answer; a test of @ropewalk/config compares the angles",
  },
  diffusers: {
    ltx: "frequencies θ^linspace(0, 1) · π/2 over the whole inner width, with identity padding",
    "ltx-2": "as ltx, cut into heads",
    "ltx-2-split": "as ltx, cut into heads",
  },
};

/** The reason why an answer is not compared; undefined if it is compared. */
export function reasonAgainst(engine: string, name: string, ropeType?: string): string | undefined {
  return reasons[engine]?.[name] ?? (ropeType === undefined ? undefined : reasons[engine]?.[ropeType]);
}

/**
 * Published configs that an engine reads otherwise than transformers. The dialect of `@ropewalk/config` does the same.
 */
export const readings: Readonly<Record<"llama.cpp", Readonly<Record<string, string>>>> = {
  "llama.cpp": {
    "openai/gpt-oss-20b":
      "there is no GGUF key for truncate: the range of blended pairs is always rounded to whole pairs, 8 to 18 instead of 8.09 to 17.40",
    "moonshotai/Kimi-K2-Instruct": "beta_fast of 1 is written to the file, and the operator still gets 32",
  },
};
