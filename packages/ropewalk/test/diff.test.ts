/** `ropewalk diff`, as a process. */

import { fixtures } from "@ropewalk/goldens";
import { expect, test } from "vitest";
import { documents, model, ropewalk, writeConfig } from "./support.ts";

const hf = new Map(fixtures("hf").map((fixture) => [fixture.model, fixture.ropes[0]!]));
const diff = (a: string, b: string, ...options: string[]): any =>
  documents(ropewalk(["diff", model(a), model(b), "--json", ...options]))[0];

test("YaRN against the same model without: the numbers follow from transformers' frequencies", () => {
  const [plain, yarn] = ["Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct-yarn"] as const;
  const [from, to] = [hf.get(plain)!.invFreq, hf.get(yarn)!.invFreq];
  const report = diff(plain, yarn);
  expect(report).toMatchObject({ equal: false, layers: Array.from({ length: 28 }, (_, i) => i) });
  const [rope, ...rest] = report.ropes;
  expect(rest).toEqual([]);
  // Pairs up to 23 are kept by YaRN (§3.2 with 32 turns in 32768 positions), the others not.
  const changed = from.flatMap((value, pair) => (Math.abs(to[pair]! / value - 1) > 1e-6 ? [pair] : []));
  expect(rope.frequencies).toMatchObject({
    pairs: changed.length,
    of: 64,
    first: changed[0],
    last: 63,
    length: 32_768,
  });
  expect(changed[0]).toBe(24);
  // Slowed down by the factor 4 at most; float32 frequencies, so six digits.
  expect(rope.frequencies.ratio).toBeCloseTo(1 / 4, 6);
  const steps = from.map((value, pair) => Math.abs(to[pair]! - value));
  const largest = Math.max(...steps);
  expect(rope.frequencies.anglePair).toBe(steps.indexOf(largest));
  // Frequencies agree within an ulp, so their difference, which is of their size, within about 1e-6.
  expect(rope.frequencies.angle / (largest * 32_768)).toBeCloseTo(1, 5);
  expect(rope.frequencies.radianAt).toBeCloseTo(1 / largest, -1);
  expect(rope.attentionFactor[0]).toBe(1);
  expect(rope.attentionFactor[1]).toBeCloseTo(0.1 * Math.log(4) + 1, 14);
  expect(rope.facts).toContainEqual({ name: "ropeType", values: ["default", "yarn"] });
});

test("a softmax scale alone", () => {
  const { ropes } = diff("deepseek-ai/DeepSeek-V2-Lite", "deepseek-ai/DeepSeek-V3");
  expect(ropes).toHaveLength(1);
  expect(ropes[0]).toMatchObject({ equal: false, frequencies: null, attentionFactor: null });
  expect(ropes[0].softmaxScaleFactor[1]).toBeCloseTo((0.1 * Math.log(40) + 1) ** 2, 12);
});

test("layer types are compared by name, and one rope with each", () => {
  expect(
    diff("google/gemma-3-4b-it", "google/gemma-3-12b-it").ropes.map(
      ({ layerTypes }: { layerTypes: unknown }) => layerTypes,
    ),
  ).toEqual([
    ["full_attention", "full_attention"],
    ["sliding_attention", "sliding_attention"],
  ]);
  expect(diff("mistralai/Mistral-7B-v0.1", "HuggingFaceTB/SmolLM3-3B").ropes).toEqual([
    expect.objectContaining({ layerTypes: [null, null], equal: false }),
    expect.objectContaining({
      layerTypes: [null, "no_rope"],
      facts: [{ name: "ropeType", values: ["default", "none"] }],
    }),
  ]);
});

test("the same layer types in another order of layers is a difference", () => {
  const config = (no_rope_layers: number[]): string =>
    writeConfig({
      model_type: "smollm3",
      head_dim: 64,
      num_hidden_layers: 4,
      max_position_embeddings: 4096,
      rope_theta: 10_000,
      no_rope_layers,
    });
  const run = ropewalk(["diff", config([1, 1, 1, 0]), config([1, 1, 0, 1])]);
  expect(run).toMatchObject({ status: 1, stderr: "" });
  expect(run.stdout).toMatch(/layers whose rope differs: 2–3/);
});

test("equal ropes: exit code 0, for any other keys in the files", () => {
  const run = ropewalk(["diff", model("openai/gpt-oss-20b"), model("openai/gpt-oss-120b")]);
  expect(run).toMatchObject({ status: 0, stderr: "" });
  expect(run.stdout).toContain("✓ the same ropes");
});

test("the text says it in words, without colours in a pipe", () => {
  const { status, stdout } = ropewalk([
    "diff",
    model("Qwen/Qwen2.5-7B-Instruct"),
    model("Qwen/Qwen2.5-7B-Instruct-yarn"),
    "--length",
    "131072",
  ]);
  expect(status).toBe(1);
  expect(stdout).toContain("• ropeType: default → yarn");
  expect(stdout).toContain("pairs 24 to 63 of 64 turn at another speed, by ×0.25 at pair");
  expect(stdout).toContain("at position 131072 the angle of pair 28 differs by");
  // 1.1386294361² = 1.2964769927
  expect(stdout).toContain("cos and sin × 1 → 1.138629, so that logits change by ×1.296477");
  expect(stdout).not.toContain("\u001B[");
});

test.each<[what: string, args: string[], words: string]>([
  ["one file", [model("microsoft/phi-2")], "missing required argument"],
  ["a file that is not there", [model("microsoft/phi-2"), "/nowhere/config.json"], "does not exist"],
  ["a config without a usable key", [model("microsoft/phi-2"), writeConfig({})], "config.json"],
  ["a length that is not a number", [model("microsoft/phi-2"), model("microsoft/phi-2"), "--length", "4k"], "--length"],
])("%s: exit code 2, one sentence", (_, args, words) => {
  const { status, stdout, stderr } = ropewalk(["diff", ...args]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(/^ropewalk: [^\n]+\n$/);
  expect(stderr).toContain(words);
});
