/** What image and video transformers are given, and how each counts its tokens. */

import type { Count, PatchGrid } from "./checks.ts";

/** An image in tokens. */
export type ImageGrid = readonly [height: Count, width: Count];

/** What a model is given. Tokens come in the order in which the keys stand here, if nothing else is said. */
export type DiffusionPrompt =
  /**
   * Flux 1 and Kontext, Chroma, Bria, Krea 2. Axes image, height, width: text at 0, 0, 0; the image at 0, row, column;
   * a reference at 1, row, column.
   */
  | { readonly model: "flux"; readonly text: Count; readonly image: ImageGrid; readonly reference?: ImageGrid }
  /**
   * Flux 2. Axes time, height, width, text: text counts on the last; reference `i` has the time `10 · (i + 1)`.
   */
  | {
      readonly model: "flux-2";
      readonly text: Count;
      readonly image: ImageGrid;
      readonly references?: readonly ImageGrid[];
    }
  /**
   * LongCat-Image. Axes kind, height, width: text counts on height and width with kind 0, and rows and columns go on
   * from there, with kind 1 in the image and 2 in a reference.
   */
  | { readonly model: "longcat-image"; readonly text: Count; readonly image: ImageGrid; readonly reference?: ImageGrid }
  /**
   * QwenImage 1 and Edit. Axes time, height, width: rows and columns count from the centre of each image, so they may
   * be negative; image `i` has the frames `i, i + 1, …`. Text counts on all axes from the largest half side on.
   */
  | { readonly model: "qwen-image"; readonly text: Count; readonly images: readonly PatchGrid[] }
  /**
   * QwenImage Layered. As `"qwen-image"`, but the last image, which is the condition, has the frame −1, and text starts
   * no earlier than at the number of layers.
   */
  | { readonly model: "qwen-image-layered"; readonly text: Count; readonly images: readonly PatchGrid[] }
  /**
   * QwenImage 2.1. Axes time, height, width: text counts on all of them. An image has the next number as time, and rows
   * and columns from its centre; text goes on `max(height, width)` numbers later.
   */
  | {
      readonly model: "qwen-image-2.1";
      readonly segments: readonly ({ readonly text: Count } | { readonly image: ImageGrid })[];
    }
  /**
   * Z-Image. Axes time, height, width. The image comes first, then text. Both are filled up to multiples of 32 tokens:
   * text counts from 1 on with its filling; the image follows at the next time, and its filling is at 0, 0, 0.
   */
  | { readonly model: "z-image"; readonly text: Count; readonly image: PatchGrid }
  /** Lumina 2. Axes text, height, width: text counts on the first; the image has there the number of text tokens. */
  | { readonly model: "lumina-2"; readonly text: Count; readonly image: ImageGrid }
  /** HunyuanVideo FramePack and Helios. Axes time, height, width: the caller numbers the frames. */
  | { readonly model: "framepack"; readonly frames: ArrayLike<number>; readonly image: ImageGrid }
  /**
   * LTX-Video. Axes time, height, width, each as `2 c / M − 1` with `M` = 20, 2048, 2048: `c` is the start of a patch in
   * seconds and pixels, as 8 frames and 32 × 32 pixels make one.
   */
  | { readonly model: "ltx"; readonly grid: PatchGrid; readonly frameRate: number }
  /**
   * LTX-Video with conditions (0.9.5 and later). As `"ltx"`, but the first frame is one frame of the video, so frame
   * `k` starts after `max(8 k − 7, 0) + firstFrame` frames.
   */
  | {
      readonly model: "ltx-condition";
      readonly grid: PatchGrid;
      readonly frameRate: number;
      /** The frame of the video at which these begin. Default 0. */
      readonly firstFrame?: Count;
    }
  /** LTX-2. As `"ltx-condition"`, but `c` is the middle of a patch. */
  | { readonly model: "ltx-2"; readonly grid: PatchGrid; readonly frameRate: number }
  /**
   * The sound of LTX-2. One axis: `2 c / 20 − 1` for the middle `c` of a frame in seconds, where 4 steps of 10 ms make a
   * frame, but the first is one step.
   */
  | {
      readonly model: "ltx-2-audio";
      readonly frames: Count;
      /** The number of the first frame. Default 0. */
      readonly firstFrame?: Count;
    }
  /** Cosmos. Axes time, height, width: time in frames of 24 per second. Without `frameRate` (images), frames count. */
  | { readonly model: "cosmos"; readonly grid: PatchGrid; readonly frameRate?: number }
  /** CogView 4. Axes height, width: the image is spread over 256 × 256, and row `i` of `n` is at `floor(256 i / n)`. */
  | { readonly model: "cogview-4"; readonly image: ImageGrid }
  /**
   * CogVideoX 1. Axes time, height, width: rows and columns are spread evenly over the crop that the video's shape has in
   * the base size (`[30, 45]` for 480 × 720 pixels), so they may be fractions. CogVideoX 1.5 is `gridPositions`.
   */
  | { readonly model: "cogvideox"; readonly grid: PatchGrid; readonly base: ImageGrid };

/** The names of the models that {@link diffusionPositions} knows. */
export type DiffusionModel = DiffusionPrompt["model"];

/** The models whose positions are fractions. */
export type FractionalModel = "ltx" | "ltx-condition" | "ltx-2" | "ltx-2-audio" | "cosmos" | "cogvideox";
