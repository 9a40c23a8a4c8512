/** The committed results of the census: what an engine's classes did when they were run. */

import { existsSync, readFileSync } from "node:fs";

/** One rope of a class, read off query and key. Without `rotaryDim` nothing turns, and queries are scaled. */
export interface MeasuredRope {
  readonly headDim: number;
  readonly rotaryOffset: number;
  readonly rotaryDim: number;
  readonly pairing: "half" | "adjacent" | "other";
  readonly outputPairing?: string;
  readonly direction: 1 | -1;
  /** The name of a list in `frequencies`. */
  readonly frequencies: string;
  /** The axis of each pair; towers name them. Absent: one axis, or, in a variant, not measured. */
  readonly axes?: readonly (number | "t" | "h" | "w")[];
  /** Absent: 1. */
  readonly attentionFactor?: number;
  /** The rope of an indexer. Its axes were not measured. */
  readonly indexer?: true;
  /** The factor of queries at some positions, if it is not 1. */
  readonly queryScale?: Readonly<Record<string, number>>;
  /** The elements of each pair, if they are neither halves nor adjacent. */
  readonly pairs?: readonly (readonly [number, number])[];
}

/** Which model of a file was run. */
export type Part = "text" | "vision" | "audio";

/** What was measured of one file. */
export interface Measurement {
  readonly status: "rotates" | "none" | "absolute" | "notProbed";
  readonly reason?: string;
  /** For each layer, the index of its rope. */
  readonly layers?: readonly (number | null)[];
  readonly ropes?: readonly MeasuredRope[];
  readonly indexers?: readonly (number | null)[];
}

/** A file that differs from the class's own in a few keys. */
export interface Variant extends Partial<Measurement> {
  readonly set: Readonly<Record<string, unknown>>;
  /** The file changes nothing. */
  readonly same?: true;
  /** Keys that are taken away. */
  readonly unset?: readonly string[];
  /** The engine's error message, if it does not take the file. */
  readonly refused?: string;
}

/** A class of the engine. */
export interface MeasuredModel extends Measurement {
  readonly part: Part;
  readonly class: string;
  /** The file that the engine saves: what differs from the class's defaults. */
  readonly saved?: Readonly<Record<string, unknown>>;
  /** All keys of the configuration. */
  readonly full?: Readonly<Record<string, unknown>>;
  readonly variants?: Readonly<Record<string, Variant>>;
}

export interface Census {
  readonly source: { readonly engine: string; readonly version: string };
  readonly frequencies: Readonly<Record<string, readonly number[]>>;
  readonly models: Readonly<Record<string, MeasuredModel>>;
}

/** The census of an engine. */
export function readCensus(engine: string): Census {
  const url = new URL(`results/${engine}.json`, import.meta.url);
  if (!existsSync(url)) return { source: { engine, version: "" }, frequencies: {}, models: {} };
  return JSON.parse(readFileSync(url, "utf8")) as Census;
}
