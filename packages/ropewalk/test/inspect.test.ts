/** `ropewalk inspect`, as a process. */

import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fixtures } from "@ropewalk/goldens";
import type { HfFixture } from "@ropewalk/goldens";
import { expect, test } from "vitest";
import { mergedRules } from "../src/cli/rules.ts";
import { documents, folder, model, ropewalk, writeConfig } from "./support.ts";

const hf = new Map(fixtures("hf").map((fixture) => [fixture.model, fixture]));
const golden = (id: string): HfFixture => {
  const fixture = hf.get(id);
  if (fixture === undefined) throw new Error(`no golden of ${id}`);
  return fixture;
};

/** Steps between two float32 numbers of the same sign. */
function ulps(a: number, b: number): number {
  const [first, second] = new Int32Array(Float32Array.of(a, b).buffer);
  return Math.sign(a) === Math.sign(b) ? Math.abs(first! - second!) : Infinity;
}

test.each([
  "mistralai/Mistral-7B-v0.1",
  "microsoft/phi-2",
  "Qwen/Qwen2.5-7B-Instruct-yarn",
  "openai/gpt-oss-20b",
  "deepseek-ai/DeepSeek-V3",
])("--json of %s has the schema, and the numbers of transformers", (id) => {
  const file = model(id);
  const run = ropewalk(["inspect", file, "--json"]);
  expect(run).toMatchObject({ status: 0, stderr: "" });
  const [document, ...rest] = documents(run);
  expect(rest).toEqual([]);
  expect(Object.keys(document)).toEqual(["file", "ropes", "notes"]);
  expect(document.file).toBe(file);
  expect(document.notes).toEqual(expect.any(Array));

  const expected = golden(id).ropes;
  expect(document.ropes).toHaveLength(expected.length);
  expected.forEach(({ layerType, headDim, rotaryDim, pairing, attentionFactor, softmaxScaleFactor, invFreq }, i) => {
    const rope = document.ropes[i];
    expect(Object.keys(rope)).toEqual([
      "layerType",
      "ropeType",
      "headDim",
      "rotaryDim",
      "pairing",
      "base",
      "maxPosition",
      "attentionFactor",
      "softmaxScaleFactor",
      "invFreq",
      "rules",
    ]);
    expect(rope).toMatchObject({ layerType, headDim, rotaryDim, pairing });
    // Both are computed in float64 by both sides; one rounding each may differ.
    expect(rope.attentionFactor).toBeCloseTo(attentionFactor, 14);
    expect(rope.softmaxScaleFactor).toBeCloseTo(softmaxScaleFactor, 14);
    expect(rope.invFreq).toHaveLength(rotaryDim / 2);
    // Parity as promised: 2 ulp of float32.
    expect(Math.max(...invFreq.map((value, pair) => ulps(rope.invFreq[pair], value)))).toBeLessThanOrEqual(2);
  });
});

test("each number has its rule: the place in the file or the family's rule, and what the type computes from it", () => {
  const [{ ropes }, ...rest] = documents(
    ropewalk(["inspect", "--json", model("meta-llama/Llama-3.1-8B"), model("openai/gpt-oss-20b")]),
  );
  const rules = ropes[0].rules as { name: string; value: unknown; rule: string; source?: string }[];
  for (const rule of rules) expect(Object.keys(rule)).toEqual(expect.arrayContaining(["name", "value", "rule"]));
  expect(rules.map(({ name }) => name)).toEqual([...new Set(rules.map(({ name }) => name))]);
  const find = (name: string): unknown => rules.find((rule) => rule.name === name);
  expect(find("headDim")).toEqual({
    name: "headDim",
    value: 128,
    rule: "hidden_size / num_attention_heads = 4096 / 32 = 128",
  });
  expect(find("base")).toEqual({ name: "base", value: 500000, rule: "rope_theta" });
  expect(find("factor")).toEqual({
    name: "factor",
    value: 8,
    rule: "rope_scaling.factor; slow pairs become this many times slower",
  });
  expect(find("lowFreqFactor")).toEqual({ name: "lowFreqFactor", value: 1, rule: "rope_scaling.low_freq_factor" });
  expect(find("pairing")).toEqual({
    name: "pairing",
    value: "half",
    rule: "the class of llama; pair i is elements (0, 64), …",
    source: "Hugging Face transformers 5",
  });
  expect(find("slowWavelength")).toMatchObject({ value: 8192 });
  expect(rest[0].ropes[0].rules).toContainEqual({ name: "truncate", value: false, rule: "rope_scaling.truncate" });

  const { stdout } = ropewalk(["inspect", model("meta-llama/Llama-3.1-8B")]);
  expect(stdout).toMatch(/^ headDim +128 +hidden_size \/ num_attention_heads = 4096 \/ 32 = 128$/m);
  expect(stdout).toMatch(/^ base +500000 +rope_theta$/m);
  expect(stdout).not.toContain("given");
});

