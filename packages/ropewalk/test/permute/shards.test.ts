/** `ropewalk permute` on a model in several files: all of them or none, in little memory, and also after kills. */

import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { folder, normal, permuteHere, readSafetensors, ropewalk, writeConfig, writeSafetensors } from "../support.ts";
import { distance, scores } from "./attention.ts";
import type { AttentionModel } from "./attention.ts";

const llama = {
  model_type: "llama",
  hidden_size: 12,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  num_hidden_layers: 2,
  max_position_embeddings: 64,
  rope_theta: 10_000,
};
const config = writeConfig(llama);
const there = { config, from: "half", to: "adjacent" };
const back = { config, from: "adjacent", to: "half" };

const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;
const indexFile = "model.safetensors.index.json";

/** A model whose attentions are spread over both files. */
function model(): Record<
  (typeof shards)[number],
  Record<string, { shape: number[]; dtype: string; data: Float32Array }>
> {
  let seed = 0;
  const tensor = (...shape: number[]): { shape: number[]; dtype: string; data: Float32Array } => {
    const count = shape.reduce((product, size) => product * size, 1);
    return { shape, dtype: "F32", data: Float32Array.from(normal(count, ++seed)) };
  };
  const layer = (i: number): string => `model.layers.${i}.self_attn`;
  return {
    [shards[0]]: {
      "model.embed_tokens.weight": tensor(5, 12),
      [`${layer(0)}.q_proj.weight`]: tensor(32, 12),
      [`${layer(0)}.v_proj.weight`]: tensor(16, 12),
      [`${layer(1)}.k_proj.weight`]: tensor(16, 12),
    },
    [shards[1]]: {
      [`${layer(0)}.k_proj.weight`]: tensor(16, 12),
      [`${layer(1)}.q_proj.weight`]: tensor(32, 12),
      [`${layer(1)}.v_proj.weight`]: tensor(16, 12),
      [`${layer(0)}.o_proj.weight`]: tensor(12, 32),
      [`${layer(1)}.o_proj.weight`]: tensor(12, 32),
    },
  };
}

/** Writes a model and its index into a folder. `change` edits the index. */
function write(parts = model(), change: (map: Record<string, string>) => void = () => {}): string {
  const path = folder();
  const map: Record<string, string> = {};
  for (const [name, tensors] of Object.entries(parts)) {
    writeSafetensors(join(path, name), tensors, { format: "pt" });
    for (const tensor of Object.keys(tensors)) map[tensor] = name;
  }
  change(map);
  writeFileSync(
    join(path, indexFile),
    `${JSON.stringify({ metadata: { total_size: 1 }, weight_map: map }, null, 1)}\n`,
  );
  return path;
}

const everything = (path: string): Record<string, { shape: readonly number[]; data: Float32Array }> =>
  Object.assign({}, ...shards.map((name) => readSafetensors(join(path, name))));

test("an attention over two files: the folder has both and the index, the scores are the same, the inverse too", async () => {
  const from = write();
  const [to, again] = [join(folder(), "out"), join(folder(), "back")];
  const [line] = await permuteHere(join(from, indexFile), to, there);
  expect(line).toContain("4 tensors from half to adjacent, 5 as they were");
  expect(readdirSync(to).toSorted()).toEqual([...shards, indexFile].toSorted());
  expect(readFileSync(join(to, indexFile)).equals(readFileSync(join(from, indexFile)))).toBe(true);
  const [before, after] = [everything(from), everything(to)];
  const input = { hidden: [[...normal(12, 91)], [...normal(12, 92)]], positions: [3, 17] };
  for (const layer of [0, 1]) {
    const attention: AttentionModel = {
      prefix: `model.layers.${layer}.self_attn`,
      heads: 4,
      keyHeads: 2,
      headDim: 8,
      base: 10_000,
      layout: { kind: "separate", query: "q_proj", key: "k_proj" },
    };
    const expected = scores(before, attention, input, "half");
    expect(distance(scores(after, attention, input, "adjacent"), expected)).toBeLessThan(1e-9);
    expect(distance(scores(after, attention, input, "half"), expected)).toBeGreaterThan(0.01);
  }
  // A folder stands for its index.
  await permuteHere(to, again, back);
  for (const name of [...shards, indexFile]) {
    expect(readFileSync(join(again, name)).equals(readFileSync(join(from, name))), name).toBe(true);
  }
});

const [one, two] = shards;
const parts = model();
const norms = { "model.layers.0.self_attn.q_norm.weight": { shape: [8], dtype: "F32", data: new Float32Array(8) } };

