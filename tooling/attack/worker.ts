/**
 * Gives damaged files to the commands, in a process of its own: one that hangs is killed, and its memory is its own.
 *
 * Prints a line before each file (`start <i>`) and a line for each finding.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { damaged } from "./mutate.ts";
import { seeded } from "./random.ts";
import { config, rotated } from "./seeds.ts";
import type { Format } from "./seeds.ts";

const [seed, from, to] = process.argv.slice(2).map(Number) as [number, number, number];

type Run = (...args: unknown[]) => unknown;
const load = async (name: string): Promise<Record<string, Run>> =>
  (await import(new URL(`../../packages/ropewalk/dist/cli/${name}.js`, import.meta.url).href)) as Record<string, Run>;
const { apply } = await load("apply");
const { permute } = await load("permute/permute");
const { lint, lintText } = await load("lint");
const { diff, diffText } = await load("diff");
const { inspect } = await load("inspect");
const { describeFailure } = await load("failure");
const { jsonLine, printableLines, printableReport } = await load("text");

const at = mkdtempSync(join(tmpdir(), "ropewalk-attack-"));
const plain = join(at, "plain.json");
writeFileSync(plain, JSON.stringify(config));
const same = (text: string): string => text;
const palette = Object.fromEntries(
  ["bold", "cyan", "dim", "green", "red", "yellow", "blue", "magenta", "gray"].map((name) => [name, same]),
);
const obeyed = /[^\n\P{Cc}]/u;

function say(kind: string, i: number, what: string): void {
  process.stdout.write(`${JSON.stringify({ kind, i, what })}\n`);
}

/** Runs one command. @returns whether it took the file. */
async function attempt(i: number, what: string, action: () => unknown): Promise<boolean> {
  try {
    const text = await action();
    if (typeof text === "string" && obeyed.test(text)) say("control", i, what);
    return true;
  } catch (error) {
    const failure = describeFailure!(error) as { readonly message: string } | undefined;
    if (failure === undefined) say("INTERNAL", i, `${what}: ${(error as Error).stack}`);
    else if (obeyed.test(failure.message) || failure.message.length > 5000) {
      say("control", i, `${what}: ${failure.message}`);
    }
    return false;
  }
}

/** Every byte of a file, however they are ordered. */
function census(path: string): string {
  const counts = new Uint32Array(256);
  for (const byte of readFileSync(path)) counts[byte]!++;
  return counts.join();
}

const digest = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

async function attack(i: number): Promise<boolean> {
  const random = seeded(seed * 1_000_003 + i);
  const format = random.pick<Format>(["safetensors", "npy", "gguf", "json"]);
  const name = {
    safetensors: "a.safetensors",
    npy: "a.npy",
    gguf: "a.gguf",
    json: random.pick(["config.json", "a.safetensors.index.json"]),
  }[format];
  const path = join(at, name);
  writeFileSync(path, damaged(format, random));
  const before = digest(path);
  const out = join(at, "out");
  mkdirSync(out);
  let isTaken = false;
  const permuted = async (input: string, to: string, pairings: readonly [string, string]): Promise<boolean> =>
    attempt(i, "permute", () =>
      permute!(
        input,
        to,
        { ...(format === "gguf" ? {} : { config: plain }), from: pairings[0], to: pairings[1] },
        () => {},
      ),
    );
  if (format === "safetensors" || format === "gguf") {
    const [there, back] = [join(out, `there.${format}`), join(out, `back.${format}`)];
    isTaken = await permuted(path, there, ["half", "adjacent"]);
    if (isTaken) {
      if (census(there) !== census(path)) say("lost", i, "permute");
      await permuted(there, back, ["adjacent", "half"]);
      if (!existsSync(back) || digest(back) !== before) say("lost", i, "permute and back");
    } else if (readdirSync(out).length > 0) say("left", i, "permute");
  }
  if (format === "gguf" || format === "json") {
    const texts: string[] = [];
    const print = (text: string): void => void texts.push(printableLines!(text) as string);
    await attempt(i, "inspect", async () => {
      await inspect!([path], { precision: "float32", part: "text" }, { palette, columns: 100, print, complain: print });
      await inspect!(
        [path],
        { precision: "float32", part: "text", json: true },
        { palette, columns: 100, print, complain: print },
      );
      if (texts.some((text) => text.includes("INTERNAL") || text.includes("a defect"))) {
        say("INTERNAL", i, `inspect: ${texts.join("\n")}`);
      }
      if (texts.join("").length > 300_000) say("long", i, "inspect");
      return texts.join("\n");
    });
  }
  if (format === "json") {
    isTaken = await attempt(i, "lint", () => printableLines!(lintText!(printableReport!(lint!(path, {})), palette)));
    await attempt(i, "lint --json", () => jsonLine!(lint!(path, {})));
    await attempt(i, "diff", () => printableLines!(diffText!(printableReport!(diff!([path, plain], {})), palette)));
    await attempt(i, "permute", () =>
      permute!(path, join(out, "x"), { config: path, from: "half", to: "adjacent" }, () => {}),
    );
  }
  if (format === "npy" || format === "safetensors" || format === "json") {
    const options = {
      positions: "0:3",
      out: join(out, "results"),
      layout: "token-first",
      operation: "apply",
      precision: "float32",
      part: "text",
    };
    const query = format === "json" ? {} : { query: format === "npy" ? path : `${path}#${rotated}` };
    const applied = await attempt(i, "apply", () => apply!(format === "json" ? path : plain, { ...options, ...query }));
    if (!applied && existsSync(options.out)) say("left", i, "apply");
    isTaken ||= applied;
    if (format === "npy") {
      await attempt(i, "apply, positions", () => apply!(plain, { ...options, query: path, positions: path }));
    }
  }
  if (digest(path) !== before) say("lost", i, "the input");
  rmSync(out, { recursive: true });
  return isTaken;
}

let taken = 0;
for (let i = from; i < to; i++) {
  process.stdout.write(`start ${i}\n`);
  if (await attack(i)) taken++;
  const { rss } = process.memoryUsage();
  if (rss > 400 * 2 ** 20) say("memory", i, String(rss));
}
process.stdout.write(`${JSON.stringify({ kind: "end", taken, memory: process.resourceUsage().maxRSS })}\n`);
rmSync(at, { recursive: true });
