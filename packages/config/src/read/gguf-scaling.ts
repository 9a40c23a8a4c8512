/**
 * Reads the type of a rope in a GGUF file, and its parameters.
 *
 * A file holds the converter's result. `llama3`, `proportional` and Hunyuan's alpha are not types there: they are
 * factors of single pairs (`rope_freqs.weight`) or another base. Each factor divides one frequency. The type `longrope`
 * does exactly this with one list, a fixed selection and a given amplitude.
 */

import type { Fact, RopeFacts } from "../facts/fact.ts";
import { shown } from "../locate/found.ts";
import type { GgufFile } from "./gguf-file.ts";
import { yarnMagnitude } from "./yarn-amplitude.ts";

type Scaling = Pick<RopeFacts, "ropeType" | "parameters">;

/** A length in tokens, or a factor, from the file or from the caller. */
type Given = Fact<number> | undefined;

/** @param isSliding whether the layers have sliding attention. @param pairs the number of pairs of a head. */
export function readGgufScaling(file: GgufFile, isSliding: boolean, pairs: number): Scaling {
  const { architecture, options, report } = file;
  const stated = file.value("rope.scaling.type");
  const kind = stated ?? "linear";
  if (kind !== "none" && kind !== "linear" && kind !== "yarn" && kind !== "longrope") {
    report.issue(file.key("rope.scaling.type"), "none, linear, yarn or longrope", shown(kind));
  }
  const isCompressed = architecture.compresses === true && !isSliding;
  const applied =
    architecture.compresses === true ? "none" : isSliding ? (architecture.sliding?.scaling ?? "all") : "all";
  const isScaled = isCompressed || applied === "all";
  const factor = readFactor(file, kind, isScaled, isSliding);
  const statedAmplitude = file.number("rope.scaling.attn_factor");
  const amplitude = applied === "none" ? undefined : statedAmplitude;
  const promised = file.size("context_length");
  const original = file.size("rope.scaling.original_context_length") ?? promised;
  if (architecture.isFixed === true) return unscaled(`the graph of ${file.name} scales nothing`);
  if (kind === "yarn" && isScaled && !isWithoutExtrapolation(file)) {
    return yarn(file, factor, original, isCompressed ? cancelled : amplitude);
  }

  const isOnFullOnly = isSliding && architecture.factorsOnFullOnly === true;
  const [factors, long, short] = (
    ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"] as const
  ).map((name) => (isOnFullOnly ? undefined : file.tensor(name, pairs)));
  const times = (list: readonly number[]): number[] =>
    factor.value === 1 ? [...list] : list.map((value) => value * factor.value);
  const attentionFactor = amplitude ?? { value: 1, rule: "no rope.scaling.attn_factor in the file" };
  if (factors === undefined && long !== undefined && short !== undefined) {
    const { capacity } = options;
    const size = capacity === undefined ? promised : { value: capacity, rule: "given by the caller" };
    return {
      ropeType: { value: "longrope", rule: "two lists of factors in the file" },
      parameters: {
        shortFactor: { value: times(short), rule: "rope_factors_short.weight" },
        longFactor: { value: times(long), rule: "rope_factors_long.weight" },
        ...(original === undefined ? {} : { originalMaxPosition: original }),
        attentionFactor,
        selection: {
          value: "by-capacity",
          rule: "the size of the context chooses the list, for the whole run",
          source: "llama_model::get_rope_factors",
        },
        ...(size === undefined ? {} : { capacity: size }),
      },
    };
  }
  if (factors !== undefined || attentionFactor.value !== 1) {
    return oneList(
      times(factors ?? new Array<number>(pairs).fill(1)),
      factors !== undefined,
      original,
      attentionFactor,
    );
  }
  if (factor.value === 1) return unscaled(factor.rule);
  const rule = stated === undefined ? "llama.cpp's default type" : file.key("rope.scaling.type");
  return { ropeType: { value: "linear", rule }, parameters: { factor } };
}

/** DeepSeek-V4 divides YaRN's amplitude away. */
const cancelled: Fact<number> = { value: 1, rule: "the graph divides YaRN's amplitude away" };

function unscaled(rule: string): Scaling {
  return { ropeType: { value: "default", rule }, parameters: {} };
}

