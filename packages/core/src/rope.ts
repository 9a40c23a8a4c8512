/**
 * The implementation of a rope. Immutable; what it hands out are copies that belong to the caller.
 *
 * The class joins the independent parts (frequencies of a provider, table, positions, tensors, executor) and owns the
 * order in which they are checked: everything first, then the first write.
 */

import { doubleDouble, float32, float64, toNumber } from "./arithmetic.ts";
import type { RopeBackend, RotationExecutor } from "./backend.ts";
import { allocate, storeElements, viewName } from "./element-types.ts";
import type { ElementArray, ElementType } from "./element-types.ts";
import { RopeError, show } from "./errors.ts";
import { pairElements } from "./pairing.ts";
import { checkKeys } from "./parameters.ts";
import type { Pairing } from "./pairing.ts";
import { POSITION_LIMIT, resolvePositions } from "./positions.ts";
import type { Positions, ResolvedPositions } from "./positions.ts";
import type { Precision, RopeCapabilities, RopeFrequencies, RopeRule } from "./provider.ts";
import { queryScales } from "./query-scale.ts";
import type { RopeRegistration } from "./registry.ts";
import { rotationShape } from "./request.ts";
import type { RopeSpec } from "./request.ts";
import { rotateTask } from "./rotate.ts";
import type { RotationTable, RotationTask } from "./rotate.ts";
import { CosSinRows, writeRows } from "./rows.ts";
import type { GatheredRows, GatherForm, RowWriter } from "./rows.ts";
import { checkAliasing, resolveTensor } from "./tensor.ts";
import type { Tensor, TensorExpectation, TensorLayout } from "./tensor.ts";
import type { AtOptions, CosSin, CosSinOptions, Frequencies, RopeExplanation, RotaryEmbedding, RotaryStep, RotateArguments, RotateResult, ShiftArguments } from "./rotary-embedding.ts";

/** Core's own executor. */
export const javaScriptExecutor: RotationExecutor = Object.freeze({
  name: "js",
  rotate: (tasks: readonly RotationTask[]) => tasks.forEach(rotateTask),
});

/** Frequencies and table of one schedule. */
interface Schedule {
  readonly length: number | null;
  readonly frequencies: RopeFrequencies;
  readonly attentionFactor: number;
  readonly softmaxScaleFactor: number;
  readonly table: CosSinRows;
}

/** Schedules that a rope keeps; a decoding loop under dynamic scaling makes a new one for each length. */
const SCHEDULES_KEPT = 4;

const outKeys = ["query", "key"];
const tensorKeys = [...outKeys, "out"];
const positionedKeys = [...tensorKeys, "positions", "length"];

type Direction = "apply" | "invert" | "adjoint";

class TableRotaryEmbedding implements RotaryEmbedding {
  readonly spec: RopeSpec;
  readonly positionLimit: number;
  readonly capabilities: Required<RopeCapabilities>;
  readonly attentionFactor: number;
  readonly softmaxScaleFactor: number;
  readonly #registration: RopeRegistration;
  readonly #backends: (name: string) => RopeBackend;
  readonly #executor: RotationExecutor;
  readonly #schedules: Map<number | null, Schedule>;

  constructor(
    spec: RopeSpec,
    registration: RopeRegistration,
    backends: (name: string) => RopeBackend,
    executor: RotationExecutor = javaScriptExecutor,
    schedules: Map<number | null, Schedule> = new Map(),
  ) {
    this.spec = spec;
    this.#registration = registration;
    this.#backends = backends;
    this.#executor = executor;
    this.#schedules = schedules;
    this.capabilities = capabilitiesOf(spec, registration);
    const first = this.#schedule(1);
    this.attentionFactor = first.attentionFactor;
    this.softmaxScaleFactor = first.softmaxScaleFactor;
    const { maxPosition } = spec;
    this.positionLimit = maxPosition === null ? POSITION_LIMIT : Math.min(POSITION_LIMIT, Math.max(maxPosition, Math.floor(first.frequencies.extendedMaxPosition ?? 0)));
    Object.freeze(this);
  }

  get ropeType(): string {
    return this.spec.parameters.ropeType;
  }
  get headDim(): number {
    return this.spec.headDim;
  }
  get rotaryDim(): number {
    return this.spec.rotaryDim;
  }
  get rotaryOffset(): number {
    return this.spec.rotaryOffset;
  }
  get base(): number {
    return this.spec.base;
  }
  get maxPosition(): number | null {
    return this.spec.maxPosition;
  }
  get pairing(): Pairing {
    return this.spec.pairing;
  }
  get precision(): Precision {
    return this.spec.precision;
  }
  get backend(): string {
    return this.#executor.name;
  }

