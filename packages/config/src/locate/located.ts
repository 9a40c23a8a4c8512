/** The places in a config.json that are found first: the text model, its ropes and its layers. */

import type { Dialect } from "../facts/dialect.ts";
import type { Family, LayerRope } from "../facts/family.ts";
import type { ConfigOptions } from "../options.ts";
import type { Report } from "../report.ts";
import type { Fields } from "./fields.ts";
import type { Found } from "./found.ts";

/** The text model of a config. */
export interface TextModel {
  /** The keys of the text model, followed by the keys of the models around it. */
  readonly fields: Fields;
  /** The keys of the models around it, if it has a type of its own: it takes nothing from them. */
  readonly around: Fields;
  readonly modelType: string | null;
  /** Facts of the model's code that the file does not state. */
  readonly family: Family;
  /** False if the family is not in the table. */
  readonly known: boolean;
}

/** One rope of a file. */
export interface RopeEntry {
  /**
   * The layers that have it: a layer type, `null` if all layers share it, or a name for a group of layers
   * (`Layers.labelOf` assigns it).
   */
  readonly label: string | null;
  /** The JSON objects that describe it; empty if there are none. */
  readonly dictionary: Fields;
  /** Why these layers have no rope; absent if they have one. */
  readonly noRope?: string;
  /** True if the dictionary belongs to these layers alone. */
  readonly nested: boolean;
  /** Set if the dictionary is made of keys that stand among the model's own keys. */
  readonly beside?: true;
  /** How the family spells this rope. */
  readonly spelled: LayerRope;
  /** The base of these layers, if the file states it layer by layer. */
  readonly theta?: Found<number>;
  /** The rotated share of a head, if the file states it layer by layer. */
  readonly share?: Found<number>;
  /** The keys of the text model, after those that these layers have for themselves. Absent: only the former. */
  readonly fields?: Fields;
}

/** The layers of a model. */
export interface Layers {
  /** The number of layers; `null` if the file does not state it. */
  readonly count: number | null;
  /** The type of a layer as the file or the class names it; `undefined` if neither does. */
  typeOf(layer: number): unknown;
  /** The label of a layer's rope, or of layers without rope; `undefined` if the file does not state it. */
  labelOf(layer: number): string | null | undefined;
}

/** The places in one config, and the settings for reading it. */
export interface Located {
  readonly model: TextModel;
  readonly entries: readonly RopeEntry[];
  readonly layers: Layers;
  /** Whether a layer has an indexer of sparse attention. */
  hasIndexer(layer: number): boolean;
  readonly dialect: Dialect;
  readonly options: ConfigOptions;
  readonly report: Report;
}
