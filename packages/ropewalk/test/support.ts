/** Runs the built command, and writes tensor files with code that the command does not share. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

const cli = fileURLToPath(new URL("../dist/cli.js", import.meta.url));

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command in a clean environment, without NO_COLOR and FORCE_COLOR. */
export function ropewalk(
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Run {
  const { NO_COLOR: _, FORCE_COLOR: __, ...inherited } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], {
    cwd,
    encoding: "utf8",
    env: { ...inherited, CI: "1", ...env },
    maxBuffer: 2 ** 28,
  });
  return { status, stdout, stderr };
}

/** The command in this process: a process takes half a second. */
export async function permuteHere(
  input: string,
  output: string,
  options: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const { permute } = (await import(new URL("../dist/cli/permute/permute.js", import.meta.url).href)) as {
    readonly permute: (
      from: string,
      to: string,
      how: Readonly<Record<string, string>>,
      progress: () => void,
    ) => Promise<string[]>;
  };
  return permute(input, output, options, () => {});
}

/** The documents that `--json` printed, one a line. */
export function documents({ stdout }: Run): any[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "ropewalk-"));
  folders.push(made);
  return made;
}
const folders: string[] = [];
afterAll(() => folders.forEach((made) => rmSync(made, { recursive: true, force: true })));

/** A golden's config as a file path. */
export const model = (id: string): string =>
  fileURLToPath(new URL(`../../../tooling/goldens/models/${id.replace("/", "--")}.json`, import.meta.url));

export function writeConfig(config: unknown): string {
  const path = join(folder(), "config.json");
  writeFileSync(path, JSON.stringify(config));
  return path;
}

export type Bytes = Uint8Array | Float32Array | Float64Array | Uint16Array | Int32Array | BigInt64Array;

const raw = (data: Bytes): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

export function writeNpy(path: string, descr: string, shape: readonly number[], data: Bytes): string {
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const header = dict.padEnd(Math.ceil((dict.length + 11) / 64) * 64 - 11) + "\n";
  const prefix = Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, header.length & 255, header.length >> 8]);
  writeFileSync(path, Buffer.concat([prefix, Buffer.from(header, "latin1"), raw(data)]));
  return path;
}

export function writeSafetensors(
  path: string,
  tensors: Readonly<
    Record<string, { readonly dtype: string; readonly shape: readonly number[]; readonly data: Bytes }>
  >,
  metadata?: Readonly<Record<string, string>>,
): string {
  let end = 0;
  const entries = Object.entries(tensors).map(([name, { dtype, shape, data }]) => [
    name,
    { dtype, shape, data_offsets: [end, (end += data.byteLength)] },
  ]);
  const json = JSON.stringify(
    Object.fromEntries(metadata === undefined ? entries : [["__metadata__", metadata], ...entries]),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(json)));
  writeFileSync(
    path,
    Buffer.concat([length, Buffer.from(json), ...Object.values(tensors).map(({ data }) => raw(data))]),
  );
  return path;
}

/** The tensors of a file as float32. A reader that shares no code with the command. */
export function readSafetensors(
  path: string,
): Readonly<
  Record<string, { readonly shape: readonly number[]; readonly dtype: string; readonly data: Float32Array }>
> {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: _, ...entries } = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<string, any>;
  return Object.fromEntries(
    Object.entries(entries).map(([name, { data_offsets: offsets, dtype, shape }]) => [
      name,
      {
        dtype,
        shape,
        data: new Float32Array(
          Uint8Array.from(bytes.subarray(8 + length + offsets[0], 8 + length + offsets[1])).buffer,
        ),
      },
    ]),
  );
}

/** Standard normal numbers from a fixed seed (Box and Muller over mulberry32). */
export function normal(length: number, seed: number): Float64Array {
  let state = seed;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 1) / 2 ** 32;
  };
  return Float64Array.from({ length }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}
