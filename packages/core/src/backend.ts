/**
 * The contract between core and the packages that rotate elsewhere than in JavaScript.
 *
 * A backend never learns which type a rope has: it gets cos and sin (or the means to gather them) and the shape of the
 * rotation. A synchronous backend supplies a {@link RotationExecutor} and gets back a rope with the whole public
 * surface; one that is asynchronous or works on foreign memory returns an object of its own.
 */

import type { RotaryEmbedding } from "./rotary-embedding.ts";
import type { RotationTask } from "./rotate.ts";
import type { RowWriter } from "./rows.ts";

/** Rotates checked tensors; what differs between synchronous backends. */
export interface RotationExecutor {
  /** The backend's name, `"js"` for core's own. */
  readonly name: string;
  /** Rotates all tensors of one call. Tables, shapes, bounds and aliasing have been checked. */
  rotate(tasks: readonly RotationTask[]): void;
  /** Makes cos and sin, with the bits of core's {@link writeRows}, which does it where this is absent. */
  readonly writeRows?: RowWriter;
}

/** What a backend is made with. */
export interface BackendContext {
  /** The rope in JavaScript: spec, frequencies, tables. */
  readonly rope: RotaryEmbedding;
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

export type { RotaryEmbedding, RotationTask };
export type { RotationShape, RotationTable } from "./rotate.ts";
export type { TensorExpectation, TensorLayout } from "./tensor.ts";
export { checkAliasing, extent, resolveLayout, resolveTensor } from "./tensor.ts";
export { resolvePositions } from "./positions.ts";
export type { PositionRules, ResolvedPositions } from "./positions.ts";
export { copyUnrotated, rotateTask } from "./rotate.ts";
export { writeRows } from "./rows.ts";
export type { Ladder, RowWriter } from "./rows.ts";
export { LARGEST_ANGLE, partsOfTurn } from "./sincos.ts";
export { invalid, shapeError, show } from "./errors.ts";
export { checkKeys } from "./parameters.ts";
