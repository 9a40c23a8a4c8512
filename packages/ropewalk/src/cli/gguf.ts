/**
 * Reads the header of a GGUF file and the few tensors of its rope.
 *
 * The file is read in small windows, and every count is compared with the bytes that are left before anything is made
 * for it. Values that say nothing about a rope (vocabularies, templates) are passed over.
 *
 * Source: docs/gguf.md of ggml-org/ggml, versions 1 to 3 of the format.
 */

import type { GgufRopeTensors } from "@ropewalk/config";
import { CliFailure } from "./failure.ts";
import { withFile } from "./files.ts";
import type { OpenFile } from "./files.ts";

/** The parts of a GGUF file that describe its rope. */
export interface GgufFile {
  /** The key/values that may describe a rope. 64-bit integers are bigints; long texts are cut. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: GgufRopeTensors;
}

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

const ropeTensors: readonly string[] = [
  "rope_freqs.weight",
  "rope_factors_long.weight",
  "rope_factors_short.weight",
] satisfies (keyof GgufRopeTensors)[];
/** The number of float32 in GGML's element types. Converters write these tensors as float32. */
const FLOAT32 = 0;

/** The most of each thing that is read. Files of models have some 100 keys and 2000 tensors (docs/limits.md). */
const most = {
  keys: 100_000,
  tensors: 65_536,
  /** Values of one list. */
  list: 65_536,
  /** Values of all lists that are kept. */
  values: 262_144,
  /** Bytes of a key, or of the name of a tensor. GGML's own limit for tensors is 63. */
  name: 256,
  /** Bytes of a text that are kept. */
  text: 256,
  axes: 4,
  /** Elements of a rope's tensor: more than a head has. */
  factors: 65_536,
};

export const isGguf = (path: string): boolean => path.endsWith(".gguf");

/** Reads header and rope tensors; the weights are not read. @throws CliFailure if it is not a readable GGUF file. */
// Asynchronous because the command is, whatever the file's format.
export async function readGguf(path: string): Promise<GgufTensors> {
  return withFile(path, readOpenGguf);
}

function readOpenGguf(file: OpenFile): GgufTensors {
  const { path } = file;
  const header = new Header(file);
  header.readVersion();
  const [tensorCount, keyCount] = [header.size(), header.size()];
  header.checkCount("key/values", keyCount, most.keys, header.width + 4 + 1);
  header.checkCount("tensors", tensorCount, most.tensors, header.width + 4 + 4 + 8);
  const metadata: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  const seen = new Set<string>();
  for (let i = 0; i < keyCount; i++) {
    const key = header.name();
    if (seen.has(key)) header.fail(`states ${key} twice`);
    seen.add(key);
    const value = header.value(key, isKept(key));
    if (value !== undefined) metadata[key] = value;
  }
  const found = Array.from({ length: tensorCount }, () => header.tensor());
  const alignment = metadata["general.alignment"] ?? 32;
  if (typeof alignment !== "number" || !Number.isSafeInteger(alignment) || alignment < 1) {
    return header.fail("aligns its tensors to something that is no size");
  }
  const dataStart = Math.ceil(header.at / alignment) * alignment;
  const infos = found.map(({ offset, ...info }): GgufTensorInfo => ({ ...info, start: dataStart + offset }));

  const tensors: Record<string, Float32Array> = {};
  for (const { name, shape, start, type } of infos) {
    if (!ropeTensors.includes(name)) continue;
    if (type !== FLOAT32) {
      throw new CliFailure("FILE_FORMAT", `${path} holds ${name} in an element type other than float32.`);
    }
    if (!header.littleEndian) {
      throw new CliFailure("FILE_FORMAT", `${path} is big-endian; expected a little-endian file.`);
    }
    const count = shape.reduce((product, length) => product * length, 1);
    if (count > most.factors) header.fail(`holds ${count} values in ${name}; at most ${most.factors} are read`);
    tensors[name] = new Float32Array(file.read(start, start + 4 * count).buffer);
  }
  return { metadata, tensors, infos };
}

/** Whether a key may say something about a rope, or about the file. The others may hold megabytes. */
function isKept(key: string): boolean {
  if (key === "general.architecture" || key === "general.alignment") return true;
  return !key.startsWith("general.") && !key.startsWith("tokenizer.");
}

/** Types of values by their number in the format, with their bytes. */
const scalars: ReadonlyMap<number, readonly [bytes: number, read: (view: DataView, little: boolean) => unknown]> =
  new Map([
    [0, [1, (view) => view.getUint8(0)]],
    [1, [1, (view) => view.getInt8(0)]],
    [2, [2, (view, little) => view.getUint16(0, little)]],
    [3, [2, (view, little) => view.getInt16(0, little)]],
    [4, [4, (view, little) => view.getUint32(0, little)]],
    [5, [4, (view, little) => view.getInt32(0, little)]],
    [6, [4, (view, little) => view.getFloat32(0, little)]],
    [7, [1, (view) => view.getUint8(0) !== 0]],
    [10, [8, (view, little) => view.getBigUint64(0, little)]],
    [11, [8, (view, little) => view.getBigInt64(0, little)]],
    [12, [8, (view, little) => view.getFloat64(0, little)]],
  ]);
const TEXT = 8;
const LIST = 9;

const isZero = (bytes: Uint8Array, at: number): boolean =>
  bytes[at] === 0 && bytes[at + 1] === 0 && bytes[at + 2] === 0 && bytes[at + 3] === 0;

/** Bytes that are read at once. */
const WINDOW = 2 ** 16;

/** Reads a header from its first byte to its last. */
class Header {
  readonly #file: OpenFile;
  #window = new Uint8Array(0);
  #windowStart = 0;
  #kept = 0;
  /** The next byte. */
  at = 0;
  littleEndian = true;
  /** Bytes of a count. */
  width: 4 | 8 = 8;