  apply(tensors: RotateArguments & AtOptions & { readonly positions: Positions }): RotateResult {
    return this.#rotate("apply", tensors);
  }

  invert(tensors: RotateArguments & AtOptions & { readonly positions: Positions }): RotateResult {
    return this.#rotate("invert", tensors);
  }

  adjoint(tensors: RotateArguments & AtOptions & { readonly positions: Positions }): RotateResult {
    return this.#rotate("adjoint", tensors);
  }

  at(positions: Positions, options: AtOptions = {}): RotaryStep {
    checkKeys("the options of at", options, ["length"]);
    const { length } = options;
    const resolved = this.#positions(positions);
    const schedule = this.#schedule(length ?? lengthOf(resolved));
    const tables = tablesOf(schedule, resolved, "apply", this.#writeRows, false);
    const table = tables("float32");
    // Until a caller has had them in hand, nobody but executors can see these arrays.
    table.isConstant = true;
    const exposed = (values: RotationTable["cos"]): Float32Array => {
      table.isConstant = false;
      return values as Float32Array;
    };
    return Object.freeze({
      shape: Object.freeze([...rowShape(resolved), this.rotaryDim / 2]),
      get cos() {
        return exposed(table.cos);
      },
      get sin() {
        return exposed(table.sin);
      },
      queryScale: this.spec.queryScale === null ? null : queryScales(this.spec.queryScale, resolved.values.subarray(0, resolved.values.length / resolved.axes)),
      schedule: schedule.length,
      apply: (tensors: RotateArguments) => this.#execute(resolved, tensors, tensorKeys, tables),
    });
  }

  cosSin(positions: Positions, options: CosSinOptions = {}): CosSin {
    checkKeys("the options of cosSin", options, ["width", "dtype", "length", "out"]);
    const { width = "half", dtype = "float32", length, out } = options;
    if (width !== "half" && width !== "full") throw optionError("width", '"half" or "full"', width);
    if (!["float64", "float32", "float16", "bfloat16"].includes(dtype)) throw optionError("dtype", "float64, float32, float16 or bfloat16", dtype);
    const resolved = this.#positions(positions);
    const schedule = this.#schedule(length ?? lengthOf(resolved));
    const pairs = this.rotaryDim / 2;
    const columns = width === "half" ? identityColumns(pairs) : fullColumns(this.pairing, this.rotaryDim);
    const shape = [...rowShape(resolved), columns.length];
    if (out !== undefined) checkCosSinTarget(out, dtype, shape.reduce((product, size) => product * size));
    const make = tablesOf(schedule, resolved, "apply", this.#writeRows, false);
    if (width === "half" && (dtype === "float32" || dtype === "float64")) {
      const { cos, sin } = make(dtype, out as GatheredRows | undefined);
      return { shape, cos, sin };
    }
    const { cos, sin } = make(dtype === "float64" ? "float64" : "float32");
    return { shape, cos: spread(cos, columns, pairs, dtype, out?.cos), sin: spread(sin, columns, pairs, dtype, out?.sin) };
  }

  frequencies(length = 1): Frequencies {
    const { table, attentionFactor, softmaxScaleFactor, frequencies } = this.#schedule(length);
    return { invFreq: table.invFreq, attentionFactor, softmaxScaleFactor, axes: Uint8Array.from(frequencies.axes ?? new Uint8Array(table.pairs)) };
  }

  shift(tensors: ShiftArguments): Tensor {
    checkKeys("the arguments of shift", tensors, ["keys", "from", "to", "out", "length"]);
    const { keys, from, to, out, length } = tensors;
    this.#require("canShift", "shift");
    const source = this.#positions(from);
    const target = this.#positions(to);
    if (source.tokens !== target.tokens || source.batch !== target.batch) {
      throw new RopeError("ROPE_SHAPE", { what: '"from" and "to" differ in shape', expected: `[${rowShape(source).join(", ")}]`, got: `[${rowShape(target).join(", ")}]` });
    }
    const { table, frequencies } = this.#schedule(length ?? Math.max(lengthOf(source), lengthOf(target)));
    const batched = source.batch !== undefined;
    const { cos, sin } = turnBetween(table, source, target, frequencies.axes);
    const result = this.#execute(source, { key: keys, out: out === undefined ? undefined : { key: out } }, tensorKeys, (dtype) =>
      dtype === "float64" ? { cos, sin, batched, isConstant: false } : { cos: Float32Array.from(cos), sin: Float32Array.from(sin), batched, isConstant: false },
    );
    return result.key!;
  }

  schedule(length: number): number | null {
    return this.#schedule(length).length;
  }

  explain(length = 1): RopeExplanation {
    const { table, frequencies, attentionFactor, softmaxScaleFactor } = this.#schedule(length);
    const { spec } = this;
    const { first, distance } = pairElements(spec.pairing, spec.rotaryDim);
    const own: RopeRule[] = [
      { name: "ropeType", value: spec.parameters.ropeType, rule: `registered by ${this.#registration.provider.source}` },
      { name: "headDim", value: spec.headDim, rule: "given" },
      { name: "rotaryDim", value: spec.rotaryDim, rule: spec.rotaryDim === spec.headDim ? "the whole head" : `elements ${spec.rotaryOffset} to ${spec.rotaryOffset + spec.rotaryDim - 1} of each head; the others pass` },
      { name: "base", value: spec.base, rule: "given, or 10000 (RoFormer §3.3)" },
      { name: "pairing", value: typeof spec.pairing === "string" ? spec.pairing : `{ blocks: ${spec.pairing.blocks} }`, rule: `pair i is elements (${first[0]! + spec.rotaryOffset}, ${first[0]! + spec.rotaryOffset + distance}), …` },
      { name: "precision", value: spec.precision, rule: spec.precision === "float32" ? "angle = float32(position) × float32(invFreq), as in the engines that train models" : "angle exact, in float64 with its rounding error carried along" },
      { name: "positionLimit", value: this.positionLimit, rule: this.#limitReason() },
    ];
    const given = new Set(frequencies.rules?.map(({ name }) => name));
    if (!given.has("attentionFactor")) own.push({ name: "attentionFactor", value: attentionFactor, rule: "the type does not scale cos and sin" });
    if (!given.has("softmaxScaleFactor")) own.push({ name: "softmaxScaleFactor", value: softmaxScaleFactor, rule: "the type does not scale the softmax" });
    const pairs = Array.from(table.invFreq, (invFreq, pair) => {
      const element = spec.rotaryOffset + first[pair]!;
      const elements = [element, element + distance] as const;
      return { pair, elements, axis: frequencies.axes?.[pair] ?? 0, invFreq, wavelength: (2 * Math.PI) / invFreq, regime: frequencies.regimes?.[pair] ?? "" };
    });
    // Copies: what a caller does to them must not reach the next explanation.
    return { spec, rules: [...own, ...(frequencies.rules ?? []).map((rule) => ({ ...rule }))], pairs };
  }

  to(backend: string, options?: unknown): never {
    const withExecutor = (executor: RotationExecutor): RotaryEmbedding =>
      new TableRotaryEmbedding(this.spec, this.#registration, this.#backends, executor, this.#schedules);
    return this.#backends(backend).create({ rope: this, withExecutor }, options) as never;
  }

  get #writeRows(): RowWriter {
    return this.#executor.writeRows ?? writeRows;
  }

  /** Frequencies and table in force at a length; equal schedules share one, whichever backend rotates. */
  #schedule(length: number): Schedule {
    const { provider } = this.#registration;
    const { spec } = this;
    if (!Number.isSafeInteger(length) || length < 0) throw optionError("length", "an integer ≥ 0", length);
    const key = this.capabilities.dependsOnLength ? (provider.schedule?.(length, parametersOf(spec), spec) ?? length) : null;
    const known = this.#schedules.get(key);
    if (known !== undefined) return known;
    const parameters = parametersOf(spec);
    const exact = spec.precision === "float64";
    const { headDim, rotaryDim, base, maxPosition, precision } = spec;
    const request = { headDim, rotaryDim, base, maxPosition, precision, length: key, scalar: exact ? doubleDouble : float64, array: exact ? doubleDouble : float32 };
    const formula = provider.frequencies(request, parameters);
    const frequencies = spec.axes === null ? formula : { ...formula, axes: spec.axes };
    checkFrequencies(frequencies, rotaryDim / 2, this.capabilities.axisCount, provider.source);
    const schedule: Schedule = {
      length: key,
      frequencies,
      attentionFactor: toNumber(frequencies.attentionFactor ?? 1),
      softmaxScaleFactor: toNumber(frequencies.softmaxScaleFactor ?? 1),
      // The engines hold frequencies in float32, whether or not the provider's formula rounded its last step.
      table: new CosSinRows(exact ? frequencies.invFreq : frequencies.invFreq.map((f) => Math.fround(toNumber(f))), frequencies.axes, precision),
    };
    if (this.#schedules.size >= SCHEDULES_KEPT) this.#schedules.delete(this.#schedules.keys().next().value!);
    this.#schedules.set(key, schedule);
    return schedule;
  }

  #positions(positions: Positions): ResolvedPositions {
    const { axisCount, fractionalPositions } = this.capabilities;
    return resolvePositions(positions, { axes: axisCount, fractional: fractionalPositions, limit: this.positionLimit, limitReason: this.#limitReason() });
  }

  #limitReason(): string {
    const { maxPosition } = this.spec;
    if (this.positionLimit === POSITION_LIMIT) return "2^24, up to which float32 holds every integer";
    return this.positionLimit === maxPosition ? "maxPosition" : `the context that the type extends maxPosition ${maxPosition} to`;
  }

  #require(capability: "isRotation" | "canShift", method: string): void {
    if (this.capabilities[capability]) return;
    throw new RopeError("ROPE_UNSUPPORTED", {
      what: `${method} is not defined for the rope type ${JSON.stringify(this.ropeType)}`,
      expected: `a type that declares ${capability}`,
      got: `${capability}: false`,
      remedy: "Keep the tensors as they were before the rotation.",
      facts: { ropeType: this.ropeType, capability },
    });
  }

  #rotate(direction: Direction, tensors: RotateArguments & AtOptions & { readonly positions: Positions }): RotateResult {
    if (direction !== "apply") this.#require("isRotation", direction);
    const { positions, length } = tensors;
    const resolved = this.#positions(positions);
    const schedule = this.#schedule(length ?? lengthOf(resolved));
    return this.#execute(resolved, tensors, positionedKeys, tablesOf(schedule, resolved, direction, this.#writeRows, true));
  }

