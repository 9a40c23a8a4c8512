/**
 * Which two elements of a head form a rotated pair.
 *
 * All pairings of this field are one idea: the rotated elements are cut into `n` equal blocks, and inside a block of
 * width `2w` element `j` goes with element `j + w`. One block is `half`, blocks of two elements are `adjacent`.
 */

/**
 * - `"half"`: pair `i` is `(i, i + rotaryDim/2)`. Hugging Face `rotate_half`, vLLM and MindIE `is_neox_style=True`,
 *   ONNX `interleaved=0`, ATB `rotaryCoeff=2`, ndrope `rope_m`.
 * - `"adjacent"`: pair `i` is `(2i, 2i + 1)`. The original paper, GPT-J, vLLM `is_neox_style=False`, ONNX
 *   `interleaved=1`, ATB `rotaryCoeff=headDim`, ndrope `rope_nd`.
 * - `{ blocks: n }`: `n` blocks, each rotated by halves. ATB `rotaryCoeff=4` is `{ blocks: 2 }`.
 */
export type Pairing = "half" | "adjacent" | { readonly blocks: number };

/** The number of blocks that a pairing cuts `rotaryDim` elements into. */
export function blockCount(pairing: Pairing, rotaryDim: number): number {
  if (pairing === "half") return 1;
  return pairing === "adjacent" ? rotaryDim / 2 : pairing.blocks;
}

/** The one spelling of equal pairings: `{ blocks: 1 }` is `"half"`, blocks of two elements are `"adjacent"`. */
export function canonicalPairing(pairing: Pairing, rotaryDim: number): Pairing {
  const blocks = blockCount(pairing, rotaryDim);
  if (blocks === 1) return "half";
  return blocks === rotaryDim / 2 ? "adjacent" : Object.freeze({ blocks });
}

/** The first element of each pair and the distance to its partner, relative to the first rotated element. */
export function pairElements(pairing: Pairing, rotaryDim: number): { first: Uint32Array; distance: number } {
  const width = rotaryDim / 2 / blockCount(pairing, rotaryDim);
  const first = Uint32Array.from({ length: rotaryDim / 2 }, (_, i) => Math.floor(i / width) * 2 * width + (i % width));
  return { first, distance: width };
}
