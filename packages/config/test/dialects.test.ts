/** A config under a dialect, compared with the numbers of that engine in the fixtures. */

import { dialects, keyFacts, ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
import type { ConfigOptions, Dialect, DialectName } from "@ropewalk/config";
import { getRope } from "@ropewalk/core";
import type { RotaryEmbedding } from "@ropewalk/core";
import { fixtures, models } from "@ropewalk/goldens";
import type { EngineFixture } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { failure, llama } from "./helpers.ts";
import type { Json } from "./helpers.ts";

const published = (id: string): Json => models().find((model) => model.id === id)!.config;

interface Case {
  readonly name: string;
  readonly config: Json;
  readonly options: ConfigOptions;
}

/** Turns the engine's settings back into a config.json that leads to them. */
const cases: Readonly<Record<"vllm" | "sglang" | "mlx", (fixture: EngineFixture) => Case>> = {
  vllm: ({ name, settings, request }) => ({
    name,
    config: {
      head_dim: settings["head_size"],
      max_position_embeddings: settings["max_position"],
      rope_parameters: settings["rope_parameters"],
    },
    // The fixtures' max_model_len is in their notes alone.
    options: { dialect: "vllm", pairing: request.pairing, ...(name.endsWith("-short") ? { capacity: 4096 } : {}) },
  }),
  sglang: ({ name, settings, request }) => ({
    name,
    config: {
      head_dim: settings["head_size"],
      rotary_dim: "partial_rotary_factor" in settings ? undefined : settings["rotary_dim"],
      max_position_embeddings: settings["max_position"],
      rope_theta: settings["base"],
      rope_scaling: settings["rope_scaling"],
    },
    options: { dialect: "sglang", pairing: request.pairing },
  }),
  mlx: ({ name, settings, request }) => {
    const scaling = settings["scaling_config"] as Json;
    return {
      name,
      config: {
        head_dim: request.headDim,
        rotary_dim: "partial_rotary_factor" in scaling ? undefined : settings["dims"],
        max_position_embeddings: settings["max_position_embeddings"],
        rope_theta: settings["base"],
        rope_scaling: scaling,
      },
      options: { dialect: "mlx", pairing: request.pairing },
    };
  },
};

/** Fixtures that no config leads to, each with the reason. */
const notHere: Readonly<Record<string, string>> = {
  "vllm/deepseek-v4": "is reached by the model's own config, below",
  "vllm/deepseek-v4-inverse": "the same, turned back",
  "vllm/dual-chunk": "no rope of one position for each token",
  "vllm/ernie45-vl": "a class of its own in each engine; transformers' fixture has it",
  "vllm/fope": "learned matrices: no rotation",
  "vllm/llama-4-vision": "a vision tower",
  "vllm/openpangu": "no package has the type",
  "sglang/ernie45-vl": "a class of its own in each engine; transformers' fixture has it",
  "sglang/longrope-phi-3-mini-boundary": "a token that the engine forgets to turn",
};

/**
 * Compares cos and sin of every sampled pair.
 *
 * @param roundings the number of float32 roundings in the engine's angle, each worth 2^-24 of it. cos, sin and the
 * amplitude add a few.
 */
function compare(
  rope: RotaryEmbedding,
  { positions, pairs, cos, sin, length }: Pick<EngineFixture, "positions" | "pairs" | "cos" | "sin" | "length">,
  roundings: (pair: number) => number,
): void {
  // An engine's operator takes any position; a rope takes those below the model's maximum.
  const flat = positions as number[];
  const admitted = Array.isArray(positions[0])
    ? flat.length
    : flat.filter((position) => position < rope.positionLimit).length;
  expect(admitted).toBeGreaterThan(0);
  const table = rope.cosSin(
    Array.isArray(positions[0]) ? (positions as number[][]) : flat.slice(0, admitted),
    length === undefined ? {} : { length },
  );
  const { invFreq, attentionFactor } = rope.frequencies(length);
  const width = rope.rotaryDim / 2;
  const largest = (token: number): number =>
    Array.isArray(positions[0])
      ? Math.max(...(positions as number[][]).map((axis) => axis[token]!))
      : (positions as number[])[token]!;
  const tokens = Array.isArray(positions[0]) ? (positions[0] as readonly number[]).length : admitted;
  cos.slice(0, tokens).forEach((row, token) =>
    row.forEach((expected, column) => {
      const pair = pairs[column]!;
      const tolerance = attentionFactor * 2 ** -24 * (8 + roundings(pair) * largest(token) * invFreq[pair]!);
      const place = `pair ${pair} of token ${token}`;
      expect(Math.abs(table.cos[token * width + pair]! - expected), `cos of ${place}`).toBeLessThan(tolerance);
      expect(Math.abs(table.sin[token * width + pair]! - sin[token]![column]!), `sin of ${place}`).toBeLessThan(
        tolerance,
      );
    }),
  );
}

describe.each(["vllm", "sglang", "mlx"] as const)("%s", (engine) => {
  const every = (fixtures(engine) as readonly EngineFixture[]).filter(
    ({ name }) => notHere[`${engine}/${name}`] === undefined,
  );

  test.each(every)("$name", (fixture) => {
    const { config, options } = cases[engine](fixture);
    const { byLayerType } = ropesFromConfig(config, options);
    const rope = byLayerType.get(null)!;
    expect(rope).toMatchObject({
      headDim: fixture.request.headDim,
      rotaryDim: fixture.request.rotaryDim,
      base: fixture.request.base,
    });
    // The engine computes the amplitude in float64 by the same formula.
    if (fixture.attentionFactor !== undefined) {
      expect(rope.frequencies(fixture.length).attentionFactor).toBeCloseTo(fixture.attentionFactor, 13);
    }
    if (fixture.softmaxScaleFactor !== undefined && rope.ropeType === "deepseek_yarn") {
      expect(rope.softmaxScaleFactor).toBeCloseTo(fixture.softmaxScaleFactor, 12);
    }
    // A handful of float32 operations for the frequency, one for the angle. MLX raises 2 to an exponent of up to 20
    // that is rounded, which is worth 20 · ln 2 roundings more.
    compare(rope, fixture, () => (engine === "mlx" ? 26 : 12));
  });
});

test("each fixture that is left out exists", () => {
  const names = (["vllm", "sglang"] as const).flatMap((engine) =>
    fixtures(engine).map(({ name }) => `${engine}/${name}`),
  );
  expect(Object.keys(notHere).filter((name) => !names.includes(name))).toEqual([]);
});

test("SGLang uses the short list for one token more, and does not rotate that token", () => {
  const fixture = (fixtures("sglang") as readonly EngineFixture[]).find(
    ({ name }) => name === "longrope-phi-3-mini-boundary",
  )!;
  const { config, options } = cases.sglang(fixture);
  const rope = ropesFromConfig(config, options).byLayerType.get(null)!;
  expect(fixture.length).toBe(4097);
  const but = <T>(list: readonly T[]): T[] => list.slice(0, -1);
  compare(
    rope,
    {
      ...fixture,
      positions: but(fixture.positions as readonly number[]),
      cos: but(fixture.cos),
      sin: but(fixture.sin),
    },
    () => 12,
  );
});

test("mlx-lm uses the long list for short texts too", () => {
  const fixture = (fixtures("mlx") as readonly EngineFixture[]).find(({ name }) => name === "longrope-phi-3-mini")!;
  const { config, options } = cases.mlx(fixture);
  const rope = ropesFromConfig(config, options).byLayerType.get(null)!;
  compare(
    rope,
    {
      ...fixture,
      length: 1,
      positions: (fixture.positions as readonly number[]).slice(0, 3),
      cos: fixture.cos.slice(0, 3),
      sin: fixture.sin.slice(0, 3),
    },
    () => 26,
  );
});

test("DeepSeek-V4's compressing layers under vLLM", () => {
  const fixture = (fixtures("vllm") as readonly EngineFixture[]).find(({ name }) => name === "deepseek-v4")!;
  const rope = ropesFromConfig(published("deepseek-ai/DeepSeek-V4-Flash"), { dialect: "vllm" }).byLayerType.get(
    "compress",
  )!;
  expect(rope).toMatchObject({
    headDim: 512,
    rotaryDim: 64,
    rotaryOffset: 448,
    pairing: "adjacent",
    attentionFactor: 1,
  });
  compare(rope, fixture, () => 12);
});

describe("llama.cpp", () => {
  /** Models whose layers have ropes of their own, with the layer whose rope is which. */
  const every = fixtures("llama.cpp").flatMap(({ name, config, n_ctx, ropes }) =>
    ropes
      .filter(({ shift }) => shift !== true)
      .map((rope) => ({
        name: `${name} ${rope.tensors.at(-1)}`,
        config,
        capacity: n_ctx,
        rope: rope as Exclude<typeof rope, { shift: true }>,
      })),
  );

  test.each(every)("$name", ({ config: file, capacity, rope: record }) => {
    const config = models().find((model) => model.file === file)!.config;
    const layers = record.tensors.flatMap((tensor) => /-(\d+)$/.exec(tensor)?.slice(1).map(Number) ?? []);
    const { forLayer } = ropesFromConfig(config, { dialect: "llama.cpp", capacity });
    for (const layer of layers.length === 0 ? [0] : layers) {
      const rope = forLayer(layer)!;
      // The converter may move the elements of a pair. The frequency of each pair stays the same.
      expect(rope.rotaryDim).toBe(record.rotaryDim);
      // The angle is multiplied up from pair to pair, two roundings each.
      compare(rope, record as unknown as EngineFixture, (pair) => 12 + 2 * pair);
    }
  });

  test("pairs that remain in the cyclic order follow an extra axis", () => {
    const axes = (dialect: DialectName): number[] =>
      Array.from(
        ropesFromConfig(published("Qwen/Qwen3-VL-30B-A3B-Instruct"), { dialect }).byLayerType.get(null)!.frequencies()
          .axes,
      );
    const record = (fixtures("ggml") as readonly EngineFixture[]).find(({ name }) => name === "imrope-qwen3-vl")!;
    expect(axes("llama.cpp")).toEqual(record.axisOfPair);
    expect(axes("hf").slice(60)).toEqual([0, 0, 0, 0]);
  });
});

describe("dialects are data", () => {
  test("plain, frozen, serialisable, and each under its name", () => {
    for (const [name, dialect] of Object.entries(dialects)) {
      expect(dialect.name).toBe(name);
      expect(structuredClone(dialect)).toEqual(JSON.parse(JSON.stringify(dialect)));
      const frozen = (value: unknown): boolean =>
        typeof value !== "object" || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
      expect(frozen(dialect)).toBe(true);
    }
  });

  test.each(Object.keys(dialects) as DialectName[])("%s under another name gives the same instances", (name) => {
    const copy: Dialect = { ...(JSON.parse(JSON.stringify(dialects[name])) as Dialect), name: "mine" };
    for (const { config } of models()) {
      const read = (dialect: DialectName | Dialect): unknown => {
        try {
          return [...ropesFromConfig(config, { dialect }).byLayerType.values()];
        } catch (error) {
          return (error as Error).message;
        }
      };
      const [a, b] = [read(name), read(copy)] as [readonly unknown[], readonly unknown[]];
      if (typeof a === "string") expect(b).toBe(a);
      else a.forEach((rope, index) => expect(b[index]).toBe(rope));
    }
  });

  test("the default is transformers'", () => {
    const config = published("deepseek-ai/DeepSeek-V3");
    expect(ropesFromConfig(config).byLayerType.get(null)).toBe(
      ropesFromConfig(config, { dialect: "hf" }).byLayerType.get(null),
    );
  });

  test("a dialect with a changed knob", () => {
    const config = llama({
      rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 2048, truncate: false },
    });
    const mine: Dialect = { ...dialects.hf, name: "mine", yarn: { ...dialects.hf.yarn, truncate: "always" } };
    expect(ropesFromConfig(config, { dialect: mine }).byLayerType.get(null)!.spec.parameters["truncate"]).toBe(true);
  });

  test("an unknown name", () => {
    expect(failure(() => ropeRequestsFromConfig(llama(), { dialect: "candle" as DialectName })).message).toContain(
      "one of hf, vllm, sglang, llama.cpp, mlx, mindie, ort-genai",
    );
    expect(failure(() => ropeRequestsFromConfig(llama(), { dialect: "constructor" as DialectName })).code).toBe(
      "ROPE_CONFIG",
    );
  });

  test("keyFacts: keys that config.json has beside the rope dictionary say so", () => {
    const beside = keyFacts.filter(({ besideDictionary }) => besideDictionary).map(({ key }) => key);
    expect(beside).toEqual(expect.arrayContaining(["rope_theta", "max_position_embeddings"]));
    // Common words, which mean something else outside a rope dictionary.
    for (const key of ["type", "factor", "interleaved"]) expect(beside).not.toContain(key);
  });

  test("keyFacts: one row for each key, with every engine", () => {
    expect(new Set(keyFacts.map(({ key }) => key)).size).toBe(keyFacts.length);
    for (const { engines } of keyFacts) expect(Object.keys(engines)).toEqual(Object.keys(dialects));
  });
});

