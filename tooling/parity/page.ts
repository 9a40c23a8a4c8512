/** The text of the two files that `npm run parity` writes. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { types } from "./types.ts";
import type { Unbuilt, VectorFile } from "./vectors.ts";

/** One vector per line, so that a change of a vector changes one line. */
export function vectorsText({ configs, vectors, rotations, engines, unbuilt, format }: VectorFile): string {
  const lines = (list: readonly unknown[]): string => list.map((item) => JSON.stringify(item)).join(",\n");
  const pairs = (object: Readonly<Record<string, unknown>>): string =>
    Object.entries(object)
      .map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
      .join(",\n");
  return `{"format":${format},"engines":{\n${pairs(engines)}\n},"configs":{\n${pairs(configs)}\n},"vectors":[\n${lines(vectors)}\n],"rotations":[${lines(rotations)}],"unbuilt":[\n${lines(unbuilt)}\n]}\n`;
}

/** The output of `ropewalk verify --json`. */
export interface Report {
  /** The last position of each column of `tables`. */
  readonly bands: readonly number[];
  readonly rows: readonly {
    readonly ropeType: string;
    readonly engine: string;
    readonly version: string;
    readonly vectors: number;
    readonly models: number;
    readonly frequencies: number | null;
    readonly tables: readonly (number | null)[];
    readonly rotated: number | null;
  }[];
  readonly otherwise: readonly { readonly engine: string; readonly name: string; readonly why: string }[];
  readonly unbuilt: readonly Unbuilt[];
  readonly mismatches: readonly { readonly engine: string; readonly name: string; readonly what: string }[];
}

/** The report of the built command line about all answers. */
export function report(vectors: VectorFile): Report {
  const folder = mkdtempSync(join(tmpdir(), "ropewalk-parity-"));
  try {
    const file = join(folder, "vectors.json");
    writeFileSync(file, JSON.stringify(vectors));
    const cli = fileURLToPath(new URL("../../packages/ropewalk/dist/cli.js", import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [cli, "verify", "--json", "--vectors", file], {
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    });
    if (status !== 0 && status !== 1) throw new Error(stderr);
    return JSON.parse(stdout) as Report;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const scientific = (value: number | null): string => (value === null ? "" : value === 0 ? "0" : value.toExponential(1));
const row = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[], right = 0): string =>
  [row(head), row(head.map((_, i) => (i < head.length - right ? "---" : "---:"))), ...rows.map(row)].join("\n");
const plain = (text: string): string => text.replaceAll("|", "\\|");

export function page(vectors: VectorFile): string {
  const { bands, rows, otherwise, unbuilt, mismatches } = report(vectors);
  const { engines } = vectors;
  const title = (engine: string): string => engines[engine]!.title;
  const versions = [...new Map(rows.map(({ engine, version }) => [engine, version]))];
  const answers = rows.reduce((sum, one) => sum + one.vectors, 0);
  const models = new Set(vectors.vectors.flatMap(({ config }) => (config === undefined ? [] : [config]))).size;
  const steps = bands.map((end, i) => (i === 0 ? `≤ ${end}` : `≤ ${end === 2 ** 24 ? "2^24" : end}`));
  return `# Parity

What ropewalk computes, against what other engines answered when they were run. Written by \`npm run parity\` from the
fixtures in [\`tooling/goldens\`](../tooling/goldens), each of which names engine, version and command; a test fails when
this page is not what the command writes. \`ropewalk verify\` does the same with a smaller choice of the answers that comes
with the package.

${answers} answers, ${models} published models among them; ${mismatches.length === 0 ? "all within what is allowed below" : `${mismatches.length} OUTSIDE of what is allowed below`}.

## The table

\`ulp\` is the largest distance of a frequency, in float32 ulp (for exact arithmetic, which \`precision: "float64"\` is compared
with: in float64 ulp); empty where the engine holds none. Then the largest difference of cos and sin at positions up to
each length and beyond the one before, amplitude included; empty where the engine was not asked. \`rotated\` is the
largest difference of a rotated element as a share of its pair's length; above 1e-3 where the engine was run in 16 bits.

${table(
  ["rope type", "engine", "answers", "models", "ulp", ...steps, "rotated"],
  rows.map((one) => [
    `\`${one.ropeType}\``,
    title(one.engine),
    one.vectors,
    one.models,
    one.frequencies === null ? "" : Number(one.frequencies.toFixed(1)),
    ...one.tables.map(scientific),
    scientific(one.rotated),
  ]),
  bands.length + 4,
)}

Why differences grow with the position: engines round position × frequency to float32, and one rounding of an angle
φ is worth φ · 2^-24. Where both sides have the same frequency bit for bit, cos and sin agree to the last place or two at
every length; where a frequency is one ulp away, or an engine reaches it by other steps, the difference is that of the
angles. What is allowed:

${table(
  ["engine", "version", "angle", "cos and sin", "why"],
  versions.map(([engine, version]) => {
    const { angle, places, running, why } = engines[engine]!;
    return [
      title(engine),
      version.replace(/^ggml /, ""),
      running === undefined
        ? angle === 0
          ? "as the frequencies"
          : `${angle} roundings`
        : `${running} roundings a pair`,
      `${places} ulp`,
      plain(why),
    ];
  }),
)}

## Where engines read a config otherwise than transformers

Parameters, or a dialect of \`@ropewalk/config\`, say what the engine does, and with them the numbers agree. \`ropewalk lint\`
says the same of any config.

${table(
  ["engine", "settings or model", "what it does"],
  otherwise.map(({ engine, name, why }) => [title(engine), name, plain(why)]),
)}

## Answers that are not compared

${table(
  ["engine", "answer", "why"],
  unbuilt.map(({ engine, name, reason }) => [title(engine), name, plain(reason)]),
)}

Fixtures of \`positions\` (position ids), \`permute\` (weights and scores), \`pass\` (norms and caches) and \`seeds\` (printed numbers) are read by the tests of the
packages that they are about. Those of \`libraries\` (timm, rotary-embedding-torch, flash-attention) are compared with nothing yet.

## Types of the engines, and where they are

${table(
  ["name in configs and engines", "here"],
  types.map(({ names, here }) => [names, plain(here)]),
)}
${mismatches.length === 0 ? "" : `\n## Mismatches\n\n${mismatches.map(({ engine, name, what }) => `- ${title(engine)}, ${name}: ${what}`).join("\n")}\n`}`;
}
