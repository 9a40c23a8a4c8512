/**
 * What each engine was asked, in parameters that core takes today; and what is not built, with the reason.
 *
 * A fixture's request names the rule of its engine; here the rule becomes the parameter that says it. Frequencies are
 * never copied from an answer. Axes are, where no type of ropewalk names the order: then only the frequencies and the
 * gathering are compared.
 */

/** @param {any} answer */
export function asked({ engine, request, equivalent, axisOfPair, length, name }) {
  if (engine === "vision") return tower(name, axisOfPair);
  const { ropeType, assignment, frequencies, alpha, ...own } = equivalent ?? request.parameters;
  const { sections, ...rest } = own;
  switch (ropeType) {
    case "mrope":
      if (
        frequencies === undefined &&
        sections.length === Math.max(...axisOfPair) + 1 &&
        !(engine === "sglang" && assignment === "round-robin")
      ) {
        return { parameters: { ropeType, sections, order: assignment } };
      }
      return { parameters: frequencies ?? { ropeType: "default" }, axes: axisOfPair };
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
      const rule =
        {
          mlx: { selection: "long" },
          ggml: { selection: "long" },
          sglang: { switchLength: rest.originalMaxPosition + 1 },
        }[/** @type {string} */ (engine)] ?? {};
      return { parameters: { ropeType, ...rest, ...rule } };
    }
    default:
      return { parameters: { ropeType, ...own } };
  }
}

/** @param {string} model @param {readonly number[]} axisOfPair */
function tower(model, axisOfPair) {
  const count = Math.max(...axisOfPair) + 1;
  return {
    parameters: {
      ropeType: "nd",
      axisCount: count,
      ...(model.startsWith("mistralai/") ? { frequencies: "shared" } : {}),
    },
  };
}

/** @type {Readonly<Record<string, Readonly<Record<string, string>>>>} By engine: the name or rope type, and why it is not compared. */
const reasons = {
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

/** @param {string} engine @param {string} name @param {any} [answer] @returns {{ reason: string } | undefined} */
export function unbuilt(engine, name, answer) {
  const reason = reasons[engine]?.[name] ?? reasons[engine]?.[answer?.request?.parameters.ropeType];
  return reason === undefined ? undefined : { reason };
}

/** What an engine makes of a published config otherwise than transformers; the dialect of `@ropewalk/config` follows it. */
export const readings = {
  "llama.cpp": {
    "openai/gpt-oss-20b":
      "there is no GGUF key for truncate: the range of blended pairs is always rounded to whole pairs, 8 to 18 instead of 8.09 to 17.40",
    "moonshotai/Kimi-K2-Instruct": "beta_fast of 1 is written to the file, and the operator still gets 32",
  },
};