test.each<[what: string, make: () => string, words: string]>([
  ["one file of several", () => join(write(), one), "index"],
  [
    "one file of several, which has all queries and keys, but not their norms",
    () => join(write({ [one]: { ...parts[one], ...parts[two] }, [two]: norms }), one),
    "one of 2 files",
  ],
  ["a folder without index", () => folder(), "no *.safetensors.index.json"],
  [
    "a file that is not there",
    () => {
      const path = write();
      rmSync(join(path, two));
      return path;
    },
    "does not exist",
  ],
  ["a file elsewhere", () => write(parts, (map) => (map["model.embed_tokens.weight"] = `../${one}`)), "beside it"],
  [
    "a tensor in another file than said",
    () => write(parts, (map) => (map["model.embed_tokens.weight"] = two)),
    "places in",
  ],
  ["a tensor that no file has", () => write(parts, (map) => (map["lm_head.weight"] = two)), "does not have it"],
  [
    "a tensor that the index does not name",
    () => write(parts, (map) => delete map["model.embed_tokens.weight"]),
    "does not name",
  ],
  [
    "a tensor in both files",
    () =>
      write({
        ...parts,
        [two]: { ...parts[two], "model.embed_tokens.weight": parts[one]["model.embed_tokens.weight"]! },
      }),
    "places in",
  ],
  [
    "a norm in the other file that is not recognised",
    () =>
      write({
        ...parts,
        [two]: {
          ...parts[two],
          "model.layers.0.self_attn.q_rms.weight": { shape: [8], dtype: "F32", data: new Float32Array(8) },
        },
      }),
    "q_rms",
  ],
])("%s: refused, nothing written", async (_, make, words) => {
  const [from, parent] = [make(), folder()];
  await expect(permuteHere(from, join(parent, "out"), there)).rejects.toThrow(words);
  expect(readdirSync(parent)).toEqual([]);
});

test("a folder that is there is never replaced, also with --force", () => {
  const from = write();
  const to = folder();
  writeFileSync(join(to, "notes.txt"), "mine");
  const run = ropewalk(["permute", from, to, "--config", config, "--from", "half", "--to", "adjacent", "--force"]);
  expect(run).toMatchObject({ status: 2, stdout: "" });
  expect(run.stderr).toContain("never replaced");
  expect(readdirSync(to)).toEqual(["notes.txt"]);
});

const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

/** Three sparse files of 80 MB, which take little space on the disk. */
function large(): { readonly path: string; readonly size: number } {
  const path = folder();
  mkdirSync(join(path, "in"));
  const columns = 2 ** 20;
  const map: Record<string, string> = {};
  const files: Readonly<Record<string, Readonly<Record<string, number>>>> = {
    "a.safetensors": { "model.layers.0.self_attn.q_proj.weight": 32, "model.embed_tokens.weight": 8 },
    "b.safetensors": { "model.layers.0.self_attn.k_proj.weight": 16, "model.layers.0.mlp.up_proj.weight": 24 },
    "c.safetensors": { "lm_head.weight": 40 },
  };
  let size = 0;
  for (const [file, tensors] of Object.entries(files)) {
    let end = 0;
    const header = JSON.stringify(
      Object.fromEntries(
        Object.entries(tensors).map(([name, rows]) => {
          map[name] = file;
          return [name, { dtype: "F16", shape: [rows, columns], data_offsets: [end, (end += 2 * rows * columns)] }];
        }),
      ),
    );
    const descriptor = openSync(join(path, "in", file), "w");
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(header.length));
    writeSync(descriptor, Buffer.concat([prefix, Buffer.from(header)]));
    ftruncateSync(descriptor, 8 + header.length + end);
    closeSync(descriptor);
    size += 8 + header.length + end;
  }
  writeFileSync(join(path, "in", indexFile), JSON.stringify({ weight_map: map }));
  return { path, size };
}

const oneLayer = writeConfig({ ...llama, num_hidden_layers: 1 });
const args = (path: string): string[] => [
  "permute",
  join(path, "in"),
  join(path, "out"),
  "--config",
  oneLayer,
  "--from",
  "half",
  "--to",
  "adjacent",
];

test("killed at any time, there is no folder; the next run makes it whole, in less than 250 MB of memory", async () => {
  const { path, size } = large();
  const stages = (): string[] => readdirSync(path).filter((name) => name.startsWith(".ropewalk-"));
  const written = (): number =>
    stages().reduce((sum, stage) => {
      const inside = join(path, stage, "new", "0");
      if (!existsSync(inside)) return sum;
      return readdirSync(inside).reduce((all, name) => all + statSync(join(inside, name)).size, sum);
    }, 0);
  // In the first file, in the second, and when all is written.
  for (const share of [0.05, 0.6, 1]) {
    const child = spawn(process.execPath, [cli, ...args(path)], { stdio: "ignore" });
    const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once("exit", (_, by) => resolve(by)));
    while (child.exitCode === null && !existsSync(join(path, "out")) && written() < share * size) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    child.kill("SIGKILL");
    const signal = await ended;
    // The last kill may come too late; then the folder is whole.
    if (existsSync(join(path, "out"))) {
      expect(share).toBe(1);
      expect(readdirSync(join(path, "out"))).toHaveLength(4);
      rmSync(join(path, "out"), { recursive: true });
    } else expect(signal).toBe("SIGKILL");
    expect(readdirSync(join(path, "in"))).toHaveLength(4);
    // The stage of the run before is gone.
    expect(stages().length).toBeLessThanOrEqual(1);
  }
  const memory = `data:text/javascript,${encodeURIComponent('process.on("exit", () => process.stderr.write(String(process.resourceUsage().maxRSS)))')}`;
  const run = spawnSync(process.execPath, ["--import", memory, cli, ...args(path)], { encoding: "utf8" });
  expect(run).toMatchObject({ status: 0 });
  // Kibibytes. The files have 240 MB, and a process without them some 100.
  expect(Number(run.stderr)).toBeLessThan(250_000);
  expect(readdirSync(path).toSorted()).toEqual(["in", "out"]);
  const sizes = (folderName: string): number[] =>
    readdirSync(join(path, folderName))
      .toSorted()
      .map((name) => statSync(join(path, folderName, name)).size);
  expect(sizes("out")).toEqual(sizes("in"));
  for (const name of ["in", "out"]) rmSync(join(path, name), { recursive: true });
}, 120_000);
