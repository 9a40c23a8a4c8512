/**
 * From a call to the tasks of an executor: check positions, form turns, check tensors, make tasks. Nothing here
 * rotates.
 *
 * One plan serves a rope on all its backends. It holds the only cache of turns.
 */

import type { CosSinWriter } from "./cos-sin.ts";
import { invalid, issue, RopeError, shapeError, show } from "./errors.ts";
import { RopeNumbers } from "./frequencies.ts";
import type { FrequenciesAtLength } from "./frequencies.ts";
import { rotationShape } from "./head.ts";
import type { RotationShape } from "./head.ts";
import { checkKeys } from "./keys.ts";
import type { RotationTable, RotationTask } from "./kernel.ts";
import type { passTasks } from "./pass-check.ts";
import type { PassArguments, PassPlace } from "./pass-arguments.ts";
import type { PassTask } from "./pass-kernel.ts";
import { POSITION_LIMIT, resolvePositions } from "./positions.ts";
import type { PositionRules, Positions, ResolvedPositions } from "./positions.ts";
import type { RopeProvider } from "./provider.ts";
import type { RopeSpec } from "./request.ts";
import { turnsBetween } from "./shift.ts";
import { checkAliasing } from "./aliasing.ts";
import { isEmpty, resolveTensor } from "./tensor.ts";
import type { Tensor, TensorExpectation, TensorLayout } from "./tensor.ts";
import { PositionTurns } from "./turns.ts";
import type { Operation, Turns } from "./turns.ts";

/** The tensors of one call; `T` is the backend's form of a tensor. At least one of `query` and `key` is present. */
export interface CallTensors<T = Tensor> {
  readonly query?: T | undefined;
  readonly key?: T | undefined;
  readonly out?: { readonly query?: T | undefined; readonly key?: T | undefined } | undefined;
}

/** A tensor of a call and its destination, both checked. `output` is `input` itself for a rotation in place. */
export interface CheckedTensor {
  readonly name: "query" | "key";
  readonly input: TensorLayout;
  readonly output: TensorLayout;
}

/**
 * The most values of cos that are kept from one call to the next: 8192 tokens of 64 pairs, 4 MiB with sin. The layers
 * of a model use the same positions one after another.
 */
const KEPT_VALUES = 2 ** 19;
/** The most positions that are kept, to be compared with those of the next call: 1 MiB. */
const KEPT_POSITIONS = 2 ** 17;

export class RopePlan {
  readonly numbers: RopeNumbers;
  readonly positionLimit: number;
  /** Where the limit comes from, for messages. */
  readonly limitReason: string;
  readonly #rules: PositionRules;
  readonly #shape: RotationShape;
  #last: PositionTurns | undefined;

  constructor(spec: RopeSpec, provider: RopeProvider) {
    this.numbers = new RopeNumbers(spec, provider);
    const { maxPosition } = spec;
    const extended = Math.floor(this.numbers.at(1).extendedMaxPosition);
    this.positionLimit =
      maxPosition === null ? POSITION_LIMIT : Math.min(POSITION_LIMIT, Math.max(maxPosition, extended));
    // Every number of the rope is finite, at its shortest length and at its longest.
    this.numbers.at(this.positionLimit);
    this.limitReason =
      this.positionLimit === POSITION_LIMIT
        ? "2^24, up to which float32 holds every integer"
        : this.positionLimit === maxPosition
          ? "maxPosition"
          : `the context that the type extends maxPosition ${maxPosition} to`;
    const { axisCount, fractionalPositions } = this.numbers.capabilities;
    const { positionLimit: limit, limitReason } = this;
    this.#rules = { axes: axisCount, fractional: fractionalPositions, limit, limitReason };
    this.#shape = rotationShape(spec);
  }

  get spec(): RopeSpec {
    return this.numbers.spec;
  }

