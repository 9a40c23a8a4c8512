/** Fingerprints of the bits in a tensor, to recognise what was written before. */

/** @import { TensorLayout } from "@ropewalk/core/backend" */

/**
 * The place of the first element of each head, token by token.
 *
 * @param {TensorLayout} tensor
 */
export function* places({ batch, tokens, heads, offset, batchStride, tokenStride, headStride }) {
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t++) {
      for (let h = 0; h < heads; h++) yield offset + b * batchStride + t * tokenStride + h * headStride;
    }
  }
}

/**
 * FNV-1a, 32 bits, of the rotated elements of one head. Two of 2^32 fingerprints are equal by chance.
 *
 * @param {TensorLayout} tensor
 * @param {number} place of the head's first element
 * @param {number} rotaryOffset
 * @param {number} rotaryDim
 */
export function fingerprint({ data, elementStride }, place, rotaryOffset, rotaryDim) {
  const size = data.BYTES_PER_ELEMENT;
  // Words of 16 bits divide elements of every type, and every array begins at a multiple of its element's size.
  const words = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
  let hash = 0x811c9dc5;
  for (let element = rotaryOffset; element < rotaryOffset + rotaryDim; element++) {
    const first = ((place + element * elementStride) * size) / 2;
    for (let word = first; word < first + size / 2; word++) hash = Math.imul(hash ^ (words[word] ?? 0), 0x01000193);
  }
  return hash >>> 0;
}