// From each engine's own code: whether it looks the key up, and whether it has the type of the key.
test.each([
  ["attention_factor", "read otherwise ignored ignored ignored ignored ignored"],
  ["attn_factor", "ignored ignored read ignored ignored ignored ignored"],
  ["extrapolation_factor", "ignored ignored read ignored ignored ignored ignored"],
  ["truncate", "otherwise otherwise otherwise ignored ignored ignored ignored"],
  ["beta_fast", "otherwise read read ignored read read otherwise"],
  ["mscale", "otherwise otherwise otherwise ignored otherwise otherwise otherwise"],
  ["short_factor", "read otherwise otherwise otherwise ignored refused otherwise"],
  ["long_mscale", "otherwise read read ignored otherwise refused otherwise"],
  ["low_freq_factor", "read read otherwise otherwise otherwise read otherwise"],
  ["max_trained_positions", "ignored read ignored ignored ignored ignored ignored"],
  ["mrope_section", "otherwise read otherwise read ignored otherwise read"],
  ["mrope_interleaved", "ignored otherwise otherwise ignored ignored ignored ignored"],
  ["interleaved", "ignored ignored ignored ignored ignored ignored ignored"],
  ["mixed_b", "ignored read refused refused refused refused refused"],
])("%s in transformers, vLLM, SGLang, llama.cpp, MLX, MindIE, onnxruntime-genai: %s", (key, expected) => {
  const { engines } = keyFacts.find((facts) => facts.key === key)!;
  const names = ["hf", "vllm", "sglang", "llama.cpp", "mlx", "mindie", "ort-genai"] as const;
  expect(names.map((name) => engines[name].use).join(" ")).toBe(expected);
});

