/** `ropewalk lint`, as a process. */

import { fixtures, models } from "@ropewalk/goldens";
import { expect, test } from "vitest";
import { lint as examine } from "../src/cli/lint.ts";
import { documents, folder, model, ropewalk, writeConfig } from "./support.ts";

const lint = (file: string, ...options: string[]): any => documents(ropewalk(["lint", file, "--json", ...options]))[0];
const invFreq = (name: string): readonly number[] =>
  fixtures("truth").find((truth) => truth.name === name)!.invFreqHigh;

test("truncate: false is unknown to ggml and mlx-lm, and the numbers follow from exact arithmetic", () => {
  const { findings } = lint(model("openai/gpt-oss-20b"), "--for", "hf,vllm,sglang,llama.cpp,mlx");
  expect(findings.map(({ engine, kind, paths }: any) => [engine, kind, paths])).toEqual([
    ["llama.cpp", "differs", ["rope_scaling.truncate"]],
    ["mlx", "differs", ["rope_scaling.truncate"]],
  ]);
  const [exact, rounded] = [invFreq("yarn-gpt-oss"), invFreq("yarn-gpt-oss-truncated")];
  const ratios = exact.map((value, pair) => rounded[pair]! / value);
  const changed = ratios.flatMap((ratio, pair) => (Math.abs(ratio - 1) > 1e-6 ? [pair] : []));
  const largest = Math.max(...ratios);
  // float32 frequencies on both sides: six digits.
  expect(findings[0].effects[0]).toContain(
    `pairs ${changed[0]} to ${changed.at(-1)} of 32 turn at another speed, by ×${largest.toPrecision(6).slice(0, 6)}`,
  );
  expect(findings[0].effects[0]).toContain(`at pair ${ratios.indexOf(largest)}`);
  expect([changed[0], changed.at(-1)]).toEqual([9, 17]);
});

test("only SGLang reads attn_factor; the advice is tested on the file", () => {
  const { findings, keys } = lint(model("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B"), "--for", "hf,vllm,sglang");
  const use = keys.find(({ key }: any) => key === "attn_factor").use;
  expect({ hf: use.hf.use, vllm: use.vllm.use, sglang: use.sglang.use }).toEqual({
    hf: "ignored",
    vllm: "ignored",
    sglang: "read",
  });
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({ engine: "sglang", kind: "differs", paths: ["rope_scaling.attn_factor"] });
  // 0.1 ln 4 + 1 in transformers; times 0.8782488562869419 in SGLang, whose answer is in the goldens.
  const amplitude = fixtures("sglang").find(({ name }) => name === "yarn-attn-factor");
  expect(amplitude).toMatchObject({ attentionFactor: 1 });
  expect(findings[0].effects).toEqual(["cos and sin × 1.138629 → 1, so that logits change by ×0.7713211"]);
  expect(findings[0].instead).toContainEqual(
    "attention_factor = 1 without attn_factor gives the ropes of sglang in hf, vllm, mindie",
  );
});

test.each<[id: string, engine: string, path: string]>([
  ["moonshotai/Kimi-K2-Instruct", "llama.cpp", "rope_scaling.beta_fast"],
  ["Qwen/Qwen3-TTS-talker", "vllm", "talker_config.rope_scaling.interleaved"],
  ["microsoft/Phi-3-mini-128k-instruct", "mlx", "rope_scaling.short_factor"],
])("%s in %s: due to %s", (id, engine, path) => {
  const { findings } = lint(model(id), "--for", engine);
  expect(findings[0]).toMatchObject({ engine, kind: "differs" });
  expect(findings[0].paths).toContain(path);
  expect(findings[0].effects.length).toBeGreaterThan(0);
});

test("every model whose answers differ between transformers and llama.cpp in the goldens is found", () => {
  const differing = ["moonshotai/Kimi-K2-Instruct", "openai/gpt-oss-20b"];
  for (const { model: id, name } of fixtures("llama.cpp") as readonly { model?: string; name: string }[]) {
    const { findings } = examine(model(id ?? name), { for: "llama.cpp" });
    // There the size of the context chooses the list once.
    const expected = differing.includes(id ?? name) || /Phi-3-mini-128k|Phi-3-medium-128k|Phi-4/.test(id ?? name);
    expect([id ?? name, findings.length > 0]).toEqual([id ?? name, expected]);
  }
});

