/** Helpers for tests of errors. */

import { expect } from "vitest";
import { RopeError } from "@ropewalk/core";
import type { RopeErrorCode } from "@ropewalk/core";

/** Runs `action`, which must throw a RopeError of this code, and returns the error. */
export function caught(action: () => unknown, code: RopeErrorCode): RopeError {
  try {
    action();
  } catch (error) {
    if (!RopeError.is(error)) throw new Error(`expected ${code}, got ${String(error)}`, { cause: error });
    expect(error.code, error.message).toBe(code);
    return error;
  }
  throw new Error(`expected ${code}, but nothing was thrown`);
}

/** The bits of typed arrays, to compare them where -0, NaN payloads and rounding count. */
export function bits(array: {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
}): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength).slice();
}