test("layer types that share a rope show all places; an input of a number is not the number", () => {
  const base = { name: "base", value: 10000, rule: "given, or 10000 (RoFormer §3.3)" };
  expect(
    mergedRules(
      [
        { name: "base", value: 10000, rule: "a.rope_theta" },
        { name: "base", value: 10000, rule: "b.rope_theta" },
        { name: "base", value: 10000, rule: "b.rope_theta" },
      ],
      [base],
    ),
  ).toEqual([{ name: "base", value: 10000, rule: "a.rope_theta; b.rope_theta" }]);
  const amplitude = { name: "attentionFactor", value: 1.25, rule: "0.5 times 2.5", source: "a paper" };
  expect(
    mergedRules(
      [{ name: "parameters.attentionFactor", value: 0.5, rule: "rope_scaling.attention_factor" }],
      [amplitude],
    ),
  ).toEqual([{ name: "parameters.attentionFactor", value: 0.5, rule: "rope_scaling.attention_factor" }, amplitude]);
});

test("numbers that a config states are printed unchanged", () => {
  const [mistral, gpt] = documents(
    ropewalk(["inspect", "--json", model("mistralai/Mistral-7B-v0.1"), model("openai/gpt-oss-20b")]),
  );
  expect(mistral.ropes[0]).toMatchObject({ layerType: null, ropeType: "default", base: 10000, maxPosition: 32768 });
  expect(gpt.ropes[0]).toMatchObject({ ropeType: "yarn", base: 150000, maxPosition: 131072 });
});

test("--precision float64 gives frequencies that are not float32 numbers", () => {
  const truth = fixtures("truth").find(({ name }) => name === "yarn-qwen-4")!;
  const [{ ropes }] = documents(
    ropewalk(["inspect", "--json", "--precision", "float64", model("Qwen/Qwen2.5-7B-Instruct-yarn")]),
  );
  // Correctly rounded from some 30 digits: equal, not near.
  expect(ropes[0].invFreq).toEqual(truth.invFreqHigh);
});

test("a folder gives its *.json files, sorted; a failing file neither stops nor hides the others", () => {
  const path = folder();
  writeFileSync(join(path, "b.json"), JSON.stringify({ head_dim: 8, rope_theta: 10000 }));
  writeFileSync(join(path, "a.json"), JSON.stringify({ head_dim: 8, rope_scaling: { rope_type: "no-such-type" } }));
  writeFileSync(join(path, "C.json"), "not JSON");
  writeFileSync(join(path, "notes.txt"), "not a config");
  mkdirSync(join(path, "folder.json"));
  const missing = join(path, "missing.json");

  const run = ropewalk(["inspect", "--json", path, missing, model("microsoft/phi-2")]);
  expect(run).toMatchObject({ status: 2, stderr: "" });
  expect(
    documents(run).map(({ file, error, ropes }) => [
      basename(file as string),
      (error?.code ?? ropes.length) as unknown,
    ]),
  ).toEqual([
    ["C.json", "FILE_FORMAT"],
    ["a.json", "ROPE_UNKNOWN_TYPE"],
    ["b.json", 1],
    ["missing.json", "FILE_NOT_FOUND"],
    ["microsoft--phi-2.json", 1],
  ]);
  for (const { error } of documents(run)) {
    if (error !== undefined) expect(Object.keys(error as object)).toEqual(["code", "message"]);
  }

  const text = ropewalk(["inspect", path, missing, model("microsoft/phi-2")]);
  expect(text.status).toBe(2);
  expect(text.stderr.trimEnd().split("\n")).toHaveLength(3);
  expect(text.stdout).toContain("b.json");
  expect(text.stdout).toContain("microsoft--phi-2.json");
});

