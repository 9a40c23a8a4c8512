/**
 * Which two elements of a head form a rotated pair.
 *
 * All pairings of this field have one form: the rotated elements are cut into `n` equal blocks, and inside a block of
 * `2w` elements, element `j` pairs with element `j + w`. One block is `half`; blocks of two elements are `adjacent`.
 */

import { issue, RopeError } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";

/**
 * The two elements of pair `i`:
 * - `"half"`: pair `i` is `(i, i + rotaryDim/2)`. Hugging Face `rotate_half`, vLLM and MindIE `is_neox_style=True`,
 *   ONNX `interleaved=0`, ATB `rotaryCoeff=2`, ndrope `rope_m`.
 * - `"adjacent"`: pair `i` is `(2i, 2i + 1)`. The original paper, GPT-J, vLLM `is_neox_style=False`, ONNX
 *   `interleaved=1`, ATB `rotaryCoeff=headDim`, ndrope `rope_nd`.
 * - `{ blocks: n }`: `n` blocks, each rotated by halves. ATB `rotaryCoeff=4` is `{ blocks: 2 }`.
 */
export type Pairing = "half" | "adjacent" | { readonly blocks: number };

export const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

/** The mistakes in a pairing of `rotaryDim` elements. A wrong `rotaryDim` is not reported here. */
export function pairingIssues(pairing: unknown, rotaryDim: unknown, path = "pairing"): RopeIssue[] {
  if (pairing === "half" || pairing === "adjacent") return [];
  const blocks = typeof pairing === "object" && pairing !== null ? (pairing as { blocks?: unknown }).blocks : undefined;
  const pairs = isSize(rotaryDim) && rotaryDim % 2 === 0 ? rotaryDim / 2 : undefined;
  const isAlone = isSize(blocks) && Object.keys(pairing as object).length === 1;
  if (isAlone && (pairs === undefined || pairs % blocks === 0)) return [];
  const whole = pairs === undefined ? "" : ` = ${pairs}`;
  const expected = `"half", "adjacent" or { blocks: n } with n dividing rotaryDim/2${whole}`;
  return [issue(path, expected, pairing)];
}

/** {@link blockCount} of a pairing that has been checked. */
export function blocksOf(pairing: Pairing, rotaryDim: number): number {
  if (pairing === "half") return 1;
  return pairing === "adjacent" ? rotaryDim / 2 : pairing.blocks;
}

/**
 * The number of equal blocks that a pairing cuts `rotaryDim` elements into: 1 for `"half"`, `rotaryDim/2` for
 * `"adjacent"`.
 *
 * @throws RopeError `ROPE_SHAPE` when `rotaryDim` is no even integer > 0, the pairing is none, or its blocks do not
 * divide `rotaryDim/2`.
 *
 * @example
 * blockCount("adjacent", 8); // 4
 */
export function blockCount(pairing: Pairing, rotaryDim: number): number {
  const issues = pairingIssues(pairing, rotaryDim);
  if (!isSize(rotaryDim) || rotaryDim % 2 !== 0) {
    issues.push(issue("rotaryDim", "an even integer > 0", rotaryDim));
  }
  if (issues.length > 0) throw new RopeError("ROPE_SHAPE", { what: "elements cannot be paired", issues });
  return blocksOf(pairing, rotaryDim);
}

/**
 * The one spelling of equal pairings: `"half"` for one block, `"adjacent"` for blocks of two elements, else a frozen
 * `{ blocks }`.
 *
 * @throws RopeError as {@link blockCount}.
 *
 * @example
 * canonicalPairing({ blocks: 4 }, 8); // adjacent
 */
export function canonicalPairing(pairing: Pairing, rotaryDim: number): Pairing {
  const blocks = blockCount(pairing, rotaryDim);
  if (blocks === 1) return "half";
  return blocks === rotaryDim / 2 ? "adjacent" : Object.freeze({ blocks });
}

/**
 * The elements of each pair: pair `i` is `(first[i], first[i] + distance)`, counted from the first rotated element.
 * `first` is a new array of `rotaryDim/2` indices.
 *
 * @throws RopeError as {@link blockCount}.
 *
 * @example
 * pairElements("adjacent", 8).first; // 0, 2, 4, 6
 */
export function pairElements(pairing: Pairing, rotaryDim: number): { first: Uint32Array; distance: number } {
  const blocks = blockCount(pairing, rotaryDim);
  const width = rotaryDim / 2 / blocks;
  const first = Uint32Array.from({ length: rotaryDim / 2 }, (_, i) => Math.floor(i / width) * 2 * width + (i % width));
  return { first, distance: width };
}
