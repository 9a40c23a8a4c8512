/** Requests from facts, for any file format and any labels of layers. */

import { getRope } from "@ropewalk/core";
import { expect, test } from "vitest";
import { noRope } from "../src/facts/fact.ts";
import type { LayerFacts, ModelFacts, RopeFacts } from "../src/facts/fact.ts";
import { toRequest, toRequests } from "../src/request.ts";
import { failure } from "./helpers.ts";

const facts = (base: number, rule: string): RopeFacts => ({
  ropeType: { value: "default", rule: "no type in the file" },
  headDim: { value: 64, rule: "head_dim" },
  rotaryDim: { value: 64, rule: "all of the head" },
  base: { value: base, rule },
  maxPosition: { value: 4096, rule: "max_position_embeddings" },
  pairing: { value: "half", rule: "the class" },
  parameters: {},
});

/** One layer type whose layers differ in their base: the label is the number. */
const byBase: ModelFacts = {
  modelType: "toast",
  dialect: { value: "hf", rule: "read as transformers does" },
  byLabel: new Map<string, LayerFacts>([
    ["theta 10000", facts(10_000, "bases[0]")],
    ["theta 500000", facts(500_000, "bases[1]")],
    ["once more", facts(10_000, "bases[2]")],
    ["no_rope", noRope("0 in the list")],
  ]),
  layerCount: 4,
  labelOf: (layer) => ["theta 10000", "theta 500000", "once more", "no_rope"][layer],
  notes: [],
};

test("the labels of the facts tell layers apart", () => {
  const { byLayerType, layerTypeOf } = toRequests(byBase, {});
  expect([0, 1, 2, 3].map((layer) => byLayerType.get(layerTypeOf(layer))?.request?.base)).toEqual([
    10_000,
    500_000,
    10_000,
    undefined,
  ]);
  expect(failure(() => layerTypeOf(4)).code).toBe("ROPE_CONFIG");
});

test("layers with equal facts share one request; each label keeps its own rules", () => {
  const { byLayerType } = toRequests(byBase, {});
  const [first, second, third] = ["theta 10000", "theta 500000", "once more"].map((label) => byLayerType.get(label)!);
  expect(third!.request).toBe(first!.request);
  expect(second!.request).not.toBe(first!.request);
  const place = ({ rules }: typeof first & object): string | undefined =>
    rules.find(({ name }) => name === "base")?.rule;
  expect([place(first!), place(third!)]).toEqual(["bases[0]", "bases[2]"]);
});

test("a request is frozen data that core takes", () => {
  const axes = { value: Object.freeze(Array.from({ length: 32 }, (_, pair) => pair % 2)), rule: "sections" };
  const request = toRequest({ ...facts(10_000, "rope_theta"), axes }, {});
  expect(Object.isFrozen(request) && Object.isFrozen(request.parameters)).toBe(true);
  const { axes: ofPairs } = getRope(request as Parameters<typeof getRope>[0]).frequencies();
  expect([...ofPairs].slice(0, 4)).toEqual([0, 1, 0, 1]);
});

test("the caller's options override the file, and the rule says so", () => {
  const overrides = { maxPosition: null, pairing: "adjacent", precision: "float64" } as const;
  const { request, rules } = toRequests(byBase, overrides).byLayerType.get("theta 10000")!;
  expect(request).toMatchObject(overrides);
  expect(rules).toContainEqual({ name: "maxPosition", value: null, rule: "given by the caller" });
  expect(rules).toContainEqual({ name: "pairing", value: "adjacent", rule: "given by the caller" });
});