/** Knobs that no fixture covers, each with a number calculated from the engine's rule. */
describe("knobs that no fixture covers", () => {
  const yarn = (more: Json): Json =>
    llama({
      max_position_embeddings: 8192,
      rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 2048, ...more },
    });
  const amplitude = (config: Json, dialect: DialectName): number =>
    ropesFromConfig(config, { dialect }).byLayerType.get(null)!.attentionFactor;
  const magnitude = 1.138629436111989; // 0.1 ln 4 + 1

  test("the amplitude of one file in six engines", () => {
    const config = yarn({ attention_factor: 1.5, attn_factor: 2, mscale: 0.5, mscale_all_dim: 0.25 });
    // M(4, 0.5) / M(4, 0.25) = 1.0693147181 / 1.0346573590
    const ratio = 1.03349646;
    const expected = { hf: 1.5, vllm: 1.5, sglang: 2 * ratio, "llama.cpp": magnitude, mlx: ratio, mindie: 0.5 };
    for (const [dialect, value] of Object.entries(expected)) {
      expect(amplitude(config, dialect as DialectName), dialect).toBeCloseTo(value, 7);
    }
  });

  test("no key of the amplitude", () => {
    for (const dialect of ["hf", "vllm", "sglang", "llama.cpp", "mlx"] as const) {
      expect(amplitude(yarn({}), dialect)).toBeCloseTo(magnitude, 14);
    }
    expect(amplitude(yarn({}), "mindie")).toBe(1);
  });

  test("mscale by itself", () => {
    const config = yarn({ mscale: 0.5 });
    const expected = {
      hf: magnitude,
      vllm: magnitude,
      sglang: magnitude,
      "llama.cpp": magnitude,
      mlx: 1.0693147181,
      mindie: 0.5,
    };
    for (const [dialect, value] of Object.entries(expected)) {
      expect(amplitude(config, dialect as DialectName), dialect).toBeCloseTo(value, 9);
    }
  });

  test("mscale_all_dim 0 counts as given in SGLang", () => {
    const config = yarn({ mscale: 0.5, mscale_all_dim: 0 });
    expect(amplitude(config, "sglang")).toBeCloseTo(1.0693147181, 9);
    expect(amplitude(config, "hf")).toBeCloseTo(magnitude, 12);
  });

  test("a partial rotary factor of a family whose class ignores it", () => {
    const config = llama({ partial_rotary_factor: 0.5 });
    const rotated = (dialect: DialectName): number =>
      ropesFromConfig(config, { dialect }).byLayerType.get(null)!.rotaryDim;
    expect([rotated("hf"), rotated("vllm"), rotated("sglang")]).toEqual([128, 64, 64]);
  });

  test("two types in one file", () => {
    const config = llama({ rope_scaling: { rope_type: "linear", type: "default", factor: 2 } });
    const type = (dialect: DialectName): string => ropesFromConfig(config, { dialect }).byLayerType.get(null)!.ropeType;
    expect([type("sglang"), type("mlx")]).toEqual(["linear", "default"]);
    for (const dialect of ["hf", "vllm"] as const) {
      expect(failure(() => ropesFromConfig(config, { dialect })).code).toBe("ROPE_CONFIG");
    }
  });

  test("an absent factor", () => {
    const config = yarn({ factor: undefined });
    const factor = (dialect: DialectName): unknown =>
      ropesFromConfig(config, { dialect }).byLayerType.get(null)!.spec.parameters["factor"];
    for (const dialect of ["hf", "vllm", "mlx", "mindie"] as const) {
      expect(failure(() => factor(dialect)).issues).toMatchObject([
        { path: "rope_scaling.factor", received: "nothing" },
      ]);
    }
    const genai = failure(() => ropesFromConfig({ ...config, model_type: "qwen2" }, { dialect: "ort-genai" }));
    expect(genai.issues.map(({ path }) => path)).toContain("rope_scaling.factor");
    // An absent factor is 1 here and does not reach the promised length.
    expect(factor("sglang")).toBe(1);
    expect(ropesFromConfig(config, { dialect: "sglang" }).notes).toContainEqual(
      expect.objectContaining({ path: "max_position_embeddings", severity: "warning" }),
    );
    // The converter writes no scaling then.
    const { byLayerType, notes } = ropesFromConfig(config, { dialect: "llama.cpp" });
    expect(byLayerType.get(null)).toMatchObject({ ropeType: "default", attentionFactor: 1 });
    expect(notes).toContainEqual(expect.objectContaining({ path: "rope_scaling.factor", severity: "warning" }));
  });

  test("a factor of null: transformers 5.24 takes the ratio of the lengths, the others refuse it or do not scale", () => {
    const config = yarn({ factor: null });
    const factor = (dialect: DialectName): unknown =>
      ropesFromConfig(config, { dialect }).byLayerType.get(null)!.spec.parameters["factor"];
    expect(factor("hf")).toBe(4);
    for (const dialect of ["vllm", "mlx", "mindie"] as const) {
      expect(failure(() => factor(dialect)).issues).toMatchObject([{ path: "rope_scaling.factor" }]);
    }
    expect(factor("llama.cpp")).toBeUndefined();
  });

  test("transformers 5.24 refuses YaRN without factor and lengths", () => {
    const config = llama({ rope_scaling: { rope_type: "yarn" } });
    // KeyError: Missing required keys in `rope_parameters` for 'rope_type'='yarn': {'factor'}
    expect(failure(() => ropesFromConfig(config)).issues).toMatchObject([{ path: "rope_scaling.factor" }]);
  });

  test("a trained length beside the dictionary and another one inside", () => {
    const config = { ...yarn({}), original_max_position_embeddings: 4096 };
    const length = (dialect: DialectName): unknown =>
      ropesFromConfig(config, { dialect }).byLayerType.get(null)!.spec.parameters["originalMaxPosition"];
    expect([length("hf"), length("vllm"), length("sglang"), length("llama.cpp")]).toEqual([4096, 4096, 2048, 2048]);
  });

  test("a beta of 0 is an error where the engine divides by it", () => {
    expect(ropesFromConfig(yarn({ beta_fast: 0 })).byLayerType.get(null)!.spec.parameters["betaFast"]).toBe(32);
    expect(
      ropesFromConfig(yarn({ beta_fast: 0 }), { dialect: "llama.cpp" }).byLayerType.get(null)!.spec.parameters[
        "betaFast"
      ],
    ).toBe(32);
    for (const dialect of ["vllm", "sglang", "mlx"] as const) {
      expect(failure(() => ropesFromConfig(yarn({ beta_fast: 0 }), { dialect })).issues).toMatchObject([
        { path: "parameters.betaFast" },
      ]);
    }
  });

  test("an amplitude wins over two magnitudes, without a note", () => {
    const { byLayerType, notes } = ropesFromConfig(yarn({ attention_factor: 1.5, mscale: 0.5, mscale_all_dim: 0.25 }));
    expect([byLayerType.get(null)!.attentionFactor, notes]).toEqual([1.5, []]);
  });

  test("an absent trained length", () => {
    const config = llama({
      rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
      max_position_embeddings: 131072,
    });
    const length = (dialect: DialectName): unknown =>
      ropesFromConfig(config, { dialect }).byLayerType.get(null)!.spec.parameters["originalMaxPosition"];
    expect([length("hf"), length("sglang"), length("mlx")]).toEqual([131072, 131072, 8192]);
    expect(failure(() => length("mindie")).issues).toMatchObject([
      { path: "rope_scaling.original_max_position_embeddings", received: "nothing" },
    ]);
  });

  test("a type that the engine does not have", () => {
    const config = llama({ rope_scaling: { rope_type: "ntk", factor: 2 } });
    expect(ropesFromConfig(config).byLayerType.get(null)!.ropeType).toBe("ntk");
    expect(failure(() => ropesFromConfig(config, { dialect: "sglang" })).issues).toMatchObject([
      { path: "rope_scaling.rope_type", received: '"ntk"' },
    ]);
  });

  test("dynamic scaling: by length, for the run, or not at all", () => {
    const config = published("internlm/internlm2-chat-7b");
    const rope = (dialect: DialectName): RotaryEmbedding => ropesFromConfig(config, { dialect }).byLayerType.get(null)!;
    expect(
      ["hf", "mlx", "vllm", "sglang"].map((name) => rope(name as DialectName).capabilities.dependsOnLength),
    ).toEqual([true, true, false, false]);
    expect(rope("vllm").frequencies(65536).invFreq).toEqual(
      getRope({ headDim: 128, base: 1e6, parameters: { ropeType: "default" } }).frequencies().invFreq,
    );
    expect(rope("llama.cpp").ropeType).toBe("default");
    // The base that transformers has at twice the length is SGLang's at every length: 3052773.67.
    expect(
      rope("sglang")
        .explain()
        .rules.find(({ name }) => name === "scaledBase")?.value,
    ).toBeCloseTo(3052773.67, 1);
  });

  test("telechat3-yarn: 0.07 where the engine knows it, plain yarn in mlx-lm", () => {
    const config = llama({
      max_position_embeddings: 8192,
      rope_scaling: { rope_type: "telechat3-yarn", factor: 4, original_max_position_embeddings: 2048 },
    });
    expect([amplitude(config, "hf"), amplitude(config, "vllm")]).toEqual([
      expect.closeTo(1.0970406053, 9),
      expect.closeTo(1.0970406053, 9),
    ]);
    expect(amplitude(config, "mlx")).toBeCloseTo(magnitude, 12);
  });
});

