/** Every model config in tooling/goldens, against what transformers answers for it. */

import { ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
import { RopeError } from "@ropewalk/core";
import { fixtures, models, modelsV5 } from "@ropewalk/goldens";
import type { HfRope } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { deepFreeze, failure, registryWithStandIns, ulps } from "./helpers.ts";

/** Models whose rope's package is not imported here, with the type and the package that the error names. */
const elsewhere: Readonly<Record<string, readonly [string, string]>> = {
  "Qwen/Qwen-7B-Chat": ["qwen_dynamic", "@ropewalk/dynamic"],
  "Qwen/Qwen2-VL-7B-Instruct": ["mrope", "@ropewalk/nd-qwen2vl"],
  "Qwen/Qwen2.5-VL-3B-Instruct": ["mrope", "@ropewalk/nd-qwen2vl"],
  "Qwen/Qwen2.5-VL-7B-Instruct": ["mrope", "@ropewalk/nd-qwen2vl"],
  "Qwen/Qwen3-Omni-talker": ["mrope", "@ropewalk/nd-qwen2vl"],
  "Qwen/Qwen3-TTS-talker": ["mrope", "@ropewalk/nd-qwen2vl"],
  "Qwen/Qwen3-VL-30B-A3B-Instruct": ["mrope", "@ropewalk/nd-qwen2vl"],
  "Qwen/Qwen3.5": ["mrope", "@ropewalk/nd-qwen2vl"],
  "Qwen/Qwen3.5-yarn": ["mrope", "@ropewalk/nd-qwen2vl"],
  "THUDM/GLM-4.1V-9B-class-defaults": ["mrope", "@ropewalk/nd-qwen2vl"],
  "baidu/ERNIE-4.5-VL-28B-A3B": ["ernie45_vl", "@ropewalk/nd-qwen2vl"],
  "deepseek-ai/deepseek-coder-6.7b-instruct": ["linear", "@ropewalk/linear"],
  "facebook/dinov3-vits16-class-defaults": ["dinov3", "@ropewalk/nd-qwen2vl"],
  "google/gemma-3-12b-it": ["linear", "@ropewalk/linear"],
  "google/gemma-3-27b": ["linear", "@ropewalk/linear"],
  "google/gemma-3-4b-it": ["linear", "@ropewalk/linear"],
  "google/gemma-4-31B": ["proportional", "@ropewalk/proportional"],
  "google/gemma-4-E2B": ["proportional", "@ropewalk/proportional"],
  "internlm/internlm2-chat-7b": ["dynamic", "@ropewalk/dynamic"],
  "lmsys/vicuna-7b-v1.5-16k": ["linear", "@ropewalk/linear"],
  "meta-llama/Llama-3.1-405B": ["llama3", "@ropewalk/llama3"],
  "meta-llama/Llama-3.1-70B": ["llama3", "@ropewalk/llama3"],
  "meta-llama/Llama-3.1-8B": ["llama3", "@ropewalk/llama3"],
  "meta-llama/Llama-3.2-1B": ["llama3", "@ropewalk/llama3"],
  "meta-llama/Llama-3.2-3B": ["llama3", "@ropewalk/llama3"],
  "meta-llama/Llama-4-Scout-17B-16E": ["llama3", "@ropewalk/llama3"],
  "meta-llama/Llama-4-Scout-17B-16E-vision": ["mllama4", "@ropewalk/nd-qwen2vl"],
  "microsoft/Phi-3-medium-128k-instruct": ["longrope", "@ropewalk/longrope"],
  "microsoft/Phi-3-mini-128k-instruct": ["longrope", "@ropewalk/longrope"],
  "microsoft/Phi-4-mini-instruct": ["longrope", "@ropewalk/longrope"],
  "mistralai/Mistral-Small-3.2-24B-Instruct-2506-vision": ["pixtral", "@ropewalk/nd-qwen2vl"],
  "stepfun-ai/Step-3.7": ["llama3", "@ropewalk/llama3"],
  "swiss-ai/Apertus-class-defaults": ["llama3", "@ropewalk/llama3"],
  "tencent/Hunyuan-7B-Instruct": ["dynamic_alpha", "@ropewalk/dynamic"],
  "tencent/Hunyuan-A13B-Instruct": ["dynamic_alpha", "@ropewalk/dynamic"],
  "tencent/HunyuanOCR": ["xdrope", "@ropewalk/nd-qwen2vl"],
};

const registry = registryWithStandIns(Object.values(elsewhere).map(([ropeType]) => ropeType));
const configs = new Map(models().map(({ id, config }) => [id, config]));

test("the table of types that live elsewhere names models that exist", () => {
  expect(Object.keys(elsewhere).filter((id) => !configs.has(id))).toEqual([]);
});

describe.each(models())("$id", ({ id, config }) => {
  test("gives ropes, or names the package that would", () => {
    const expected = elsewhere[id];
    if (expected === undefined) {
      expect(ropesFromConfig(config).byLayerType.size).toBeGreaterThan(0);
      return;
    }
    const [ropeType, packageName] = expected;
    const error = failure(() => ropesFromConfig(config));
    expect(error).toMatchObject({ code: "ROPE_UNKNOWN_TYPE", facts: { ropeType, package: packageName } });
    expect(error.message).toContain(`import "${packageName}";`);
  });

  test("is not changed by being read, and reads the same again", () => {
    const frozen = deepFreeze(structuredClone(config));
    const first = ropesFromConfig(frozen, { registry });
    expect(frozen).toEqual(config);
    const second = ropesFromConfig(structuredClone(config), { registry });
    expect([...second.byLayerType.keys()]).toEqual([...first.byLayerType.keys()]);
    for (const [layerType, rope] of first.byLayerType) expect(second.byLayerType.get(layerType)).toBe(rope);
  });

  test("uses each rope that it has in some layer", () => {
    const { byLayerType, forLayer } = ropesFromConfig(config, { registry });
    const { layerCount } = ropeRequestsFromConfig(config);
    if (layerCount === null) return;
    const used = new Set(Array.from({ length: layerCount }, (_, layer) => forLayer(layer)));
    // DeepSeek-V4's default layout has no layer of sliding attention alone.
    const idle = id === "deepseek-ai/DeepSeek-V4-Flash" ? ["main"] : [];
    for (const [layerType, rope] of byLayerType) expect(used.has(rope)).toBe(!idle.includes(String(layerType)));
    expect(failure(() => forLayer(layerCount)).code).toBe("ROPE_CONFIG");
  });
});

describe.each(modelsV5())("$id in the spelling of transformers 5", ({ id, config }) => {
  const published = configs.get(id)!;

  test("gives the same instances", () => {
    const old = ropesFromConfig(published, { registry });
    const young = ropesFromConfig(config, { registry });
    expect([...young.byLayerType.keys()].sort()).toEqual([...old.byLayerType.keys()].sort());
    for (const [layerType, rope] of old.byLayerType) expect(young.byLayerType.get(layerType)).toBe(rope);
  });

  test("gives the same rope to each layer", () => {
    const old = ropeRequestsFromConfig(published);
    const young = ropeRequestsFromConfig(config);
    expect(young.layerCount).toBe(old.layerCount);
    for (let layer = 0; layer < (young.layerCount ?? 0); layer++) expect(young.layerTypeOf(layer)).toBe(old.layerTypeOf(layer));
  });
});

/** What transformers calls the type, where this project has another name for it. */
const engineNames: Readonly<Record<string, string>> = { deepseek_yarn: "yarn", mrope: "default", ernie45_vl: "default", dynamic_alpha: "dynamic", xdrope: "dynamic" };

/** Types whose providers are registered here for real. */
const built = ["default", "yarn", "deepseek_yarn"];

describe.each(fixtures("hf"))("$model in transformers", ({ model, ropes: answers }) => {
  const config = configs.get(model)!;
  const ropes = ropesFromConfig(config, { registry });
  const { byLayerType: requests } = ropeRequestsFromConfig(config);

  test("has a rope for the same layer types", () => {
    const rotated = [...ropes.byLayerType].flatMap(([layerType, rope]) => (rope === null ? [] : [String(layerType)]));
    expect(rotated.sort()).toEqual([...new Set(answers.map(({ layerType }) => String(layerType)))].sort());
  });

  test.each(answers)("$layerType at length $length", (answer) => {
    const rope = ropes.byLayerType.get(answer.layerType)!;
    expect(rope).toMatchObject({ headDim: answer.headDim, rotaryDim: answer.rotaryDim, rotaryOffset: answer.rotaryOffset ?? 0, pairing: answer.pairing });
    const { parameters } = requests.get(answer.layerType)!.request! as { parameters: { ropeType: string; ladder?: string } };
    expect(parameters.ladder ?? engineNames[rope.ropeType] ?? rope.ropeType).toBe(answer.ropeType);
    if (answer.axisOfPair !== undefined) expect(axisOfPair(parameters, answer)).toEqual(answer.axisOfPair);
    if (!built.includes(rope.ropeType)) return;
    // Both compute the factors in double precision; 4 roundings of 1.1e-16 each.
    expect(rope.attentionFactor / answer.attentionFactor).toBeCloseTo(1, 15);
    expect(rope.softmaxScaleFactor / answer.softmaxScaleFactor).toBeCloseTo(1, 15);
    const { invFreq } = rope.frequencies(answer.length ?? 1);
    expect(invFreq.length).toBe(answer.invFreq.length);
    // design.md §7: two float32 ulp, one for the power and one for what follows.
    answer.invFreq.forEach((value, pair) => expect(ulps(invFreq[pair]!, value), `pair ${pair}`).toBeLessThanOrEqual(2));
  });
});

/** The rules of M-RoPE, typed from the descriptions of the models: what sections and assignment mean. */
function axisOfPair(parameters: Readonly<Record<string, unknown>>, { rotaryDim }: HfRope): number[] {
  const sections = parameters["sections"] as number[];
  const pairs = Array.from({ length: rotaryDim / 2 }, (_, pair) => pair);
  if (parameters["ropeType"] === "ernie45_vl") {
    // Sections are (h, w, t): height and width alternate, time takes what is left.
    const [h, w] = sections as [number, number, number];
    return pairs.map((pair) => (pair >= h + w ? 0 : pair % 2 === 0 ? 1 : 2));
  }
  if (parameters["assignment"] === "cyclic") return pairs.map((pair) => (pair % 3 !== 0 && pair < 3 * sections[pair % 3]! ? pair % 3 : 0));
  return sections.flatMap((length, axis) => Array.from({ length }, () => axis));
}

test("at least twenty real models give ropes with the providers at hand", () => {
  const loaded = models().filter(({ config }) => {
    try {
      return ropesFromConfig(config).byLayerType.size > 0;
    } catch (error) {
      if (RopeError.is(error)) return false;
      throw error;
    }
  });
  expect(loaded.length).toBeGreaterThanOrEqual(20);
  expect(loaded.length + Object.keys(elsewhere).length).toBe(models().length);
});
