/** Files of public reports that were read wrong once, with the numbers of the engine or the formula named in each. */

import { readFileSync } from "node:fs";
import { RopeError } from "@ropewalk/core";
import type { RotaryEmbedding } from "@ropewalk/core";
import { ropesFromConfig } from "@ropewalk/config";
import type { ConfigOptions, ModelRopes } from "@ropewalk/config";
import "./helpers.ts";
import type { Json } from "./helpers.ts";
import { expect, test } from "vitest";

interface ExpectedRope {
  readonly headDim: number;
  readonly rotaryDim?: number;
  readonly base?: number;
  readonly pairing?: string;
  readonly attentionFactor?: number;
  readonly invFreqCount?: number;
  readonly invFreq?: Readonly<Record<string, number>>;
  readonly atLength?: number;
  readonly axisCount?: number;
  readonly rotationSign?: -1;
}

interface Report {
  readonly id: string;
  readonly fact: string;
  readonly input: Json;
  readonly options: ConfigOptions;
  readonly expected: {
    readonly layers: Readonly<Record<string, ExpectedRope | null>>;
    /** An error is right too. */
    readonly orRefused?: boolean;
  };
}

const url = new URL("fixtures/reports.json", import.meta.url);
const reports = JSON.parse(readFileSync(url, "utf8")) as readonly Report[];

/** The numbers of this model are those before its learned factors: zeros make them 1. */
const options: Readonly<Record<string, ConfigOptions>> = {
  "mistral-large-4": { weights: { "lerope.alpha": new Float32Array(32) } },
};

test.each(reports)("$id: $fact", ({ id, input, options: given, expected }) => {
  let ropes: ModelRopes;
  try {
    ropes = ropesFromConfig(input, { ...given, ...options[id] });
  } catch (error) {
    if (expected.orRefused === true && RopeError.is(error)) return;
    throw error;
  }
  for (const [layer, rope] of Object.entries(expected.layers)) {
    if (rope === null) expect(ropes.forLayer(Number(layer)), `layer ${layer}`).toBeNull();
    else compare(ropes.forLayer(Number(layer))!, rope);
  }
});

function compare(rope: RotaryEmbedding, expected: ExpectedRope): void {
  const { invFreq = {}, atLength, attentionFactor, axisCount, invFreqCount, rotationSign, ...fields } = expected;
  expect(rope.spec).toMatchObject(fields);
  const own = rope.frequencies(atLength);
  if (invFreqCount !== undefined) expect(own.invFreq.length).toBe(invFreqCount);
  if (attentionFactor !== undefined) expect(own.attentionFactor).toBeCloseTo(attentionFactor, 6);
  if (axisCount !== undefined) expect(new Set(own.axes).size).toBe(axisCount);
  if (rotationSign !== undefined) expect(rope.spec.direction).toBe(rotationSign);
  for (const [pair, value] of Object.entries(invFreq)) {
    // float32, after a power in float32: a part in 10^6.
    expect(Math.abs(own.invFreq[Number(pair)]! - value), `pair ${pair}`).toBeLessThanOrEqual(1e-6 * value);
  }
}

test("learned factors: an error without them, and they multiply the frequencies", () => {
  const { input } = reports.find(({ id }) => id === "mistral-large-4")!;
  expect(() => ropesFromConfig(input)).toThrow(/lerope\.alpha.*zeros give the rope before training/s);
  const alpha = Float32Array.from({ length: 32 }, (_, pair) => (pair - 16) / 64);
  const [plain, learned] = [new Float32Array(32), alpha].map(
    (weight) =>
      ropesFromConfig(input, { weights: { "lerope.alpha": weight } })
        .forLayer(0)!
        .frequencies().invFreq,
  );
  for (const [pair, exponent] of alpha.entries()) {
    expect(learned![pair]! / plain![pair]!).toBeCloseTo(Math.exp(exponent), 6);
  }
  expect(() => ropesFromConfig(input, { weights: { "lerope.alpha": new Float32Array(31) } })).toThrow(/31 values/);
  expect(() => ropesFromConfig(input, { weights: { alpha } as object })).toThrow(/lerope\.alpha/);
});
