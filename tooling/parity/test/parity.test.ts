/** The committed page and vectors agree with the command, and every answer that is left out has a reason. */

import { readdirSync, readFileSync } from "node:fs";
import { fixtures } from "@ropewalk/goldens";
import { expect, test } from "vitest";
import { collect } from "../collect.ts";
import { page, report, vectorsText } from "../page.ts";
import type { Vector } from "../vectors.ts";

const root = new URL("../../../", import.meta.url);
const committed = (path: string): string => readFileSync(new URL(path, root), "utf8");
const whole = collect();

test("docs/parity.md is what npm run parity writes", () => {
  expect(page(whole)).toBe(committed("docs/parity.md"));
});

test("the vectors of the package are what npm run parity writes, and a package can carry them", () => {
  const text = vectorsText(collect({ whole: false }));
  expect(text).toBe(committed("packages/ropewalk/vectors.json"));
  expect(text.length).toBeLessThan(400_000);
});

test("every folder of fixtures is compared, or named on the page as read elsewhere", () => {
  const folders = readdirSync(new URL("tooling/goldens/fixtures", root), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  const compared = [
    "diffusers",
    "ggml",
    "hf",
    "llama.cpp",
    "mlx",
    "ndrope",
    "onnx",
    "onnxruntime",
    "sglang",
    "truth",
    "vision",
    "vllm",
  ];
  expect(folders.filter((name) => !compared.includes(name))).toEqual([
    "libraries",
    "pass",
    "permute",
    "positions",
    "seeds",
  ]);
});

test.each(["vllm", "sglang", "mlx", "ggml", "diffusers", "truth", "onnx", "onnxruntime"] as const)(
  "every answer of %s is a vector, or has a reason",
  (engine) => {
    const names = [...whole.vectors, ...whole.rotations, ...whole.unbuilt]
      .filter((one) => one.engine === engine)
      .map(({ name }) => name);
    expect(names.toSorted()).toEqual(
      fixtures(engine)
        .map(({ name }) => name)
        .toSorted(),
    );
  },
);

test("every model that transformers or llama.cpp was run with is there", () => {
  const models = (engine: string): Set<string | undefined> =>
    new Set([
      ...whole.vectors.filter((one) => one.engine === engine && one.config !== undefined).map(({ config }) => config),
      ...whole.unbuilt.filter((one) => one.engine === engine).map(({ name }) => name),
    ]);
  for (const { model } of fixtures("hf")) expect(models("hf")).toContain(model);
  for (const { model } of fixtures("llama.cpp")) expect(models("llama.cpp")).toContain(model);
});

const wrongs: [what: string, wrong: Partial<Vector>, words: RegExp][] = [
  ["a frequency", { invFreq: Buffer.from(new Float32Array(64).buffer).toString("base64") }, /frequency of pair 0/],
  ["an amplitude", { attentionFactor: 1.2 }, /attentionFactor/],
  ["a cosine", { cos: "" }, /cos of pair 0/],
  [
    "another pairing",
    {
      request: {
        headDim: 128,
        base: 1_000_000,
        pairing: "adjacent",
        parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32_768 },
      },
    },
    /rotated float32/,
  ],
];

test.each(wrongs)("a vector with %s that is wrong is a mismatch", (_, wrong, words) => {
  const vectors = whole.vectors.filter(({ engine, name }) => engine === "sglang" && name === "yarn-4");
  expect(vectors).toHaveLength(1);
  expect(report({ ...whole, vectors, rotations: [] }).mismatches).toEqual([]);
  const { mismatches } = report({
    ...whole,
    vectors: vectors.map((vector) => ({ ...vector, ...wrong })),
    rotations: [],
  });
  expect(mismatches).toEqual([{ engine: "sglang", name: "yarn-4", what: expect.stringMatching(words) as unknown }]);
});
