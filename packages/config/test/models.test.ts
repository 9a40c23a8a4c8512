/** Every model config in tooling/goldens, compared with the answers of transformers. */

import { ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
import { fixtures, models, modelsV5 } from "@ropewalk/goldens";
import type { VisionFixture } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { deepFreeze, failure, registryOf, ulps } from "./helpers.ts";

/** Models that need other types than the first three, with the type and the package that the error names. */
const elsewhere: Readonly<Record<string, readonly [string, string]>> = {
  "Qwen/Qwen-7B-Chat": ["qwen_dynamic", "@ropewalk/dynamic"],
  "deepseek-ai/deepseek-coder-6.7b-instruct": ["linear", "@ropewalk/linear"],
  "facebook/dinov3-vits16-class-defaults": ["nd", "@ropewalk/nd-qwen2vl"],
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
  "meta-llama/Llama-4-Scout-17B-16E-vision": ["nd", "@ropewalk/nd-qwen2vl"],
  "microsoft/Phi-3-medium-128k-instruct": ["longrope", "@ropewalk/longrope"],
  "microsoft/Phi-3-mini-128k-instruct": ["longrope", "@ropewalk/longrope"],
  "microsoft/Phi-4-mini-instruct": ["longrope", "@ropewalk/longrope"],
  "mistralai/Mistral-Small-3.2-24B-Instruct-2506-vision": ["nd", "@ropewalk/nd-qwen2vl"],
  "stepfun-ai/Step-3.7": ["llama3", "@ropewalk/llama3"],
  "swiss-ai/Apertus-class-defaults": ["llama3", "@ropewalk/llama3"],
  "tencent/Hunyuan-7B-Instruct": ["dynamic_alpha", "@ropewalk/dynamic-alpha"],
  "tencent/Hunyuan-A13B-Instruct": ["dynamic_alpha", "@ropewalk/dynamic-alpha"],
  "tencent/HunyuanOCR": ["dynamic_alpha", "@ropewalk/dynamic-alpha"],
};

const firstThree = registryOf("default", "yarn", "deepseek_yarn");
const configs = new Map(models().map(({ id, config }) => [id, config]));

test("the table of other types names models that exist", () => {
  expect(Object.keys(elsewhere).filter((id) => !configs.has(id))).toEqual([]);
});

describe.each(models())("$id", ({ id, config }) => {
  test("gives ropes with the first three types, or names the package to import", () => {
    const expected = elsewhere[id];
    if (expected === undefined) {
      expect(ropesFromConfig(config, { registry: firstThree }).byLayerType.size).toBeGreaterThan(0);
      return;
    }
    const [ropeType, packageName] = expected;
    const error = failure(() => ropesFromConfig(config, { registry: firstThree }));
    expect(error).toMatchObject({ code: "ROPE_UNKNOWN_TYPE", facts: { ropeType, package: packageName } });
    expect(error.message).toContain(`import "${packageName}";`);
  });

  test("reading does not change it, and a second reading gives the same", () => {
    const frozen = deepFreeze(structuredClone(config));
    const first = ropesFromConfig(frozen);
    expect(frozen).toEqual(config);
    const second = ropesFromConfig(structuredClone(config));
    expect([...second.byLayerType.keys()]).toEqual([...first.byLayerType.keys()]);
    for (const [layerType, rope] of first.byLayerType) expect(second.byLayerType.get(layerType)).toBe(rope);
  });

  test("has a layer for each of its ropes", () => {
    const { byLayerType, forLayer } = ropesFromConfig(config);
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
    const old = ropesFromConfig(published);
    const young = ropesFromConfig(config);
    expect([...young.byLayerType.keys()].sort()).toEqual([...old.byLayerType.keys()].sort());
    for (const [layerType, rope] of old.byLayerType) expect(young.byLayerType.get(layerType)).toBe(rope);
  });

  test("gives the same rope to each layer", () => {
    const old = ropeRequestsFromConfig(published);
    const young = ropeRequestsFromConfig(config);
    expect(young.layerCount).toBe(old.layerCount);
    for (let layer = 0; layer < (young.layerCount ?? 0); layer++) {
      expect(young.layerTypeOf(layer)).toBe(old.layerTypeOf(layer));
    }
  });
});

/** The names of types that differ in transformers. */
const engineNames: Readonly<Record<string, string>> = {
  deepseek_yarn: "yarn",
  dynamic_alpha: "dynamic",
};

describe.each(fixtures("hf"))("$model in transformers", ({ model, ropes: answers }) => {
  const ropes = ropesFromConfig(configs.get(model)!);

  test("has a rope for the same layer types", () => {
    const rotated = [...ropes.byLayerType].flatMap(([layerType, rope]) => (rope === null ? [] : [String(layerType)]));
    expect(rotated.sort()).toEqual([...new Set(answers.map(({ layerType }) => String(layerType)))].sort());
  });

  test.each(answers)("$layerType at length $length", (answer) => {
    const rope = ropes.byLayerType.get(answer.layerType)!;
    expect(rope).toMatchObject({
      headDim: answer.headDim,
      rotaryDim: answer.rotaryDim,
      rotaryOffset: answer.rotaryOffset ?? 0,
      pairing: answer.pairing,
    });
    expect(engineNames[rope.ropeType] ?? rope.ropeType).toBe(answer.ropeType);
    // Both compute the factors in double precision; a few roundings of 1.1e-16 each.
    expect(rope.attentionFactor / answer.attentionFactor).toBeCloseTo(1, 15);
    expect(rope.softmaxScaleFactor / answer.softmaxScaleFactor).toBeCloseTo(1, 15);
    const { axes, invFreq } = rope.frequencies(answer.length ?? 1);
    // HunyuanOCR's class turns the two elements of a pair by different axes. That is not a rotation; a note says so.
    if (answer.axisOfElement !== undefined) {
      expect(ropes.notes).toContainEqual(
        expect.objectContaining({ kind: "differs", path: "rope_scaling.xdrope_section" }),
      );
    } else expect([...axes]).toEqual(answer.axisOfPair ?? answer.invFreq.map(() => 0));
    expect(invFreq.length).toBe(answer.invFreq.length);
    // Two float32 ulp: one for the power, one for the operations after it.
    answer.invFreq.forEach((value, pair) => expect(ulps(invFreq[pair]!, value), `pair ${pair}`).toBeLessThanOrEqual(2));
  });
});

/** Coordinates of a tower's tokens, by the formula in the fixture's note, as [axis][token]. */
const coordinates: Readonly<Record<string, (answer: VisionFixture) => readonly (readonly number[])[]>> = {
  "mistralai/Mistral-Small-3.2-24B-Instruct-2506-vision": ({ positions }) => positions!,
  "meta-llama/Llama-4-Scout-17B-16E-vision": ({ builder, tokens }) => {
    const side = builder["side"] as number;
    // The class token comes last and is not rotated.
    const at = (coordinate: (token: number) => number) =>
      tokens!.map((token) => (token === side * side ? 0 : coordinate(token) + 1));
    return [at((token) => token % side), at((token) => Math.floor(token / side))];
  },
  "facebook/dinov3-vits16-class-defaults": ({ builder }) => {
    const [rows, columns] = builder["patches"] as [number, number];
    const patches = Array.from({ length: rows * columns }, (_, patch) => patch);
    return [
      patches.map((patch) => (2 * (Math.floor(patch / columns) + 0.5)) / rows - 1),
      patches.map((patch) => (2 * ((patch % columns) + 0.5)) / columns - 1),
    ];
  },
};

describe.each(fixtures("vision").filter(({ model }) => coordinates[model] !== undefined))(
  "the tower $model in transformers",
  (answer) => {
    test("turns its pairs by the same angles", () => {
      const rope = ropesFromConfig(configs.get(answer.model)!).byLayerType.get(null)!;
      expect(rope).toMatchObject({ headDim: answer.headDim, rotaryDim: answer.rotaryDim, pairing: answer.pairing });
      const { axes, invFreq } = rope.frequencies();
      const positions = coordinates[answer.model]!(answer);
      answer.cos.forEach((row, token) => {
        row.forEach((cos, pair) => {
          const angle = invFreq[pair]! * positions[axes[pair]!]![token]!;
          // The engine rounds frequency and angle to float32: an angle up to 1023 is off by 1e-4 at most.
          expect(cos).toBeCloseTo(Math.cos(angle), 3);
          expect(answer.sin[token]![pair]).toBeCloseTo(Math.sin(angle), 3);
        });
      });
    });
  },
);

test("every model file gives ropes when all packages are imported", () => {
  for (const { config } of models()) expect(ropesFromConfig(config).byLayerType.size).toBeGreaterThan(0);
  expect(models().length).toBeGreaterThan(60);
});
