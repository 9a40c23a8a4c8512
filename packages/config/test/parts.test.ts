/** Which part of a file is read: the text model, or a tower inside; and what is said about towers that have no rope. */

import { ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
import { fixtures, models } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { towerNames, towerOf } from "../src/facts/towers.ts";
import { deepFreeze, failure, ulps } from "./helpers.ts";
import type { Json } from "./helpers.ts";

const vision = { part: "vision" } as const;
const audio = { part: "audio" } as const;
/** Two heads of 32. */
const sizes = { hidden_size: 64, num_attention_heads: 2, num_hidden_layers: 2 };
const qwen = { hidden_size: 64, num_heads: 2, depth: 2 };
const tower = ropesFromConfig({ model_type: "qwen2_5_vl_vision", ...qwen }).forLayer(0)!;

/** The issues of a file as text. */
function refused(config: Json, options = {}): string[] {
  const error = failure(() => ropesFromConfig(config, options));
  expect(error.code).toBe("ROPE_CONFIG");
  return error.issues.map(
    ({ path, expected, received, remedy = "" }) => `${path}: ${expected} | ${received} | ${remedy}`,
  );
}

describe("a tower is found", () => {
  const inner = (record: Json, outer: Json = {}): Json => ({ ...outer, vision_config: record });
  test.each<[string, Json]>([
    ["by its own name", inner({ model_type: "qwen2_5_vl_vision", ...qwen }, { model_type: "anything" })],
    ["by the model's name, where it has none", inner(qwen, { model_type: "qwen2_5_vl" })],
    [
      "by the model's name, which it repeats",
      inner({ model_type: "qwen2_5_vl", ...qwen }, { model_type: "qwen2_5_vl" }),
    ],
    ["beside a text model", inner(qwen, { model_type: "qwen2_5_vl", text_config: { rope_theta: 1e6 }, rope_theta: 5 })],
    [
      "in the thinker",
      { model_type: "qwen2_5_omni", thinker_config: inner(qwen, { model_type: "qwen2_5_omni_thinker" }) },
    ],
    ["in a file of its own", { model_type: "qwen2_5_vl_vision", ...qwen }],
    [
      "in transformers 5",
      inner({ ...qwen, rope_parameters: { rope_type: "axial", rope_theta: 10000 } }, { model_type: "qwen2_5_vl" }),
    ],
    ["in transformers 4", inner({ ...qwen, rope_scaling: { type: "default" } }, { model_type: "qwen2_5_vl" })],
    ["in a model that uses another's", inner(qwen, { model_type: "hyperclovax_vision_v2" })],
  ])("%s", (_, config) => {
    expect(ropesFromConfig(deepFreeze(structuredClone(config)), vision).forLayer(0)).toBe(tower);
  });

  test("inside another tower's config", () => {
    const sam = {
      model_type: "sam3",
      vision_config: { model_type: "sam3_vision_model", backbone_config: { model_type: "sam3_vit_model", ...sizes } },
    };
    expect(ropesFromConfig(sam, vision).forLayer(0)!.headDim).toBe(32);
    const ocr = {
      model_type: "deepseek_ocr2",
      vision_config: {
        model_type: "deepseek_ocr2_vision",
        sam_config: {},
        encoder_config: { model_type: "deepseek_ocr2_encoder", ...sizes },
      },
    };
    expect(ropesFromConfig(ocr, vision).forLayer(0)).toMatchObject({
      ropeType: "default",
      headDim: 32,
      pairing: "half",
    });
    expect(refused({ vision_config: { model_type: "sam3_vision_model" } }, vision)[0]).toMatch(
      /^vision_config.backbone_config: /,
    );
  });

  test("in an encoder, and in what is around one", () => {
    const vit = {
      model_type: "vision-encoder-decoder",
      encoder: { model_type: "vit" },
      decoder: { model_type: "bert" },
    };
    expect(ropesFromConfig(vit, vision).notes[0]!.path).toBe("encoder.model_type");
    const t5 = {
      model_type: "t5gemma2",
      encoder: { model_type: "t5gemma2_encoder", vision_config: { model_type: "pixtral", ...sizes } },
    };
    expect(ropesFromConfig(t5, vision).forLayer(0)!.ropeType).toBe("nd");
    const both = {
      model_type: "pe_audio_video",
      audio_video_config: {
        model_type: "pe_audio_video_encoder",
        ...sizes,
        head_dim: 32,
        video_config: { model_type: "pe_video_encoder", ...sizes, head_dim: 16 },
      },
    };
    expect(ropesFromConfig(both, audio).forLayer(0)!.headDim).toBe(32);
    expect(ropesFromConfig(both, vision).forLayer(0)!.headDim).toBe(16);
  });

  test("a vision tower's own file has no audio tower", () => {
    expect(refused({ model_type: "pixtral", ...sizes }, audio)[0]).toMatch(/^audio_config: /);
    expect(refused({ model_type: "glmasr_encoder", ...sizes }, vision)[0]).toMatch(/^vision_config: /);
  });

  test("of sound, with one axis", () => {
    const config = {
      model_type: "glmasr",
      audio_config: { model_type: "glmasr_encoder", ...sizes },
      text_config: { model_type: "llama", ...sizes },
    };
    const ropes = ropesFromConfig(config, audio);
    expect(ropes.forLayer(1)).toMatchObject({ headDim: 32, rotaryDim: 16 });
    expect(ropes.positionsOf(1)).toBeNull();
    expect(ropesFromConfig(config).forLayer(1)!.rotaryDim).toBe(32);
    expect(ropes.notes.some(({ path }) => path === "audio_config.rope_theta")).toBe(true);
  });

  test("whose class is a text model's", () => {
    const config = { model_type: "speech", audio_config: { model_type: "qwen2", ...sizes } };
    expect(ropesFromConfig(config, audio).forLayer(0)).toBe(
      ropesFromConfig({ model_type: "qwen2", ...sizes }).forLayer(0),
    );
  });

  test("the encoder of a text model is none", () => {
    const config = { model_type: "dia", encoder_config: { model_type: "t5", ...sizes } };
    expect(refused(config, audio)[0]).toMatch(/^audio_config: the config of an audio tower/);
  });
});

test("models whose own rope is none of a tower's", () => {
  const config = {
    model_type: "sam2_video",
    memory_attention_hidden_size: 64,
    vision_config: { model_type: "sam2_vision_model" },
  };
  expect(ropesFromConfig(config).forLayer(0)!.headDim).toBe(64);
  expect(ropesFromConfig(config, vision).forLayer(0)).toBeNull();
  // Two heads, at half the width.
  const more = { memory_attention_num_attention_heads: 2, memory_attention_downsample_rate: 2 };
  expect(ropesFromConfig({ ...config, ...more }).forLayer(0)!.headDim).toBe(16);
});

test("Music Flamingo: a note about what the model does with the encoder's output", () => {
  const config = { model_type: "musicflamingo", audio_config: { model_type: "audioflamingo3_encoder" } };
  expect(ropesFromConfig(config, audio).notes[0]!.message).toMatch(/by time/);
});

test("Mistral Large 4 is published in Mistral's own format, whose pairs are adjacent", () => {
  const pixtral = { model_type: "pixtral", ...sizes };
  const pairings = ["mistral3", "mistral_large4"].map((model_type) =>
    ropesFromConfig({ model_type, vision_config: pixtral }, vision).checkpointPairingOf(0),
  );
  expect(pairings).toEqual([null, "adjacent"]);
});

describe("published files", () => {
  test.each(fixtures("vision").filter(({ model }) => model.startsWith("Qwen/")))("$model", (answer) => {
    const config = models().find(({ id }) => id === answer.model)!.config;
    const ropes = ropesFromConfig(config, vision);
    const rope = ropes.forLayer(0)!;
    expect(rope).toMatchObject({ headDim: answer.headDim, rotaryDim: answer.rotaryDim, pairing: answer.pairing });
    expect(ropes.positionsOf(0)!.axes).toEqual(answer.axes);
    const { axes, invFreq } = rope.frequencies();
    expect([...axes]).toEqual(answer.axisOfPair);
    // Two float32 ulp: one for the power, one for the operations after it.
    answer.invFreq!.forEach((value, pair) => expect(ulps(invFreq[pair]!, value)).toBeLessThanOrEqual(2));
    expect(ropesFromConfig(config).forLayer(0)).not.toBe(rope);
    expect(ropesFromConfig(config, { part: "text" }).forLayer(0)).toBe(ropesFromConfig(config).forLayer(0));
  });
});

describe("layers of a tower that differ", () => {
  test("LFM3: convolutions have no rope", () => {
    const config = { model_type: "lfm3_vl_vision", ...sizes, num_hidden_layers: 5 };
    const ropes = ropesFromConfig(config);
    // As its class fills in layer_types: attention in layers 2, 4, …
    expect([0, 1, 2, 3, 4].map((layer) => ropes.forLayer(layer) !== null)).toEqual([false, false, true, false, true]);
    expect(ropes.positionsOf(0)).toBeNull();
    const stated = ropesFromConfig({ ...config, layer_types: ["full_attention", "conv", "conv", "conv", "conv"] });
    expect(stated.forLayer(0)).toBe(ropes.forLayer(2));
    expect(stated.forLayer(2)).toBeNull();
    expect(refused({ ...config, layer_types: ["full_attention", "conv", "wave", "conv", "conv"] })).toEqual([
      'layer_types[2]: one of full_attention, conv | "wave" | ',
    ]);
  });

  test("SAM 3: global layers take fractions", () => {
    const ropes = ropesFromConfig({ model_type: "sam3_vit_model", ...sizes, num_hidden_layers: 32 });
    const isGlobal = Array.from({ length: 32 }, (_, layer) => ropes.positionsOf(layer)!.counting !== "from 0");
    expect(isGlobal.flatMap((is, layer) => (is ? [layer] : []))).toEqual([7, 15, 23, 31]);
    expect(ropes.forLayer(7)!.spec.fractionalPositions).toBe(true);
    expect(ropes.forLayer(8)!.spec.fractionalPositions).toBe(false);
    expect(() => ropes.forLayer(32)).toThrow(/no such layer/);
  });
});

test.each(towerNames().filter((name) => towerOf(name)!.kind === "none"))("%s has no rope", (model_type) => {
  const { part } = towerOf(model_type)!;
  const key = part === "vision" ? "vision_config" : "audio_config";
  const ropes = ropesFromConfig({ model_type: "x", [key]: { model_type, num_hidden_layers: 2 } }, { part });
  expect([ropes.forLayer(0), ropes.forLayer(1)]).toEqual([null, null]);
  expect(ropes.positionsOf(0)).toBeNull();
  expect(ropes.checkpointPairingOf(0)).toBeNull();
  expect(ropes.notes).toMatchObject([
    {
      kind: "implied",
      path: `${key}.model_type`,
      message: expect.stringMatching(`^No layer of ${model_type} has a rope: `),
    },
  ]);
  expect(ropesFromConfig({ model_type }).forLayer(5)).toBeNull();
});

test.each(["vjepa2", "lightglue", "timm_wrapper", "esmfold2"])(
  "%s cannot be read, and the error says why",
  (model_type) => {
    const [issue] = refused({ model_type, hidden_size: 64 });
    expect(issue).toMatch(new RegExp(`^model_type: .* \\| ${model_type}: .* \\| .+\\.$`));
    expect(refused({ model_type, hidden_size: 64 }, vision)).toEqual([issue]);
    expect(refused({ vision_config: { model_type } }, vision)).toEqual([
      issue!.replace("model_type:", "vision_config.model_type:"),
    ]);
  },
);

describe("a file that says nothing usable", () => {
  test("no tower, and a tower that is not known", () => {
    expect(refused({ model_type: "llama", ...sizes }, vision)).toEqual([
      "vision_config: the config of a vision tower | nothing | This model has no such tower, or the tower's config is another file: pass that.",
    ]);
    expect(refused({ vision_config: { model_type: "toast", ...sizes } }, vision)[0]).toMatch(
      /^vision_config\.model_type: .* \| "toast" \| .+getRope/,
    );
    expect(refused({ vision_config: sizes }, vision)[0]).toMatch(/^vision_config\.model_type: .* \| nothing \| /);
    expect(refused({ vision_config: [] }, vision)[0]).toMatch(/^vision_config: /);
    expect(failure(() => ropesFromConfig({}, { part: "video" as "vision" })).code).toBe("ROPE_INVALID_PARAMETERS");
  });

  test.each<[string, Json, string]>([
    ["another type", { rope_parameters: { rope_type: "yarn", factor: 4 } }, "rope_parameters.rope_type"],
    ["a dictionary that is none", { rope_parameters: 5 }, "rope_parameters"],
    ["two bases", { rope_parameters: { rope_theta: 100 }, rope_theta: 1000 }, "rope_theta"],
    ["a base of 0", { rope_theta: 0 }, "rope_theta"],
    ["a base that is text", { rope_theta: "x" }, "rope_theta"],
    ["a head that has not as many pairs for each axis", { head_dim: 34 }, "head_dim"],
    ["no heads", { num_attention_heads: 0 }, "num_attention_heads"],
    ["a head of a fraction", { hidden_size: 65 }, "head_dim"],
    ["too many layers", { num_hidden_layers: 1e6 }, "num_hidden_layers"],
    ["layer types that are no list", { model_type: "lfm3_vl_vision", layer_types: 5 }, "layer_types"],
    ["global layers that are no list", { model_type: "sam3_vit_model", global_attn_indexes: 5 }, "global_attn_indexes"],
  ])("%s", (_, more, path) => {
    const paths = failure(() => ropesFromConfig({ model_type: "step3p5_vision", ...sizes, ...more })).issues.map(
      (issue) => issue.path,
    );
    expect(paths).toEqual([path]);
  });

  test("all faults at once", () => {
    const bad = {
      model_type: "pixtral",
      ...sizes,
      head_dim: 33,
      rope_parameters: { rope_type: "linear", rope_theta: -1 },
    };
    expect(
      refused(bad)
        .map((issue) => issue.split(":")[0])
        .sort(),
    ).toEqual(["head_dim", "rope_parameters.rope_theta", "rope_parameters.rope_type"]);
  });

  test("an object that contains itself", () => {
    const loop: Record<string, unknown> = { model_type: "x" };
    loop["thinker_config"] = loop;
    expect(refused(loop, vision)[0]).toMatch(/^vision_config: /);
  });
});

test("keys that a tower does not read are notes", () => {
  const ropes = ropesFromConfig({
    model_type: "pixtral",
    ...sizes,
    rope_scaling_layers: [1],
    rope_parameters: { rope_theta: 1e4, factor: 2 },
  });
  expect(ropes.notes.filter(({ kind }) => kind === "unused").map(({ path }) => path)).toEqual([
    "rope_parameters.factor",
    "rope_scaling_layers",
  ]);
});

test("numbers that the class fills in are notes", () => {
  const { notes } = ropesFromConfig({ model_type: "gemma4_vision" });
  expect(notes.filter(({ message }) => message.includes("default")).map(({ path }) => path)).toEqual([
    "num_hidden_layers",
    "hidden_size",
    "head_dim",
    "rope_theta",
  ]);
});

test("the caller's options override the file", () => {
  const ropes = ropesFromConfig(
    { model_type: "pixtral", ...sizes },
    { pairing: "adjacent", maxPosition: 64, precision: "float64" },
  );
  expect(ropes.forLayer(0)).toMatchObject({ pairing: "adjacent", spec: { maxPosition: 64, precision: "float64" } });
});

test("the rules name the class and the place in the file", () => {
  const { byLayerType } = ropeRequestsFromConfig(
    {
      model_type: "kimi_k25",
      vision_config: { vt_hidden_size: 64, vt_num_attention_heads: 2, vt_num_hidden_layers: 2 },
    },
    vision,
  );
  const { request, rules } = byLayerType.get(null)!;
  expect(request).toEqual({
    headDim: 32,
    rotaryDim: 32,
    base: 10000,
    maxPosition: null,
    pairing: "half",
    parameters: { ropeType: "nd", axisCount: 2, order: "alternating" },
  });
  const rule = (name: string): string => rules.find((one) => one.name === name)!.rule;
  expect(rule("headDim")).toBe("width / heads = 64 / 2 = 32");
  expect(rule("pairing")).toBe("the class of kimi_k25_vision");
  expect(rule("positions")).toBe("the class of kimi_k25_vision");
  expect(rule("checkpointPairing")).toBe("the class of kimi_k25_vision");
});
