/** The form of the file for `ropewalk verify`. The command line has its own declaration for reading. */

export type Pairing = "half" | "adjacent" | { readonly blocks: number };

/** `[tokens]` or `[axes][tokens]`. */
export type Positions = readonly number[] | readonly (readonly number[])[];

export interface Request {
  readonly headDim: number;
  readonly rotaryDim?: number;
  readonly rotaryOffset?: number;
  readonly base?: number;
  readonly maxPosition?: number;
  readonly pairing?: Pairing;
  readonly precision?: "float64";
  readonly axes?: readonly number[];
  readonly fractionalPositions?: true;
  readonly parameters: { readonly ropeType: string } & Readonly<Record<string, unknown>>;
}

/** A tensor before and after rotation, `[tokens, heads, headDim]`, little-endian in base64. */
export interface Turned {
  readonly dtype: "float32" | "float16" | "bfloat16";
  readonly positions: Positions;
  /** The pairing of the engine's output; absent: that of its input. */
  readonly outputPairing?: Pairing;
  readonly headFirst?: true;
  readonly shape: readonly number[];
  readonly input: string;
  readonly output: string;
}

/** The fields of an answer other than its tables. Arrays of numbers are float32 in base64 (`truth`: float64). */
export interface Head {
  readonly engine: string;
  readonly version: string;
  readonly name: string;
  /** The model whose config.json describes the rope; absent: `request` does. */
  readonly config?: string;
  readonly layerType?: string | null;
  readonly dialect?: "llama.cpp";
  readonly layer?: number;
  readonly request?: Request;
  readonly length?: number;
  readonly invFreq?: string;
  readonly attentionFactor?: number;
  readonly softmaxScaleFactor?: number;
  readonly turnsBack?: true;
  readonly axes?: readonly number[];
  /** How the engine reads its settings otherwise than transformers. */
  readonly otherwise?: string;
}

export interface Vector extends Head {
  readonly positions: Positions;
  readonly pairs: readonly number[];
  readonly cos: string;
  readonly sin: string;
  readonly rotated?: readonly Turned[];
}

/** Rotation with given tables; positions are numbers of their rows, `[batch][token]`. */
export interface Rotation {
  readonly engine: string;
  readonly version: string;
  readonly name: string;
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly pairing: Pairing;
  readonly dtype: "float32" | "float16";
  readonly headFirst: boolean;
  /** `[batch, tokens, heads, headDim]`. */
  readonly shape: readonly number[];
  readonly input: string;
  readonly output: string;
  readonly positions: readonly (readonly number[])[];
  readonly cos: string;
  readonly sin: string;
}

/** An answer that is not compared, with the reason. */
export interface Unbuilt {
  readonly engine: string;
  readonly name: string;
  readonly reason: string;
}

export interface VectorFile {
  readonly format: 1;
  readonly engines: Readonly<Record<string, Engine>>;
  readonly configs: Readonly<Record<string, unknown>>;
  readonly vectors: readonly Vector[];
  readonly rotations: readonly Rotation[];
  readonly unbuilt: readonly Unbuilt[];
}

/** An engine, and its limits of distance. */
export interface Engine {
  readonly title: string;
  /** The largest difference of an angle, in roundings. */
  readonly angle: number;
  /** An additional limit per pair, for engines that multiply the angle up from pair to pair. */
  readonly running?: number;
  /** An additional limit for cos and sin, in float32 ulp. */
  readonly places: number;
  readonly why: string;
}

const base64 = ({ buffer, byteOffset, byteLength }: ArrayBufferView): string =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength).toString("base64");

export const float32 = (values: readonly number[]): string => base64(Float32Array.from(values));
export const float64 = (values: readonly number[]): string => base64(Float64Array.from(values));
