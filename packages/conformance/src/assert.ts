/**
 * Assertions of the suite. Each throws an Error with the subject, the expected and the received value. Messages are
 * built only when a check fails.
 */

import { RopeError } from "@ropewalk/core";
import type { RopeErrorCode } from "@ropewalk/core";

/** The parts of a failed check, as fields of its Error. */
export interface CheckParts {
  readonly what: string;
  readonly expected: string;
  readonly received: string;
}

/** Throws the Error of a failed check. */
export function fail(what: string, expected: unknown, got: unknown): never {
  const parts: CheckParts = { what, expected: text(expected), received: text(got) };
  throw Object.assign(new Error(`${what}: expected ${parts.expected}, got ${parts.received}`), parts);
}

/** The parts of an Error that {@link fail} threw; `undefined` for any other error. */
export function partsOf(error: unknown): CheckParts | undefined {
  const { what, expected, received } = Object(error) as Partial<CheckParts>;
  if (what === undefined || expected === undefined || received === undefined) return undefined;
  return { what, expected, received };
}

function text(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "object" && value !== null) return JSON.stringify(value);
  return String(value);
}

export function isTrue(condition: boolean, what: string, expected: string, got: unknown): asserts condition {
  if (!condition) fail(what, expected, got);
}

export function equal(got: unknown, expected: unknown, what: string): void {
  if (!Object.is(got, expected)) fail(what, expected, got);
}

/** Equal JSON; values that JSON does not have are not compared. */
export function sameData(got: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  if (a !== b) fail(what, b, a);
}

/** Whether two numbers differ by more than `tolerance`, or one is NaN. */
export function isFar(got: number, expected: number, tolerance: number): boolean {
  return !(Math.abs(got - expected) <= tolerance);
}

/** Every element lies within its tolerance. */
export function allNear(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number | ((index: number) => number),
  what: string,
): void {
  if (got.length !== expected.length) fail(`${what}, length`, expected.length, got.length);
  for (let i = 0; i < got.length; i++) {
    const allowed = typeof tolerance === "number" ? tolerance : tolerance(i);
    if (isFar(got[i]!, expected[i]!, allowed)) fail(`${what}, element ${i}`, `${expected[i]} ± ${allowed}`, got[i]);
  }
}

/** Equal integers. For the bits of floating-point data: −0, NaN and infinities are compared too. */
export function sameBits(got: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  if (got.length !== expected.length) fail(`${what}, length`, expected.length, got.length);
  for (let i = 0; i < got.length; i++) {
    if (got[i] !== expected[i]) {
      fail(`${what}, word ${i} of ${got.length}`, `0x${expected[i]!.toString(16)}`, `0x${got[i]!.toString(16)}`);
    }
  }
}

/** `run` throws, or rejects with, a RopeError of one of the codes. @returns the error. */
export async function throwsCode(
  run: () => unknown,
  codes: RopeErrorCode | readonly RopeErrorCode[],
  what: string,
): Promise<RopeError> {
  const accepted: readonly string[] = typeof codes === "string" ? [codes] : codes;
  const expected = `a RopeError ${accepted.join(" or ")}`;
  let result: unknown;
  try {
    result = await run();
  } catch (error) {
    if (RopeError.is(error) && accepted.includes(error.code)) return error;
    fail(what, expected, RopeError.is(error) ? `${error.code}: ${error.message}` : error);
  }
  return fail(what, expected, `no error (${typeof result})`);
}