  constructor(file: OpenFile) {
    this.#file = file;
  }

  fail(what: string): never {
    throw new CliFailure("FILE_FORMAT", `${this.#file.path} ${what}.`);
  }

  /** Reads the first bytes: what they say about the others. */
  readVersion(): void {
    const { size } = this.#file;
    if (size < 4 || new TextDecoder().decode(this.#bytes(4)) !== "GGUF") {
      this.fail("is not a GGUF file: it does not start with GGUF");
    }
    const view = this.#view(4);
    // Read the other way round, the version of a big-endian file is a large number.
    this.littleEndian = view.getUint32(0, true) <= 0xffff;
    const version = view.getUint32(0, this.littleEndian);
    if (version < 1 || version > 3) this.fail(`has version ${version} of the format; known are 1 to 3`);
    if (version === 1) this.width = 4;
  }

  /** A count, or a number of bytes. */
  size(): number {
    const view = this.#view(this.width);
    const size = this.width === 4 ? view.getUint32(0, this.littleEndian) : view.getBigUint64(0, this.littleEndian);
    return Number(size);
  }

  /** A count has to fit into the bytes that are left. */
  checkCount(what: string, count: number, limit: number, bytes: number): void {
    if (count * bytes > this.#file.size - this.at) {
      this.fail(`claims ${count} ${what}, more than its bytes can hold: it is cut off or damaged`);
    }
    if (count > limit) this.fail(`holds ${count} ${what}; at most ${limit} are read`);
  }

  name(): string {
    const length = this.size();
    if (length > most.name) this.fail(`has a name of ${length} bytes; at most ${most.name} are read`);
    return new TextDecoder().decode(this.#bytes(length));
  }

  /** A value; `undefined` if it is not kept. */
  value(key: string, isKept: boolean): unknown {
    const type = this.#uint32();
    if (type !== LIST) return this.#single(key, type, isKept);
    const element = this.#uint32();
    const count = this.size();
    const bytes = element === TEXT ? this.width : scalars.get(element)?.[0];
    if (bytes === undefined) return this.fail(`has a list of the unknown type ${element} in ${key}`);
    this.checkCount(`values of ${key}`, count, isKept ? most.list : Infinity, bytes);
    if (!isKept) {
      if (element !== TEXT) this.#skip(count * bytes);
      else this.#skipTexts(count);
      return undefined;
    }
    this.#kept += count;
    if (this.#kept > most.values) this.fail(`has lists of more than ${most.values} values`);
    return Array.from({ length: count }, () => this.#single(key, element, true));
  }

  /** @returns the place of a tensor, with its offset from the start of the data. */
  tensor(): Omit<GgufTensorInfo, "start"> & { readonly offset: number } {
    const name = this.name();
    const axes = this.#uint32();
    if (axes > most.axes) this.fail(`gives ${name} ${axes} axes; at most ${most.axes} are read`);
    const shape = Array.from({ length: axes }, () => this.size()).reverse();
    const type = this.#uint32();
    const offset = Number(this.#view(8).getBigUint64(0, this.littleEndian));
    if (![...shape, offset].every(Number.isSafeInteger)) this.fail(`places ${name} beyond any file`);
    return { name, type, shape, offset };
  }

  #single(key: string, type: number, isKept: boolean): unknown {
    if (type === TEXT) {
      const length = this.size();
      if (!isKept) return this.#skip(length);
      const text = new TextDecoder().decode(this.#bytes(Math.min(length, most.text)));
      if (length <= most.text) return text;
      this.#skip(length - most.text);
      return `${text}…`;
    }
    const [bytes, read] = scalars.get(type) ?? this.fail(`has a value of the unknown type ${type} in ${key}`);
    return read(this.#view(bytes), this.littleEndian);
  }

  #uint32(): number {
    return this.#view(4).getUint32(0, this.littleEndian);
  }

  /** A view of the next bytes, until the next call. */
  #view(length: number): DataView {
    const bytes = this.#bytes(length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  #skip(length: number): undefined {
    this.#requireLeft(length);
    this.at += length;
  }

  /** Vocabularies have 10^5 texts and more, so only their lengths are looked at. */
  #skipTexts(count: number): void {
    for (let i = 0; i < count; i++) {
      const start = this.at - this.#windowStart;
      if (start + 8 > this.#window.length || !this.littleEndian || this.width === 4) {
        this.#skip(this.size());
        continue;
      }
      const window = this.#window;
      // Longer texts go the long way.
      const isShort = window[start + 2] === 0 && window[start + 3] === 0 && isZero(window, start + 4);
      const length = isShort ? window[start]! + 256 * window[start + 1]! : 0;
      if (isShort && this.at + 8 + length <= this.#file.size) this.at += 8 + length;
      else this.#skip(this.size());
    }
  }

  #requireLeft(length: number): void {
    const { size } = this.#file;
    if (length <= size - this.at) return;
    this.fail(`does not have its whole header within its ${size} bytes: it is cut off or damaged`);
  }

  /** The next bytes, until the next call. */
  #bytes(length: number): Uint8Array<ArrayBuffer> {
    this.#requireLeft(length);
    const start = this.at - this.#windowStart;
    this.at += length;
    if (start + length <= this.#window.length) return this.#window.subarray(start, start + length);
    this.#windowStart = this.at - length;
    const end = Math.min(this.#file.size, this.#windowStart + Math.max(length, WINDOW));
    this.#window = this.#file.read(this.#windowStart, end);
    return this.#window.subarray(0, length);
  }
}
