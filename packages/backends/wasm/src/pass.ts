/**
 * The pass from projection to cache with the WebAssembly kernel.
 *
 * Tensors in the memory of the kernels are read and written where they lie. Others are copied through it in pieces
 * that stay in the processor's cache. Core executes what the kernel cannot: float64, scattered elements, 8-bit input,
 * heads of more than 1024 elements.
 */

import { loadWeight, passTask } from "@ropewalk/core/pass";
import type { CacheLayout, PassTask, PassTensor } from "@ropewalk/core/pass";
import {
  areas,
  PASS_FACTORS,
  PASS_ONES,
  PASS_ROWS,
  PASS_SCALES,
  PASS_WEIGHTS,
  PIECE_BYTES,
  TABLE_BYTES,
} from "./kernel.ts";
import { memoryAt } from "./kernel-memory.ts";
import type { KernelMemory } from "./kernel.ts";

/** The most tokens of one call of the kernel: their rows and factors have room for as many. */
const MOST_TOKENS = 1024;
/** The largest head: two of them and its cos and sin fit the scratch memory. */
const MOST_ELEMENTS = 1024;
/** A row that is left out. */
const NO_ROW = 0xffffffff;

/** Executes tasks. `home` is the memory for copies of tensors outside arenas. */
export function runPass(home: KernelMemory, tasks: readonly PassTask[]): void {
  for (const task of tasks) {
    const { input, output } = task;
    const memory = memoryAt(input.layout.data.buffer) ?? memoryAt(output.layout.data.buffer) ?? home;
    if (!runTask(memory, task)) passTask(task);
  }
}

/** The kernel's number of an element type; `undefined` for float64. */
function typeNumber(dtype: CacheLayout["dtype"]): number | undefined {
  if (dtype === "float32") return 0;
  if (dtype === "float16") return 1;
  if (dtype === "bfloat16") return 2;
  return dtype === "int8" ? 4 : dtype === "float8_e4m3" ? 5 : undefined;
}

/** Executes a task; `false` for one that the kernel cannot do. */
function runTask(memory: KernelMemory, task: PassTask): boolean {
  const { input, output, headDim, rotaryDim, norm } = task;
  const sourceType = typeNumber(input.layout.dtype);
  const targetType = typeNumber(output.layout.dtype);
  if (sourceType === undefined || sourceType > 2 || targetType === undefined || headDim > MOST_ELEMENTS) return false;
  if (input.layout.elementStride !== 1 || output.layout.elementStride !== 1) return false;
  const weight = norm?.weight;
  if (weight !== undefined && weight.headDim * 4 > PASS_WEIGHTS) return false;
  const rows = rotaryDim === 0 ? MOST_TOKENS : Math.min(MOST_TOKENS, Math.floor(TABLE_BYTES / (rotaryDim * 4)));
  if (isHere(memory, input) && (input === output || isHere(memory, output))) {
    loadSettings(memory, task, sourceType, targetType);
    runHere(memory, task, rows);
    return true;
  }
  return runCopies(memory, task, sourceType, targetType, rows);
}

/** Whether a tensor without slots lies in the memory, with its scales. */
const isHere = (memory: KernelMemory, { layout, rows, scales }: PassTensor): boolean =>
  rows === undefined &&
  layout.data.buffer === memory.buffer &&
  (scales === undefined || scales.layout.data.buffer === memory.buffer);

/** Loads what is the same for all tokens of a task. */
function loadSettings(memory: KernelMemory, task: PassTask, sourceType: number, targetType: number): void {
  const { norm, heads, headDim, rotaryDim, output } = task;
  const { words, floats } = memory.arguments;
  const weight = norm?.weight;
  const weights = areas.pass + PASS_FACTORS + MOST_TOKENS * 4;
  if (weight !== undefined) loadWeight(norm!, memory.float32, weights / 4);
  words[1] = heads;
  words[2] = headDim;
  words[3] = task.rotaryOffset;
  words[4] = task.blocks;
  words[5] = rotaryDim / 2 / task.blocks;
  words[8] = areas.scratch;
  words[9] = norm === undefined ? 0 : norm.after ? 2 : 1;
  words[10] = norm?.overHeads === true ? 1 : 0;
  floats[11] = norm?.epsilon ?? 0;
  words[12] = weight === undefined ? areas.pass + PASS_ONES : weights;
  words[13] = weight !== undefined && norm?.overHeads === true ? headDim * 4 : 0;
  words[15] = sourceType;
  words[22] = targetType;
  floats[29] = output.scale;
}

