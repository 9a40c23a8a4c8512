/** The fields of one row of `towers.ts`. */

import type { Pairing } from "@ropewalk/core";
import type { Fields } from "../locate/fields.ts";
import type { Family } from "./family.ts";

/** A part of a model that is no text model. */
export type TowerPart = "vision" | "audio";

/**
 * What a position axis counts: frames, rows or columns of patches; tokens of text; or images, where a prompt may have
 * several.
 */
export type AxisName = "time" | "height" | "width" | "text" | "image";

/** What the positions of a rope are that do not count tokens. The caller makes them. */
export interface TowerPositions {
  /** The coordinate that each position axis takes, in the order of the axes. Towers differ: some have width first. */
  readonly axes: readonly AxisName[];
  /**
   * How patches are counted along each axis: from 0, from 1, as centres of patches with −1 and 1 at the edges of the
   * image (patch `i` of `n` is at `(2 i + 1) / n − 1`), or from 0 and times `window / n` (a layer that sees `n` patches
   * across and was trained on `window`). Diffusion models leave it to their pipelines; a note says how.
   */
  readonly counting: "from 0" | "from 1" | "centres from -1 to 1" | "scaled to a window" | "by the pipeline";
}

/** What a tower's class does with a head. A missing field means: as in Qwen2-VL's tower. */
export interface TowerRope extends Partial<TowerPositions> {
  /** Absent: `"half"`. */
  readonly pairing?: Pairing;
  /** The pairs in the published weights, where the class in transformers permutes them on loading. */
  readonly checkpointPairing?: Pairing;
  /** Parameters of the type `nd`. Absent: `axisCount`, one for each of `axes`. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** The rotated elements of a head of this size. Absent: all. */
  readonly rotated?: (headDim: number) => number;
  /** Positions may be fractions or negative. */
  readonly fractionalPositions?: true;
}

/** A tower whose rope has several axes. */
export interface AxialTower extends TowerRope {
  readonly kind: "axial";
  readonly part: TowerPart;
  /** The sizes that the configuration class fills in: width, heads, layers. */
  readonly sizes: readonly [width: number, heads: number, layers: number];
  /** The head dimension that the configuration class fills in. Absent: width / heads. */
  readonly headDim?: number;
  /** The base that the configuration class fills in. Absent: 10000. */
  readonly base?: number;
  /** The keys of width, heads and layers, if they have others. */
  readonly keys?: readonly (readonly string[])[];
  /** One head is as wide as the whole vector: the tower rotates before it cuts the vector into heads. */
  readonly wide?: true;
  /** The types of layers, where their ropes differ; a type with `null` has no rope. */
  readonly layers?: {
    readonly typeOf: (layer: number, fields: Fields) => string;
    readonly ropes: Readonly<Record<string, TowerRope | null>>;
  };
  /** Sentences about the rope that a caller has to know. */
  readonly remark?: string;
}

/** What is known about the tower of a `model_type`. */
export type Tower =
  | AxialTower
  /** One position axis: read as a text model's rope. */
  | { readonly kind: "line"; readonly part: TowerPart; readonly family: Family }
  /** The config of the tower stands inside, under this key. */
  | { readonly kind: "around"; readonly part: TowerPart; readonly key: string }
  | { readonly kind: "none"; readonly part: TowerPart; readonly why: string }
  /** It rotates, but not as a rope can. */
  | { readonly kind: "refused"; readonly part: TowerPart; readonly why: string; readonly remedy: string };
