/** What is found in a config.json before anything of it is read: where the model, its ropes and its layers stand. */

import type { Dialect } from "../facts/dialect.ts";
import type { Family, LayerRope } from "../facts/family.ts";
import type { ConfigOptions } from "../options.ts";
import type { Report } from "../report.ts";
import type { Fields } from "./fields.ts";

/** The text model of a config. */
export interface TextModel {
  /** Its keys, with those of the models around it behind them. */
  readonly fields: Fields;
  readonly modelType: string | null;
  /** What its code does that the file does not say. */
  readonly family: Family;
  /** False where the family is not in the table. */
  readonly known: boolean;
}

/** One rope of a file. */
export interface RopeEntry {
  /**
   * Which layers have it: a layer type, `null` where all layers share it, or another name that tells groups of layers
   * apart (`Layers.labelOf` gives it to them).
   */
  readonly label: string | null;
  /** What describes it; empty where nothing does. */
  readonly dictionary: Fields;
  /** Why these layers have no rope; absent where they have one. */
  readonly noRope?: string;
  /** True where the dictionary belongs to these layers alone. */
  readonly nested: boolean;
  /** How the family spells this rope. */
  readonly spelled: LayerRope;
}

/** The layers of a model. */
export interface Layers {
  /** How many there are; `null` where the file does not say. */
  readonly count: number | null;
  /** The label of a layer's rope, or of layers without; `undefined` where the file does not tell. */
  labelOf(layer: number): string | null | undefined;
  /** The layers with a label; empty where their number is not known. */
  labelled(label: string | null): readonly number[];
}

/** Where things stand in one config, and how it is to be read. */
export interface Located {
  readonly model: TextModel;
  readonly entries: readonly RopeEntry[];
  readonly layers: Layers;
  readonly dialect: Dialect;
  readonly options: ConfigOptions;
  readonly report: Report;
}
