/**
 * Facts: what a file says about the ropes of a model, each value with its reason. A reader (`read/`) makes them from
 * one file format. `request.ts` makes rope requests from them. The caller's options are not part of them.
 */

import type { Pairing, QueryScale } from "@ropewalk/core";
import { isEqual } from "../locate/found.ts";
import type { ConfigNote } from "../report.ts";
import type { TowerPositions } from "./tower.ts";

/** A value with the reason for it. */
export interface Fact<T> {
  readonly value: T;
  /** The place in the file (`text_config.rope_theta`), or the rule that gave the value. */
  readonly rule: string;
  /** The source of the rule: engine and version, or paper. */
  readonly source?: string;
}

/** The facts of a layer that has a rope. The fields are those of a rope request. */
export interface RopeFacts {
  readonly ropeType: Fact<string>;
  readonly headDim: Fact<number>;
  readonly rotaryDim: Fact<number>;
  readonly rotaryOffset?: Fact<number>;
  readonly base: Fact<number>;
  /** The length that the file promises, in tokens; `null` if the file does not state it. */
  readonly maxPosition: Fact<number | null>;
  readonly pairing: Fact<Pairing>;
  /** The position axis of each pair. Absent: one axis. */
  readonly axes?: Fact<readonly number[]>;
  /** −1: positions turn by −φ. Absent: by φ. */
  readonly direction?: Fact<-1>;
  /** Learned factors of single frequencies. Absent: none. */
  readonly pairFactors?: Fact<readonly number[]>;
  /** Absent: positions are integers. */
  readonly fractionalPositions?: Fact<true>;
  readonly queryScale?: Fact<QueryScale>;
  /** What the positions of a tower are. No field of a request. */
  readonly positions?: Fact<TowerPositions>;
  /** The pairs in the published weights, if an engine permutes them on loading. No field of a request. */
  readonly checkpointPairing?: Fact<Pairing>;
  /** The type's own parameters by their name in core. */
  readonly parameters: Readonly<Record<string, Fact<unknown>>>;
  /** The second rope of these layers: that of the indexer of sparse attention. */
  readonly indexer?: RopeFacts;
}

/** The facts of a layer that has no rope. */
export interface NoRopeFacts {
  /** The rule says why. */
  readonly ropeType: Fact<null>;
  /** Llama 4 scales the queries of these layers too. */
  readonly queryScale?: Fact<QueryScale>;
}

export type LayerFacts = RopeFacts | NoRopeFacts;

/** The facts of a model, layer by layer. */
export interface ModelFacts {
  readonly modelType: string | null;
  /** The dialect that was followed. */
  readonly dialect: Fact<string>;
  /**
   * The facts of layers by their label. Layers with the same label share all facts. A label is a layer type of the
   * file, `null` if all layers that have a rope share it, or a name for a group of layers (`"theta 10000"`).
   */
  readonly byLabel: ReadonlyMap<string | null, LayerFacts>;
  /** The number of layers; `null` if the file does not state it. */
  readonly layerCount: number | null;
  /** The label of a layer, counted from 0; `undefined` if the file does not state it. */
  labelOf(layer: number): string | null | undefined;
  /** Whether a layer has the indexer of its facts. Absent: no layer has one. */
  hasIndexer?(layer: number): boolean;
  readonly notes: readonly ConfigNote[];
}

/** The label of layers that have no rope because of a list or an interval in the file. */
export const noRopeLabel = "no_rope";

/** The facts of layers without rope. */
export function noRope(why: string, queryScale?: Fact<QueryScale>): NoRopeFacts {
  return { ropeType: { value: null, rule: why }, ...(queryScale === undefined ? {} : { queryScale }) };
}

export function hasRope(facts: LayerFacts): facts is RopeFacts {
  return facts.ropeType.value !== null;
}

/** Whether two layers have the same rope, or both have none. The places of the values in the file do not matter. */
export function isSameRope(a: LayerFacts, b: LayerFacts): boolean {
  return isEqual(values(a), values(b));
}

function values({ ropeType, ...facts }: LayerFacts): unknown {
  const { parameters = {}, indexer: _, ...fields } = facts as Partial<RopeFacts>;
  const plain = (of: Readonly<Record<string, Fact<unknown>>>): object =>
    Object.fromEntries(Object.entries(of).map(([name, { value }]) => [name, value]));
  return { ropeType: ropeType.value, fields: plain(fields), parameters: plain(parameters) };
}
