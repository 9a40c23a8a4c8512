/** The table of families, compared with the classes of transformers; `fixtures/families.py` wrote the list. */

import { readFileSync } from "node:fs";
import { listRopeTypes } from "@ropewalk/core";
import type { ParameterRule } from "@ropewalk/core";
import { familyOf } from "../src/facts/families.ts";
import { ropeTypeFacts, ropeTypeNames } from "../src/facts/rope-types.ts";
import "./helpers.ts";
import { describe, expect, test } from "vitest";

interface ClassFacts {
  /** `null` if the script cannot determine it. */
  readonly pairing: "half" | "adjacent" | null;
  readonly readsPartial: boolean;
  readonly headDim: number | null;
  readonly latent: boolean;
  readonly softmaxMagnitude: boolean;
  /** By layer type, or under `""`. */
  readonly ropes: Readonly<Record<string, Readonly<Record<string, unknown>> | null>>;
}

const url = new URL("fixtures/families.json", import.meta.url);
const { families } = JSON.parse(readFileSync(url, "utf8")) as { families: Readonly<Record<string, ClassFacts>> };

const inTable = Object.entries(families).filter(([modelType]) => familyOf(modelType) !== undefined);

test("the table covers the text models of transformers that have a rope", () => {
  expect(inTable.length).toBeGreaterThan(100);
});

describe.each(inTable)("%s", (modelType, facts) => {
  const family = familyOf(modelType)!;

  test("pairing", () => {
    if (facts.pairing !== null) expect(family.pairing ?? "half").toBe(facts.pairing);
  });

  test("partial factor", () => {
    // Latent attention takes its slice, whatever the factor says.
    if (!facts.latent) expect(family.readsPartial ?? false).toBe(facts.readsPartial);
  });

  test("latent attention and its softmax", () => {
    expect(family.latent ?? false).toBe(facts.latent);
    expect(family.softmaxMagnitude ?? false).toBe(facts.softmaxMagnitude);
  });

  test("head dimension of the class", () => {
    if (!facts.latent) expect(family.defaults?.["head_dim"] ?? null).toBe(facts.headDim);
  });

  test("default ropes of the class", () => {
    const labels = Object.keys(facts.ropes);
    if (!labels.includes("")) {
      // Step-3.5's class makes ropes for the layer types of its layers only.
      if (modelType !== "step3p5") expect(Object.keys(family.layerRopes ?? {}).sort()).toEqual([...labels].sort());
    } else {
      expect(family.layerRopes).toBeUndefined();
    }
    for (const label of labels) {
      const expected = facts.ropes[label];
      const own = { ...family.defaults, ...family.defaultRope, ...family.layerRopes?.[label]?.defaults };
      if (expected === null || expected === undefined) continue;
      expect(own["rope_theta"] ?? 10_000, "rope_theta").toBe(expected["rope_theta"]);
      expect(own["rope_type"] ?? "default", "rope_type").toBe(expected["rope_type"]);
      if (!facts.latent || family.rotatesLast === true) {
        expect(own["partial_rotary_factor"] ?? 1, "partial_rotary_factor").toBe(expected["partial_rotary_factor"] ?? 1);
      }
      if (family.defaultRope !== undefined) {
        for (const key of [
          "factor",
          "original_max_position_embeddings",
          "beta_fast",
          "beta_slow",
          "low_freq_factor",
          "high_freq_factor",
          "truncate",
          "attention_factor",
          "mscale",
          "mscale_all_dim",
        ]) {
          expect(own[key], key).toBe(expected[key]);
        }
      }
    }
  });
});

// Without its provider, a type is read with the built-in list; with it, with the keys that both have. Both must agree.
test.each(listRopeTypes().filter(({ name }) => ropeTypeFacts(name) !== undefined))(
  "the built-in facts of $name fit its provider",
  ({ name, provider }) => {
    const facts = ropeTypeFacts(name)!;
    expect(provider.source.startsWith(`${facts.package}@`)).toBe(true);
    const schema = Object.keys(provider.parameters);
    expect(facts.parameters.filter((parameter) => !schema.includes(parameter))).toEqual([]);
    const required = Object.entries(provider.parameters).flatMap(([parameter, rule]) =>
      (rule as ParameterRule).default === undefined ? [parameter] : [],
    );
    const presets = Object.keys(listRopeTypes().find((entry) => entry.name === name)!.presets);
    // `axes.ts` reads sections.
    expect(
      required.filter(
        (parameter) =>
          !facts.parameters.includes(parameter) && !presets.includes(parameter) && parameter !== "sections",
      ),
    ).toEqual([]);
  },
);

test("every package of the table is there and registers its type", () => {
  const registered = listRopeTypes().map(({ name }) => name);
  expect(ropeTypeNames().filter((name) => !registered.includes(name))).toEqual([]);
});