  #execute(
    { batch, tokens }: ResolvedPositions,
    tensors: RotateArguments,
    known: readonly string[],
    tables: Tables,
  ): RotateResult {
    checkKeys("the arguments", tensors, known);
    const { query, key, out } = tensors;
    if (typeof out === "object" && out !== null && !ArrayBuffer.isView(out)) checkKeys("the tensors of out", out, outKeys);
    // An array, say, would leave both outputs unsaid, and the inputs overwritten.
    if (out !== undefined && out?.query === undefined && out?.key === undefined) {
      throw new RopeError("ROPE_SHAPE", { what: '"out" does not fit', expected: "{ query, key } or one of the two", got: show(out), remedy: "Leave out away to rotate in place." });
    }
    const expected = { batch, tokens, headDim: this.spec.headDim };
    const checkedQuery = checkTensor("query", query, out?.query, expected);
    const checkedKey = checkTensor("key", key, out?.key, expected);
    const first = checkedQuery ?? checkedKey;
    if (first === undefined) throw new RopeError("ROPE_SHAPE", { what: "there is nothing to rotate", expected: "query, key, or both", got: "neither" });
    const checked = checkedQuery === undefined || checkedKey === undefined ? [first] : [checkedQuery, checkedKey];
    checkAliasing(checked);
    const { rotaryDim, rotaryOffset, blocks } = rotationShape(this.spec);
    const tasks = checked.map(({ input, output }): RotationTask => ({ rotaryDim, rotaryOffset, blocks, input, output, table: tables(input.dtype === "float64" ? "float64" : "float32") }));
    this.#executor.rotate(tasks);
    return { query: out?.query ?? query, key: out?.key ?? key };
  }
}