/** The usual call: tensors that lie in the memory, each token at its stride. */
function runHere(memory: KernelMemory, task: PassTask, rows: number): void {
  const { input, output, batch, tokens } = task;
  const { words } = memory.arguments;
  const { scales } = output;
  const source = describeHere(words, 16, input, bytesOf(input));
  const target = describeHere(words, 23, output, bytesOf(output));
  const scale = scales === undefined ? 0 : scales.layout.data.byteOffset + scales.layout.offset * 4;
  if (scales !== undefined) {
    words[31] = 0;
    words[32] = scales.layout.tokenStride * 4;
    words[33] = scales.layout.headStride * 4;
  }
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t += rows) {
      const count = Math.min(rows, tokens - t);
      words[0] = count;
      loadRows(memory, task, b, t, count);
      words[16] = source + b * input.layout.batchStride * bytesOf(input) + t * words[18]!;
      words[23] = target + b * output.layout.batchStride * bytesOf(output) + t * words[25]!;
      if (scales !== undefined) words[30] = scale + b * scales.layout.batchStride * 4 + t * words[32]!;
      memory.kernels.pass(areas.pass);
    }
  }
}

/** Writes the strides of a tensor to the arguments from word `at` on, and returns the address of its first token. */
function describeHere(
  words: Uint32Array,
  at: number,
  { layout, groupHeads, groupStride }: PassTensor,
  bytes: number,
): number {
  words[at + 1] = 0;
  words[at + 2] = layout.tokenStride * bytes;
  words[at + 3] = layout.headStride * bytes;
  words[at + 4] = groupHeads;
  words[at + 5] = groupStride * bytes;
  return layout.data.byteOffset + layout.offset * bytes;
}

/** Tensors with slots, or outside the memory: the latter are copied through it. `false` if one token is too large. */
function runCopies(
  memory: KernelMemory,
  task: PassTask,
  sourceType: number,
  targetType: number,
  rows: number,
): boolean {
  const { input, output } = task;
  const source = new Side(memory, input, task, areas.source);
  const target = input === output ? source : new Side(memory, output, task, areas.target);
  const scales = output.scales && new Side(memory, output.scales, task, areas.pass + PASS_SCALES);
  const step = Math.min(
    rows,
    source.mostTokens(PIECE_BYTES),
    target.mostTokens(PIECE_BYTES),
    scales === undefined ? MOST_TOKENS : scales.mostTokens(PASS_ROWS - PASS_SCALES),
  );
  if (step === 0) return false;
  loadSettings(memory, task, sourceType, targetType);
  const { words } = memory.arguments;
  for (let b = 0; b < task.batch; b++) {
    for (let t = 0; t < task.tokens; t += step) {
      const count = Math.min(step, task.tokens - t);
      words[0] = count;
      loadRows(memory, task, b, t, count);
      source.copyIn(b, t, count);
      source.describe(words, 16, 0, b, t, count);
      target.describe(words, 23, 1, b, t, count);
      scales?.describe(words, 30, 2, b, t, count);
      memory.kernels.pass(areas.pass);
      target.copyOut(b, t, count);
      scales?.copyOut(b, t, count);
    }
  }
  return true;
}

/** Loads cos, sin and the factors of `count` tokens of batch row `b` from token `first` on. */
function loadRows(
  memory: KernelMemory,
  { table, factors, rotaryDim, tokens, batch }: PassTask,
  b: number,
  first: number,
  count: number,
): void {
  const { words, float32 } = { words: memory.arguments.words, float32: memory.float32 };
  const isBatched = table?.batched ?? batch > 1;
  const row = (isBatched ? b * tokens : 0) + first;
  words[14] = 0;
  if (factors !== undefined) {
    words[14] = areas.pass + PASS_FACTORS;
    float32.set(factors.subarray(row, row + count), words[14] / 4);
  }
  if (table === undefined) return;
  const cos = table.cos as Float32Array;
  const sin = table.sin as Float32Array;
  const pairs = rotaryDim / 2;
  const isWhole = cos.length * 8 <= TABLE_BYTES;
  const length = isWhole ? cos.length : count * pairs;
  const at = areas.tables / 4;
  words[6] = areas.tables + (isWhole ? row * pairs * 4 : 0);
  words[7] = words[6] + length * 4;
  if (isWhole && memory.table === cos) return;
  memory.table = isWhole ? cos : undefined;
  float32.set(isWhole ? cos : cos.subarray(row * pairs, row * pairs + length), at);
  float32.set(isWhole ? sin : sin.subarray(row * pairs, row * pairs + length), at + length);
}

/** Bytes of an element; comparisons are faster than to ask an array of any type. */
function bytesOf({ layout: { dtype } }: PassTensor): 1 | 2 | 4 {
  return dtype === "float32" ? 4 : dtype === "int8" || dtype === "float8_e4m3" ? 1 : 2;
}

type Bytes = CacheLayout["data"];

