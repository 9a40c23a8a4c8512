/**
 * The one check of a head (its size, its rotated elements, their pairing) for requests, given tables, weights and
 * gradients.
 */

import { issue, RopeError } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import { blocksOf, isSize, pairingIssues } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";

/**
 * The largest head: far beyond any model, but small enough that a mistake does not use up all memory. A *wide head*,
 * the whole hidden vector of a token, fits as well.
 */
const LARGEST_HEAD = 65536;

/** The rotated elements of a head, and how they pair. */
export interface RotationShape {
  /** Number of rotated elements; even. */
  readonly rotaryDim: number;
  /** Index of the first rotated element. */
  readonly rotaryOffset: number;
  /**
   * Number of equal blocks: inside a block of `2w` elements, `j` pairs with `j + w`. 1 is `"half"`, `rotaryDim/2` is
   * `"adjacent"`.
   */
  readonly blocks: number;
}

/** The sizes of a head, unchecked. */
interface GivenHead {
  readonly headDim: unknown;
  readonly rotaryDim: unknown;
  readonly rotaryOffset: unknown;
}

/**
 * The mistakes in the sizes of a head. A size that depends on a wrong one is not reported: one mistake gives one issue.
 */
export function headIssues({ headDim, rotaryDim, rotaryOffset }: GivenHead): RopeIssue[] {
  const issues: RopeIssue[] = [];
  const head = isSize(headDim) && headDim <= LARGEST_HEAD ? headDim : undefined;
  if (head === undefined) issues.push(issue("headDim", `an integer > 0 and ≤ ${LARGEST_HEAD}`, headDim));
  const dim = isSize(rotaryDim) && rotaryDim % 2 === 0 && rotaryDim <= (head ?? LARGEST_HEAD) ? rotaryDim : undefined;
  // A rotaryDim that follows from a wrong headDim is not the caller's mistake.
  if (dim === undefined && (head !== undefined || rotaryDim !== headDim)) {
    const limit = head === undefined ? "" : ` and ≤ headDim (${head})`;
    issues.push(issue("rotaryDim", `an even integer > 0${limit}`, rotaryDim, "Elements are rotated in pairs."));
  }
  const last = (head ?? Infinity) - (dim ?? 0);
  if (!(Number.isSafeInteger(rotaryOffset) && (rotaryOffset as number) >= 0 && (rotaryOffset as number) <= last)) {
    issues.push(issue("rotaryOffset", "an integer ≥ 0 with rotaryOffset + rotaryDim ≤ headDim", rotaryOffset));
  }
  return issues;
}

/**
 * Checks a head whose sizes are arguments of a function.
 *
 * @param pairings by the name of the argument.
 * @throws RopeError `ROPE_SHAPE` with every issue.
 */
export function requireHead(what: string, head: GivenHead, pairings: Readonly<Record<string, unknown>>): void {
  const issues = headIssues(head);
  for (const [path, pairing] of Object.entries(pairings)) {
    issues.push(...pairingIssues(pairing, head.rotaryDim, path));
  }
  if (issues.length > 0) throw new RopeError("ROPE_SHAPE", { what, issues });
}

/**
 * The {@link RotationShape} of a checked head, as `rope.spec` has it. The pairing must divide `rotaryDim`; nothing is
 * checked.
 */
export function rotationShape(head: {
  readonly rotaryDim: number;
  readonly rotaryOffset: number;
  readonly pairing: Pairing;
}): RotationShape {
  const { rotaryDim, rotaryOffset, pairing } = head;
  return { rotaryDim, rotaryOffset, blocks: blocksOf(pairing, rotaryDim) };
}
