/**
 * Facts about transformers of diffusers, whose config.json has a `_class_name` and no `model_type`: one row for each
 * class.
 *
 * Source of every row: the class in diffusers 0.42.1. A test compares each row that rotates with what the class's rope
 * module and apply function answered (`test/fixtures/diffusers_ropes.py`). To add a class, add a row.
 */

import type { Pairing } from "@ropewalk/core";
import type { AxisName } from "./tower.ts";

/** A number of the config, by its key, with the value that the class fills in. */
export interface Stated {
  readonly key: string;
  readonly standard: number;
}

/** A class whose heads are divided among the axes. */
export interface AxesRope {
  readonly kind: "axes";
  readonly axes: readonly AxisName[];
  /** The key of a list with the elements of each axis and the list of the class; or the elements by head dimension. */
  readonly dims:
    | { readonly key: string; readonly standard: readonly number[] }
    | { readonly head: Stated; readonly of: (headDim: number, keys: NumberOf) => readonly number[] };
  /** The base: a constant of the class, or a key. */
  readonly base?: number | Stated;
  /** The base of each axis from the elements of each. Absent: the base. */
  readonly bases?: (dims: readonly number[], list: ListOf) => readonly number[];
  /** Absent: `"adjacent"`. */
  readonly pairing?: Pairing;
  readonly fractionalPositions?: true;
  /** The key of a flag without which the class does not rotate. */
  readonly ifSet?: string;
  readonly remark: string;
}

type NumberOf = (stated: Stated) => number;
type ListOf = (key: string, standard: readonly number[]) => readonly number[];

/** What is known about a class. */
export type Diffuser =
  | AxesRope
  /** LTX: frequencies run over all heads together. */
  | {
      readonly kind: "wide";
      readonly heads: Stated;
      readonly head: Stated;
      /** The heads of the audio, which has one axis. */
      readonly audio?: { readonly heads: Stated; readonly head: Stated };
      readonly remark: string;
    }
  /** The ladder of all pairs on axes by turns, as in Qwen3-VL. */
  | {
      readonly kind: "cyclic";
      readonly head: Stated;
      readonly base: Stated;
      readonly sections: { readonly key: string; readonly standard: readonly number[] };
      readonly remark: string;
    }
  | { readonly kind: "none"; readonly why: string }
  | { readonly kind: "refused"; readonly why: string; readonly remedy: string };

const row = (names: string, diffuser: Diffuser): [string, Diffuser][] =>
  names.split(" ").map((name) => [name, diffuser]);

const video = ["time", "height", "width"] as const;
const head = (standard: number): Stated => ({ key: "attention_head_dim", standard });
const axesDims = (...standard: number[]): AxesRope["dims"] => ({ key: "axes_dims_rope", standard });

/** The rest for time, an even third each for height and width. */
const thirds = (headDim: number): readonly number[] => {
  const side = 2 * Math.floor(headDim / 6);
  return [headDim - 2 * side, side, side];
};

const flux: AxesRope = {
  kind: "axes",
  axes: ["image", "height", "width"],
  dims: axesDims(16, 56, 56),
  remark:
    "Text tokens have the position 0 on every axis; patches are counted from 0, and the first axis is 0 for the image.",
};
const themselves = (standard: number): Stated => ({ key: "rope_theta", standard });
const centred =
  "Patches are counted from the centre of the image, so positions may be negative; text follows on all axes.";
const hunyuan: AxesRope = {
  kind: "axes",
  axes: video,
  dims: { key: "rope_axes_dim", standard: [16, 56, 56] },
  base: themselves(256),
  remark: "Patches are counted from 0; text tokens are not rotated.",
};
const wan: AxesRope = {
  kind: "axes",
  axes: video,
  dims: { head: head(128), of: thirds },
  remark: "Patches are counted from 0; cross attention to the text has no rope.",
};
const cogvideo: AxesRope = {
  kind: "axes",
  axes: video,
  dims: { head: head(64), of: (headDim) => [headDim / 4, (headDim / 8) * 3, (headDim / 8) * 3] },
  fractionalPositions: true,
  remark:
    "Rows and columns are spread evenly over a crop of the base size, so they may be fractions; text tokens are not rotated.",
};
const lengths = (list: string): string => `Text counts on the first axis, and patches follow it there (${list}).`;

