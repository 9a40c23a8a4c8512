/** Kills and failing disks, at every operation of `apply` and `permute` as processes. */

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Random } from "./random.ts";
import { config, npy, rotated, safetensors } from "./seeds.ts";

export interface KillReport {
  readonly runs: number;
  /** Runs that were killed, and how many of them the next run brought back or finished. */
  readonly killed: number;
  readonly before: number;
  readonly after: number;
  /** What is neither the state of before nor the new one, or another fault of the answer. */
  readonly found: readonly string[];
}

const cli = fileURLToPath(new URL("../../packages/ropewalk/dist/cli.js", import.meta.url));
const hook = new URL("hook.mjs", import.meta.url).href;
const errors = ["EIO", "ENOSPC", "EFBIG"] as const;
const signals = ["SIGKILL", "SIGKILL", "SIGTERM"] as const;

interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

function run(args: readonly string[], attack?: object, killAfter?: number): Promise<Ended> {
  const planted = attack === undefined ? [] : ["--import", hook];
  const child = spawn(process.execPath, [...planted, cli, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ROPEWALK_ATTACK: JSON.stringify(attack ?? {}) },
  });
  let stderr = "";
  child.stderr.on("data", (data: Buffer) => void (stderr += data.toString()));
  const timer = setTimeout(() => child.kill("SIGKILL"), killAfter ?? 60_000);
  return new Promise((resolve) => {
    child.once("close", (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, stderr });
    });
  });
}

/** A folder with results of an earlier time and inputs, and a command. */
interface Scene {
  readonly what: string;
  readonly args: (at: string) => string[];
  /** Another command that writes something else into the same folder, as the next run would. */
  readonly next: (at: string) => string[];
  /** Adds files of before. */
  readonly lay: (at: string) => void;
}

const rotate = (at: string, names: readonly string[], more: readonly string[]): string[] => [
  "apply",
  join(at, "config.json"),
  ...names.flatMap((name, i) => [i === 0 ? "--query" : "--key", join(at, name)]),
  "--positions",
  "0:3",
  "--out",
  join(at, "out"),
  ...more,
];
const reorder = (at: string, from: string, to: string, more: readonly string[]): string[] => [
  "permute",
  join(at, from),
  join(at, to),
  "--config",
  join(at, "config.json"),
  "--from",
  "half",
  "--to",
  "adjacent",
  ...more,
];
const old = (at: string, ...names: readonly string[]): void => {
  mkdirSync(join(at, "out"));
  for (const name of names) writeFileSync(join(at, "out", name), `old ${name}`);
};
const nextApply = (at: string): string[] => rotate(at, ["r.npy"], ["--force"]);
const nextPermute = (at: string): string[] => reorder(at, "model.safetensors", "further.safetensors", ["--force"]);

export const scenes: readonly Scene[] = [
  {
    what: "apply, new results",
    args: (at) => rotate(at, ["q.npy", "k.npy"], []),
    next: nextApply,
    lay: (at) => old(at, "other"),
  },
  {
    what: "apply, in place of results",
    args: (at) => rotate(at, ["q.npy", "k.npy"], ["--force"]),
    next: nextApply,
    lay: (at) => old(at, "q.npy", "k.npy"),
  },
  {
    what: "apply, in place of one result",
    args: (at) => rotate(at, ["q.npy", "k.npy"], ["--force"]),
    next: nextApply,
    lay: (at) => old(at, "k.npy"),
  },
  {
    what: "permute, a new file",
    args: (at) => reorder(at, "model.safetensors", "out.safetensors", []),
    next: nextPermute,
    lay: () => {},
  },
  {
    what: "permute, in place",
    args: (at) => reorder(at, "model.safetensors", "model.safetensors", ["--force"]),
    next: (at) => reorder(at, "second.safetensors", "further.safetensors", ["--force"]),
    lay: () => {},
  },
  {
    what: "permute, a folder of shards",
    args: (at) => reorder(at, "shards", "out", []),
    next: nextPermute,
    lay: (at) => {
      mkdirSync(join(at, "shards"));
      writeFileSync(join(at, "shards", "a.safetensors"), safetensors());
      const map = Object.fromEntries(
        ["model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.k_proj.weight"]
          .concat(["model.layers.0.self_attn.v_proj.weight", rotated])
          .map((name) => [name, "a.safetensors"]),
      );
      writeFileSync(join(at, "shards", "model.safetensors.index.json"), JSON.stringify({ weight_map: map }));
    },
  },
];

