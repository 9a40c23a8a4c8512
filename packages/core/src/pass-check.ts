/**
 * The check of a pass from projection to cache.
 */

import { checkAliasing, requireApart } from "./aliasing.ts";
import { allocate, lengthOf, trueView, viewName } from "./element-types.ts";
import type { ElementArray } from "./element-types.ts";
import { invalid, issue, shapeError, show } from "./errors.ts";
import type { RotationShape } from "./head.ts";
import { isPassPlace } from "./pass-arguments.ts";
import type { CacheElementType, CacheSlots, CacheView, PassArguments, PassPlace } from "./pass-arguments.ts";
import { checkKeys, own } from "./keys.ts";
import type { RotationTable } from "./kernel.ts";
import type { CacheLayout, PassTask, PassTensor } from "./pass-kernel.ts";
import { checkNorm } from "./pass-norm.ts";
import type { Turns } from "./turns.ts";
import { checkedView, contiguous, resolveLayout, resolveTensor } from "./tensor.ts";
import type { Tensor, TensorExpectation, TensorLayout, TensorView } from "./tensor.ts";

const names = ["query", "key", "value"] as const;
const outNames = { query: "out.query", key: "out.key", value: "out.value" } as const;
const normNames = { query: "norm.query", key: "norm.key", value: "norm.value" } as const;

/**
 * The kind of memory that the tensors of a pass lie in. Its functions check what they get and describe it; `data` of
 * their results may be an object that stands for an array, as {@link resolveLayout} takes it.
 */
export interface PassMemory {
  /** The key that names the memory of a view. */
  readonly key: string;
  /** A tensor without anything of a cache, as the caller passed it; also the scales of int8. */
  tensor(name: string, tensor: unknown, expected: TensorExpectation): CacheLayout;
  /** The elements of a view of a cache, whose keys are checked. */
  elements(
    name: string,
    memory: unknown,
    dtype: CacheElementType | undefined,
    place: CheckedPlace,
    expected: TensorExpectation,
  ): CacheLayout;
  /** The slots that `check` copies and checks; or `[NaN]` for slots that the host does not see. */
  slots(name: string, slots: unknown, count: number, check: () => Float64Array): Float64Array;
  /** The weight of a norm, `count` values. `check` describes one in JavaScript's memory. */
  weight(name: string, weight: unknown, count: number, check: () => TensorLayout): TensorLayout;
}

export type CheckedPlace = ReturnType<typeof checkedView>;

/** JavaScript's memory. */
export const hostMemory: PassMemory = {
  key: "data",
  tensor: (name, tensor, expected) => resolveTensor(name, tensor as Tensor, expected),
  elements: resolveElements,
  slots: (_name, _slots, _count, check) => check(),
  weight: (_name, _weight, _count, check) => check(),
};

/**
 * Checks the tensors of a pass against its turns and returns one task for each tensor that has elements: query, key,
 * value. Nothing is written.
 *
 * @param rope the rotated elements of a head of `headDim`.
 * @param queryFactors gives the factor of queries for each row of the table, or throws.
 * @param memory where the tensors lie. In another memory than JavaScript's the backend has cos and sin, and tasks have
 * no table.
 * @throws RopeError `ROPE_SHAPE` for tensors, slots or weights that do not fit or overlap; `ROPE_INVALID_PARAMETERS`
 * for an unknown key, or a wrong setting of a norm.
 */
