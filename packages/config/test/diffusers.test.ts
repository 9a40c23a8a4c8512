/** Transformers of diffusers, compared with what their rope modules answered (`fixtures/diffusers_ropes.py`). */

import { readFileSync } from "node:fs";
import { ropesFromConfig } from "@ropewalk/config";
import { describe, expect, test } from "vitest";
import { diffuserNames, diffuserOf } from "../src/facts/diffusers.ts";
import { deepFreeze, failure, llama } from "./helpers.ts";
import type { Json } from "./helpers.ts";

interface Fixture {
  readonly classes: readonly { readonly config: Json; readonly answer: number }[];
  /** The query 1, 2, 3, … after rotation at each position. */
  readonly answers: readonly { readonly positions: readonly number[][]; readonly output: readonly number[][] }[];
}

const { answers, classes } = JSON.parse(
  readFileSync(new URL("fixtures/diffusers.json", import.meta.url), "utf8"),
) as Fixture;

describe.each(classes)("$config._class_name in diffusers", ({ answer, config }) => {
  const part = config["audio_num_attention_heads"] === undefined ? "vision" : "audio";
  const isWide = diffuserOf(String(config["_class_name"]))!.kind === "wide";

  test("rotates the same elements by the same angles", () => {
    const ropes = ropesFromConfig(deepFreeze(structuredClone(config)), { part, precision: "float64" });
    const rope = ropes.forLayer(0)!;
    const { output, positions } = answers[answer]!;
    expect(output.length).toBe(2);
    positions.forEach((position, i) => {
      const query = Float64Array.from({ length: rope.headDim }, (_, element) => element + 1);
      rope.apply({ positions: position.map((coordinate) => [coordinate]), query });
      // LTX: angles up to 10000 · π/2, rounded to float32 four times. Others: up to 64 rad, of frequencies in float32.
      const turn = isWide ? 10_000 * (Math.PI / 2) * 4 * 2 ** -24 : 64 * 3 * 2 ** -24;
      query.forEach((value, element) => {
        const difference = Math.abs(value - output[i]![element]!);
        expect(difference, `position ${position}, element ${element}`).toBeLessThan(2 * rope.headDim * turn);
      });
    });
  });

  test("says what its positions are", () => {
    const { axes } = ropesFromConfig(config, { part }).positionsOf(0)!;
    expect(axes.length).toBe(answers[answer]!.positions[0]!.length);
  });

  test("the defaults of the class are those of the fixture", () => {
    const { _class_name, ...stated } = config;
    // LTX's fixture has two heads, CogVideoX rotates only if its flag is set.
    const flags = Object.fromEntries(Object.entries(stated).filter(([, value]) => value === true));
    const silent = ropesFromConfig({ _class_name, ...flags }, { part });
    const width = part === "vision" && _class_name !== "LTXVideoTransformer3DModel" ? 4096 : 2048;
    if (isWide) expect(silent.forLayer(0)!.headDim).toBe(width);
    else expect(silent.forLayer(0)).toBe(ropesFromConfig(config).forLayer(0));
  });
});

test("every class of the table that rotates ran", () => {
  const rotates = diffuserNames().filter((name) => ["axes", "wide", "cyclic"].includes(diffuserOf(name)!.kind));
  const ran = new Set(classes.map(({ config }) => config["_class_name"]));
  // The same class as JoyImageEdit's, for several images.
  expect(rotates.filter((name) => !ran.has(name))).toEqual(["JoyImageEditPlusTransformer3DModel"]);
});

