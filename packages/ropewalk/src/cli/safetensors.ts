/**
 * `.safetensors` files: an 8-byte header length, a JSON header, raw little-endian row-major data.
 *
 * Reads the header and only the requested tensors: a tensor of a checkpoint of many GiB takes only its own bytes.
 *
 * Source: the format description of huggingface/safetensors.
 */

import { CliFailure } from "./failure.ts";
import type { OpenFile } from "./files.ts";
import { parseHeader } from "./safetensors-header.ts";
import { storedArray, storedBytes } from "./stored-tensor.ts";
import type { DescribedTensor, StoredTensor, StoredType } from "./stored-tensor.ts";

/** The contents of a header. */
export interface SafetensorsHeader {
  /** Free text by name. It is copied to results. */
  readonly metadata: Readonly<Record<string, string>> | undefined;
  readonly names: readonly string[];
  /** The byte of the file where data begins. */
  readonly dataStart: number;
  /** The place of a tensor in the file. The tensor is not read, so its element type need not exist in JavaScript. */
  extent(name: string): TensorExtent;
  /**
   * Reads one tensor, after `check` has seen its description. @throws CliFailure if there is no tensor of this name, or
   * if it does not fit its description in the header.
   */
  tensor(name: string, check?: (described: DescribedTensor) => void): StoredTensor;
}

/** The place of a tensor; `start` and `end` are bytes of the file. */
export interface TensorExtent {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

const types: Readonly<Record<string, StoredType>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  I64: "int64",
  U64: "uint64",
  I32: "int32",
  U32: "uint32",
  I16: "int16",
  U16: "uint16",
  I8: "int8",
  U8: "uint8",
};

/**
 * A header of 100 000 tensors has 12 MB. The reference implementation admits 100 MB, of which a reader makes a multiple in
 * memory.
 */
const largestHeader = 33_554_432;

export function readSafetensors(file: OpenFile): SafetensorsHeader {
  const fail = (text: string): never => {
    throw new CliFailure("FILE_FORMAT", `${file.path} ${text}.`);
  };
  if (file.size < 8) fail("is not a .safetensors file: it has fewer than 8 bytes");
  const length = Number(new DataView(file.read(0, 8).buffer).getBigUint64(0, true));
  if (length > file.size - 8) {
    fail("is not a .safetensors file, or is cut off: its header would be longer than the file");
  }
  if (length > largestHeader) fail(`has a header of ${length} bytes; at most ${largestHeader} are read`);
  const { metadata, tensors } = parseHeader(file.read(8, 8 + length), fail);

  const dataStart = 8 + length;
  const extent = (name: string): TensorExtent => {
    const entry = tensors.get(name);
    if (entry === undefined) return fail(`has no tensor ${JSON.stringify(name)}; it has ${list([...tensors.keys()])}`);
    const { dtype, shape, start, end } = entry;
    if (end < start || dataStart + end > file.size) {
      return fail(
        `says that ${JSON.stringify(name)} lies at bytes ${start} to ${end} of ${file.size - dataStart}; it is cut off or damaged`,
      );
    }
    return { dtype, shape, start: dataStart + start, end: dataStart + end };
  };
  const tensor: SafetensorsHeader["tensor"] = (name, check) => {
    const { dtype, end, shape, start } = extent(name);
    const type = types[dtype];
    if (type === undefined) {
      return fail(`holds ${JSON.stringify(name)} as ${dtype}; known are ${Object.keys(types).join(", ")}`);
    }
    if (end - start !== storedBytes(type, shape)) {
      return fail(
        `gives ${JSON.stringify(name)} ${end - start} bytes, but [${shape.join(", ")}] of ${type} needs ${storedBytes(type, shape)}`,
      );
    }
    check?.({ dtype: type, shape });
    return { dtype: type, shape, data: storedArray(type, file.read(start, end)) };
  };
  return { metadata, names: [...tensors.keys()], dataStart, extent, tensor };
}

/** The bytes of a file with these tensors, in parts that share memory with them. */
export function safetensorsParts(
  tensors: Readonly<Record<string, StoredTensor>>,
  metadata: Readonly<Record<string, string>> | undefined,
): Uint8Array[] {
  const entries: [string, unknown][] = metadata === undefined ? [] : [["__metadata__", metadata]];
  // Wide elements first, as the reference implementation orders them: every tensor is then aligned.
  const ordered = Object.entries(tensors).sort(([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT);
  let end = 0;
  for (const [name, { dtype, shape, data }] of ordered) {
    const code = Object.keys(types).find((key) => types[key] === dtype);
    entries.push([name, { dtype: code, shape, data_offsets: [end, (end += data.byteLength)] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  // Padded with spaces, so that data begins at a multiple of 8.
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(json, 8);
  return [header, ...ordered.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))];
}

const list = (names: readonly string[]): string =>
  names.length === 0
    ? "none"
    : names.length > 8
      ? `${names.slice(0, 8).join(", ")}, … (${names.length})`
      : names.join(", ");