export function passTasks(
  call: PassArguments,
  turns: Turns,
  headDim: number,
  rope: RotationShape,
  queryFactors: () => Float32Array,
  memory: PassMemory = hostMemory,
): PassTask[] {
  const { batch, tokens } = turns;
  const { norm = {}, queryScale, out: given } = call;
  const out = given === undefined ? {} : checkKeys("the tensors of out", given, names);
  checkKeys("the norms", norm, names);
  if (queryScale !== undefined && typeof queryScale !== "boolean") {
    throw invalid("the arguments", [issue("queryScale", "true or false", queryScale)]);
  }
  if (queryScale === true && call.query === undefined) throw shapeError("query", "queries to scale", "none");
  const tasks: PassTask[] = [];
  const used: CheckedMemory[] = [];
  const isHere = memory === hostMemory;
  const tables: Partial<Record<"float32" | "float64", RotationTable>> = {};
  for (const name of names) {
    const tensor = call[name];
    const target = out[name];
    const settings = norm[name];
    if (tensor === undefined) {
      if (target !== undefined) throw shapeError(`out.${name}`, `${name} as well`, `no ${name}`);
      if (settings !== undefined) throw shapeError(`norm.${name}`, `${name} as well`, `no ${name}`);
      continue;
    }
    const isValue = name === "value";
    if (target === undefined && isValue && settings === undefined) {
      throw shapeError("out.value", "a destination for value, which is not rotated", "none");
    }
    const input = resolvePlace(memory, name, tensor, { batch, tokens, headDim }, isValue);
    const { heads, headDim: size, dtype } = input.layout;
    const rows = input.rows === undefined ? input.layout.batch : (batch ?? 1);
    const output =
      target === undefined
        ? input
        : resolvePlace(memory, outNames[name], target, { batch: rows, tokens, headDim: size }, false);
    if (output.layout.heads !== heads) {
      throw shapeError(outNames[name], `${heads} heads like ${name}`, `${output.layout.heads}`);
    }
    addMemory(used, name, input, output);
    const work = dtype === "float64" ? "float64" : "float32";
    const checkedNorm =
      settings === undefined ? undefined : checkNorm(normNames[name], settings, heads, size, memory.weight);
    if (checkedNorm?.weight !== undefined) {
      used.push({ name: normNames[name], input: checkedNorm.weight, output: nothing });
    }
    const factors = name === "query" && queryScale === true ? queryFactors() : undefined;
    if (rows * tokens * heads * size === 0) continue;
    tasks.push({
      name,
      rotaryDim: isValue ? 0 : rope.rotaryDim,
      rotaryOffset: isValue ? 0 : rope.rotaryOffset,
      blocks: isValue ? 1 : rope.blocks,
      batch: rows,
      tokens,
      heads,
      headDim: size,
      input,
      output,
      table: isValue || !isHere ? undefined : (tables[work] ??= turns.table(work)),
      norm: checkedNorm,
      factors,
    });
  }
  if (used.length === 0) throw shapeError("query", "query, key or value", "none");
  checkAliasing(used);
  return tasks;
}

const slotKeys = ["cache", "slots"];
const viewKeys = ["shape", "strides", "offset", "dtype", "scale", "scales", "groups"];

/** @param anyHead whether the shape of a view gives the size of its heads: those of values may differ. */
function resolvePlace(
  memory: PassMemory,
  name: string,
  place: PassPlace,
  expected: TensorExpectation,
  anyHead: boolean,
): PassTensor {
  if (ArrayBuffer.isView(place) || (!anyHead && !isPassPlace(place))) {
    return whole(memory.tensor(name, place, expected));
  }
  const given = { ...own(place ?? {}) } as Partial<CacheSlots & CacheView>;
  const { slots } = given;
  const isSlotted = given.cache !== undefined;
  if (isSlotted) checkKeys(`"${name}"`, place as CacheSlots, slotKeys);
  const cacheName = isSlotted ? `${name}.cache` : name;
  const cache = given.cache ?? (place as CacheView);
  checkKeys(`"${cacheName}"`, cache, [memory.key, ...viewKeys]);
  const view = isSlotted ? { ...own(cache) } : (given as CacheView);
  const at = checkedView(cacheName, view);
  if (isSlotted && at.shape.length !== 3 && at.shape.length !== 4) {
    throw shapeError(cacheName, "[slots, heads, headDim] or [blocks, slots, heads, headDim]", show(view.shape));
  }
  const headDim = anyHead ? (at.shape.at(-1) ?? 0) : expected.headDim;
  const resolved = resolveCache(
    memory,
    cacheName,
    view,
    at,
    isSlotted ? { batch: undefined, tokens: at.shape.at(-3)!, headDim } : { ...expected, headDim },
  );
  if (!isSlotted) return resolved;
  const { layout, scales } = resolved;
  const path = `${name}.slots`;
  const count = (expected.batch ?? 1) * expected.tokens;
  const checked = memory.slots(path, slots, count, () => checkSlots(path, slots, count, layout));
  return {
    ...resolved,
    rows: rowsOf(checked, layout),
    scales: scales && { ...scales, rows: rowsOf(checked, scales.layout) },
  };
}

