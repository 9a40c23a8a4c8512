/** `ropewalk permute`: reorders the query and key weights of a model for another pairing. */

import type { FileHandle } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { permuteRows } from "@ropewalk/core/math";
import {
  projectionShape,
  projectionShapeFromGguf,
  ropeRequestsFromConfig,
  ropeRequestsFromGguf,
  ropesFromConfig,
  ropesFromGguf,
} from "../../index.ts";
import type { Pairing } from "../../index.ts";
import { CliFailure } from "../failure.ts";
import { openFile, readJson } from "../files.ts";
import type { OpenFile } from "../files.ts";
import { preparePlaces, writeAll, writeResults } from "../results/write.ts";
import type { Places, Result } from "../results/write.ts";
import { planPermutation } from "./plan.ts";
import type { ModelShape, PlannedTensor, PlanOptions } from "./plan.ts";
import { openSource } from "./source.ts";
import type { Source } from "./source.ts";

/** Options as the command line gives them. */
export interface PermuteCommandOptions extends PlanOptions {
  readonly config?: string;
  readonly family?: string;
  readonly from: string;
  readonly to: string;
  readonly force?: boolean;
}

/** The number of bytes in memory at once, in addition to one head of one projection. */
const CHUNK = 4 * 2 ** 20;

/** Called after every chunk, with numbers of bytes. */
export type Progress = (done: number, all: number) => void;

/**
 * Permutes and writes. `output` is written whole or not at all. A file may replace one, also the input, with `--force`;
 * a folder replaces nothing.
 *
 * @returns lines of text that say what was done.
 */
export async function permute(
  input: string,
  output: string,
  options: PermuteCommandOptions,
  progress: Progress,
): Promise<string[]> {
  const [from, to] = [pairing("--from", options.from), pairing("--to", options.to)];
  if (JSON.stringify(from) === JSON.stringify(to)) {
    throw new CliFailure("USAGE", `--from and --to are both ${options.from}: there is nothing to permute.`);
  }
  const source = await openSource(input);
  try {
    const { files, index, names, naming, tensors } = source;
    const name = basename(resolve(output));
    const places: Places = {
      folder: dirname(resolve(output)),
      names: [name],
      replace: options.force === true && index === undefined,
      // The model itself may be replaced.
      inputs: options.config === undefined ? [] : [options.config],
    };
    const told = preparePlaces(places);
    const plan = planPermutation(tensors, naming, input, modelShape(source, input, options), options);
    const all = files.reduce((sum, { size }) => sum + size, 0);
    let before = 0;
    const write = async (file: OpenFile, handle: FileHandle): Promise<void> => {
      const moves = plan.moves.filter(({ tensor }) => files[tensor.file] === file);
      await permuteFile(file, handle, moves, { from, to, tell: (end) => progress(before + end, all) });
      before += file.size;
    };
    const result: Result =
      index === undefined
        ? { name, write: (handle) => write(files[0]!, handle) }
        : {
            name,
            fill: async (create) => {
              for (const [i, shard] of names.entries()) await create(shard, (handle) => write(files[i]!, handle));
              await create(basename(index), (handle) => copyWhole(index, handle));
            },
          };
    await writeResults(places, [result], false);
    return [
      ...told,
      `${plan.moves.length} tensors from ${options.from} to ${options.to}, ${tensors.length - plan.moves.length} as they were → ${output}`,
      ...(plan.withoutRope === 0
        ? []
        : [`${plan.withoutRope} projections of layers without rope are among the latter.`]),
      ...(plan.otherIndexer === 0
        ? []
        : [`${plan.otherIndexer} tensors of indexers are too: their pairs are others than those of the attention.`]),
      ...(JSON.stringify(plan.published) === JSON.stringify(from)
        ? []
        : [
            `Published files of this family pair ${describe(plan.published)}, not ${options.from}: right only if this file was permuted before.`,
          ]),
    ];
  } finally {
    source.close();
  }
}

