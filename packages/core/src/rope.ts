/**
 * The implementation of a rope. Immutable; what it hands out are copies that belong to the caller.
 *
 * The class joins the independent parts (frequencies of a provider, rows, positions, tensors, executor) and owns the
 * order in which they are checked: everything first, then the first write.
 */

import { doubleDouble, float32, float64, toNumber } from "./arithmetic.ts";
import type { RopeBackend, RotationExecutor } from "./backend.ts";
import { columnsOf, cosSinTargets, inForm } from "./cos-sin.ts";
import { capabilitiesOf, checkFrequencies } from "./declared.ts";
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
import type { GatheredRows, GatherForm, GatherPositions, RowWriter } from "./rows.ts";
import { checkAliasing, resolveTensor } from "./tensor.ts";
import type { Tensor, TensorExpectation, TensorLayout } from "./tensor.ts";
import type {
  AtOptions,
  CosSin,
  CosSinOptions,
  Frequencies,
  RopeExplanation,
  RotaryEmbedding,
  RotaryStep,
  RotateArguments,
  RotateResult,
  ShiftArguments,
} from "./rotary-embedding.ts";

/** Core's own executor. */
export const javaScriptExecutor: RotationExecutor = Object.freeze({
  name: "js",
  rotate: (tasks: readonly RotationTask[]) => tasks.forEach(rotateTask),
});

/** Frequencies of one schedule, and the source of their cos and sin. */
interface Schedule {
  readonly length: number | null;
  readonly frequencies: RopeFrequencies;
  readonly attentionFactor: number;
  readonly softmaxScaleFactor: number;
  readonly rows: CosSinRows;
}

/** Schedules that a rope keeps; a decoding loop under dynamic scaling makes a new one for each length. */
const SCHEDULES_KEPT = 4;

const outKeys = ["query", "key"];
const tensorKeys = [...outKeys, "out"];
const positionedKeys = [...tensorKeys, "positions", "length"];

type Direction = "apply" | "invert" | "adjoint";

