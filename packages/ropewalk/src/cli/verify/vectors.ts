/**
 * Answers of other engines, as `ropewalk verify` reads them: packed, since a package carries them.
 *
 * Made from the repository's goldens by `npm run parity`; nothing in them was computed by ropewalk.
 */

import type { DialectName } from "@ropewalk/config";
import type { ElementType, Pairing, UntypedRopeRequest } from "@ropewalk/core";

/** How near to an engine ropewalk must come. */
export interface Engine {
  readonly title: string;
  /** What an angle may differ by, in roundings: multiples of position × invFreq × 2^-24. */
  readonly angle: number;
  /** The same for each pair before this one, where the engine multiplies its way from pair to pair. */
  readonly running?: number;
  /** What cos and sin may differ by besides, in float32 ulp. */
  readonly places: number;
  readonly why: string;
}

/** A tensor before and after, little-endian in base64. */
export interface Turned {
  readonly dtype: ElementType;
  readonly positions: readonly number[] | readonly (readonly number[])[];
  /** Where the engine puts the elements of a pair; absent: where it reads them. */
  readonly outputPairing?: Pairing;
  /** The shape is `[heads, tokens, headDim]` instead of `[tokens, heads, headDim]`. */
  readonly headFirst?: boolean;
  readonly shape: readonly number[];
  readonly input: string;
  readonly output: string;
}

/** What an engine answered for one rope. */
export interface Vector {
  readonly engine: string;
  readonly version: string;
  readonly name: string;
  /** The model whose config.json asks for the rope, and the layer type; else `request`. */
  readonly config?: string;
  readonly layerType?: string | null;
  /** In the place of `layerType`. */
  readonly layer?: number;
  /** Whose reading of the config it is; absent: transformers'. The engine was started for `length` tokens. */
  readonly dialect?: DialectName;
  readonly request?: UntypedRopeRequest;
  /** The current length, where frequencies depend on it. */
  readonly length?: number;
  /** float32, for `precision: "float64"` float64; little-endian in base64. Absent where the engine holds none. */
  readonly invFreq?: string;
  readonly attentionFactor?: number;
  readonly softmaxScaleFactor?: number;
  readonly axes?: readonly number[];
  /** The engine turns the other way here (DeepSeek-V4's attention output). */
  readonly turnsBack?: boolean;
  /** `[tokens]` or `[axes][tokens]`. */
  readonly positions: readonly number[] | readonly (readonly number[])[];
  /** The pairs that cos and sin hold. */
  readonly pairs: readonly number[];
  /** `[tokens, pairs]`, float32, little-endian in base64, amplitude included. */
  readonly cos: string;
  readonly sin: string;
  readonly rotated?: readonly Turned[];
  /** How the engine reads its settings otherwise than transformers; the request, or the dialect, says the same. */
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
  /** `[rows, rotaryDim/2]`; the positions are rows. */
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
  /** Answers that are not compared, and why. */
  readonly unbuilt: readonly { readonly engine: string; readonly name: string; readonly reason: string }[];
}

/** The bytes of base64 text, in a buffer of their own. */
export function decode(text: string): ArrayBuffer {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

/** Elements as numbers; 16-bit floats stay bits for the caller. */
export function typed(dtype: ElementType, text: string): Float32Array | Float64Array | Uint16Array {
  const buffer = decode(text);
  return dtype === "float64"
    ? new Float64Array(buffer)
    : dtype === "float32"
      ? new Float32Array(buffer)
      : new Uint16Array(buffer);
}
