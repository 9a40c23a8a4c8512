/**
 * The contract between core and backends: the packages that rotate in WebAssembly, on a device, or elsewhere.
 *
 * A backend never needs the type of a rope. It gets turns (cos and sin) and the shape of the rotation. A synchronous
 * backend supplies a {@link RotationExecutor} and gets back a rope with the whole public interface. An asynchronous
 * backend, or one with memory of its own, returns its own object.
 */

import type { CosSinWriter } from "./cos-sin.ts";
import type { AtOptions, RotaryEmbedding, RotateArguments } from "./interface.ts";
import type { RotationTask } from "./kernel.ts";
import type { PassArguments } from "./pass-arguments.ts";
import type { passTasks } from "./pass-check.ts";
import type { PassTask } from "./pass-kernel.ts";
import type { Positions } from "./positions.ts";
import type { Operation, Turns } from "./turns.ts";

/** Rotates checked tensors. A synchronous backend consists of one of these. */
export interface RotationExecutor {
  /** The backend's name, `"js"` for core's own. */
  readonly name: string;
  /**
   * Rotates all tensors of one call. Core has checked shapes, bounds and aliasing before. The executor writes only to
   * the `output` of each task, and never to a table.
   */
  rotate(tasks: readonly RotationTask[]): void;
  /**
   * Executes the tasks of a pass: norm, rotation, factors, and the write to any destination. Core has checked
   * everything before. The executor writes only to the `output` of each task and its scales. Without this method the
   * backend only rotates, and core refuses more.
   */
  pass?(tasks: readonly PassTask[]): void;
  /** Computes cos and sin with the same bits as core's {@link writeCosSin}. Default: that function. */
  readonly writeCosSin?: CosSinWriter;
}

/**
 * Core's side of the contract, passed to `create`: core plans a call, the backend executes it. None of these functions
 * writes to a tensor.
 */
export interface BackendContext {
  /** The rope that `to` was called of: spec, frequencies, tables. */
  readonly rope: RotaryEmbedding;
  /**
   * Checks positions and returns their turns. When positions, operation and length equal those of the call before, the
   * result is the same object (up to 8192 tokens of 64 pairs). So a backend can keep its own copy of the numbers, and
   * compare turns by identity.
   *
   * @param options `length`: the current length in tokens. Default: the largest position + 1.
   * @throws RopeError `ROPE_SHAPE` for positions of another shape; `ROPE_POSITION_RANGE` for a position outside the
   * range; `ROPE_UNSUPPORTED` for `"invert"` and `"adjoint"` of a type that is no rotation; `ROPE_INVALID_PARAMETERS`
   * for an unknown option or a length that is no integer ≥ 0.
   */
  turns(positions: Positions, operation: Operation, options?: AtOptions): Turns;
  /**
   * The turns that move rotated keys from one position to another: the difference of the two angles, amplitude 1.
   *
   * @throws RopeError as {@link turns}; `ROPE_SHAPE` when `from` and `to` differ in shape; `ROPE_UNSUPPORTED` for a
   * type that does not declare `canShift`.
   */
  turnsBetween(from: Positions, to: Positions, options?: AtOptions): Turns;
  /**
   * Checks tensors against turns and returns one task for each tensor that has elements, query before key. Tasks
   * describe the caller's memory, by arrays of core's own on it; nothing is copied.
   *
   * @throws RopeError `ROPE_SHAPE` for tensors that do not fit the turns or overlap; `ROPE_INVALID_PARAMETERS` for an
   * unknown key.
   */
  check(turns: Turns, tensors: RotateArguments): RotationTask[];
  /**
   * As {@link check}, for a pass: one task for each tensor that has elements, query, key, value.
   *
   * @param operation of the turns: norms and factors of queries belong to `"apply"` only.
   * @param check `passTasks` of the entry `pass` (default), or for a backend whose callers pass other memory than
   * JavaScript's, that function with its `memory`.
   * @throws RopeError as {@link check}; `ROPE_SHAPE` for slots or weights that do not fit; `ROPE_UNSUPPORTED` for a
   * norm of another operation.
   */
  checkPass(turns: Turns, tensors: PassArguments, operation: Operation, check?: typeof passTasks): PassTask[];
  /** The same rope, whose rotations `executor` does. `rope.backend` is the executor's name. */
  withExecutor(executor: RotationExecutor): RotaryEmbedding;
}

/** A backend, as a value; register it with `registerBackend`. */
export interface RopeBackend {
  /** Version of this contract: 1. */
  readonly specificationVersion: number;
  /** The name that callers pass to `rope.to`. */
  readonly name: string;
  /** Package and version. Registering the same source again does nothing. */
  readonly source: string;
  /**
   * Makes the backend's form of a rope. It may return a promise, which `rope.to` passes on. Checks `options` itself.
   */
  create(context: BackendContext, options: unknown): unknown;
  /**
   * The executor of ropes that `getRope(request, { backend: name })` gives: of a synchronous backend, the same object
   * every time. It throws `ROPE_BACKEND_UNAVAILABLE` where the backend cannot run.
   */
  executor?(): RotationExecutor;
}

/** What executes the ropes that are asked for without a backend; register it with `registry.registerExecutor`. */
export interface DefaultExecutor {
  /** Version of this contract: 1. */
  readonly specificationVersion: number;
  /** Package and version. Registering the same source again does nothing. */
  readonly source: string;
  /**
   * The executor, the same object every time; `undefined` leaves ropes to core's own. Core calls it in each `getRope`.
   */
  choose(): RotationExecutor | undefined;
}

export type { Operation, RotaryEmbedding, RotationTask, Turns };
export type { RotationTable } from "./kernel.ts";
export { copyUnrotated, rotateTask } from "./kernel.ts";
export type { RotationShape } from "./head.ts";
export { rotationShape } from "./head.ts";
export { isPass } from "./pass-arguments.ts";
export type { CallTensors, CheckedTensor } from "./plan.ts";
export { checkTensors } from "./plan.ts";
export type { TensorExpectation, TensorLayout } from "./tensor.ts";
export { checkAliasing } from "./aliasing.ts";
export { extent, resolveLayout, resolveTensor } from "./tensor.ts";
export { resolvePositions } from "./positions.ts";
export type { PositionRules, ResolvedPositions } from "./positions.ts";
export { writeCosSin } from "./cos-sin.ts";
export type { AngleFrequencies, CosSinWriter } from "./cos-sin.ts";
export { LARGEST_ANGLE, partsOfCircle } from "./trigonometry.ts";
export { checkKeys, nearest } from "./keys.ts";
export { listOf, trueView, viewName } from "./element-types.ts";
export { invalid, shapeError, show } from "./errors.ts";