class ScheduledRotaryEmbedding implements RotaryEmbedding {
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
    this.positionLimit =
      maxPosition === null
        ? POSITION_LIMIT
        : Math.min(POSITION_LIMIT, Math.max(maxPosition, Math.floor(first.frequencies.extendedMaxPosition ?? 0)));
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
      queryScale:
        this.spec.queryScale === null
          ? null
          : queryScales(this.spec.queryScale, resolved.values.subarray(0, resolved.values.length / resolved.axes)),
      schedule: schedule.length,
      apply: (tensors: RotateArguments) => this.#execute(resolved, tensors, tensorKeys, tables),
    });
  }

  cosSin(positions: Positions, options: CosSinOptions = {}): CosSin {
    checkKeys("the options of cosSin", options, ["width", "dtype", "length", "out"]);
    const { width = "half", dtype = "float32", length, out } = options;
    if (width !== "half" && width !== "full") throw optionError("width", '"half" or "full"', width);
    if (!["float64", "float32", "float16", "bfloat16"].includes(dtype)) {
      throw optionError("dtype", "float64, float32, float16 or bfloat16", dtype);
    }
    const resolved = this.#positions(positions);
    const schedule = this.#schedule(length ?? lengthOf(resolved));
    const columns = columnsOf(width, this.pairing, this.rotaryDim);
    const shape = [...rowShape(resolved), columns.length];
    const targets =
      out === undefined
        ? undefined
        : cosSinTargets(
            out,
            dtype,
            shape.reduce((product, size) => product * size),
          );
    // These are the form that rows are made in.
    const direct = width === "half" && (dtype === "float32" || dtype === "float64");
    const form = gatherForm(schedule, "apply", dtype === "float64" ? "float64" : "float32");
    const { cos, sin } = schedule.rows.gather(
      gatherPositions(resolved),
      form,
      this.#writeRows,
      direct ? (targets as GatheredRows | undefined) : undefined,
    );
    if (direct) return { shape, cos, sin };
    const pairs = this.rotaryDim / 2;
    return {
      shape,
      cos: inForm(cos, columns, pairs, dtype, targets?.cos),
      sin: inForm(sin, columns, pairs, dtype, targets?.sin),
    };
  }

  frequencies(length = 1): Frequencies {
    const { rows, attentionFactor, softmaxScaleFactor, frequencies } = this.#schedule(length);
    return {
      invFreq: rows.invFreq,
      attentionFactor,
      softmaxScaleFactor,
      axes: Uint8Array.from(frequencies.axes ?? new Uint8Array(rows.pairs)),
    };
  }

  shift(tensors: ShiftArguments): Tensor {
    checkKeys("the arguments of shift", tensors, ["keys", "from", "to", "out", "length"]);
    const { keys, from, to, out, length } = tensors;
    this.#require("canShift", "shift");
    const source = this.#positions(from);
    const target = this.#positions(to);
    if (source.tokens !== target.tokens || source.batch !== target.batch) {
      throw new RopeError("ROPE_SHAPE", {
        what: '"from" and "to" differ in shape',
        expected: `[${rowShape(source).join(", ")}]`,
        received: `[${rowShape(target).join(", ")}]`,
      });
    }
    const { rows, frequencies } = this.#schedule(length ?? Math.max(lengthOf(source), lengthOf(target)));
    const batched = source.batch !== undefined;
    const { cos, sin } = turnBetween(rows, source, target, frequencies.axes);
    const result = this.#execute(
      source,
      { key: keys, out: out === undefined ? undefined : { key: out } },
      tensorKeys,
      (dtype) =>
        dtype === "float64"
          ? { cos, sin, batched, isConstant: false }
          : { cos: Float32Array.from(cos), sin: Float32Array.from(sin), batched, isConstant: false },
    );
    return result.key!;
  }

  schedule(length: number): number | null {
    return this.#schedule(length).length;
  }

  explain(length = 1): RopeExplanation {
    const { rows, frequencies, attentionFactor, softmaxScaleFactor } = this.#schedule(length);
    const { spec } = this;
    const { first, distance } = pairElements(spec.pairing, spec.rotaryDim);
    const own: RopeRule[] = [
      {
        name: "ropeType",
        value: spec.parameters.ropeType,
        rule: `registered by ${this.#registration.provider.source}`,
      },
      { name: "headDim", value: spec.headDim, rule: "given by the request" },
      {
        name: "rotaryDim",
        value: spec.rotaryDim,
        rule:
          spec.rotaryDim === spec.headDim
            ? "the whole head"
            : `elements ${spec.rotaryOffset} to ${spec.rotaryOffset + spec.rotaryDim - 1} of each head; the others pass`,
      },
      { name: "base", value: spec.base, rule: "given, or 10000 (RoFormer §3.3)" },
      {
        name: "pairing",
        value: typeof spec.pairing === "string" ? spec.pairing : `{ blocks: ${spec.pairing.blocks} }`,
        rule: `pair i is elements (${first[0]! + spec.rotaryOffset}, ${first[0]! + spec.rotaryOffset + distance}), …`,
      },
      {
        name: "precision",
        value: spec.precision,
        rule:
          spec.precision === "float32"
            ? "angle = float32(position) × float32(invFreq), as in the engines that train models"
            : "angle exact, in float64 with its rounding error carried along",
      },
      { name: "positionLimit", value: this.positionLimit, rule: this.#limitReason() },
    ];
    const given = new Set(frequencies.rules?.map(({ name }) => name));
    if (!given.has("attentionFactor")) {
      own.push({ name: "attentionFactor", value: attentionFactor, rule: "the type does not scale cos and sin" });
    }
    if (!given.has("softmaxScaleFactor")) {
      own.push({ name: "softmaxScaleFactor", value: softmaxScaleFactor, rule: "the type does not scale the softmax" });
    }
    const pairs = Array.from(rows.invFreq, (invFreq, pair) => {
      const element = spec.rotaryOffset + first[pair]!;
      const elements = [element, element + distance] as const;
      return {
        pair,
        elements,
        axis: frequencies.axes?.[pair] ?? 0,
        invFreq,
        wavelength: (2 * Math.PI) / invFreq,
        regime: frequencies.regimes?.[pair] ?? "",
      };
    });
    // Copies: what a caller does to them must not reach the next explanation.
    return { spec, rules: [...own, ...(frequencies.rules ?? []).map((rule) => ({ ...rule }))], pairs };
  }

  to(backend: string, options?: unknown): never {
    const withExecutor = (executor: RotationExecutor): RotaryEmbedding =>
      new ScheduledRotaryEmbedding(this.spec, this.#registration, this.#backends, executor, this.#schedules);
    return this.#backends(backend).create({ rope: this, withExecutor }, options) as never;
  }

  get #writeRows(): RowWriter {
    return this.#executor.writeRows ?? writeRows;
  }

  /** What is in force at a length; equal schedules share one, whichever backend rotates. */
  #schedule(length: number): Schedule {
    const { provider } = this.#registration;
    const { spec } = this;
    if (!Number.isSafeInteger(length) || length < 0) throw optionError("length", "an integer ≥ 0", length);
    const key = this.capabilities.dependsOnLength
      ? (provider.schedule?.(length, parametersOf(spec), spec) ?? length)
      : null;
    const known = this.#schedules.get(key);
    if (known !== undefined) return known;
    const parameters = parametersOf(spec);
    const exact = spec.precision === "float64";
    const { headDim, rotaryDim, base, maxPosition, precision } = spec;
    const request = {
      headDim,
      rotaryDim,
      base,
      maxPosition,
      precision,
      length: key,
      scalar: exact ? doubleDouble : float64,
      array: exact ? doubleDouble : float32,
    };
    const formula = provider.frequencies(request, parameters);
    const frequencies = spec.axes === null ? formula : { ...formula, axes: spec.axes };
    checkFrequencies(frequencies, rotaryDim / 2, this.capabilities.axisCount, provider.source);
    const schedule: Schedule = {
      length: key,
      frequencies,
      attentionFactor: toNumber(frequencies.attentionFactor ?? 1),
      softmaxScaleFactor: toNumber(frequencies.softmaxScaleFactor ?? 1),
      // The engines hold frequencies in float32, whether or not the provider's formula rounded its last step.
      rows: new CosSinRows(
        exact ? frequencies.invFreq : frequencies.invFreq.map((f) => Math.fround(toNumber(f))),
        frequencies.axes,
        precision,
      ),
    };
    if (this.#schedules.size >= SCHEDULES_KEPT) this.#schedules.delete(this.#schedules.keys().next().value!);
    this.#schedules.set(key, schedule);
    return schedule;
  }

  #positions(positions: Positions): ResolvedPositions {
    const { axisCount, fractionalPositions } = this.capabilities;
    return resolvePositions(positions, {
      axes: axisCount,
      fractional: fractionalPositions,
      limit: this.positionLimit,
      limitReason: this.#limitReason(),
    });
  }

  #limitReason(): string {
    const { maxPosition } = this.spec;
    if (this.positionLimit === POSITION_LIMIT) return "2^24, up to which float32 holds every integer";
    return this.positionLimit === maxPosition
      ? "maxPosition"
      : `the context that the type extends maxPosition ${maxPosition} to`;
  }

  #require(capability: "isRotation" | "canShift", method: string): void {
    if (this.capabilities[capability]) return;
    throw new RopeError("ROPE_UNSUPPORTED", {
      what: `${method} is not defined for the rope type ${JSON.stringify(this.ropeType)}`,
      expected: `a type that declares ${capability}`,
      received: `${capability}: false`,
      remedy: "Keep the tensors as they were before the rotation.",
      facts: { ropeType: this.ropeType, capability },
    });
  }

  #rotate(
    direction: Direction,
    tensors: RotateArguments & AtOptions & { readonly positions: Positions },
  ): RotateResult {
    if (direction !== "apply") this.#require("isRotation", direction);
    const { positions, length } = tensors;
    const resolved = this.#positions(positions);
    const schedule = this.#schedule(length ?? lengthOf(resolved));
    return this.#execute(
      resolved,
      tensors,
      positionedKeys,
      tablesOf(schedule, resolved, direction, this.#writeRows, true),
    );
  }

  #execute(
    { batch, tokens }: ResolvedPositions,
    tensors: RotateArguments,
    known: readonly string[],
    tables: Tables,
  ): RotateResult {
    checkKeys("the arguments", tensors, known);
    const { query, key, out } = tensors;
    if (typeof out === "object" && out !== null && !ArrayBuffer.isView(out)) {
      checkKeys("the tensors of out", out, outKeys);
    }
    // An array, say, would leave both outputs unsaid, and the inputs overwritten.
    if (out !== undefined && out?.query === undefined && out?.key === undefined) {
      throw new RopeError("ROPE_SHAPE", {
        what: '"out" does not fit',
        expected: "{ query, key } or one of the two",
        received: show(out),
        remedy: "Leave out away to rotate in place.",
      });
    }
    const expected = { batch, tokens, headDim: this.spec.headDim };
    const checkedQuery = checkTensor("query", query, out?.query, expected);
    const checkedKey = checkTensor("key", key, out?.key, expected);
    const first = checkedQuery ?? checkedKey;
    if (first === undefined) {
      throw new RopeError("ROPE_SHAPE", {
        what: "there is nothing to rotate",
        expected: "query, key, or both",
        received: "neither",
      });
    }
    const checked = checkedQuery === undefined || checkedKey === undefined ? [first] : [checkedQuery, checkedKey];
    checkAliasing(checked);
    const { rotaryDim, rotaryOffset, blocks } = rotationShape(this.spec);
    const tasks = checked.map(({ input, output }): RotationTask => ({
      rotaryDim,
      rotaryOffset,
      blocks,
      input,
      output,
      table: tables(input.dtype === "float64" ? "float64" : "float32"),
    }));
    this.#executor.rotate(tasks);
    return { query: out?.query ?? query, key: out?.key ?? key };
  }
}

