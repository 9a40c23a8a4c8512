/** What the table of families may say of a family's rope: the fields of one row of `families.ts`. */

import type { JsonObject } from "../locate/found.ts";

/** How one of a family's several ropes is spelled. */
export interface LayerRope {
  /** The keys that hold its base, best first. */
  readonly thetaKeys: readonly string[];
  /** Whether `rope_scaling` of the whole model applies to it. */
  readonly scaled: boolean;
  /** What its rope dictionary holds where the file does not say. */
  readonly defaults: JsonObject;
  /** The keys of its head dimension, where it has its own. */
  readonly headDimKeys?: readonly string[];
}

/** How a family says which layer is of which type, where `layer_types` is absent. */
export type LayerRule =
  /** Each n-th layer (the last, or the first of n) is `match`, the others are `other`; `endsWithMatch`: so is the very last. */
  | {
      readonly kind: "interval";
      readonly keys: readonly string[];
      readonly interval: number;
      readonly at: "first" | "last";
      readonly match: string;
      readonly other: string;
      readonly endsWithMatch?: boolean;
    }
  /** A list with one code for each layer. Without it, `fallback` names what the family's own layers are. */
  | {
      readonly kind: "codes";
      readonly key: string;
      readonly codes: Readonly<Record<string, string>>;
      readonly fallback: ((layer: number) => string) | null;
    };

/**
 * How sections of pairs are given to axes: in runs, round and round, or the first two by turns and then the third as
 * axis 0.
 */
export type AxisOrder = "sectioned" | "cyclic" | "alternating";

/** The facts of a family. Absent: as Llama. */
export interface Family {
  /** Which two elements form a pair; absent: `"half"`. */
  readonly pairing?: "half" | "adjacent";
  /** `rope_interleave` (Nomic: `rotary_emb_interleaved`) of the file decides about the pairing. */
  readonly readsInterleave?: boolean;
  /**
   * What the `default` rope of the family's class does with a partial rotary factor: read it, or rotate the whole head
   * whatever the file says. Absent: ignored.
   */
  readonly readsPartial?: boolean;
  /** Multi-head latent attention: the rope has a slice of `qk_rope_head_dim` elements for itself. */
  readonly latent?: boolean;
  /** Latent attention that multiplies the softmax scale by the square of a magnitude: `yarn` means `deepseek_yarn`. */
  readonly softmaxMagnitude?: boolean;
  /** The last elements of a head are rotated, not the first. */
  readonly rotatesLast?: boolean;
  /** What the configuration class sets where the file is silent, in the config's own spelling. */
  readonly defaults?: JsonObject;
  /** The rope dictionary of the configuration class, for files that have none. */
  readonly defaultRope?: JsonObject;
  /** The key of a factor of the base: ChatGLM. */
  readonly ratioKey?: string;
  /** A family with several ropes, by layer type. */
  readonly layerRopes?: Readonly<Record<string, LayerRope>>;
  readonly layerRule?: LayerRule;
  /** Layer types that use another rope's name: DeepSeek-V4's attention types. */
  readonly ropeOfLayerType?: ReadonlyMap<string, string>;
  /** Layer types that are rotated; all others have no rope. Only while the file sets `sliding_window`. */
  readonly ropeOnlyOn?: readonly string[];
  /** Every n-th layer has no rope unless `no_rope_layers` says otherwise. */
  readonly noRopeInterval?: number;
  /** Several position axes: their order, and the sections where the file does not state them. */
  readonly axes?: {
    readonly sections?: readonly number[];
    readonly order: AxisOrder;
    /** A sentence on engines that differ. */
    readonly note?: string;
  };
  /** The type and its parameters where the file says `default` or nothing: vision towers. */
  readonly defaultType?: { readonly ropeType: string; readonly [parameter: string]: unknown };
  /** Turns by −φ instead of φ: other logits. */
  readonly direction?: -1;
  /** Its positions are coordinates that need not be integers. */
  readonly fractionalPositions?: true;
  /** Queries are scaled by their position if the file has `llama_4_scaling_beta`. */
  readonly readsTemperature?: boolean;
  /** Queries of layers without rope are scaled by their position; what the class sets for it. */
  readonly noRopeTemperature?: { readonly attn_scale: number; readonly floor_scale: number };
  /** Names that mean another type in this family: Phi-3 wrote `yarn` for what became `longrope`. */
  readonly typeNames?: Readonly<Record<string, string>>;
  /** Its class applies `longrope` in its own way: the short list at every length, and an amplitude for each list. */
  readonly shortListOnly?: boolean;
  /** Why the family has no rope at all. */
  readonly noRope?: string;
  /** Rotates only where this key of the file says so; `otherwise`: why not. The file may have rope keys all the same. */
  readonly rotatesIf?: {
    readonly key: string;
    readonly rotates: (value: unknown) => boolean;
    readonly otherwise: string;
  };
  /** The head dimension is so many times width / heads. */
  readonly headWidths?: number;
}
