/** The fields of one row of `families.ts`, and of one class in `class-facts.ts`. */

import type { JsonObject } from "../locate/found.ts";

/** How a config spells one of the several ropes of a family. */
export interface LayerRope {
  /** The keys of its base; the first has precedence. */
  readonly thetaKeys: readonly string[];
  /** Whether `rope_scaling` of the whole model applies to it. */
  readonly scaled: boolean;
  /** The values of its rope dictionary that the file does not state. */
  readonly defaults: JsonObject;
  /** The keys of its head dimension, if it has its own. */
  readonly headDimKeys?: readonly string[];
  /** These layers have no rope unless the file says so. */
  readonly noRope?: boolean;
}

/** How a family assigns types to layers if the file has no `layer_types`. */
export type LayerRule =
  /**
   * In each group of n layers, the last (or the first) is `match` and the others are `other`. `endsWithMatch`: the last
   * layer of the model is `match` too.
   */
  | {
      readonly kind: "interval";
      readonly keys: readonly string[];
      readonly interval: number;
      readonly at: "first" | "last";
      readonly match: string;
      readonly other: string;
      readonly endsWithMatch?: boolean;
    }
  /** A list of the layers of one type; all others have the other. Without it, the last of each group is `others`. */
  | {
      readonly kind: "indices";
      readonly key: string;
      readonly match: string;
      readonly others: string;
      readonly interval: number;
    }
  /** A list with one code for each layer. If the file has no list, `fallback` gives the family's own layer types. */
  | {
      readonly kind: "codes";
      readonly key: string;
      readonly codes: Readonly<Record<string, string>>;
      readonly fallback: ((layer: number) => string) | null;
    };

/** How a list goes by layer in a class that makes it itself. */
export type LayerPattern =
  /** `prefix`, then `period` again and again, counted from the first layer or from the last. `end`: the last layer. */
  | {
      readonly from: "first" | "last";
      readonly prefix?: readonly unknown[];
      readonly period: readonly unknown[];
      readonly end?: unknown;
    }
  /** The same list for any number of layers. */
  | { readonly constant: readonly unknown[] }
  /** It follows no pattern that is known here. */
  | { readonly unknown: true };

/** What a configuration class of transformers sets where a file is silent. */
export interface ClassFacts {
  /** By the keys of a file. */
  readonly values?: JsonObject;
  /** Lists with an entry for each layer, by their keys. */
  readonly lists?: Readonly<Record<string, LayerPattern>>;
  /** The `model_type` of the models that the class holds, by their keys. */
  readonly nested?: Readonly<Record<string, string>>;
  /** The base for a rope dictionary that states none, if it is not that of `values`. */
  readonly dictionaryBase?: number;
  /** In a file without rope dictionary, `rope_theta` is not read. */
  readonly ignoresBaseBeside?: true;
  /** In a file without rope dictionary, only these names of the rotated share are read. Absent: all. */
  readonly shareKeys?: readonly string[];
}

/** The second rope of a layer: that of the indexer, which picks the keys that sparse attention looks at. */
export interface IndexerFacts {
  /** Keys of the size of its heads; the first that the file or the class states counts. */
  readonly headDimKeys: readonly string[];
  readonly pairing: "half" | "adjacent";
  /** A key that says whether its pairs are adjacent, for engines that read it. */
  readonly interleaveKey?: string;
  /** Whether its last elements are rotated, not the first. */
  readonly rotatesLast?: boolean;
  /** Layer types that have an indexer. Absent: every layer with a rope. */
  readonly onlyOn?: readonly string[];
}

/**
 * How sections of pairs are assigned to axes: in runs; cyclically; or the first two sections in alternation, followed
 * by the third as axis 0; or the second and third in alternation as axes 1 and 2, followed by the first as axis 0.
 */
export type AxisOrder = "sectioned" | "cyclic" | "alternating" | "time-last";