describe("a file that cannot be read", () => {
  const issue = (config: Json, options = {}): string => {
    const error = failure(() => ropesFromConfig(config, options));
    expect(error.code).toBe("ROPE_CONFIG");
    return error.issues
      .map(({ path, expected, received, remedy = "" }) => `${path}: ${expected} | ${received} | ${remedy}`)
      .join("\n");
  };

  test("an unknown class, whatever keys it has", () => {
    // Without the class, these keys would be a rope of one axis.
    const config = { _class_name: "ToastTransformer2DModel", attention_head_dim: 128, rope_theta: 256, num_layers: 2 };
    expect(issue(config)).toMatch(
      /^_class_name: a class of diffusers that is known \| "ToastTransformer2DModel" \| .*getRope/,
    );
    expect(issue({ _class_name: "WanPipeline" })).toMatch(/index of a pipeline: pass transformer\/config\.json/);
  });

  test.each(["MochiTransformer3DModel", "ErnieImageTransformer2DModel"])("%s, with the reason", (_class_name) => {
    expect(issue({ _class_name })).toMatch(new RegExp(`^_class_name: .* \\| ${_class_name}: .+ \\| .+\\.$`));
  });

  test.each<[string, Json, string]>([
    ["a list that is too short", { axes_dims_rope: [16, 112] }, "axes_dims_rope"],
    ["a list that is none", { axes_dims_rope: 128 }, "axes_dims_rope"],
    ["odd elements", { axes_dims_rope: [15, 57, 56] }, "axes_dims_rope"],
    ["a head that is not the sum", { axes_dims_rope: [16, 56, 56], attention_head_dim: 64 }, "attention_head_dim"],
  ])("Flux: %s", (_, more, path) => {
    const error = failure(() => ropesFromConfig({ _class_name: "FluxTransformer2DModel", ...more }));
    expect(error.issues.map((one) => one.path)).toEqual([path]);
  });

  test("others", () => {
    const paths = (config: Json, options = {}): string[] =>
      failure(() => ropesFromConfig(config, options)).issues.map((one) => one.path);
    expect(paths({ _class_name: "WanTransformer3DModel", attention_head_dim: 127 })).toEqual(["attention_head_dim"]);
    expect(paths({ _class_name: "Flux2Transformer2DModel", rope_theta: -1 })).toEqual(["rope_theta"]);
    expect(paths({ _class_name: "LTX2VideoTransformer3DModel", rope_type: "mixed" })).toEqual(["rope_type"]);
    expect(paths({ _class_name: "LTX2VideoTransformer3DModel", num_attention_heads: 1e9 })).toEqual([
      "num_attention_heads",
    ]);
    expect(paths({ _class_name: "CosmosTransformer3DModel", rope_scale: [1, 1] })).toEqual(["rope_scale"]);
    expect(paths({ _class_name: "Ideogram4Transformer2DModel", mrope_section: [200, 20, 20] })).toEqual([
      "mrope_section",
    ]);
    expect(paths({ _class_name: "LTXVideoTransformer3DModel" }, { part: "audio" })).toEqual(["part"]);
  });
});

test("classes without rope, and CogVideoX without its flag", () => {
  for (const config of [
    { _class_name: "SD3Transformer2DModel" },
    { _class_name: "UNet2DConditionModel" },
    { _class_name: "CogVideoXTransformer3DModel", num_layers: 30 },
  ]) {
    const ropes = ropesFromConfig(config);
    expect(ropes.forLayer(0)).toBeNull();
    expect(ropes.notes[0]!.message).toMatch(/^No layer of /);
  }
});

test("layers are those of both streams, and the length is that of the tables", () => {
  const ropes = ropesFromConfig({ _class_name: "FluxTransformer2DModel", num_layers: 19, num_single_layers: 38 });
  expect(ropes.forLayer(56)).toBe(ropes.forLayer(0));
  expect(() => ropes.forLayer(57)).toThrow(/no such layer/);
  const wan = ropesFromConfig({ _class_name: "WanTransformer3DModel", rope_max_seq_len: 1024 }).forLayer(0)!;
  expect(wan.spec.maxPosition).toBe(1024);
});

test("a file with a model_type is no file of diffusers", () => {
  expect(ropesFromConfig({ ...llama(), _class_name: "WanTransformer3DModel" }).forLayer(0)!.ropeType).toBe("default");
});
