/**
 * NumPy's `.npy` files, format versions 1.0 to 3.0: little-endian, C order.
 *
 * Files that would need a conversion (big-endian, Fortran order, objects, strings) are refused, because results are
 * written with the header and element type of the input.
 *
 * Source: NumPy Enhancement Proposal 1 and `numpy.lib.format`.
 */

import { CliFailure } from "./failure.ts";
import type { OpenFile } from "./files.ts";
import { parseNpyHeader } from "./npy-header.ts";
import { elementCount, storedArray, storedBytes } from "./stored-tensor.ts";
import type { DescribedTensor, StoredTensor, StoredType } from "./stored-tensor.ts";

/** A tensor with the header bytes of its file. */
export interface NpyFile extends StoredTensor {
  readonly header: Uint8Array;
}

const types: ReadonlyMap<string, StoredType> = new Map([
  ["<f8", "float64"],
  ["<f4", "float32"],
  ["<f2", "float16"],
  ["<i8", "int64"],
  ["<u8", "uint64"],
  ["<i4", "int32"],
  ["<u4", "uint32"],
  ["<i2", "int16"],
  ["<u2", "uint16"],
  ["|i1", "int8"],
  ["|u1", "uint8"],
]);

/** The header of a plain array takes some 100 bytes; versions 2 and 3 admit 4 GiB for the names of records. */
const largestHeader = 65_535;

/**
 * @param check sees the description of the array before its elements are read.
 * @throws CliFailure unless the file holds exactly one little-endian C-order array of numbers.
 */
export function readNpy(file: OpenFile, check?: (described: DescribedTensor) => void): NpyFile {
  const fail = (text: string): never => {
    throw new CliFailure("FILE_FORMAT", `${file.path} ${text}.`);
  };
  const start = file.read(0, Math.min(12, file.size));
  if (start.length < 10 || start[0] !== 0x93 || latin1(start.subarray(1, 6)) !== "NUMPY") {
    fail("is not an .npy file: it does not begin with \\x93NUMPY");
  }
  const version = start[6]!;
  if (version < 1 || version > 3) fail(`has .npy format version ${version}, known are 1 to 3`);
  const prefix = version === 1 ? 10 : 12;
  if (start.length < prefix) fail("is cut off inside its header");
  const view = new DataView(start.buffer);
  const headerLength = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (headerLength > largestHeader) fail(`has a header of ${headerLength} bytes; at most ${largestHeader} are read`);
  const dataStart = prefix + headerLength;
  if (dataStart > file.size) fail("is cut off inside its header");
  const header = file.read(0, dataStart);

  const { descr, isFortranOrder, shape } = parseNpyHeader(latin1(header.subarray(prefix)), fail);
  const dtype = types.get(descr);
  if (dtype === undefined) return fail(refusal(descr));
  if (isFortranOrder && shape.length > 1) fail("is in Fortran order; save numpy.ascontiguousarray(a) instead");

  const expected = dataStart + storedBytes(dtype, shape);
  if (file.size !== expected) {
    fail(
      `has ${file.size} bytes, but ${elementCount(shape)} elements of ${dtype} need ${expected}: it is cut off or damaged`,
    );
  }
  check?.({ dtype, shape });
  return { header, dtype, shape, data: storedArray(dtype, file.read(dataStart, expected)) };
}

function refusal(descr: string): string {
  if (descr.startsWith(">")) return `is big-endian (${descr}); save a.astype(a.dtype.newbyteorder("<")) instead`;
  if (/^[<|]V2$/.test(descr)) return "holds 16-bit raw data, as NumPy saves bfloat16; store bfloat16 as .safetensors";
  return `has elements of type ${JSON.stringify(descr)}; known are ${[...types.keys()].join(", ")}`;
}

const latin1 = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes);