test("a folder gives its config.json; else every config.json below it", () => {
  const path = folder();
  const put = (...parts: string[]): void => {
    const file = join(path, ...parts);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify({ head_dim: 8, rope_theta: 10000 }));
  };
  const files = (...of: string[]): unknown[] =>
    documents(ropewalk(["inspect", "--json", join(path, ...of)])).map(({ file }) => relative(path, file as string));
  put("model", "config.json");
  put("model", "generation_config.json");
  put("model", "encoder", "config.json");
  expect(files("model")).toEqual(["model/config.json"]);
  put("tokenizer.json");
  put("b", "deep", "down", "config.json");
  put("b", "params.json");
  put("B", "config.json");
  put("node_modules", "package", "config.json");
  mkdirSync(join(path, "a"));
  mkdirSync(join(path, "c", "config.json"), { recursive: true });
  symlinkSync(join(path, "model"), join(path, "a", "link"), "dir");
  symlinkSync(path, join(path, "circle"), "dir");
  put("blob");
  mkdirSync(join(path, "snapshot"));
  symlinkSync(join(path, "blob"), join(path, "snapshot", "config.json"));
  expect(files()).toEqual(["B/config.json", "b/deep/down/config.json", "model/config.json", "snapshot/config.json"]);
});

test("a type that no registered provider has is an error that names the package to look for", () => {
  const config = writeConfig({ head_dim: 64, rope_scaling: { rope_type: "twisted", factor: 2 } });
  const run = ropewalk(["inspect", config]);
  expect(run).toMatchObject({ status: 2, stdout: "" });
  expect(run.stderr).toMatch(/^ropewalk: [^\n]*"twisted"[^\n]*\n$/);
});