/** How a family spells scaling keys that stand among the model's own keys instead of in a rope dictionary. */
export interface ScalingBeside {
  /** The key that says that the model is scaled. Without it, the others are not read. */
  readonly mark: string;
  /** The value of the mark that means no scaling. */
  readonly neutral?: unknown;
  /** The type, if the mark does not name it. */
  readonly ropeType?: string;
  /** The key in the file for each key of a rope dictionary. */
  readonly keys: Readonly<Record<string, string>>;
  /** The key of a flag: only the first half of a head is rotated. */
  readonly halfKey?: string;
  /** The values of the model's code for keys that the file does not state. */
  readonly defaults: JsonObject;
  /** Keys that no rope can hold, each with a sentence for files that set it to a number > 0. */
  readonly unheld?: Readonly<Record<string, string>>;
  /** Numbers of the model's code that no key states, by the keys of a rope dictionary. */
  readonly constants?: JsonObject;
  /** A sentence about engines that differ. */
  readonly note?: string;
}

/** Learned numbers of a checkpoint that belong to its rope. They are read, not kept or changed. */
export interface RopeWeights {
  /** Mistral Large 4 (LeRoPE): α of each pair, whose frequency is multiplied by e^α. */
  readonly "lerope.alpha"?: ArrayLike<number> | undefined;
}