/** Without extrapolation YaRN is linear, and has no amplitude of its own. */
function isWithoutExtrapolation(file: GgufFile): boolean {
  return file.architecture.readsExtrapolation === true && file.number("rope.scaling.yarn_ext_factor")?.value === 0;
}

function readFactor(file: GgufFile, kind: unknown, isScaled: boolean, isSliding: boolean): Fact<number> {
  const stated = file.number("rope.scaling.factor") ?? file.number("rope.scale_linear");
  if (stated === undefined || stated.value === 0) return { value: 1, rule: "no rope.scaling.factor in the file" };
  if (!isScaled) return { value: 1, rule: "layers of sliding attention are not scaled" };
  // A sliding layer with a base of its own keeps the factor: the type "none" takes away that of the full layers only.
  const hasOwn = isSliding && file.architecture.sliding?.base === "same";
  if (kind === "none" && !hasOwn) {
    return { value: 1, rule: `rope.scaling.type none: ${stated.rule} does not count` };
  }
  return stated;
}

/** Each frequency divided by a factor of its own. */
function oneList(list: number[], isInFile: boolean, original: Given, attentionFactor: Fact<number>): Scaling {
  const divided = {
    value: list,
    rule: isInFile ? "rope_freqs.weight: each frequency is divided by its factor" : "no list of factors in the file",
  };
  return {
    ropeType: { value: "longrope", rule: "the type that divides each frequency by a factor of its own" },
    parameters: {
      shortFactor: divided,
      longFactor: divided,
      // With a fixed selection and a given amplitude the length has no effect, but the type requires one.
      originalMaxPosition:
        original !== undefined && original.value > 1 ? original : { value: 2, rule: "any: it has no effect here" },
      attentionFactor,
      selection: { value: "short", rule: "one list at every length" },
    },
  };
}

function yarn(file: GgufFile, factor: Fact<number>, original: Given, amplitude: Given): Scaling {
  const { architecture, options, report } = file;
  const { betaFast, latent, logMultiplier, overallIsMscale, readsBetas, readsExtrapolation } = architecture;
  const typeKey = file.key("rope.scaling.type");
  if (options.tensors?.["rope_freqs.weight"] !== undefined) {
    report.issue(
      "rope_freqs.weight",
      "nothing beside rope.scaling.type yarn",
      "a list of factors",
      "No type here divides frequencies before YaRN blends them.",
    );
  }
  const parameters: Record<string, Fact<unknown>> = { factor };
  const set = (name: string, fact: Given): void => {
    if (fact !== undefined) parameters[name] = fact;
  };
  set("originalMaxPosition", original);
  if (readsBetas === true) {
    const standard =
      betaFast === undefined ? undefined : { value: betaFast, rule: `llama.cpp's loader of ${file.name}` };
    set("betaFast", file.number("rope.scaling.yarn_beta_fast") ?? standard);
    set("betaSlow", file.number("rope.scaling.yarn_beta_slow"));
  }
  const extrapolation = readsExtrapolation === true ? file.number("rope.scaling.yarn_ext_factor") : undefined;
  if (extrapolation !== undefined && extrapolation.value >= 0) set("extrapolationFactor", extrapolation);

  const isTenth = logMultiplier === "tenth";
  const multiplier = logMultiplier === undefined ? undefined : file.number("rope.scaling.yarn_log_multiplier");
  const stated = multiplier?.value ?? 0;
  const overall = isTenth ? Math.fround(stated / Math.fround(0.1)) : stated;
  const mscale = overallIsMscale === true && overall !== 1 ? overall : 1;
  if (overall !== 0) {
    set("mscale", { value: mscale, rule: "llama.cpp knows one magnitude" });
    set("mscaleAllDim", { value: overall, rule: isTenth ? `${multiplier!.rule} / 0.1` : multiplier!.rule });
  }
  if (amplitude === cancelled) set("attentionFactor", cancelled);
  else if (amplitude !== undefined && amplitude.value !== 1) {
    const under = overall === 0 ? 1 : yarnMagnitude(factor.value, overall);
    const value = (yarnMagnitude(factor.value, mscale) / under) * amplitude.value;
    set("attentionFactor", { value, rule: `YaRN's magnitude times ${amplitude.rule}` });
  }
  const ropeType =
    overall !== 0 && latent === true
      ? { value: "deepseek_yarn", rule: `${typeKey}, with a magnitude of the softmax` }
      : { value: "yarn", rule: typeKey };
  return { ropeType, parameters };
}