function modelShape({ gguf }: Source, input: string, { config: path, family }: PermuteCommandOptions): ModelShape {
  if (gguf !== undefined) {
    if (path !== undefined || family !== undefined) {
      const option = path === undefined ? "--family" : "--config";
      throw new CliFailure("USAGE", `the header of ${input} describes the model: leave ${option} out.`);
    }
    const { metadata, tensors } = gguf;
    return {
      ropes: ropesFromGguf(metadata, { tensors }),
      layerCount: ropeRequestsFromGguf(metadata, { tensors }).layerCount,
      projections: projectionShapeFromGguf(metadata),
    };
  }
  if (path === undefined) throw new CliFailure("USAGE", `say with --config which config.json belongs to ${input}.`);
  const config = readJson(path);
  return {
    ropes: ropesFromConfig(config, { family }),
    layerCount: ropeRequestsFromConfig(config, { family }).layerCount,
    projections: projectionShape(config, { family }),
  };
}

const describe = (value: Pairing): string => (typeof value === "string" ? value : `blocks:${value.blocks}`);

function pairing(option: string, text: string): Pairing {
  if (text === "half" || text === "adjacent") return text;
  const blocks = /^blocks:(\d{1,6})$/.exec(text)?.[1];
  if (blocks === undefined || Number(blocks) === 0) {
    throw new CliFailure("USAGE", `${option} must be half, adjacent or blocks:<n>, got ${JSON.stringify(text)}.`);
  }
  return { blocks: Number(blocks) };
}

/** Copies bytes from one file to the other, one chunk at a time. */
async function copy(
  file: OpenFile,
  handle: FileHandle,
  start: number,
  end: number,
  tell: (end: number) => void,
): Promise<void> {
  const buffer = new Uint8Array(Math.min(CHUNK, end - start));
  for (let at = start; at < end;) {
    const part = buffer.subarray(0, Math.min(buffer.length, end - at));
    file.readInto(part, at);
    await writeAll(handle, part, at);
    tell((at += part.length));
  }
}

async function copyWhole(path: string, handle: FileHandle): Promise<void> {
  const file = openFile(path);
  try {
    await copy(file, handle, 0, file.size, () => {});
  } finally {
    file.close();
  }
}

interface How {
  readonly from: Pairing;
  readonly to: Pairing;
  readonly tell: (end: number) => void;
}

/** Writes one file: permutes the heads of its planned tensors, copies all other bytes. */
async function permuteFile(
  file: OpenFile,
  handle: FileHandle,
  moves: readonly PlannedTensor[],
  { from, tell, to }: How,
): Promise<void> {
  let at = 0;
  for (const { headDim, rotaryDim, rotaryOffset, rowBytes, runs, tensor } of moves) {
    const headBytes = headDim * rowBytes;
    const most = Math.max(1, Math.floor(CHUNK / headBytes));
    for (const { first, heads } of runs) {
      const start = tensor.start + first * rowBytes;
      await copy(file, handle, at, start, tell);
      at = start;
      for (let head = 0; head < heads; head += most) {
        const bytes = file.read(at, at + Math.min(most, heads - head) * headBytes);
        const moved = permuteRows(bytes, { headDim, rotaryDim, rotaryOffset, columns: rowBytes, from, to });
        await writeAll(handle, moved, at);
        tell((at += bytes.length));
      }
    }
  }
  await copy(file, handle, at, file.size, tell);
}

/** Shows the progress in a line on a terminal, at most ten times a second. */
export function progressBar(stream: NodeJS.WriteStream): Progress {
  if (stream.isTTY !== true) return () => {};
  const begin = performance.now();
  let last = 0;
  return (done, all) => {
    const now = performance.now();
    if (now - last < 100 && done < all) return;
    last = now;
    const width = 30;
    const full = Math.floor((done / all) * width);
    const speed = done / 2 ** 20 / Math.max(0.001, (now - begin) / 1000);
    stream.write(
      done < all
        ? `\r${"█".repeat(full)}${"░".repeat(width - full)} ${String(Math.floor((100 * done) / all)).padStart(3)} % ${speed.toFixed(0)} MiB/s `
        : `\r${" ".repeat(width + 22)}\r`,
    );
  };
}
