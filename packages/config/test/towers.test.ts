/** Towers, compared with what their classes in transformers answered; `fixtures/towers.py` ran them. */

import { readFileSync } from "node:fs";
import { ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
import type { TowerPositions } from "@ropewalk/config";
import type { RotaryEmbedding } from "@ropewalk/core";
import { describe, expect, test } from "vitest";
import { towerNames, towerOf } from "../src/facts/towers.ts";
import { deepFreeze, llama } from "./helpers.ts";
import type { Json } from "./helpers.ts";

type Patch = readonly [frame: number, row: number, column: number];

interface Fixture {
  /** For each row of a head of 32 as the class has it: its place in the published weights. */
  readonly permuted: readonly number[];
  readonly towers: Readonly<
    Record<
      string,
      {
        readonly config: Json;
        readonly sizes: readonly [width: number, heads: number, layers: number, headDim: number | null, base: number];
        /** For each layer, or one for all. */
        readonly answers: readonly number[];
      }
    >
  >;
  /** The query 1, 2, 3, … after rotation at each patch, or at each position. */
  readonly answers: readonly { readonly patches: readonly (Patch | number)[]; readonly output: readonly number[][] }[];
}

const { answers, permuted, towers } = JSON.parse(
  readFileSync(new URL("fixtures/towers.json", import.meta.url), "utf8"),
) as Fixture;

/** The rows and columns of the image that a class ran on. */
function gridOf(config: Json): Readonly<Record<string, number>> {
  const isSquare = typeof config["image_size"] === "number";
  const side = isSquare ? (config["image_size"] as number) / ((config["patch_size"] as number | undefined) ?? 16) : 4;
  return { time: 2, height: side, width: isSquare ? side : 6 };
}

/** Positions of a patch, made from what `positionsOf` says and nothing else. */
function positionsOf([frame, row, column]: Patch, { axes, counting }: TowerPositions, config: Json): number[][] {
  const grid = gridOf(config);
  const index: Readonly<Record<string, number>> = { time: frame, height: row, width: column };
  return axes.map((axis) => {
    const i = index[axis]!;
    const n = grid[axis]!;
    if (counting === "from 1") return [i + 1];
    if (counting === "centres from -1 to 1") return [(2 * i + 1) / n - 1];
    if (counting === "scaled to a window") return [(i * (config["window_size"] as number)) / n];
    expect(counting).toBe("from 0");
    return [i];
  });
}

function rotated(rope: RotaryEmbedding, positions: number[] | number[][]): number[] {
  const query = Float32Array.from({ length: rope.headDim }, (_, i) => i + 1);
  rope.apply({ positions, query });
  return [...query];
}

describe.each(Object.entries(towers))("%s in transformers", (modelType, { answers: indices, config, sizes }) => {
  const ropes = ropesFromConfig(deepFreeze(structuredClone(config)));
  const rotating = Array.from(
    { length: (config["num_hidden_layers"] as number | undefined) ?? 2 },
    (_, layer) => layer,
  ).filter((layer) => ropes.forLayer(layer) !== null);

  test("rotates the same elements by the same angles in every layer", () => {
    expect(rotating.length).toBeGreaterThan(0);
    for (const [at, layer] of rotating.entries()) {
      const rope = ropes.forLayer(layer)!;
      const { output, patches } = answers[indices[indices.length === 1 ? 0 : at]!]!;
      expect(patches.length).toBeGreaterThanOrEqual(4);
      patches.forEach((patch, i) => {
        const positions = typeof patch === "number" ? [patch] : positionsOf(patch, ropes.positionsOf(layer)!, config);
        const ours = rotated(rope, positions);
        // Angles up to 17 rad in float32 are off by 1e-6, of elements up to 256; the turned values by less than 1e-3.
        ours.forEach((value, element) => {
          expect(Math.abs(value - output[i]![element]!), `layer ${layer}, patch ${i}, element ${element}`).toBeLessThan(
            4e-6 * 17 * rope.headDim,
          );
        });
      });
    }
  });

  test("has the same defaults", () => {
    const [width, heads, layers, headDim, base] = sizes;
    const silent = ropesFromConfig({
      model_type: modelType,
      ...(towerOf(modelType)!.kind === "line" ? { hidden_size: width, num_attention_heads: heads } : {}),
    });
    const rope = [...silent.byLayerType.values()].find((one) => one !== null)!;
    const wide = modelType === "efficientloftr";
    expect(rope.headDim).toBe(wide ? width : (headDim ?? width / heads));
    expect(rope.base).toBe(base);
    if (towerOf(modelType)!.kind === "axial") {
      expect(ropeRequestsFromConfig({ model_type: modelType }).layerCount).toBe(layers);
    }
  });
});

test("every tower of the table that rotates and is in transformers ran", () => {
  const rotates = towerNames().filter((name) => ["axial", "line"].includes(towerOf(name)!.kind));
  // Remote code: Kimi-VL's tower is the one of Kimi K2.5 with other pairs.
  expect(rotates.filter((name) => towers[name] === undefined)).toEqual(["moonvit"]);
  expect(Object.keys(towers).filter((name) => towerOf(name) === undefined)).toEqual([]);
});

describe("weights that transformers permutes on loading", () => {
  const permuting = ["kimi_k25_vision", "step3p5_vision"];

  test("are those of these towers", () => {
    const named = Object.keys(towers).filter(
      (name) => ropesFromConfig(towers[name]!.config).checkpointPairingOf(0) !== null,
    );
    expect(named.sort()).toEqual(permuting);
  });

  test.each(permuting)("%s: the pairs of the published weights, then permuted, are the class's", (model_type) => {
    const ropes = ropesFromConfig(towers[model_type]!.config);
    const pairing = ropes.checkpointPairingOf(0)!;
    expect(pairing).toBe("adjacent");
    expect(ropes.notes.some(({ kind, message }) => kind === "differs" && message.includes("adjacent"))).toBe(true);
    const published = ropesFromConfig(towers[model_type]!.config, { pairing }).forLayer(0)!;
    // Elements of a query as the published weights make it.
    const query = Float32Array.from({ length: 32 }, (_, i) => Math.cos(3 * i) * 4);
    const loaded = Float32Array.from(permuted, (from) => query[from]!);
    const positions = [[5], [2]];
    published.apply({ positions, query });
    ropes.forLayer(0)!.apply({ positions, query: loaded });
    // The same products in the same order.
    expect([...loaded]).toEqual(permuted.map((from) => query[from]!));
  });

  test("Pocket TTS, a text model", () => {
    const ropes = ropesFromConfig({ model_type: "pocket_tts", hidden_size: 1024, num_attention_heads: 16 });
    expect(ropes.forLayer(0)!.pairing).toBe("half");
    expect(ropes.checkpointPairingOf(0)).toBe("adjacent");
    expect(ropes.notes.some(({ message }) => message.includes("the published weights"))).toBe(true);
    expect(ropesFromConfig(llama()).checkpointPairingOf(0)).toBeNull();
  });
});
