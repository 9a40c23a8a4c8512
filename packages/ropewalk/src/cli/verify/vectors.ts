/**
 * Answers of other engines, in the packed form that `ropewalk verify` reads.
 *
 * `npm run parity` makes them from the repository's goldens. ropewalk computed none of their numbers.
 */

import type { DialectName } from "@ropewalk/config";
import type { ElementType, Pairing, UntypedRopeRequest } from "@ropewalk/core";

/** The limits of distance for an engine. */
export interface Engine {
  readonly title: string;
  /** The limit for an angle, in roundings: multiples of position × invFreq × 2^-24. */
  readonly angle: number;
  /** An additional limit per pair, for engines that multiply the angle up from pair to pair. */
  readonly running?: number;
  /** The additional limit for cos and sin, in float32 ulp. */
  readonly places: number;
  readonly why: string;
}

/** A tensor before and after rotation, little-endian in base64. */
export interface Turned {
  readonly dtype: ElementType;
  readonly positions: readonly number[] | readonly (readonly number[])[];
  /** The pairing of the engine's output; absent: that of its input. */
  readonly outputPairing?: Pairing;
  /** The shape is `[heads, tokens, headDim]` instead of `[tokens, heads, headDim]`. */
  readonly headFirst?: boolean;
  readonly shape: readonly number[];
  readonly input: string;
  readonly output: string;
}

/** The answer of an engine for one rope. */
export interface Vector {
  readonly engine: string;
  readonly version: string;
  readonly name: string;
  /** The model whose config.json describes the rope; absent: `request` does. */
  readonly config?: string;
  readonly layerType?: string | null;
  /** A layer, instead of `layerType`. */
  readonly layer?: number;
  /** The dialect of the config; absent: transformers'. With a dialect, the engine was started for `length` tokens. */
  readonly dialect?: DialectName;
  readonly request?: UntypedRopeRequest;
  /** The current length, if frequencies depend on it. */
  readonly length?: number;
  /** float32, or float64 for `precision: "float64"`; little-endian in base64. Absent if the engine has none. */
  readonly invFreq?: string;
  readonly attentionFactor?: number;
  readonly softmaxScaleFactor?: number;
  readonly axes?: readonly number[];
  /** The engine rotates backwards here (DeepSeek-V4's attention output). */
  readonly turnsBack?: boolean;
  /** `[tokens]` or `[axes][tokens]`. */
  readonly positions: readonly number[] | readonly (readonly number[])[];
  /** The pairs in cos and sin. */
  readonly pairs: readonly number[];
  /** `[tokens, pairs]`, float32, little-endian in base64, amplitude included. */
  readonly cos: string;
  readonly sin: string;
  readonly rotated?: readonly Turned[];
  /** How the engine reads its settings otherwise than transformers. The request, or the dialect, expresses the same. */
  readonly otherwise?: string;
}

/** Rotation with given tables. */
export interface Rotation {
  readonly engine: string;
  readonly version: string;
  readonly name: string;
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly pairing: Pairing;
  readonly dtype: ElementType;
  readonly headFirst: boolean;
  /** `[batch, tokens, heads, headDim]`. */
  readonly shape: readonly [number, number, number, number];
  readonly positions: readonly (readonly number[])[];
  /** `[rows, rotaryDim/2]`; a position is the number of a row. */
  readonly cos: string;
  readonly sin: string;
  readonly input: string;
  readonly output: string;
}

export interface VectorFile {
  readonly format: 1;
  readonly engines: Readonly<Record<string, Engine>>;
  /** config.json files by model. */
  readonly configs: Readonly<Record<string, unknown>>;
  readonly vectors: readonly Vector[];
  readonly rotations: readonly Rotation[];
  /** Answers that are not compared, with the reason. */
  readonly unbuilt: readonly { readonly engine: string; readonly name: string; readonly reason: string }[];
}

/** The bytes of base64 text, in a new buffer. */
export function decode(text: string): ArrayBuffer {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

/** Elements as numbers; 16-bit floats as their bits. */
export function typed(dtype: ElementType, text: string): Float32Array | Float64Array | Uint16Array {
  const buffer = decode(text);
  return dtype === "float64"
    ? new Float64Array(buffer)
    : dtype === "float32"
      ? new Float32Array(buffer)
      : new Uint16Array(buffer);
}