/** The facts of a family. A missing field means: the same as Llama. */
export interface Family {
  /** Which two elements form a pair; absent: `"half"`. */
  readonly pairing?: "half" | "adjacent";
  /** `rope_interleave` (Nomic: `rotary_emb_interleaved`) in the file sets the pairing. */
  readonly readsInterleave?: boolean;
  /**
   * Whether the `default` rope of the family's class reads a partial rotary factor. If absent, the class ignores it and
   * rotates the whole head.
   */
  readonly readsPartial?: boolean;
  /** Multi-head latent attention: only a slice of `qk_rope_head_dim` elements is rotated. */
  readonly latent?: boolean;
  /** Latent attention that multiplies the softmax scale by the square of a magnitude: `yarn` means `deepseek_yarn`. */
  readonly softmaxMagnitude?: boolean;
  /** The last elements of a head are rotated, not the first. */
  readonly rotatesLast?: boolean;
  /** The values of the configuration class for keys that the file does not state, in the config's own spelling. */
  readonly defaults?: JsonObject;
  /** The rope dictionary of the configuration class, for files that have none. */
  readonly defaultRope?: JsonObject;
  /** The key of a factor that multiplies the base: ChatGLM. */
  readonly ratioKey?: string;
  /** A family with several ropes, by layer type. */
  readonly layerRopes?: Readonly<Record<string, LayerRope>>;
  readonly layerRule?: LayerRule;
  /** Layer types that use the rope of another name: DeepSeek-V4's attention types. */
  readonly ropeOfLayerType?: ReadonlyMap<string, string>;
  /** Layer types that are rotated; all others have no rope. Applies only if the file sets `sliding_window`. */
  readonly ropeOnlyOn?: readonly string[];
  /** A key for each layer type that says whether its layers are rotated: MiniCPM-SALA. */
  readonly rotatesKeys?: Readonly<Record<string, string>>;
  /** Lists that the class makes for each layer where the file has none. */
  readonly lists?: Readonly<Record<string, LayerPattern>>;
  /** It is no model itself: the `model_type` of the models that it holds, by their keys. */
  readonly holds?: Readonly<Record<string, string>>;
  /** The key of a list of the layers that have attention. */
  readonly attentionOn?: string;
  /** The class gives every layer type the base of one `rope_scaling` too. Such a file is refused. */
  readonly scalingDropsBases?: boolean;
  /** In a dictionary for all layers its class reads `rope_type`, and not the older `type`. */
  readonly readsRopeTypeOnly?: boolean;
  /** `layer_rope_theta` says only which layers have a rope (0: none); their base is that of the dictionary. */
  readonly layerThetasAreFlags?: boolean;
  /** The default share of its class stands in its rope dictionary: a file with a dictionary of its own has none. */
  readonly shareOfDefaultRope?: boolean;
  /** Keys that its class does not read, though other classes do. */
  readonly ignored?: readonly string[];
  readonly indexer?: IndexerFacts;
  /**
   * The weight with a learned number α for each pair, whose frequency is multiplied by e^α. Without it the frequencies
   * are not known.
   */
  readonly learnedExponents?: keyof RopeWeights;
  /** Several position axes: their order, and the sections if the file does not state them. */
  readonly axes?: {
    readonly sections?: readonly number[];
    /** The number of axes with equal sections, if the sections are not stated. */
    readonly count?: number;
    readonly order: AxisOrder;
    /** A sentence about engines that differ. */
    readonly note?: string;
  };
  /** The type and its parameters if the file says `default` or nothing. */
  readonly defaultType?: { readonly ropeType: string; readonly [parameter: string]: unknown };
  /** The key of the number of rotated elements, for a family whose pairs span the whole head. */
  readonly rotatedKey?: string;
  /** The pairs in the published weights, where the class in transformers permutes them on loading. */
  readonly checkpointPairing?: "half" | "adjacent";
  /** Positions turn by −φ instead of φ. The logits differ. */
  readonly direction?: -1;
  /** Queries are scaled by their position if the file has `llama_4_scaling_beta`. */
  readonly readsTemperature?: boolean;
  /** In layers without rope, queries are scaled by their position. These are the values of the class. */
  readonly noRopeTemperature?: { readonly attn_scale: number; readonly floor_scale: number };
  /** Where engines contradict each other: a sentence about the pairing, and one about the base of a silent file. */
  readonly disputed?: { readonly pairing?: string; readonly base?: string };
  /** Scaling keys that stand among the model's own keys. */
  readonly scalingBeside?: ScalingBeside;
  /**
   * In a family without rope: the type of the layers whose queries are scaled by `1 + α ln(max((p + 1)/n, 1))`, the
   * type of the other layers, and the values of the class for α and n (`null`: no scale).
   */
  readonly logarithm?: {
    readonly on: string;
    readonly others: string;
    readonly alpha: number;
    readonly floor: number | null;
  };
  /** Names that mean another type in this family: Phi-3 wrote `yarn` for the type that is now `longrope`. */
  readonly typeNames?: Readonly<Record<string, string>>;
  /**
   * What the class makes of `longrope`: both lists, and an amplitude for each from `short_mscale` and `long_mscale`
   * (`"amplitudes"`); or the short list at every length, with these amplitudes (`"short-list"`).
   */
  readonly longrope?: "amplitudes" | "short-list";
  /** The base for a rope dictionary of the file that states none. Absent: that of `defaults`. */
  readonly dictionaryBase?: number;
  /** In a file without rope dictionary, `rope_theta` is not read. */
  readonly ignoresBaseBeside?: true;
  /** In a file without rope dictionary, only these names of the rotated share are read. Absent: all. */
  readonly shareKeys?: readonly string[];
  /**
   * Bases that the class writes beside the rope dictionary and reads only where the dictionary has none, with their
   * defaults.
   */
  readonly leftBases?: JsonObject;
  /** `alibi: true` in the file means a bias by distance instead of a rope. */
  readonly readsAlibi?: boolean;
  /** Lists of layers with or without rope that its code reads. */
  readonly layerKeys?: readonly string[];
  /** The types of its layers, again and again, if the file has no `block_types`. */
  readonly blockTypes?: readonly string[];
  /** A flag of files whose attention no rope of this library does. */
  readonly refusedIf?: { readonly key: string; readonly why: string };
  /** A base of `null` in the file says that nothing is rotated. Elsewhere it says that the file does not state it. */
  readonly nullBaseIsNone?: boolean;
  /** A sentence about what its attention does beside the rope, which no rope of this library does. */
  readonly remark?: string;
  /** Why no rope of this library does what its attention does. */
  readonly refused?: string;
  /** The reason why the family has no rope. */
  readonly noRope?: string;
  /**
   * The model rotates only if `rotates` accepts the value of `key`; `otherwise` is the reason why not. The file may
   * have rope keys in both cases.
   */
  readonly rotatesIf?: {
    readonly key: string;
    readonly rotates: (value: unknown) => boolean;
    readonly otherwise: string;
  };
  /** The head dimension is this factor times width / heads. */
  readonly headWidths?: number;
}
