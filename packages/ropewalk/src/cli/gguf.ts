/** Reads the header of a GGUF file and the few tensors of its rope. */

import { resolve } from "node:path";
import type { GgufRopeTensors } from "@ropewalk/config";
import { CliFailure } from "./failure.ts";
import { withFile } from "./files.ts";

/** The parts of a GGUF file that describe its rope. */
export interface GgufFile {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: GgufRopeTensors;
}

const ropeTensors: readonly string[] = [
  "rope_freqs.weight",
  "rope_factors_long.weight",
  "rope_factors_short.weight",
] satisfies (keyof GgufRopeTensors)[];
/** The number of float32 in GGML's element types. Converters write these tensors as float32. */
const FLOAT32 = 0;

export const isGguf = (path: string): boolean => path.endsWith(".gguf");

/** Where a tensor lies in a file. */
export interface GgufTensorInfo {
  readonly name: string;
  /** The number of its element type in GGML. */
  readonly type: number;
  /** The axis whose elements lie side by side is the last one, as in other formats. */
  readonly shape: readonly number[];
  /** The byte of the file where it begins. */
  readonly start: number;
}

/** A GGUF file with the places of all its tensors. */
export interface GgufTensors extends GgufFile {
  readonly infos: readonly GgufTensorInfo[];
}

/** Reads header and rope tensors; the weights are not read. @throws CliFailure if it is not a readable GGUF file. */
export async function readGguf(path: string): Promise<GgufTensors> {
  const { magic, size } = withFile(path, (file) => ({
    magic: String.fromCharCode(...file.read(0, Math.min(4, file.size))),
    size: file.size,
  }));
  if (magic !== "GGUF") throw new CliFailure("FILE_FORMAT", `${path} is not a GGUF file: it does not start with GGUF.`);
  const { metadata, tensorInfos, tensorDataOffset, littleEndian } = await readHeader(path, size);
  const tensors: Record<string, Float32Array> = {};
  const infos: GgufTensorInfo[] = [];
  for (const { name, dtype, shape, offset } of tensorInfos) {
    const start = Number(tensorDataOffset + offset);
    infos.push({ name, type: dtype, shape: shape.map(Number).reverse(), start });
    if (!ropeTensors.includes(name)) continue;
    if (dtype !== FLOAT32) {
      throw new CliFailure("FILE_FORMAT", `${path} holds ${name} in an element type other than float32.`);
    }
    if (!littleEndian) throw new CliFailure("FILE_FORMAT", `${path} is big-endian; expected a little-endian file.`);
    const count = shape.reduce((product, length) => product * Number(length), 1);
    tensors[name] = withFile(path, (file) => new Float32Array(file.read(start, start + 4 * count).buffer));
  }
  return { metadata: metadata as unknown as Readonly<Record<string, unknown>>, tensors, infos };
}

async function readHeader(
  path: string,
  size: number,
): Promise<Awaited<ReturnType<(typeof import("@huggingface/gguf"))["gguf"]>>> {
  // Imported here, because it would slow down the start of every other command by a tenth of a second.
  const { gguf } = await import("@huggingface/gguf");
  // An absolute path, because the reader would fetch names that look like URLs.
  const header = await gguf(resolve(path), { allowLocalFile: true }).catch((error: unknown) => {
    const why =
      error instanceof RangeError || !(error instanceof Error)
        ? "it is cut off or damaged"
        : error.message.replaceAll(/\s+/g, " ");
    throw new CliFailure("FILE_FORMAT", `the header of ${path} cannot be read: ${why}.`);
  });
  // The reader gives zeros beyond the end of a file.
  const [, end] = header.tensorInfoByteRange;
  if (end > size) {
    throw new CliFailure(
      "FILE_FORMAT",
      `the header of ${path} does not end within the file's ${size} bytes: it is cut off or damaged.`,
    );
  }
  return header;
}