/** A tensor of a call and where it goes, both checked; `undefined` where there is none. */
function checkTensor(
  name: "query" | "key",
  tensor: Tensor | undefined,
  target: Tensor | undefined,
  expected: TensorExpectation,
): { name: string; input: TensorLayout; output: TensorLayout } | undefined {
  if (tensor === undefined) {
    if (target !== undefined) {
      throw new RopeError("ROPE_SHAPE", {
        what: `out.${name} is given without ${name}`,
        expected: `${name} as well`,
        received: "undefined",
      });
    }
    return undefined;
  }
  const input = resolveTensor(name, tensor, expected);
  const output = target === undefined ? input : resolveTensor(`out.${name}`, target, expected);
  if (input.batch !== output.batch || input.heads !== output.heads) {
    throw new RopeError("ROPE_SHAPE", {
      what: `"out.${name}" does not fit`,
      expected: `[${input.batch}, ${input.tokens}, ${input.heads}, ${input.headDim}] like ${name}`,
      received: `[${output.batch}, ${input.tokens}, ${output.heads}, ${input.headDim}]`,
    });
  }
  return { name, input, output };
}

/** The table of one call by element type, made when first needed. */
type Tables = (dtype: "float32" | "float64") => MutableTable;
type MutableTable = { -readonly [K in keyof RotationTable]: RotationTable[K] };