test.each(["rope_theta", "head_dim", "partial_rotary_factor", "max_position_embeddings"])(
  "NaN as Python writes it is neither a number nor a default: %s",
  (key) => {
    const file = join(folder(), "config.json");
    writeFileSync(
      file,
      JSON.stringify({ head_dim: 8, rope_theta: 10000, [key]: 12345.5, time_step_limit: 12345.5 }).replaceAll(
        "12345.5",
        "NaN",
      ),
    );
    const { status, stdout, stderr } = ropewalk(["inspect", file]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(new RegExp(`^ropewalk: [^\\n]*${key}[^\\n]*NaN[^\\n]*\\n$`));
  },
);

test("the text says what the rope is, why, and where the context ends; without colours in a pipe", () => {
  // By file name: the path is printed as given, and a long path makes a long line.
  const file = model("Qwen/Qwen2.5-7B-Instruct-yarn");
  const { status, stdout, stderr } = ropewalk(["inspect", basename(file)], { cwd: dirname(file) });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("all layers: yarn");
  expect(stdout).toContain("0.1 ln 4 + 1");
  expect(stdout).toContain("context 131072");
  expect(stdout).toMatch(/interpolated +│ *━/);
  expect(stdout).not.toContain("\u001B[");
  // No line is wider than the width assumed for a pipe.
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  expect(ropewalk(["inspect", model("microsoft/phi-2")], { env: { FORCE_COLOR: "1" } }).stdout).toContain("\u001B[");
});

test("each rope is described once, with its layers", () => {
  const { stdout } = ropewalk([
    "inspect",
    model("google/gemma-3-1b-it"),
    model("HuggingFaceTB/SmolLM3-3B"),
    model("allenai/Olmo-3-7B-Instruct"),
  ]);
  expect(stdout.match(/^.*: (default|yarn|no rope)$/gm)).toEqual([
    "layers of type full_attention: default",
    "layers of type sliding_attention: default",
    "all other layers: default",
    "layers of type no_rope: no rope",
    "layers of type full_attention: yarn",
    "layers of type sliding_attention: default",
  ]);
});

test.each([
  [[], 32768, "context"],
  [["--length", "100"], 100, "length"],
])("how many pairs complete a turn is counted from the wavelengths (%j)", (options, positions, word) => {
  const { stdout } = ropewalk(["inspect", model("mistralai/Mistral-7B-v0.1"), ...options]);
  const turning = golden("mistralai/Mistral-7B-v0.1").ropes[0]!.invFreq.filter(
    (value) => (2 * Math.PI) / value <= positions,
  ).length;
  expect(turning).toBeLessThan(64);
  expect(stdout).toContain(`${turning} of 64 pairs complete a turn within ${positions} positions`);
  expect(stdout).toContain(`${word} ${positions}`);
});

test.each<[what: string, args: string[], words: string]>([
  ["no command", [], "nothing to do"],
  ["an unknown command", ["inspekt"], "inspekt"],
  ["no file", ["inspect"], "config"],
  ["an unknown option", ["inspect", model("microsoft/phi-2"), "--jsno"], "--jsno"],
  ["a length that is none", ["inspect", model("microsoft/phi-2"), "--length", "4k"], "--length"],
  ["a length of zero", ["inspect", model("microsoft/phi-2"), "--length", "0"], "--length"],
  ["an unknown precision", ["inspect", model("microsoft/phi-2"), "--precision", "float16"], "float32, float64"],
  ["a file that is not there", ["inspect", "/nowhere/config.json"], "does not exist"],
  ["a folder without configs", ["inspect", folder()], "no *.json"],
  ["JSON that is no object", ["inspect", writeConfig([1, 2])], "config.json"],
  ["JSON null", ["inspect", writeConfig(null)], "config.json"],
  ["a config that says nothing usable", ["inspect", writeConfig({})], "config.json"],
])("%s: exit code 2, one sentence, nothing else", (_, args, words) => {
  const { status, stdout, stderr } = ropewalk(args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(/^ropewalk: [^\n]+\n$/);
  expect(stderr).toContain(words);
  expect(stderr).not.toMatch(/\bat .*\.[jt]s:/);
});

test("--help and --version", () => {
  const help = ropewalk(["--help"]);
  expect(help).toMatchObject({ status: 0, stderr: "" });
  expect(help.stdout).toContain("inspect");
  expect(help.stdout).toContain("apply");
  expect(ropewalk(["apply", "--help"]).stdout).toContain("--positions");
  expect(ropewalk(["--version"]).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("an unknown model_type is refused, and --family reads it", () => {
  const file = writeConfig({ model_type: "toast", hidden_size: 64, num_attention_heads: 2, rope_theta: 10000 });
  const refused = ropewalk(["inspect", file]);
  expect(refused).toMatchObject({ status: 2, stdout: "" });
  expect(refused.stderr).toContain("--family llama");
  expect(ropewalk(["inspect", file, "--family", "llama"]).stdout).toContain("the class of llama");
  expect(ropewalk(["inspect", file, "--family", "lama"])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('Did you mean "llama"?'),
  });
});

test("warnings stand above the ropes, notes below", () => {
  const file = writeConfig({ hidden_size: 64, num_attention_heads: 2, rope_theta: 10000, global_rope: true });
  const { stdout } = ropewalk(["inspect", file]);
  const places = ["warnings", "There is no model_type", "all layers: default"].map((text) => stdout.indexOf(text));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(Math.min(...places)).toBeGreaterThan(0);
});

test("--part reads a tower", () => {
  const file = writeConfig({
    model_type: "qwen2_5_vl",
    text_config: { model_type: "qwen2_5_vl_text" },
    vision_config: { model_type: "qwen2_5_vl", depth: 2, hidden_size: 1280, num_heads: 16 },
  });
  expect(ropewalk(["inspect", file, "--part", "vision"]).stdout).toMatch(/headDim +80/);
  expect(ropewalk(["inspect", file, "--part", "sound"])).toMatchObject({ status: 2 });
});