function lay(scene: Scene): string {
  const at = mkdtempSync(join(tmpdir(), "ropewalk-kill-"));
  writeFileSync(join(at, "config.json"), JSON.stringify(config));
  for (const name of ["q.npy", "k.npy", "r.npy"]) writeFileSync(join(at, name), npy());
  for (const name of ["model.safetensors", "second.safetensors"]) writeFileSync(join(at, name), safetensors());
  scene.lay(at);
  return at;
}

/** All files with their contents; what the next run writes is left out. */
function state(at: string): string {
  const files = readdirSync(at, { recursive: true, encoding: "utf8" })
    .filter((name) => !name.endsWith("r.npy") && name !== "further.safetensors")
    .sort()
    .map((name) => [name, statSync(join(at, name)).isFile() ? readFileSync(join(at, name), "latin1") : null]);
  return JSON.stringify(files);
}

/**
 * Attacks one scene: errors of the system at every operation, then kills at random operations or times.
 *
 * @param kills how many kills; operations are taken in turn, so that every one is met if there are enough.
 */
export async function attackScene(
  scene: Scene,
  kills: number,
  withErrors: boolean,
  random: Random,
): Promise<KillReport> {
  const found: string[] = [];
  const first = lay(scene);
  const before = state(first);
  const count = join(mkdtempSync(join(tmpdir(), "ropewalk-count-")), "count");
  const clean = await run(scene.args(first), { at: -1, fault: "", count });
  if (clean.status !== 0) return { runs: 1, killed: 0, before: 0, after: 0, found: [`${scene.what}: ${clean.stderr}`] };
  const after = state(first);
  const operations = Number(readFileSync(count, "utf8"));
  rmSync(first, { recursive: true });
  let [runs, killed, isBefore, isAfter] = [0, 0, 0, 0];

  const one = async (fault: string, at: number, killAfter?: number): Promise<void> => {
    const where = `${scene.what}, ${fault} at ${at} of ${operations}${killAfter === undefined ? "" : `, after ${killAfter} ms`}`;
    const place = lay(scene);
    const ended = await run(scene.args(place), { at, fault }, killAfter);
    runs++;
    const isKilled = ended.signal !== null;
    if (isKilled) killed++;
    if (ended.stderr.includes("defect") || ended.stderr.includes("    at ")) found.push(`${where}: ${ended.stderr}`);
    if (!isKilled && ![0, 2].includes(ended.status!)) found.push(`${where}: exit code ${ended.status}`);
    const left = state(place);
    // What an error leaves may be a stage without a plan.
    if (isKilled || (left !== before && left !== after)) {
      const next = await run(scene.next(place));
      if (next.status !== 0) found.push(`${where}: the next run fails, ${next.stderr}`);
    }
    const final = state(place);
    if (final === after) isAfter++;
    else if (final === before) isBefore++;
    else found.push(`${where}: ${final.slice(0, 3000)}`);
    if (ended.status === 0 && final !== after) found.push(`${where}: success, and no results`);
    if (ended.status === 2 && final !== before) found.push(`${where}: an error, and results`);
    rmSync(place, { recursive: true });
  };

  if (withErrors) for (let at = 0; at < operations; at++) for (const fault of errors) await one(fault, at);
  for (let i = 0; i < kills; i++) {
    // A third at a random time, which may fall between two operations.
    if (i % 3 === 2) await one("none", -1, 150 + random.below(400));
    else await one(random.pick(signals), (i - Math.floor(i / 3)) % operations);
  }
  return { runs, killed, before: isBefore, after: isAfter, found };
}
