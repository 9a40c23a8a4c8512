/**
 * Which elements of a head are rotated, and how they pair: the one check for requests, given tables, weights, gradients.
 */

import { issue, RopeError } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import { blocksOf, isSize, pairingIssues } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";

/**
 * Far beyond any model, and small enough that a mistake does not cost all memory. A *wide head*, which is the whole hidden
 * vector of a token, must fit too.
 */
const LARGEST_HEAD = 65536;

/** Which elements of a head are rotated, in which blocks; see `pairing.ts`. */
export interface RotationShape {
  /** Rotated elements; even. */
  readonly rotaryDim: number;
  /** The first of them. */
  readonly rotaryOffset: number;
  /** Equal blocks that they are cut into. */
  readonly blocks: number;
}

/** What a head is described by, unchecked. `undefined` stands for a size that something else has refused already. */
interface GivenHead {
  readonly headDim: unknown;
  readonly rotaryDim: unknown;
  readonly rotaryOffset: unknown;
}

/** What is wrong with the sizes of a head. What is measured against a wrong size stays unsaid: one mistake, one issue. */
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
 * Checks a head whose sizes came as arguments of a function.
 *
 * @param pairings by the name of the argument.
 * @throws RopeError `ROPE_SHAPE` with every issue.
 */
export function requireHead(what: string, head: GivenHead, pairings: Readonly<Record<string, unknown>>): void {
  const issues = headIssues(head);
  for (const path in pairings) issues.push(...pairingIssues(pairings[path], head.rotaryDim, path));
  if (issues.length > 0) throw new RopeError("ROPE_SHAPE", { what, issues });
}

/** The shape of the rotation of a checked head. */
export function rotationShape(head: {
  readonly rotaryDim: number;
  readonly rotaryOffset: number;
  readonly pairing: Pairing;
}): RotationShape {
  const { rotaryDim, rotaryOffset, pairing } = head;
  return { rotaryDim, rotaryOffset, blocks: blocksOf(pairing, rotaryDim) };
}
