/** The tensors of a model, in one `.safetensors` file, in all shards of an index, or in a GGUF file. */

import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { CliFailure } from "../failure.ts";
import { openFile, readJson } from "../files.ts";
import type { OpenFile } from "../files.ts";
import { isGguf, readGguf } from "../gguf.ts";
import type { GgufTensors } from "../gguf.ts";
import { readSafetensors } from "../safetensors.ts";
import type { Naming } from "./names.ts";

/** A tensor in a file; `start` and `end` are bytes of the file. */
export interface SourceTensor {
  readonly name: string;
  /** The file, for messages. */
  readonly path: string;
  /** The index of the file. */
  readonly file: number;
  readonly dtype: string;
  /** Row-major. */
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
  /** Its rows cannot be moved, or are not known to be movable. */
  readonly packed: boolean;
}

/** The files of a model, open for reading. */
export interface Source {
  readonly naming: Naming;
  readonly files: readonly OpenFile[];
  /** The names of the files in the result, where it is a folder. */
  readonly names: readonly string[];
  readonly tensors: readonly SourceTensor[];
  /** The index file; its result is a folder with the same bytes for the index. */
  readonly index: string | undefined;
  /** Header and rope tensors of a GGUF file. */
  readonly gguf: GgufTensors | undefined;
  close(): void;
}

/** Element types whose rows can be moved. The others are packed, or are quantised weights. */
const movable = new Set(["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"]);

/**
 * GGML's element types by number: the elements of a block, and its bytes. Blocks lie along the rows of a projection, so
 * a row of whole blocks can be moved as it is.
 *
 * Source: `GGML_QUANT_SIZES` of gguf-py 0.19. Types that no file stores are left out.
 */
const ggmlTypes: ReadonlyMap<number, readonly [name: string, elements: number, bytes: number]> = new Map([
  [0, ["F32", 1, 4]],
  [1, ["F16", 1, 2]],
  [2, ["Q4_0", 32, 18]],
  [3, ["Q4_1", 32, 20]],
  [6, ["Q5_0", 32, 22]],
  [7, ["Q5_1", 32, 24]],
  [8, ["Q8_0", 32, 34]],
  [10, ["Q2_K", 256, 84]],
  [11, ["Q3_K", 256, 110]],
  [12, ["Q4_K", 256, 144]],
  [13, ["Q5_K", 256, 176]],
  [14, ["Q6_K", 256, 210]],
  [15, ["Q8_K", 256, 292]],
  [16, ["IQ2_XXS", 256, 66]],
  [17, ["IQ2_XS", 256, 74]],
  [18, ["IQ3_XXS", 256, 98]],
  [19, ["IQ1_S", 256, 50]],
  [20, ["IQ4_NL", 32, 18]],
  [21, ["IQ3_S", 256, 110]],
  [22, ["IQ2_S", 256, 82]],
  [23, ["IQ4_XS", 256, 136]],
  [24, ["I8", 1, 1]],
  [25, ["I16", 1, 2]],
  [26, ["I32", 1, 4]],
  [27, ["I64", 1, 8]],
  [28, ["F64", 1, 8]],
  [29, ["IQ1_M", 256, 56]],
  [30, ["BF16", 1, 2]],
  [34, ["TQ1_0", 256, 54]],
  [35, ["TQ2_0", 256, 66]],
  [39, ["MXFP4", 32, 17]],
  [40, ["NVFP4", 64, 36]],
  [41, ["Q1_0", 128, 18]],
]);

/** @throws CliFailure if a file cannot be read, or if its tensors do not fit their descriptions or each other. */
export async function openSource(input: string): Promise<Source> {
  const index = indexOf(input);
  const opened: (OpenFile & { close(): void })[] = [];
  const close = (): void => opened.forEach((file) => file.close());
  try {
    if (index !== undefined) {
      const { names, placed } = readIndex(index);
      const tensors = names.flatMap((name, i) => {
        const file = openFile(join(dirname(index), name));
        opened.push(file);
        return safetensorsOf(file, i);
      });
      checkPlaces(index, names, placed, tensors);
      checkTensors(tensors);
      return { naming: "safetensors", files: opened, names, tensors, index, gguf: undefined, close };
    }
    checkWhole(input);
    const gguf = isGguf(input) ? await readGguf(input) : undefined;
    const file = openFile(input);
    opened.push(file);
    const tensors = gguf === undefined ? safetensorsOf(file, 0) : ggufTensorsOf(file, gguf);
    checkTensors(tensors);
    const naming = gguf === undefined ? "safetensors" : "gguf";
    return { naming, files: opened, names: [], tensors, index, gguf, close };
  } catch (error) {
    close();
    throw error;
  }
}

const indexName = ".safetensors.index.json";

