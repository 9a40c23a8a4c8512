/**
 * The contract between core and the packages that rotate elsewhere than in JavaScript.
 *
 * A backend never learns which type a rope has: it gets cos and sin (or the means to gather them) and the shape of the
 * rotation. A synchronous backend supplies a {@link RotationExecutor} and gets back a rope with the whole public
 * surface; one that is asynchronous or works on foreign memory returns an object of its own.
 */

import type { CosSinWriter } from "./cos-sin.ts";
import type { AtOptions, RotaryEmbedding, RotateArguments } from "./interface.ts";
import type { RotationTask } from "./kernel.ts";
import type { Positions } from "./positions.ts";
import type { Operation, Turns } from "./turns.ts";

/** Rotates checked tensors; what differs between synchronous backends. */
export interface RotationExecutor {
  /** The backend's name, `"js"` for core's own. */
  readonly name: string;
  /** Rotates all tensors of one call. Tables, shapes, bounds and aliasing have been checked. */
  rotate(tasks: readonly RotationTask[]): void;
  /** Makes cos and sin, with the bits of core's {@link writeCosSin}, which does it where this is absent. */
  readonly writeCosSin?: CosSinWriter;
}

/** What a backend is made with. Core plans, the backend executes: none of these functions writes to a tensor. */
export interface BackendContext {
  /** The rope in JavaScript: spec, frequencies, tables. */
  readonly rope: RotaryEmbedding;
  /**
   * Checks positions and forms their turns. Asked for the same as in the call before, the same turns come again (up to 8192
   * tokens of 64 pairs), so that what a backend made of them can be kept by their identity.
   *
   * @throws RopeError `ROPE_SHAPE`, `ROPE_POSITION_RANGE`; `ROPE_UNSUPPORTED` for an operation that the type does not have.
   */
  turns(positions: Positions, operation: Operation, options?: AtOptions): Turns;
  /** The turns that move keys from one position to another. @throws RopeError as {@link turns}. */
  turnsBetween(from: Positions, to: Positions, options?: AtOptions): Turns;
  /** Checks tensors against turns and makes a task for each. @throws RopeError `ROPE_SHAPE`, `ROPE_INVALID_PARAMETERS`. */
  check(turns: Turns, tensors: RotateArguments): RotationTask[];
  /** The same rope with rotations done by `executor`. */
  withExecutor(executor: RotationExecutor): RotaryEmbedding;
}

/** A backend, as a value; register it with `registerBackend`. */
export interface RopeBackend {
  /** Version of this contract: 1. */
  readonly specificationVersion: number;
  /** What `rope.to(name)` says. */
  readonly name: string;
  /** Package and version; registering the same source again is a no-op. */
  readonly source: string;
  /** Makes the backend's form of a rope. May return a promise; `rope.to` passes it through. */
  create(context: BackendContext, options: unknown): unknown;
}

export type { Operation, RotaryEmbedding, RotationTask, Turns };
export type { RotationTable } from "./kernel.ts";
export { copyUnrotated, rotateTask } from "./kernel.ts";
export type { RotationShape } from "./head.ts";
export { rotationShape } from "./head.ts";
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
export { checkKeys } from "./keys.ts";
export { invalid, shapeError, show } from "./errors.ts";