/** A tensor of a call and where it goes, both checked; `undefined` where there is none. */
function checkTensor(name: "query" | "key", tensor: Tensor | undefined, target: Tensor | undefined, expected: TensorExpectation): { name: string; input: TensorLayout; output: TensorLayout } | undefined {
  if (tensor === undefined) {
    if (target !== undefined) throw new RopeError("ROPE_SHAPE", { what: `out.${name} is given without ${name}`, expected: `${name} as well`, got: "undefined" });
    return undefined;
  }
  const input = resolveTensor(name, tensor, expected);
  const output = target === undefined ? input : resolveTensor(`out.${name}`, target, expected);
  if (input.batch !== output.batch || input.heads !== output.heads) {
    throw new RopeError("ROPE_SHAPE", {
      what: `"out.${name}" does not fit`,
      expected: `[${input.batch}, ${input.tokens}, ${input.heads}, ${input.headDim}] like ${name}`,
      got: `[${output.batch}, ${input.tokens}, ${output.heads}, ${input.headDim}]`,
    });
  }
  return { name, input, output };
}

/** The table of one call by element type, made when first needed; in arrays of the caller's, if given. */
type Tables = (dtype: "float32" | "float64", target?: GatheredRows) => MutableTable;
type MutableTable = { -readonly [K in keyof RotationTable]: RotationTable[K] };