/** The index that a path names: itself, or that of a folder. */
function indexOf(input: string): string | undefined {
  if (input.endsWith(indexName)) return input;
  if (statSync(input, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  const found = readdirSync(input).filter((name) => name.endsWith(indexName));
  if (found.length === 1) return join(input, found[0]!);
  throw new CliFailure(
    "USAGE",
    `the folder ${input} has ${found.length === 0 ? "no" : "more than one"} *${indexName}: name the index, or the .safetensors file.`,
  );
}

/** A shard may have all queries and keys, and another one their norms. */
function checkWhole(input: string): void {
  const count = Number(/-\d+-of-(\d+)\.safetensors$/.exec(input)?.[1] ?? 1);
  if (count > 1) {
    throw new CliFailure(
      "USAGE",
      `${input} is one of ${count} files of a model, by its name: give their index (*${indexName}), so that all are permuted alike.`,
    );
  }
}

interface Index {
  /** Names of files beside the index, each once. */
  readonly names: readonly string[];
  /** The file of each tensor. */
  readonly placed: ReadonlyMap<string, string>;
}

function readIndex(path: string): Index {
  const value = readJson(path);
  const map = isRecord(value) && Object.hasOwn(value, "weight_map") ? value["weight_map"] : undefined;
  if (!isRecord(map)) {
    throw new CliFailure("FILE_FORMAT", `${path} has no weight_map, which says in which file each tensor lies.`);
  }
  const placed = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== "string" || !/^[^/\\\0]+\.safetensors$/.test(file)) {
      throw new CliFailure(
        "FILE_FORMAT",
        `${path} places ${name} in ${JSON.stringify(file)}; expected the name of a .safetensors file beside it.`,
      );
    }
    placed.set(name, file);
  }
  if (placed.size === 0) throw new CliFailure("FILE_FORMAT", `${path} places no tensor.`);
  return { names: [...new Set(placed.values())].sort(), placed };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The index and the shards have to say the same. */
function checkPlaces(
  index: string,
  names: readonly string[],
  placed: ReadonlyMap<string, string>,
  tensors: readonly SourceTensor[],
): void {
  const found = new Map<string, string>();
  for (const { name, file, path } of tensors) {
    const place = names[file]!;
    if (placed.get(name) !== place) {
      const says = placed.get(name);
      throw new CliFailure(
        "FILE_FORMAT",
        `${path} holds ${name}, which ${index} ${says === undefined ? "does not name" : `places in ${says}`}.`,
      );
    }
    found.set(name, place);
  }
  for (const [name, place] of placed) {
    if (!found.has(name)) {
      throw new CliFailure("FILE_FORMAT", `${index} places ${name} in ${place}, which does not have it.`);
    }
  }
}

function safetensorsOf(file: OpenFile, index: number): SourceTensor[] {
  const header = readSafetensors(file);
  return header.names.map((name) => {
    const { dtype, shape, start, end } = header.extent(name);
    return { name, path: file.path, file: index, dtype, shape, start, end, packed: !movable.has(dtype) };
  });
}

function ggufTensorsOf(file: OpenFile, { infos, metadata }: GgufTensors): SourceTensor[] {
  const parts = Number(metadata["split.count"] ?? 1);
  if (parts > 1) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${file.path} is one of ${parts} parts of a model: merge them first (llama-gguf-split --merge).`,
    );
  }
  return infos.map(({ name, shape, start, type }) => {
    const known = ggmlTypes.get(type);
    if (known === undefined) {
      throw new CliFailure(
        "FILE_FORMAT",
        `${file.path} holds ${name} in the element type ${type} of GGML, which is not known: where the tensor ends is not clear.`,
      );
    }
    const [dtype, elements, size] = known;
    const blocks = shape.reduce((product, length) => product * length, 1) / elements;
    const end = start + blocks * size;
    if ((shape.at(-1) ?? 1) % elements !== 0 || !Number.isSafeInteger(end)) {
      throw new CliFailure(
        "FILE_FORMAT",
        `${file.path} gives ${name} the shape [${shape.join(", ")}]; rows of ${dtype} are a multiple of ${elements}.`,
      );
    }
    if (end > file.size) {
      throw new CliFailure(
        "FILE_FORMAT",
        `${file.path} ends at byte ${file.size}, but ${name} at byte ${end}: the file is cut off or damaged.`,
      );
    }
    return { name, path: file.path, file: 0, dtype, shape, start, end, packed: /^I\d/.test(dtype) };
  });
}

/** Names of models have up to 150 characters. The parts of a name are looked at in each other. */
const longestName = 512;

/** No name twice, and no two tensors over each other: a moved row would change another tensor. */
function checkTensors(tensors: readonly SourceTensor[]): void {
  const seen = new Map<string, SourceTensor>();
  for (const tensor of tensors) {
    if (tensor.name.length > longestName) {
      throw new CliFailure(
        "FILE_FORMAT",
        `${tensor.path} has a tensor whose name has ${tensor.name.length} characters; at most ${longestName} are read.`,
      );
    }
    const other = seen.get(tensor.name);
    if (other !== undefined) {
      throw new CliFailure("FILE_FORMAT", `${tensor.path} holds ${tensor.name}, and so does ${other.path}.`);
    }
    seen.set(tensor.name, tensor);
  }
  const ordered = tensors
    .filter(({ start, end }) => end > start)
    .toSorted((a, b) => a.file - b.file || a.start - b.start);
  ordered.forEach((tensor, i) => {
    const next = ordered[i + 1];
    if (next !== undefined && next.file === tensor.file && next.start < tensor.end) {
      throw new CliFailure("FILE_FORMAT", `${tensor.path} lets ${tensor.name} and ${next.name} lie over each other.`);
    }
  });
}
