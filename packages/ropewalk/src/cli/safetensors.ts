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
import type { HeaderEntry } from "./safetensors-header.ts";
import { elementCount, storedArray } from "./stored-tensor.ts";
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

/** Types that arrays of JavaScript hold, 16-bit floats as their bits. */
const types: ReadonlyMap<string, StoredType> = new Map([
  ["F64", "float64"],
  ["F32", "float32"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
  ["I64", "int64"],
  ["U64", "uint64"],
  ["I32", "int32"],
  ["U32", "uint32"],
  ["I16", "int16"],
  ["U16", "uint16"],
  ["I8", "int8"],
  ["U8", "uint8"],
]);

/** Bits of an element of every type of the format; F4 and F6 are packed. Source: `Dtype` of safetensors 0.7. */
const elementBits: ReadonlyMap<string, number> = new Map(
  Object.entries({
    ...{ F64: 64, F32: 32, F16: 16, BF16: 16, F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8 },
    ...{ I64: 64, U64: 64, I32: 32, U32: 32, I16: 16, U16: 16, I8: 8, U8: 8, BOOL: 8, C64: 64 },
    ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
  }),
);

/**
 * Bytes of a header that are read. One of 100 000 tensors has 12 MB. The reference implementation admits 100 MB, of
 * which a reader makes a multiple in memory.
 */
const largestHeader = 25_000_000;

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
  checkEntries(tensors, file.size - dataStart, fail);
  const extent = (name: string): TensorExtent => {
    const entry = tensors.get(name);
    if (entry === undefined) return fail(`has no tensor ${JSON.stringify(name)}; it has ${list([...tensors.keys()])}`);
    const { dtype, shape, start, end } = entry;
    return { dtype, shape, start: dataStart + start, end: dataStart + end };
  };
  const tensor: SafetensorsHeader["tensor"] = (name, check) => {
    const { dtype, end, shape, start } = extent(name);
    const type = types.get(dtype);
    if (type === undefined) {
      return fail(`holds ${JSON.stringify(name)} as ${dtype}; known are ${[...types.keys()].join(", ")}`);
    }
    check?.({ dtype: type, shape });
    return { dtype: type, shape, data: storedArray(type, file.read(start, end)) };
  };
  return { metadata, names: [...tensors.keys()], dataStart, extent, tensor };
}

/**
 * What the reference implementation refuses: element types that it does not know, tensors that do not fill their bytes,
 * and bytes that belong to no tensor or to two.
 */
function checkEntries(tensors: ReadonlyMap<string, HeaderEntry>, size: number, fail: (what: string) => never): void {
  const ordered = [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  let last: string | undefined;
  let at = 0;
  for (const [name, { dtype, end, shape, start }] of ordered) {
    const bits = elementBits.get(dtype);
    if (bits === undefined) {
      return fail(
        `holds ${JSON.stringify(name)} as ${JSON.stringify(dtype)}; known are ${[...elementBits.keys()].join(", ")}`,
      );
    }
    if (end < start || end > size) {
      fail(`says that ${JSON.stringify(name)} lies at bytes ${start} to ${end} of ${size}; it is cut off or damaged`);
    }
    const bytes = (elementCount(shape) * bits) / 8;
    if (bytes !== end - start) {
      fail(`gives ${JSON.stringify(name)} ${end - start} bytes, but [${shape.join(", ")}] of ${dtype} needs ${bytes}`);
    }
    if (start < at) fail(`lets ${last} and ${name} lie over each other`);
    if (start > at) fail(`has ${start - at} bytes before ${JSON.stringify(name)} that belong to no tensor`);
    [last, at] = [name, end];
  }
  if (at !== size) fail(`has ${size - at} bytes at its end that belong to no tensor`);
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
    const [code] = [...types].find(([, type]) => type === dtype)!;
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