/**
 * @param isShared whether nobody but an executor will see the values: layers that ask one after the other then get the same.
 */
function tablesOf({ table, attentionFactor }: Schedule, { axes, batch, tokens, values }: ResolvedPositions, direction: Direction, write: RowWriter, isShared: boolean): Tables {
  const amplitude = direction === "invert" ? 1 / attentionFactor : attentionFactor;
  const positions = { axes, rows: (batch ?? 1) * tokens, values };
  const make = (dtype: "float32" | "float64", target?: GatheredRows): MutableTable => {
    const form: GatherForm = { dtype, cosFactor: amplitude, sinFactor: direction === "apply" ? amplitude : -amplitude };
    const { cos, sin } = isShared ? table.shared(positions, form, write) : table.gather(positions, form, write, target);
    return { cos, sin, batched: batch !== undefined, isConstant: isShared };
  };
  let single: MutableTable | undefined;
  let double: MutableTable | undefined;
  return (dtype, target) => (dtype === "float64" ? (double ??= make(dtype, target)) : (single ??= make(dtype, target)));
}

/** A type's own parameters, without its name. */
function parametersOf({ parameters: { ropeType: _, ...parameters } }: RopeSpec): Record<string, unknown> {
  return parameters;
}

/** Makes a rope of a checked spec. @internal */
export function createRope(spec: RopeSpec, registration: RopeRegistration, backends: (name: string) => RopeBackend): RotaryEmbedding {
  return new TableRotaryEmbedding(spec, registration, backends);
}

function capabilitiesOf(spec: RopeSpec, { provider }: RopeRegistration): Required<RopeCapabilities> {
  const { ropeType: _, ...parameters } = spec.parameters;
  const declared = typeof provider.capabilities === "function" ? provider.capabilities(parameters, spec) : provider.capabilities;
  const { isRotation = true, dependsOnLength = false, canShift = isRotation && !dependsOnLength, fractionalPositions = false, axisCount = 1 } = declared ?? {};
  if (spec.axes !== null && axisCount > 1) {
    throw new RopeError("ROPE_INVALID_PARAMETERS", {
      what: `the rope type ${JSON.stringify(spec.parameters.ropeType)} has position axes of its own`,
      expected: "no axes in the request",
      got: `axes for ${Math.max(...spec.axes) + 1}`,
      remedy: "Use the type's own parameters for its axes, or a type of one axis.",
      issues: [{ path: "axes", expected: "nothing", received: show(spec.axes) }],
    });
  }
  return Object.freeze({ isRotation, canShift, dependsOnLength, fractionalPositions, axisCount: spec.axes === null ? axisCount : Math.max(...spec.axes) + 1 });
}

function checkFrequencies({ invFreq, axes, attentionFactor = 1, softmaxScaleFactor = 1, extendedMaxPosition = 0 }: RopeFrequencies, pairs: number, axisCount: number, source: string): void {
  const refuse = (expected: string, got: string): never => {
    throw new RopeError("ROPE_INVALID_PARAMETERS", {
      what: `the provider ${source} gave what cannot be used`,
      expected,
      got,
      remedy: "Check the parameters (a base or factor so large that a frequency is no finite number?), or report it to the provider.",
    });
  };
  if (invFreq.length !== pairs || !invFreq.every((value) => Number.isFinite(toNumber(value)))) {
    refuse(`${pairs} finite frequencies`, `${invFreq.length} numbers: ${show(invFreq.map(toNumber))}`);
  }
  // An axis without positions would leave the pair's cos and sin at zero.
  if (axes !== undefined && !(axes.length === pairs && axes.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < axisCount))) {
    refuse(`${pairs} axes, each an integer from 0 to ${axisCount - 1}`, show(axes));
  }
  const factors = [toNumber(attentionFactor), toNumber(softmaxScaleFactor)];
  if (!factors.every((factor) => Number.isFinite(factor) && factor > 0)) refuse("attentionFactor and softmaxScaleFactor finite and > 0", factors.join(" and "));
  if (Number.isNaN(extendedMaxPosition)) refuse("extendedMaxPosition to be a number", "NaN");
}