test("an engine that does not have the type refuses the file", () => {
  const { findings } = lint(model("microsoft/Phi-4-mini-instruct"), "--for", "mindie");
  expect(findings).toMatchObject([{ engine: "mindie", kind: "refused", paths: ["rope_scaling.type"] }]);
});

test("properties that an operator with tables cannot express", () => {
  const kinds = (id: string): string[] =>
    lint(model(id), "--for", "onnx").findings.map(({ kind, message }: any) => `${kind}: ${message}`);
  expect(kinds("mistralai/Mistral-7B-v0.1")).toEqual([]);
  expect(kinds("Qwen/Qwen2-VL-7B-Instruct")).toEqual(["unable: has positions of one axis"]);
  expect(kinds("deepseek-ai/DeepSeek-V3")).toEqual(["unable: does not know the softmax scale"]);
  expect(kinds("internlm/internlm2-chat-7b")).toEqual(["unable: has one table, while frequencies follow the length"]);
});

const qwen = {
  model_type: "qwen2",
  head_dim: 128,
  num_hidden_layers: 2,
  max_position_embeddings: 131_072,
  rope_theta: 1_000_000,
};

test("a key that no engine reads, and a file that contradicts itself", () => {
  const typo = writeConfig({
    ...qwen,
    rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32_768, bete_fast: 16 },
  });
  expect(lint(typo, "--for", "hf").findings).toMatchObject([
    { engine: null, kind: "unknown", paths: ["rope_scaling.bete_fast"] },
  ]);
  const contradiction = writeConfig({
    ...qwen,
    rope_scaling: { rope_type: "yarn", factor: 2, original_max_position_embeddings: 32_768 },
  });
  const { findings } = lint(contradiction);
  expect(findings[0]).toMatchObject({ engine: null, kind: "warning", paths: ["max_position_embeddings"] });
  expect(findings[0].message).toContain("factor 4");
});

test("names may contain dots", () => {
  const config = writeConfig({ ...qwen, "a.b_config": { rope_theta: 1 } });
  expect(lint(config, "--for", "hf,mindie").keys.map(({ path }: any) => path)).toContain("a.b_config.rope_theta");
});

test("a file that says nothing about rope is a finding", () => {
  expect(lint(writeConfig({})).findings).toMatchObject([{ engine: null, kind: "invalid" }]);
});

test("a key without an effect is not a finding", () => {
  const config = writeConfig({
    ...qwen,
    rope_scaling: {
      rope_type: "yarn",
      factor: 4,
      original_max_position_embeddings: 32_768,
      finetuned: true,
      attn_factor: 1,
      truncate: true,
    },
  });
  const report = lint(config, "--for", "hf,vllm,sglang,llama.cpp,mlx");
  expect(report.findings).toEqual([]);
  expect(report.keys.map(({ key }: any) => key)).toEqual(
    expect.arrayContaining(["finetuned", "attn_factor", "truncate", "factor"]),
  );
});

test("exit code 0 for a file that all engines read alike, 1 for others; no colours in a pipe", () => {
  const clean = ropewalk(["lint", model("meta-llama/Llama-3.1-8B")]);
  expect(clean).toMatchObject({ status: 0, stderr: "" });
  expect(clean.stdout).toMatch(/^vLLM [\d.]+: the same ropes as transformers$/m);
  const { status, stdout, stderr } = ropewalk(["lint", model("openai/gpt-oss-20b")]);
  expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
  expect(stdout).toContain("• rope_scaling.truncate = false is ignored (always rounded)");
  expect(stdout).toMatch(/rope_scaling\.truncate = false +~ +~ +~ +– +– +–/);
  expect(stdout).not.toContain("\u001B[");
});

test("no published config is invalid or has an unknown rope key", () => {
  for (const { id } of models()) {
    expect([
      id,
      ...examine(model(id), {}).findings.filter(({ kind }) => kind === "invalid" || kind === "unknown"),
    ]).toEqual([id]);
  }
});

test.each<[what: string, args: string[], words: string]>([
  ["no file", [], "missing required argument"],
  ["a file that is not there", ["/nowhere/config.json"], "does not exist"],
  ["a folder", [folder()], "is a folder"],
  ["JSON that is no object", [writeConfig([1])], "config.json"],
  ["an engine that is not known", [model("microsoft/phi-2"), "--for", "hf,tgi"], "tgi"],
])("%s: exit code 2, one sentence", (_, args, words) => {
  const { status, stdout, stderr } = ropewalk(["lint", ...args]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(/^ropewalk: [^\n]+\n$/);
  expect(stderr).toContain(words);
});