const classes: ReadonlyMap<string, Diffuser> = new Map([
  // Flux and relatives.
  ...row("FluxTransformer2DModel ChromaTransformer2DModel", flux),
  ...row("OvisImageTransformer2DModel", {
    ...flux,
    remark: "Text counts on height and width, and patches are counted from 0 there too; the first axis is 0.",
  }),
  ...row("LongCatImageTransformer2DModel", {
    ...flux,
    remark:
      "Text counts on height and width, and patches go on from there; the first axis is 0, 1 for the image, 2 for a reference.",
  }),
  ...row("BriaTransformer2DModel BriaFiboTransformer2DModel", { ...flux, base: themselves(10_000) }),
  ...row("Flux2Transformer2DModel", {
    ...flux,
    axes: ["time", "height", "width", "text"],
    dims: axesDims(32, 32, 32, 32),
    base: themselves(2000),
    remark: "Text counts on the last axis, patches on height and width, reference images at 10, 20, … on the first.",
  }),
  ...row("Flux3Transformer2DModel", {
    ...flux,
    axes: ["time", "height", "width", "text"],
    dims: axesDims(32, 32, 32, 32),
    base: themselves(10_000),
    fractionalPositions: true,
    remark: "Text counts on the last axis, patches in halves on height and width, references at −1, −2, … on the last.",
  }),
  ...row("Krea2Transformer2DModel", { ...flux, dims: axesDims(32, 48, 48), base: themselves(1000) }),
  ...row("HiDreamImageTransformer2DModel", { ...flux, dims: axesDims(64, 32, 32) }),
  ...row("QwenImageTransformer2DModel NucleusMoEImageTransformer2DModel", {
    ...flux,
    axes: video,
    fractionalPositions: true,
    remark: centred,
  }),
  ...row("QwenImage21Transformer2DModel", {
    ...flux,
    axes: video,
    fractionalPositions: true,
    remark:
      "Text counts on all axes. An image has the next number on the first axis and counts rows and columns from its centre; text goes on after max(height, width) numbers.",
  }),
  ...row("ZImageTransformer2DModel BriaFibo2Transformer2DModel", {
    ...flux,
    axes: video,
    dims: { key: "axes_dims", standard: [32, 48, 48] },
    base: themselves(256),
    remark: lengths("axes_lens are the lengths of its tables"),
  }),
  ...row("Lumina2Transformer2DModel", {
    ...flux,
    axes: ["text", "height", "width"],
    dims: { key: "axes_dim_rope", standard: [32, 32, 32] },
    remark: lengths("all with the first free number"),
  }),
  ...row("PRXTransformer2DModel", {
    ...flux,
    axes: ["height", "width"],
    dims: { key: "axes_dim", standard: [32, 32] },
    base: { key: "theta", standard: 10_000 },
    remark: "Patches are counted from 0; text tokens are not rotated.",
  }),

  // Video.
  ...row("HunyuanVideoTransformer3DModel HunyuanVideo15Transformer3DModel MotifVideoTransformer3DModel", hunyuan),
  ...row("HunyuanVideoFramepackTransformer3DModel", {
    ...hunyuan,
    remark: "The caller gives the numbers of the frames; rows and columns are counted from 0.",
  }),
  ...row("HunyuanImageTransformer2DModel", {
    ...hunyuan,
    axes: ["height", "width"],
    dims: { key: "rope_axes_dim", standard: [64, 64] },
  }),
  ...row(
    "WanTransformer3DModel WanVACETransformer3DModel WanAnimateTransformer3DModel SkyReelsV2Transformer3DModel",
    wan,
  ),
  ...row("ChronoEditTransformer3DModel", {
    ...wan,
    remark: "Patches are counted from 0; of two frames, the second is at rope_temporal_skip_len − 1.",
  }),
  ...row("SanaVideoTransformer3DModel", { ...wan, dims: { head: head(112), of: thirds } }),
  ...row("HeliosTransformer3DModel", {
    ...wan,
    dims: { key: "rope_dim", standard: [44, 42, 42] },
    base: themselves(10_000),
    remark: "The caller gives the numbers of the frames; rows and columns are counted from 0.",
  }),
  ...row("Kandinsky5Transformer3DModel", {
    ...wan,
    dims: { key: "axes_dims", standard: [16, 24, 24] },
    fractionalPositions: true,
    remark: "Patches are counted from 0 and divided by the scale factor of each axis; the text has a rope of one axis.",
  }),
  ...row("JoyImageEditTransformer3DModel JoyImageEditPlusTransformer3DModel", {
    ...wan,
    dims: { key: "rope_dim_list", standard: [16, 56, 56] },
    base: { key: "theta", standard: 256 },
    remark: "Patches are counted from 0; text follows the largest position on all axes.",
  }),
  ...row("CogVideoXTransformer3DModel", { ...cogvideo, ifSet: "use_rotary_positional_embeddings" }),
  ...row("EasyAnimateTransformer3DModel", cogvideo),
  ...row("CosmosTransformer3DModel", {
    ...wan,
    pairing: "half",
    fractionalPositions: true,
    bases: (dims, list) => {
      const scale = list("rope_scale", [2, 1, 1]);
      return dims.map((dim, axis) => 10_000 * (scale[axis] ?? 1) ** (dim / (dim - 2)));
    },
    remark: "Time counts frames of 24 per second, so it may be fractions.",
  }),
  ...row("AllegroTransformer3DModel", {
    ...wan,
    dims: { head: head(96), of: (headDim) => [headDim / 3, headDim / 3, headDim / 3] },
    pairing: { blocks: 3 },
    fractionalPositions: true,
    remark: "Positions are divided by interpolation_scale_t, _h and _w.",
  }),
  ...row("MiniMaxH3Transformer3DModel", {
    ...wan,
    // Only a part of the head is rotated.
    dims: {
      head: head(128),
      of: (_, number) => new Array<number>(3).fill(2 * number({ key: "rope_freq_dim", standard: 16 })),
    },
    base: themselves(10_000),
    pairing: "half",
    remark: "The caller gives the positions.",
  }),

  // Images, halves.
  ...row("CogView4Transformer2DModel", {
    ...flux,
    axes: ["height", "width"],
    dims: { head: head(40), of: (headDim) => [headDim / 2, headDim / 2] },
    pairing: "half",
    remark: "Patch i of n is at floor(i · m / n), with m = 256 (rope_axes_dim); text tokens are not rotated.",
  }),
  ...row("GlmImageTransformer2DModel", {
    ...flux,
    axes: ["height", "width"],
    dims: { head: head(40), of: (headDim) => [headDim / 2, headDim / 2] },
    pairing: "half",
    remark: "Patches are counted from 0; text tokens are not rotated.",
  }),
  ...row("Ideogram4Transformer2DModel", {
    kind: "cyclic",
    head: head(256),
    base: themselves(5_000_000),
    sections: { key: "mrope_section", standard: [24, 20, 20] },
    remark: "The caller gives the positions.",
  }),

  // All heads together.
  ...row("LTXVideoTransformer3DModel", {
    kind: "wide",
    heads: { key: "num_attention_heads", standard: 32 },
    head: head(64),
    remark:
      "The rope turns all heads together: give tensors of shape [tokens, 1, width]. A position is 2 c / M − 1, for a coordinate c of 0 to M = 20 frames or seconds, 2048 rows or columns.",
  }),
  ...row("LTX2VideoTransformer3DModel", {
    kind: "wide",
    heads: { key: "num_attention_heads", standard: 32 },
    head: head(128),
    audio: {
      heads: { key: "audio_num_attention_heads", standard: 32 },
      head: { key: "audio_attention_head_dim", standard: 64 },
    },
    remark:
      "The rope turns all heads together: give tensors of shape [tokens, 1, width]. A position is 2 c / M − 1, for the middle c of a patch from 0 to M = 20 seconds, 2048 rows or columns. The attention between video and audio has ropes of its own.",
  }),

  // No rope.
  ...row(
    "AuraFlowTransformer2DModel CogView3PlusTransformer2DModel DiTTransformer2DModel LatteTransformer3DModel PixArtTransformer2DModel SD3Transformer2DModel SanaTransformer2DModel Transformer2DModel",
    { kind: "none", why: "its positions are embeddings that are added to the patches" },
  ),
  ...row("UNet2DConditionModel UNet2DModel UNet3DConditionModel UNetSpatioTemporalConditionModel", {
    kind: "none",
    why: "its attention uses no positions",
  }),

  // No rotation that a rope can hold.
  ...row("MochiTransformer3DModel", {
    kind: "refused",
    why: "its angles are learned mixes of all three axes, with other numbers for each head",
    remedy: "Make cos and sin from pos_frequencies in the weights, and call rotate of @ropewalk/core/math.",
  }),
  ...row("ErnieImageTransformer2DModel", {
    kind: "refused",
    why: "the two elements of a pair turn by different angles, which is not a rotation",
    remedy: "Multiply by cos and sin tables of your own, with one value for each element.",
  }),
]);

/** The row of a `_class_name`; `undefined` for a class that is not in the table. */
export function diffuserOf(className: string): Diffuser | undefined {
  return classes.get(className);
}

/** All names of classes in the table. */
export function diffuserNames(): string[] {
  return [...classes.keys()];
}
