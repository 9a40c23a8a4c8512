/** What image and video transformers are given, and how each counts its tokens. */

import type { Count, PatchGrid } from "./checks.ts";

/** An image in tokens. */
export type ImageGrid = readonly [height: Count, width: Count];

/**
 * What {@link diffusionPositions} takes for each family. All sizes are in tokens, that is patches. If nothing else is
 * said, tokens come in the order in which the keys stand here, and the axes are time, height and width.
 */
export interface DiffusionPrompts {
  /**
   * Flux 1 and Kontext, Chroma, Bria, Krea 2. Axes image, height, width: text at 0, 0, 0; the image at 0, row, column;
   * a reference at 1, row, column.
   */
  readonly flux: { readonly text: Count; readonly image: ImageGrid; readonly reference?: ImageGrid };
  /** Flux 2. Axes time, height, width, text: text counts on the last; reference `i` has the time `10 · (i + 1)`. */
  readonly "flux-2": { readonly text: Count; readonly image: ImageGrid; readonly references?: readonly ImageGrid[] };
  /**
   * Flux 3. Axes time, height, width, text: text counts on the last; rows and columns count in halves; reference `i` is
   * at `−(i + 1)` on the last axis.
   */
  readonly "flux-3": { readonly text: Count; readonly image: ImageGrid; readonly references?: readonly ImageGrid[] };
  /**
   * LongCat-Image. Axes kind, height, width: text counts on height and width with kind 0, and rows and columns go on
   * from there, with kind 1 in the image and 2 in a reference.
   */
  readonly "longcat-image": { readonly text: Count; readonly image: ImageGrid; readonly reference?: ImageGrid };
  /**
   * QwenImage 1 and Edit. Rows and columns count from the centre of each image, so they may be negative; image `i` has
   * the frames `i, i + 1, …`. Text counts on all axes from half of the longest side on.
   */
  readonly "qwen-image": { readonly text: Count; readonly images: readonly PatchGrid[] };
  /**
   * QwenImage Layered. As `"qwen-image"`, but the last image, which is the condition, has the frame −1, and text starts
   * no earlier than at the number of layers.
   */
  readonly "qwen-image-layered": { readonly text: Count; readonly images: readonly PatchGrid[] };
  /**
   * QwenImage 2.1. Text counts on all axes. An image has the next number as time, and rows and columns from its centre;
   * text goes on `max(height, width)` numbers later.
   */
  readonly "qwen-image-2.1": {
    readonly segments: readonly ({ readonly text: Count } | { readonly image: ImageGrid })[];
  };
  /**
   * Z-Image. The image comes before the text. Both are filled up to multiples of 32 tokens: text counts as time, from 1
   * on and with its filling; the image follows at the next time, and its filling is at 0, 0, 0.
   */
  readonly "z-image": { readonly text: Count; readonly image: PatchGrid };
  /** Lumina 2. Axes text, height, width: text counts on the first; the image has there the number of text tokens. */
  readonly "lumina-2": { readonly text: Count; readonly image: ImageGrid };
  /** Wan 2 and its kin. The grid counts from 0; text has no rope. */
  readonly wan: { readonly grid: PatchGrid };
  /** HunyuanVideo 1 and 1.5. The grid counts from 0; text has no rope. */
  readonly "hunyuan-video": { readonly grid: PatchGrid };
  /** HunyuanVideo FramePack. The caller numbers the frames. */
  readonly "hunyuan-video-framepack": { readonly frames: ArrayLike<number>; readonly image: ImageGrid };
  /** HunyuanImage. Axes height, width: the image counts from 0; text has no rope. */
  readonly "hunyuan-image": { readonly image: ImageGrid };
  /**
   * LTX-Video. Each axis is `2 c / M − 1` with `M` = 20, 2048, 2048: `c` is the start of a patch in seconds and pixels,
   * as 8 frames and 32 × 32 pixels make one.
   */
  readonly ltx: { readonly grid: PatchGrid; readonly frameRate: number };
  /**
   * LTX-Video with conditions (0.9.5 and later). As `"ltx"`, but the first frame is one frame of the video, so frame
   * `k` starts after `max(8 k − 7, 0) + firstFrame` frames.
   */
  readonly "ltx-condition": {
    readonly grid: PatchGrid;
    readonly frameRate: number;
    /** The frame of the video at which these begin. Default 0. */
    readonly firstFrame?: Count;
  };
  /** LTX-2. As `"ltx-condition"` from frame 0, but `c` is the middle of a patch. */
  readonly "ltx-2": { readonly grid: PatchGrid; readonly frameRate: number };
  /**
   * The sound of LTX-2. One axis: `2 c / 20 − 1` for the middle `c` of a frame in seconds, where 4 steps of 10 ms make
   * a frame, but the first is one step.
   */
  readonly "ltx-2-audio": {
    readonly frames: Count;
    /** The number of the first frame. Default 0. */
    readonly firstFrame?: Count;
  };
  /** Cosmos 1 to 2.5. Time counts frames of 24 per second. Without `frameRate` (images), it counts these frames. */
  readonly cosmos: { readonly grid: PatchGrid; readonly frameRate?: number };
  /**
   * Cosmos 3. Text counts on all axes. The video and its sound both begin 15000 after its end in time; their rows and
   * columns count from 0. Frame `k` of the grid, of which each stands for 4 of the video, is at `k · 24 / frameRate`
   * from there, token `k` of sound at `k · 24 / sound.frameRate`.
   */
  readonly "cosmos-3": {
    readonly text: Count;
    readonly grid: PatchGrid;
    /** Frames per second of the video. */
    readonly frameRate: number;
    /** The tokens of sound, and how many there are in a second: `sound_latent_fps` of the config. */
    readonly sound?: { readonly frames: Count; readonly frameRate: number };
  };
  /** CogView 4. Axes height, width: the image is spread over 256 × 256, and row `i` of `n` is at `floor(256 i / n)`. */
  readonly "cogview-4": { readonly image: ImageGrid };
  /**
   * CogVideoX 1. Rows and columns are spread evenly over the crop that the video's shape has in the base size (`[30,
   * 45]` for 480 × 720 pixels), so they may be fractions. CogVideoX 1.5 counts from 0, as `"wan"` does.
   */
  readonly cogvideox: { readonly grid: PatchGrid; readonly base: ImageGrid };
}

/** The families that {@link diffusionPositions} knows. */
export type DiffusionFamily = keyof DiffusionPrompts;

/** A family and its sizes: what {@link diffusionPositions} takes. */
export type DiffusionPrompt<F extends DiffusionFamily = DiffusionFamily> = {
  [K in F]: { readonly family: K } & DiffusionPrompts[K];
}[F];

/** The families whose positions are fractions. */
export type FractionalFamily =
  | "flux-3"
  | "ltx"
  | "ltx-condition"
  | "ltx-2"
  | "ltx-2-audio"
  | "cosmos"
  | "cosmos-3"
  | "cogvideox";
