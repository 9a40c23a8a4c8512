/** Test data, the same on every machine and in every run. */

/**
 * Uniform numbers in [0, 1) from a seed and a label. Each check has its own stream, so a test that runs alone gets the
 * same data as in the whole suite.
 *
 * Source: Marsaglia, Xorshift RNGs (2003), the triple 13, 17, 5; started from a hash of the label (FNV-1a).
 */
export function randomStream(seed: number, label: string): () => number {
  let state = 0x811c9dc5 ^ seed;
  for (let i = 0; i < label.length; i++) state = Math.imul(state ^ label.charCodeAt(i), 0x01000193);
  if (state === 0) state = 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