  /** Checked positions. @throws RopeError as {@link resolvePositions}. */
  positions(positions: Positions): ResolvedPositions {
    return resolvePositions(positions, this.#rules);
  }

  /** The numbers for positions: at the caller's length, or else at the largest position + 1. */
  numbersFor(positions: ResolvedPositions, length: number | undefined): FrequenciesAtLength {
    return this.numbers.at(length ?? lengthOf(positions));
  }

  /**
   * The turns of one call; the same object as before if the call asks for the same.
   *
   * @param isStep whether the caller holds them for several calls; their tables are then kept, however large.
   * @throws RopeError as {@link positions}, and `ROPE_UNSUPPORTED` for an operation that the type does not have.
   */
  turns(
    positions: Positions,
    operation: Operation,
    length: number | undefined,
    write: CosSinWriter,
    isStep: boolean,
  ): PositionTurns {
    if (operation !== "apply") this.require("isRotation", operation);
    const last = this.#last;
    const resolved = resolvePositions(positions, this.#rules, last?.positions);
    const frequencies = this.numbersFor(resolved, length);
    const isLast = last?.positions === resolved && last.operation === operation && last.frequencies === frequencies;
    if (isLast && (last.keepsTables || !isStep)) return last;
    const count = resolved.values.length;
    const isSmall = (count / resolved.axes) * (this.spec.rotaryDim / 2) <= KEPT_VALUES;
    const turns = new PositionTurns(resolved, operation, frequencies, write, isSmall || isStep);
    // A large step's table is the caller's to hold, not the plan's.
    if (isSmall || !isStep) this.#last = count > 0 && count <= KEPT_POSITIONS ? turns : undefined;
    return turns;
  }

  /** The turns that move keys from one position to another. @throws RopeError as {@link turns}. */
  turnsBetween(from: Positions, to: Positions, length: number | undefined): Turns {
    const { isRotation, dependsOnLength } = this.numbers.capabilities;
    // One length names the frequencies of both ends.
    const isNamed = isRotation && dependsOnLength;
    if (!isNamed || length === undefined) {
      this.require("canShift", "shift", isNamed ? "Give length, under which the keys were rotated." : undefined);
    }
    const [source, target] = [this.positions(from), this.positions(to)];
    const numbers = this.numbers.at(length ?? Math.max(lengthOf(source), lengthOf(target)));
    return turnsBetween(numbers, source, target);
  }

  /** Tasks for an executor, of the tensors that have elements. @throws RopeError `ROPE_SHAPE`; nothing is written. */
  tasks(turns: Turns, tensors: CallTensors<PassPlace>): RotationTask[] {
    const { batch, tokens } = turns;
    const checked = checkTensors(tensors, { batch, tokens, headDim: this.spec.headDim }, resolveAny);
    const { rotaryDim, rotaryOffset, blocks } = this.#shape;
    const tasks: RotationTask[] = [];
    // Large turns keep no table: query and key would each get one of their own.
    const tables: Partial<Record<"float32" | "float64", RotationTable>> = {};
    for (const { input, output } of checked) {
      // Its other sizes bound nothing: neither a loop nor a table.
      if (isEmpty(input)) continue;
      const dtype = input.dtype === "float64" ? "float64" : "float32";
      const table = (tables[dtype] ??= turns.table(dtype));
      tasks.push({ rotaryDim, rotaryOffset, blocks, input, output, table });
    }
    return tasks;
  }

  /**
   * The tasks of a pass.
   *
   * @throws RopeError as {@link passTasks}; `ROPE_UNSUPPORTED` for a norm or factors of another operation than `apply`;
   * `ROPE_INVALID_PARAMETERS` for factors of a rope without `queryScale`.
   */
  passTasks(
    check: typeof passTasks,
    turns: Turns,
    call: PassArguments,
    queryScale: ((position: number) => number) | null,
    operation: Operation | "shift",
  ): PassTask[] {
    if (operation !== "apply" && (call.norm ?? call.queryScale) !== undefined) throw noNorm(operation);
    return check(call, turns, this.spec.headDim, this.#shape, () => {
      if (queryScale !== null) return queryFactors((turns as PositionTurns).positions, queryScale);
      throw invalid("the arguments", [issue("queryScale", "a rope with queryScale in its request", true)]);
    });
  }

  /** @throws RopeError `ROPE_UNSUPPORTED` unless ropes of the type declare the capability. */
  require(
    capability: "isRotation" | "canShift",
    method: string,
    remedy = "Keep the tensors as they were before the rotation.",
  ): void {
    if (this.numbers.capabilities[capability]) return;
    const { ropeType } = this.spec.parameters;
    throw new RopeError("ROPE_UNSUPPORTED", {
      what: `${method} is not defined for the rope type ${JSON.stringify(ropeType)}`,
      expected: `a type that declares ${capability}`,
      received: `${capability}: false`,
      remedy,
      facts: { ropeType, capability },
    });
  }
}

const noNorm = (operation: string): RopeError =>
  new RopeError("ROPE_UNSUPPORTED", {
    what: `${operation} has no norm and no factors of queries`,
    expected: "norm and queryScale only with apply",
    received: "norm or queryScale",
    remedy: "Call normGradient of @ropewalk/core/math for the gradient of a norm.",
  });

/** The factor of the queries of each token; with several axes, the first axis counts tokens. */
export const queryFactors = ({ values, axes }: ResolvedPositions, rule: (position: number) => number): Float32Array =>
  Float32Array.from(values.subarray(0, values.length / axes), rule);

/** The length of a sequence that reaches these positions. */
const lengthOf = ({ largest }: ResolvedPositions): number => Math.floor(largest) + 1;

/** A place that only a pass takes is no tensor, and refused as such. */
const resolveAny = (name: string, tensor: PassPlace, expected: TensorExpectation): TensorLayout =>
  resolveTensor(name, tensor as Tensor, expected);

const outKeys = ["query", "key"];

/**
 * Checks the tensors of a call against each other and against its positions, for tensors of any kind: typed arrays, or
 * buffers of a device. Nothing is written.
 *
 * @param tensors the caller's query, key and `out`. Other keys are the caller's to check.
 * @param expected the batch, tokens and head size that every tensor must have.
 * @param resolve describes one tensor as a {@link TensorLayout}, or throws. `name` is for its message: `"query"`,
 * `"out.key"`.
 * @returns one entry for each tensor, query before key.
 * @throws RopeError `ROPE_SHAPE` when there is neither query nor key, when `out` has a tensor without an input or
 * another shape than its input, or when tensors overlap (as {@link checkAliasing}); `ROPE_INVALID_PARAMETERS` for an
 * unknown key of `out`; and the errors of `resolve`.
 */
export function checkTensors<T>(
  { query, key, out: given }: CallTensors<T>,
  expected: TensorExpectation,
  resolve: (name: string, tensor: T, expected: TensorExpectation) => TensorLayout,
): CheckedTensor[] {
  let out = given;
  if (out !== undefined) {
    const isPair = typeof out === "object" && out !== null && !ArrayBuffer.isView(out);
    if (isPair) out = checkKeys("the tensors of out", out, outKeys);
    // An array, say, names no output, and the inputs would be overwritten.
    if (!isPair || (out.query === undefined && out.key === undefined)) {
      throw shapeError(
        "out",
        "{ query, key } or one of the two",
        show(out),
        "Without it, tensors are rotated in place.",
      );
    }
  }
  const checkedQuery = checkTensor("query", query, out?.query, expected, resolve);
  const checkedKey = checkTensor("key", key, out?.key, expected, resolve);
  const first = checkedQuery ?? checkedKey;
  if (first === undefined) throw shapeError("query", "query, key, or both", "neither");
  const checked = checkedQuery === undefined || checkedKey === undefined ? [first] : [checkedQuery, checkedKey];
  checkAliasing(checked);
  return checked;
}

/** The checked query or key; `undefined` if the call has none. */
function checkTensor<T>(
  name: "query" | "key",
  tensor: T | undefined,
  target: T | undefined,
  expected: TensorExpectation,
  resolve: (name: string, tensor: T, expected: TensorExpectation) => TensorLayout,
): CheckedTensor | undefined {
  if (tensor === undefined) {
    if (target !== undefined) throw shapeError(`out.${name}`, `${name} as well`, `no ${name}`);
    return undefined;
  }
  const input = resolve(name, tensor, expected);
  const output = target === undefined ? input : resolve(`out.${name}`, target, expected);
  if (input.batch !== output.batch || input.heads !== output.heads) {
    throw shapeError(`out.${name}`, `${shapeText(input)} like ${name}`, shapeText(output));
  }
  return { name, input, output };
}

const shapeText = ({ batch, tokens, heads, headDim }: TensorLayout): string =>
  `[${batch}, ${tokens}, ${heads}, ${headDim}]`;