function resolveCache(
  memory: PassMemory,
  name: string,
  view: CacheView,
  at: CheckedPlace,
  expected: TensorExpectation,
): PassTensor {
  const { shape, strides, offset } = at;
  const { dtype, scale, scales, groups } = view;
  const data = view[memory.key as "data"];
  if (groups === undefined) {
    const layout = memory.elements(name, data, dtype, at, expected);
    const isByte = layout.dtype === "float8_e4m3";
    const rounded = Math.fround(scale ?? NaN);
    if (isByte ? !(Number.isFinite(rounded) && rounded > 0) : scale !== undefined) {
      const range = "a finite number > 0, also as float32";
      throw shapeError(`${name}.scale`, isByte ? range : "none, as for float8_e4m3", show(scale));
    }
    const checked = checkScales(memory, `${name}.scales`, scales, layout);
    return { ...whole(layout), scale: isByte ? rounded : 1, scales: checked };
  }
  const { heads: groupHeads, stride } = checkKeys(`${name}.groups`, { ...own(groups) }, ["heads", "stride"]);
  const total = shape.at(-2) ?? 0;
  const isDivided = Number.isSafeInteger(groupHeads) && groupHeads > 0 && total % groupHeads === 0;
  if (shape.length < 3 || !isDivided || !Number.isSafeInteger(stride) || stride < 0) {
    const expectedGroups = `{ heads, stride }: a divisor of ${total} heads, and an integer ≥ 0`;
    throw shapeError(`${name}.groups`, expectedGroups, show(groups), "The shape is [batch?, tokens, heads, headDim].");
  }
  // A token's heads are not contiguous, so its stride cannot be implied.
  if (strides === undefined) throw shapeError(`${name}.strides`, "strides beside groups", "none");
  const one = (group: number): CacheLayout => {
    const sizes = shape.with(shape.length - 2, groupHeads);
    return memory.elements(name, data, dtype, { shape: sizes, strides, offset: offset + group * stride }, expected);
  };
  const first = one(0);
  if (first.data.BYTES_PER_ELEMENT === 1) {
    throw shapeError(name, "elements of 16 bits or more for heads in groups", first.dtype);
  }
  // The groups lie on a line, so those between the first and the last are inside as well.
  if (total > 0) one(total / groupHeads - 1);
  return { ...whole({ ...first, heads: total }), groupHeads, groupStride: stride };
}

function resolveElements(
  name: string,
  given: unknown,
  dtype: CacheElementType | undefined,
  place: CheckedPlace,
  expected: TensorExpectation,
): CacheLayout {
  if (!ArrayBuffer.isView(given)) {
    throw shapeError(name, "a typed array, { data, shape, … } or { cache, slots }", `data ${show(given)}`);
  }
  const data = given as CacheView["data"];
  const kind = viewName(data);
  const type = kind === "Int8Array" ? "int8" : kind === "Uint8Array" ? "float8_e4m3" : undefined;
  if (type === undefined) {
    const { shape, strides, offset } = place;
    const view = { data, shape, offset, dtype, ...(strides && { strides }) } as TensorView;
    return resolveTensor(name, view, expected);
  }
  // Bits of 8 could be anything; those of an Int8Array are its numbers.
  if (dtype !== type && !(dtype === undefined && type === "int8")) {
    throw shapeError(name, `${kind} with dtype "${type}"`, dtype === undefined ? "no dtype" : show(dtype));
  }
  const bytes = type === "int8" ? trueView(data, Int8Array) : trueView(data, Uint8Array);
  const layout = resolveLayout(name, bytes as unknown as ElementArray, "float32", place, expected);
  return { ...layout, data: bytes, dtype: type };
}

const whole = (layout: CacheLayout): PassTensor => ({
  layout,
  groupHeads: Math.max(layout.heads, 1),
  groupStride: 0,
  rows: undefined,
  scale: 1,
  scales: undefined,
});

