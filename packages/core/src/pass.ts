/**
 * The pass from projection to cache: its arguments, and their checks.
 *
 * A call is a pass when it asks for more than a rotation: values, a norm, factors of queries, slots of a cache, 8-bit
 * elements, or heads in groups.
 */

import { checkAliasing, requireApart } from "./aliasing.ts";
import { allocate, lengthOf, loadElements, trueView, viewName } from "./element-types.ts";
import type { ElementArray, ElementType, TensorData } from "./element-types.ts";
import { invalid, issue, RopeError, shapeError, show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import type { RotationShape } from "./head.ts";
import type { CacheElementType, CacheSlots, CacheView, PassArguments, PassPlace, RmsNorm } from "./pass-arguments.ts";
import { checkKeys, own } from "./keys.ts";
import type { RotationTable } from "./kernel.ts";
import type { CacheLayout, PassNorm, PassTask, PassTensor } from "./pass-kernel.ts";
import { checkedView, contiguous, resolveLayout, resolveTensor } from "./tensor.ts";
import type { Tensor, TensorExpectation, TensorLayout, TensorView } from "./tensor.ts";

const names = ["query", "key", "value"] as const;

/** Whether a call asks for more than a rotation. */
export function isPass(call: PassArguments): boolean {
  const { query, key, out } = call;
  return (
    call.value !== undefined ||
    call.norm !== undefined ||
    call.queryScale !== undefined ||
    isPassPlace(query) ||
    isPassPlace(key) ||
    (out !== undefined && out !== null && (out.value !== undefined || isPassPlace(out.query) || isPassPlace(out.key)))
  );
}

/** Whether a tensor is one that only a pass takes. No property is read, since a getter may answer once only. */
const isPassPlace = (place: PassPlace | undefined): boolean =>
  typeof place === "object" &&
  place !== null &&
  !ArrayBuffer.isView(place) &&
  ("cache" in place || "scale" in place || "scales" in place || "groups" in place);

/** The rope's part of a pass. */
export interface PassRope extends RotationShape {
  readonly headDim: number;
  /** Makes the table of a compute type. */
  readonly table: (dtype: "float32" | "float64") => RotationTable;
  /** The factor of queries for each row of the table. @throws RopeError for a rope without one. */
  readonly queryFactors: () => Float32Array;
}

/**
 * The kind of memory that the tensors of a pass lie in. Its functions check what they get and describe it; `layout.data`
 * of their results may be an object that stands for an array, as {@link resolveLayout} takes it.
 */
export interface PassMemory {
  /** The key that names the memory of a view. */
  readonly key: string;
  /** A tensor without anything of a cache: as the caller passed it, or the scales of int8. */
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
  /** The weight that `check` copies; `undefined` for one that the host does not see. */
  weight(
    name: string,
    weight: unknown,
    form: { readonly count: number; readonly offset: number },
    check: () => Float32Array | Float64Array,
  ): Float32Array | Float64Array | undefined;
}

type CheckedPlace = ReturnType<typeof checkedView>;

/** JavaScript's memory. */
const hostMemory: PassMemory = {
  key: "data",
  tensor: (name, tensor, expected) => resolveTensor(name, tensor as Tensor, expected),
  elements: resolveElements,
  slots: (_name, _slots, _count, check) => check(),
  weight: (_name, _weight, _form, check) => check(),
};

/**
 * Checks the tensors of a pass and returns one task for each tensor that has elements: query, key, value. Nothing is
 * written.
 *
 * @param memory where the tensors lie. In another memory than JavaScript's the backend has the turns, and tasks have no
 * table.
 * @throws RopeError `ROPE_SHAPE` for tensors, slots or weights that do not fit or overlap; `ROPE_INVALID_PARAMETERS`
 * for an unknown key, or a wrong setting of a norm.
 */
export function passTasks(
  call: PassArguments,
  { batch, tokens }: Expected,
  rope: PassRope,
  memory: PassMemory = hostMemory,
): PassTask[] {
  const { norm = {}, queryScale, out: given } = call;
  const out = given === undefined ? {} : checkKeys("the tensors of out", given, names);
  checkKeys("the norms", norm, names);
  if (queryScale !== undefined && typeof queryScale !== "boolean") {
    throw invalid("the arguments", [issue("queryScale", "true or false", queryScale)]);
  }
  if (queryScale === true && call.query === undefined) throw shapeError("query", "queries to scale", "none");
  const { headDim } = rope;
  const tasks: PassTask[] = [];
  const used: { name: string; input: TensorLayout; output: TensorLayout }[] = [];
  const tables: Partial<Record<"float32" | "float64", RotationTable>> = {};
  for (const name of names) {
    const tensor = call[name];
    if (tensor === undefined) {
      if (out[name] !== undefined) throw shapeError(`out.${name}`, `${name} as well`, `no ${name}`);
      if (norm[name] !== undefined) throw shapeError(`norm.${name}`, `${name} as well`, `no ${name}`);
      continue;
    }
    const isValue = name === "value";
    const input = resolvePlace(name, tensor, { batch, tokens, headDim, anyHead: isValue }, memory);
    const rows = input.rows === undefined ? input.layout.batch : (batch ?? 1);
    const target = out[name];
    if (target === undefined && isValue && norm.value === undefined) {
      throw shapeError("out.value", "a destination for value, which is not rotated", "none");
    }
    const output =
      target === undefined
        ? input
        : resolvePlace(
            `out.${name}`,
            target,
            { batch: rows, tokens, headDim: input.layout.headDim, anyHead: false },
            memory,
          );
    const { heads, dtype } = input.layout;
    if (output.layout.heads !== heads) {
      throw shapeError(`out.${name}`, `${heads} heads like ${name}`, `${output.layout.heads}`);
    }
    // Tokens that move inside one cache could be overwritten before they are read.
    if (!sameRows(input, output)) {
      requireApart(`${name} and its out`, input.layout as TensorLayout, output.layout as TensorLayout);
    }
    used.push(...memoryOf(name, input, output));
    const work = dtype === "float64" ? "float64" : "float32";
    const settings = norm[name];
    const shape = isValue ? { rotaryDim: 0, rotaryOffset: 0, blocks: 1 } : rope;
    const task: PassTask = {
      name,
      rotaryDim: shape.rotaryDim,
      rotaryOffset: shape.rotaryOffset,
      blocks: shape.blocks,
      batch: rows,
      tokens,
      heads,
      headDim: input.layout.headDim,
      input,
      output,
      table: undefined,
      norm:
        settings === undefined
          ? undefined
          : checkNorm(`norm.${name}`, settings, heads, input.layout.headDim, work, memory),
      factors: name === "query" && queryScale === true ? rope.queryFactors() : undefined,
    };
    if (rows * tokens * heads * task.headDim === 0) continue;
    const hasTable = !isValue && memory === hostMemory;
    tasks.push(hasTable ? { ...task, table: (tables[work] ??= rope.table(work)) } : task);
  }
  if (used.length === 0) throw shapeError("query", "query, key or value", "none");
  checkAliasing(used);
  return tasks;
}

interface Expected {
  readonly batch: number | undefined;
  readonly tokens: number;
}

/** With `anyHead` the shape of a view gives the size of its heads: those of values may differ. */
interface PlaceExpectation extends TensorExpectation {
  readonly anyHead: boolean;
}

const slotKeys = ["cache", "slots"];
const viewKeys = ["shape", "strides", "offset", "dtype", "scale", "scales", "groups"];

function resolvePlace(name: string, place: PassPlace, expected: PlaceExpectation, memory: PassMemory): PassTensor {
  if (ArrayBuffer.isView(place)) return whole(memory.tensor(name, place, expected));
  const given = { ...own(place ?? {}) } as Partial<CacheSlots & CacheView>;
  if (given.cache === undefined) return resolveCacheView(name, place as CacheView, given as CacheView, expected, memory);
  checkKeys(`"${name}"`, place as CacheSlots, slotKeys);
  const view = { ...own(given.cache) };
  const { shape, strides, offset } = checkedView(`${name}.cache`, view);
  if (shape.length !== 3 && shape.length !== 4) {
    throw shapeError(`${name}.cache`, "[slots, heads, headDim] or [blocks, slots, heads, headDim]", show(view.shape));
  }
  const copy = { ...view, shape, strides, offset };
  const ofCache = { ...expected, batch: undefined, tokens: shape.at(-3)! };
  const cache = resolveCacheView(`${name}.cache`, given.cache, copy, ofCache, memory);
  const path = `${name}.slots`;
  const count = (expected.batch ?? 1) * expected.tokens;
  const slots = memory.slots(path, given.slots, count, () => checkSlots(path, given.slots, count, cache.layout));
  const scales = cache.scales && { ...cache.scales, rows: rowsOf(slots, cache.scales.layout) };
  return { ...cache, rows: rowsOf(slots, cache.layout), scales };
}

function resolveCacheView(
  name: string,
  place: CacheView,
  view: CacheView,
  { batch, tokens, headDim: size, anyHead }: PlaceExpectation,
  memory: PassMemory,
): PassTensor {
  checkKeys(`"${name}"`, place, [memory.key, ...viewKeys]);
  const { dtype, scale, scales, groups } = view;
  const data = view[memory.key as "data"];
  const { shape, strides, offset } = checkedView(name, view);
  const headDim = anyHead ? (shape.at(-1) ?? size) : size;
  const expected = { batch, tokens, headDim };
  if (groups === undefined) {
    const layout = memory.elements(name, data, dtype, { shape, strides, offset }, expected);
    const isByte = layout.dtype === "float8_e4m3";
    const rounded = Math.fround(scale ?? NaN);
    if (isByte ? !(Number.isFinite(rounded) && rounded > 0) : scale !== undefined) {
      const range = "a finite number > 0, also as float32";
      throw shapeError(`${name}.scale`, isByte ? range : "none, as for float8_e4m3", show(scale));
    }
    return { ...whole(layout), scale: isByte ? rounded : 1, scales: checkScales(`${name}.scales`, scales, layout, memory) };
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
    const place = { shape: shape.with(shape.length - 2, groupHeads), strides, offset: offset + group * stride };
    return memory.elements(name, data, dtype, place, expected);
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
  name: string,
  scales: Tensor | undefined,
  layout: CacheLayout,
  memory: PassMemory,
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

/** The memory of a tensor and its destination, group by group, and that of its scales. */
function memoryOf(
  name: string,
  input: PassTensor,
  output: PassTensor,
): { name: string; input: TensorLayout; output: TensorLayout }[] {
  const layouts = ({ layout, groupHeads, groupStride }: PassTensor): TensorLayout[] => {
    const list: TensorLayout[] = [];
    for (let group = 0; group * groupHeads < Math.max(layout.heads, 1); group++) {
      const offset = layout.offset + group * groupStride;
      list.push({ ...(layout as TensorLayout), heads: Math.min(groupHeads, layout.heads), offset });
    }
    return list;
  };
  const sources = layouts(input);
  const targets = input === output ? sources : layouts(output);
  // In other groups than its destination a tensor is only read.
  const list =
    sources.length === targets.length
      ? sources.map((source, i) => ({ name, input: source, output: targets[i]! }))
      : [
          ...sources.map((source) => ({ name, input: source, output: nothing })),
          ...targets.map((target) => ({ name: `out.${name}`, input: target, output: target })),
        ];
  const { scales } = output;
  if (scales !== undefined) {
    const layout = scales.layout as TensorLayout;
    list.push({ name: `the scales of ${name}`, input: layout, output: layout });
  }
  return list;
}

const normKeys = ["epsilon", "weight", "weightOffset", "over", "when"];

function checkNorm(
  path: string,
  given: RmsNorm,
  heads: number,
  headDim: number,
  work: "float32" | "float64",
  memory: PassMemory,
): PassNorm {
  const { epsilon, weight, weightOffset, over = "head", when = "before" } = checkKeys(path, given, normKeys);
  const issues: RopeIssue[] = [];
  if (!(Number.isFinite(epsilon) && epsilon >= 0)) issues.push(issue("epsilon", "a finite number ≥ 0", epsilon));
  if (weightOffset !== undefined && (weight === undefined || !Number.isFinite(weightOffset))) {
    issues.push(issue("weightOffset", "a finite number, beside a weight", weightOffset));
  }
  if (over !== "head" && over !== "heads") issues.push(issue("over", '"head" or "heads"', over));
  if (when !== "before" && when !== "after") issues.push(issue("when", '"before" or "after"', when));
  if (issues.length > 0) throw invalid(path, issues);
  const overHeads = over === "heads";
  const count = overHeads ? heads * headDim : headDim;
  const offset = weightOffset ?? 0;
  return {
    epsilon,
    weight:
      weight === undefined
        ? undefined
        : memory.weight(`${path}.weight`, weight, { count, offset }, () =>
            readWeight(`${path}.weight`, weight, count, offset, work),
          ),
    overHeads,
    after: when === "after",
  };
}

/** A copy of the weight in the type of the work, the offset added. */
function readWeight(
  name: string,
  given: NonNullable<RmsNorm["weight"]>,
  count: number,
  weightOffset: number,
  work: "float32" | "float64",
): Float32Array | Float64Array {
  const { data, dtype } = ArrayBuffer.isView(given)
    ? { data: given, dtype: undefined }
    : checkKeys(`"${name}"`, { ...own(given as { data: TensorData }) } as { data: TensorData; dtype?: ElementType }, [
        "data",
        "dtype",
      ]);
  if (lengthOf(data) !== count) throw shapeError(name, `${count} values`, `${lengthOf(data) ?? show(data)}`);
  const view = { data, shape: [1, 1, count], ...(dtype && { dtype }) };
  const layout = resolveTensor(name, view, { batch: 1, tokens: 1, headDim: count });
  const values = allocate(work, count);
  loadElements(layout.dtype, layout.data, 0, 1, values, 0, count);
  if (weightOffset !== 0) {
    // Both are rounded before they are added.
    const term = work === "float32" ? Math.fround(weightOffset) : weightOffset;
    for (let i = 0; i < count; i++) values[i] = values[i]! + term;
  }
  return values;
}

/** An executor that only rotates. */
export const noPass = (backend: string): RopeError =>
  new RopeError("ROPE_UNSUPPORTED", {
    what: `the backend ${JSON.stringify(backend)} only rotates`,
    expected: "query and key, and out of the element types of tensors",
    received: "value, norm, queryScale, slots, 8-bit elements, or heads in groups",
    remedy: "Use the rope without this backend, or call norm, rotation and copy one after another.",
    facts: { backend },
  });
