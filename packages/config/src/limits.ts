/**
 * The most of each thing that a config may have. Every limit is far above what models have. A larger number is a
 * mistake or an attack, and is refused, so that time and memory go by the size of a file (docs/limits.md).
 */

/** Layers. */
export const mostLayers = 10_000;

/** Layer types, or groups of layers, that have a rope of their own. Each takes as long as a whole small config. */
export const mostRopes = 1000;

/** Keys of one dictionary that describes a rope, or that holds those of layer types. */
export const mostKeys = 1000;

/** Entries of lists and objects in the values of one such dictionary, where it has objects in it. */
export const mostInside = 100;

/** Parameters of types, added up over all ropes of a file. A type has at most a dozen, but an unknown one has any. */
export const mostParameters = 20_000;

/** Elements of a head. */
export const largestHead = 65_536;

/** Elements of a head, added up over all ropes of a file. */
export const mostElements = 262_144;