/** The length of a sequence that reaches these positions. */
const lengthOf = ({ largest }: ResolvedPositions): number => Math.floor(largest) + 1;

const rowShape = ({ batch, tokens }: ResolvedPositions): number[] => (batch === undefined ? [tokens] : [batch, tokens]);

const identityColumns = (pairs: number): Uint32Array => Uint32Array.from({ length: pairs }, (_, i) => i);

/** Refuses arrays that cos and sin cannot be written to. */
function checkCosSinTarget(out: NonNullable<CosSinOptions["out"]>, dtype: ElementType, length: number): void {
  const kind = dtype === "float64" ? "Float64Array" : dtype === "float32" ? "Float32Array" : "Uint16Array";
  for (const name of ["cos", "sin"] as const) {
    const array = (out as Partial<typeof out> | null)?.[name];
    if (viewName(array) === kind && array!.length === length) continue;
    throw new RopeError("ROPE_SHAPE", { what: `"out.${name}" does not fit`, expected: `a ${kind} of ${length} elements for dtype ${dtype}`, got: viewName(array) === undefined ? show(array) : `a ${viewName(array)} of ${array!.length}` });
  }
  const { cos, sin } = out;
  if (cos.buffer === sin.buffer && Math.abs(cos.byteOffset - sin.byteOffset) < cos.byteLength) {
    throw new RopeError("ROPE_SHAPE", { what: '"out.cos" and "out.sin" overlap', expected: "two arrays of their own memory", got: `${Math.abs(cos.byteOffset - sin.byteOffset)} bytes from one to the other, each of ${cos.byteLength}` });
  }
}

/** The pair that each rotated element belongs to. */
function fullColumns(pairing: Pairing, rotaryDim: number): Uint32Array {
  const { first, distance } = pairElements(pairing, rotaryDim);
  const columns = new Uint32Array(rotaryDim);
  first.forEach((element, pair) => {
    columns[element] = pair;
    columns[element + distance] = pair;
  });
  return columns;
}

function spread(values: Float32Array | Float64Array, columns: Uint32Array, pairs: number, dtype: ElementType, target?: ElementArray): ElementArray {
  const rows = values.length / pairs;
  const row = new Float64Array(columns.length);
  const result = target ?? allocate(dtype, rows * columns.length);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < columns.length; i++) row[i] = values[r * pairs + columns[i]!]!;
    storeElements(dtype, result, r * columns.length, 1, row, 0, columns.length);
  }
  return result;
}

/** cos and sin of the angles at `target` minus those at `source`, as the table rounds each; amplitude 1. */
function turnBetween(table: CosSinRows, source: ResolvedPositions, target: ResolvedPositions, axes: readonly number[] | undefined): { cos: Float64Array; sin: Float64Array } {
  const { pairs } = table;
  const rows = source.values.length / source.axes;
  const cos = new Float64Array(rows * pairs);
  const sin = new Float64Array(rows * pairs);
  for (let axis = 0; axis < source.axes; axis++) {
    for (let row = 0; row < rows; row++) {
      const a = table.row(source.values[axis * rows + row]!);
      const b = table.row(target.values[axis * rows + row]!);
      for (let i = 0; i < pairs; i++) {
        if (axes !== undefined && axes[i] !== axis) continue;
        cos[row * pairs + i] = b.cos[i]! * a.cos[i]! + b.sin[i]! * a.sin[i]!;
        sin[row * pairs + i] = b.sin[i]! * a.cos[i]! - b.cos[i]! * a.sin[i]!;
      }
    }
  }
  return { cos, sin };
}

function optionError(name: string, expected: string, value: unknown): RopeError {
  return new RopeError("ROPE_INVALID_PARAMETERS", { what: `the option ${name} is not valid`, issues: [{ path: name, expected, received: show(value) }] });
}