function checkScales(
  memory: PassMemory,
  name: string,
  scales: Tensor | undefined,
  layout: CacheLayout,
): PassTensor | undefined {
  if ((layout.dtype === "int8") !== (scales !== undefined)) {
    throw shapeError(name, layout.dtype === "int8" ? "a float32 tensor" : "none, as for int8", show(scales));
  }
  if (scales === undefined) return undefined;
  const { batch, tokens, heads } = layout;
  const resolved = memory.tensor(name, scales, { batch, tokens, headDim: 1 });
  if (resolved.heads !== heads || resolved.dtype !== "float32") {
    throw shapeError(name, `float32 [${batch}, ${tokens}, ${heads}, 1]`, `${resolved.dtype}, ${resolved.heads} heads`);
  }
  return whole(resolved);
}

/** A copy of the slots. */
function checkSlots(name: string, slots: unknown, count: number, { batch, tokens }: CacheLayout): Float64Array {
  if (lengthOf(slots) !== count) {
    throw shapeError(name, `${count} integers, one for each token`, show(slots));
  }
  const copy = allocate("float64", count);
  const total = batch * tokens;
  let seen: Set<number> | undefined;
  let largest = -1;
  for (let i = 0; i < count; i++) {
    const item = (slots as ArrayLike<number | bigint>)[i];
    const slot = typeof item === "bigint" ? Number(item) : item!;
    if (!Number.isSafeInteger(slot) || slot < -1 || slot >= total) {
      throw shapeError(name, `integers from −1 to ${total - 1}`, `${show(item)} at index ${i}`);
    }
    copy[i] = slot;
    if (slot < 0) continue;
    // Usually each slot follows the one before, and no list of them is needed.
    if (slot <= largest) seen ??= new Set(copy.subarray(0, i));
    if (seen?.has(slot) === true) {
      throw shapeError(name, "slots that occur once", `${slot} twice`, "Two tokens would be written to one place.");
    }
    seen?.add(slot);
    largest = Math.max(largest, slot);
  }
  return copy;
}

const rowsOf = (slots: Float64Array, { offset, tokens, batchStride, tokenStride }: CacheLayout): Float64Array =>
  slots.map((slot) =>
    slot < 0 ? -1 : offset + Math.floor(slot / tokens) * batchStride + (slot % tokens) * tokenStride,
  );

const nothing = contiguous(new Float32Array(0), "float32", 0, 0, 0, 0, 0);

/** Whether two tensors have the same place for every token. */
const sameRows = ({ rows: a }: PassTensor, { rows: b }: PassTensor): boolean =>
  a === b || (a !== undefined && b !== undefined && a.every((row, i) => row === b[i]));

type CheckedMemory = Parameters<typeof checkAliasing>[0][number];

/** Adds the memory of a tensor and its destination, group by group, and that of their scales. */
function addMemory(memory: CheckedMemory[], name: string, input: PassTensor, output: PassTensor): void {
  // Tokens that move inside one cache could be overwritten before they are read.
  if (!sameRows(input, output)) {
    requireApart(`${name} and its out`, input.layout as TensorLayout, output.layout as TensorLayout);
  }
  const sources = groupsOf(input);
  const targets = input === output ? sources : groupsOf(output);
  if (sources.length === targets.length) {
    for (let i = 0; i < sources.length; i++) memory.push({ name, input: sources[i]!, output: targets[i]! });
  } else {
    // In other groups than its destination a tensor is only read.
    for (const source of sources) memory.push({ name, input: source, output: nothing });
    for (const target of targets) memory.push({ name: `out.${name}`, input: target, output: target });
  }
  const read = input.scales?.layout as TensorLayout | undefined;
  const written = output.scales?.layout as TensorLayout | undefined;
  if (read !== undefined && read !== written) memory.push({ name: `${name}.scales`, input: read, output: nothing });
  if (written !== undefined) memory.push({ name: `the scales of ${name}`, input: written, output: written });
}

/** The layout of each group of heads. */
function groupsOf({ layout, groupHeads, groupStride }: PassTensor): TensorLayout[] {
  const one = layout as TensorLayout;
  if (groupHeads >= layout.heads) return [one];
  return Array.from({ length: layout.heads / groupHeads }, (_, group) => {
    return { ...one, heads: groupHeads, offset: layout.offset + group * groupStride };
  });
}
