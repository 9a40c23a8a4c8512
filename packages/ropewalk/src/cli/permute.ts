/** `ropewalk permute`: reorders the query and key weights of a `.safetensors` file for another pairing. */

import { existsSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { permuteRows } from "@ropewalk/core/math";
import type { Pairing } from "../index.ts";
import { CliFailure } from "./failure.ts";
import { openFile, readJson, writeLarge } from "./files.ts";
import type { OpenFile } from "./files.ts";
import { planPermutation } from "./permute-plan.ts";
import type { Fused, PlanOptions, PlannedTensor } from "./permute-plan.ts";
import { readSafetensors } from "./safetensors.ts";

/** Options as the command line gives them. */
export interface PermuteCommandOptions extends PlanOptions {
  readonly config: string;
  readonly from: string;
  readonly to: string;
  readonly fused?: Fused;
  readonly force?: boolean;
}

/** The number of bytes in memory at once, in addition to one head of one projection. */
const CHUNK = 16 * 2 ** 20;

/** Called after every chunk, with numbers of bytes. */
export type Progress = (done: number, all: number) => void;

/**
 * Permutes and writes. `output` is written whole or not at all; with `--force` it may be the input.
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
  if (existsSync(output) && options.force !== true) {
    throw new CliFailure("OUTPUT", `${output} exists; give --force to replace it.`);
  }
  const config = readJson(options.config);

  const file = openFile(input);
  try {
    const header = readSafetensors(file);
    const plan = planPermutation(header, config, input, options);
    await writeLarge(output, async (handle) => {
      let at = 0;
      const tell = (end: number): void => progress((at = end), file.size);
      for (const tensor of plan.tensors) {
        await copy(file, handle, at, tensor.start, tell);
        await permuteTensor(file, handle, tensor, from, to, tell);
      }
      await copy(file, handle, at, file.size, tell);
    });
    const untouched = header.names.length - plan.tensors.length;
    return [
      `${plan.tensors.length} tensors from ${options.from} to ${options.to}, ${untouched} as they were → ${output}`,
      ...(plan.withoutRope === 0
        ? []
        : [`${plan.withoutRope} projections of layers without rope are among the latter.`]),
      ...(JSON.stringify(plan.published) === JSON.stringify(from)
        ? []
        : [
            `Published files of this family pair ${describe(plan.published)}, not ${options.from}: right only if this file was permuted before.`,
          ]),
    ];
  } finally {
    file.close();
  }
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

/** Writes the rows of one tensor: permutes the heads of its runs, copies the other rows. */
async function permuteTensor(
  file: OpenFile,
  handle: FileHandle,
  tensor: PlannedTensor,
  from: Pairing,
  to: Pairing,
  tell: (end: number) => void,
): Promise<void> {
  const { headDim, rotaryDim, rotaryOffset, rowBytes, rows, runs, start } = tensor;
  const headBytes = headDim * rowBytes;
  const most = Math.max(1, Math.floor(CHUNK / headBytes));
  let row = 0;
  for (const { firstRow, heads } of runs) {
    await copy(file, handle, start + row * rowBytes, start + firstRow * rowBytes, tell);
    for (let head = 0; head < heads; head += most) {
      const count = Math.min(most, heads - head);
      const at = start + firstRow * rowBytes + head * headBytes;
      const bytes = file.read(at, at + count * headBytes);
      await writeAll(handle, permuteRows(bytes, { headDim, rotaryDim, rotaryOffset, columns: rowBytes, from, to }), at);
      tell(at + bytes.length);
    }
    row = firstRow + heads * headDim;
  }
  await copy(file, handle, start + row * rowBytes, start + rows * rowBytes, tell);
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
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