/** @param isShared whether nobody but an executor will see the values: layers that ask one after the other then get the same. */
function tablesOf(
  schedule: Schedule,
  resolved: ResolvedPositions,
  direction: Direction,
  write: RowWriter,
  isShared: boolean,
): Tables {
  const { rows } = schedule;
  const positions = gatherPositions(resolved);
  const make = (dtype: "float32" | "float64"): MutableTable => {
    const form = gatherForm(schedule, direction, dtype);
    const { cos, sin } = isShared ? rows.shared(positions, form, write) : rows.gather(positions, form, write);
    return { cos, sin, batched: resolved.batch !== undefined, isConstant: isShared };
  };
  let single: MutableTable | undefined;
  let double: MutableTable | undefined;
  return (dtype) => (dtype === "float64" ? (double ??= make(dtype)) : (single ??= make(dtype)));
}

const gatherPositions = ({ axes, batch, tokens, values }: ResolvedPositions): GatherPositions => ({
  axes,
  rows: (batch ?? 1) * tokens,
  values,
});

function gatherForm({ attentionFactor }: Schedule, direction: Direction, dtype: "float32" | "float64"): GatherForm {
  const amplitude = direction === "invert" ? 1 / attentionFactor : attentionFactor;
  return { dtype, cosFactor: amplitude, sinFactor: direction === "apply" ? amplitude : -amplitude };
}

/** A type's own parameters, without its name. */
function parametersOf({ parameters: { ropeType: _, ...parameters } }: RopeSpec): Record<string, unknown> {
  return parameters;
}

/** Makes a rope of a checked spec. @internal */
export function createRope(
  spec: RopeSpec,
  registration: RopeRegistration,
  backends: (name: string) => RopeBackend,
): RotaryEmbedding {
  return new ScheduledRotaryEmbedding(spec, registration, backends);
}

/** The length of a sequence that reaches these positions. */
const lengthOf = ({ largest }: ResolvedPositions): number => Math.floor(largest) + 1;

const rowShape = ({ batch, tokens }: ResolvedPositions): number[] => (batch === undefined ? [tokens] : [batch, tokens]);

/** cos and sin of the angles at `target` minus those at `source`, as the rows round each; amplitude 1. */
function turnBetween(
  rows: CosSinRows,
  source: ResolvedPositions,
  target: ResolvedPositions,
  axes: readonly number[] | undefined,
): { cos: Float64Array; sin: Float64Array } {
  const { pairs } = rows;
  const count = source.values.length / source.axes;
  const cos = new Float64Array(count * pairs);
  const sin = new Float64Array(count * pairs);
  for (let axis = 0; axis < source.axes; axis++) {
    for (let row = 0; row < count; row++) {
      const a = rows.row(source.values[axis * count + row]!);
      const b = rows.row(target.values[axis * count + row]!);
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
  return new RopeError("ROPE_INVALID_PARAMETERS", {
    what: `the option ${name} is not valid`,
    issues: [{ path: name, expected, received: show(value) }],
  });
}