/** One tensor of a task in the memory of the kernels: where it lies, or its copy in an area, token by token. */
class Side {
  readonly #memory: KernelMemory;
  readonly #tensor: PassTensor;
  readonly #task: PassTask;
  readonly #area: number;
  readonly #isHere: boolean;
  /** Bytes of an element. */
  readonly #bytes: number;
  readonly #headDim: number;

  constructor(memory: KernelMemory, tensor: PassTensor, task: PassTask, area: number) {
    const { data, headDim } = tensor.layout;
    this.#memory = memory;
    this.#tensor = tensor;
    this.#task = task;
    this.#area = area;
    this.#isHere = data.buffer === memory.buffer;
    this.#bytes = bytesOf(tensor);
    this.#headDim = headDim;
  }

  /** Tokens whose copies fit `room` bytes. */
  mostTokens(room: number): number {
    return this.#isHere ? MOST_TOKENS : Math.floor(room / (this.#task.heads * this.#headDim * this.#bytes));
  }

  /** Writes the place of the tokens to the arguments from word `at` on: first, rows, strides of token, head, group. */
  describe(words: Uint32Array, at: number, list: number, b: number, first: number, count: number): void {
    const { layout, rows, groupHeads, groupStride } = this.#tensor;
    const bytes = this.#bytes;
    const copied = this.#task.heads * this.#headDim * bytes;
    const start =
      layout.data.byteOffset + (layout.offset + b * layout.batchStride + first * layout.tokenStride) * bytes;
    words[at] = this.#isHere ? start : this.#area;
    words[at + 2] = this.#isHere ? layout.tokenStride * bytes : copied;
    words[at + 3] = this.#isHere ? layout.headStride * bytes : this.#headDim * bytes;
    // The scales have no groups, and no words for them.
    if (list < 2) {
      words[at + 4] = this.#isHere ? groupHeads : this.#task.heads;
      words[at + 5] = groupStride * bytes;
    }
    words[at + 1] = 0;
    if (rows === undefined) return;
    const address = areas.pass + PASS_ROWS + list * MOST_TOKENS * 4;
    words[at + 1] = address;
    const places = new Uint32Array(this.#memory.buffer, address, count);
    for (let t = 0; t < count; t++) {
      const row = rows[b * this.#task.tokens + first + t]!;
      const here = layout.data.byteOffset + row * bytes;
      places[t] = row < 0 ? NO_ROW : this.#isHere ? here : this.#area + t * copied;
    }
  }

  /** Copies the tokens to the area, unless they lie in the memory. */
  copyIn(b: number, first: number, count: number): void {
    if (this.#isHere) return;
    this.#eachRun(b, first, count, (data, area, at, from, length) => copy(data, from, area, at, length));
  }

  /** Copies the tokens from the area to the tensor. */
  copyOut(b: number, first: number, count: number): void {
    if (this.#isHere) return;
    this.#eachRun(b, first, count, (data, area, at, to, length) => copy(area, at, data, to, length));
  }

  /** Calls `use` for each run of elements: its index in the tensor and in the area. */
  #eachRun(
    b: number,
    first: number,
    count: number,
    use: (data: Bytes, area: Bytes, at: number, index: number, length: number) => void,
  ): void {
    const { layout, rows, groupHeads, groupStride } = this.#tensor;
    const { heads, tokens, input, output } = this.#task;
    const isWhole = input.rows === undefined && output.rows === undefined;
    const { data, headStride } = layout;
    const width = this.#headDim;
    const { buffer } = this.#memory;
    const areaOf =
      this.#bytes === 4 ? this.#memory.float32 : this.#bytes === 2 ? this.#memory.uint16 : new Uint8Array(buffer);
    const start = this.#area / this.#bytes;
    const isDense = headStride === width && groupHeads === heads;
    if (isDense && isWhole && (layout.tokenStride === heads * width || count === 1)) {
      const index = layout.offset + b * layout.batchStride + first * layout.tokenStride;
      use(data, areaOf, start, index, count * heads * width);
      return;
    }
    for (let t = 0; t < count; t++) {
      const place = layout.offset + b * layout.batchStride + (first + t) * layout.tokenStride;
      const token = b * tokens + first + t;
      // What is left out on one side is not copied on the other.
      if ((input.rows?.[token] ?? 0) < 0 || (output.rows?.[token] ?? 0) < 0) continue;
      const row = rows === undefined ? place : rows[token]!;
      const at = start + t * heads * width;
      if (isDense) {
        use(data, areaOf, at, row, heads * width);
        continue;
      }
      for (let h = 0; h < heads; h++) {
        const index = row + Math.floor(h / groupHeads) * groupStride + (h % groupHeads) * headStride;
        use(data, areaOf, at + h * width, index, width);
      }
    }
  }
}

/** Copies elements between arrays of one element size; their bits stay. */
function copy(source: Bytes, from: number, target: Bytes, to: number, length: number): void {
  target.set(source.subarray(from, from + length), to);
}