test("each number names the source of its rule", () => {
  const config = published("microsoft/Phi-3-mini-128k-instruct");
  const { rules } = ropeRequestsFromConfig(config, { dialect: "vllm", capacity: 4096 }).byLayerType.get(null)!;
  expect(rules[0]).toEqual({ name: "dialect", value: "vllm", rule: "read as vLLM 0.33.0 does" });
  expect(rules).toContainEqual({
    name: "parameters.capacity",
    value: 4096,
    rule: "given by the caller",
    source: "vLLM 0.33.0",
  });
  expect(rules).toContainEqual({
    name: "parameters.selection",
    value: "by-capacity",
    rule: "what chooses the list in vLLM",
    source: "vLLM 0.33.0",
  });
  expect(ropesFromConfig(config, { dialect: "vllm", capacity: 4096 }).rules.get(null)).toEqual(rules);
  const sglang = ropeRequestsFromConfig(published("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B"), { dialect: "sglang" });
  expect(sglang.byLayerType.get(null)!.rules).toContainEqual({
    name: "parameters.attentionFactor",
    value: expect.closeTo(1, 12),
    rule: "0.1 ln 4 + 1 · rope_scaling.attn_factor 0.8782488562869419",
    source: "SGLang 0.5.23",
  });
  expect(sglang.notes.filter(({ path }) => path.endsWith("attn_factor"))).toEqual([]);
});
