/** What the position builders of multimodal models do, by `model_type`: one row for each family. */

/** How a model counts the time of a video's frames. */
export type VideoTimeRule =
  /** Frame `k` has time `k`. */
  | "frames"
  /** Frame `k` has the time `k · seconds per frame · tokensPerSecond`. */
  | "seconds"
  /** The prompt has text with the time before each frame, and each frame counts as an image. */
  | "timestamps";

/** A family whose positions have the axes time, height and width. Token ids are those of its configuration class. */
export interface PromptFamily {
  readonly imageToken: number;
  readonly videoToken: number;
  readonly time: VideoTimeRule;
  /** What the class fills in for `tokens_per_second`. */
  readonly tokensPerSecond?: number;
  /** What the class fills in for `temporal_merge_size`: frames of one token. Absent: frames are not merged. */
  readonly temporalMerge?: number;
  /** Tokens around a video whose frames are made of image tokens. Absent: frames are made of video tokens. */
  readonly aroundVideo?: readonly [start: number, end: number];
}

const qwen2 = { imageToken: 151655, videoToken: 151656 };
const qwen3: PromptFamily = { ...qwen2, time: "timestamps" };
const qwen35: PromptFamily = { imageToken: 248056, videoToken: 248057, time: "timestamps" };

const families: ReadonlyMap<string, PromptFamily> = new Map<string, PromptFamily>([
  ["qwen2_vl", { ...qwen2, time: "frames" }],
  ["paddleocr_vl", { imageToken: 100295, videoToken: 100296, time: "frames" }],
  ["qwen2_5_vl", { ...qwen2, time: "seconds", tokensPerSecond: 4 }],
  ["qwen3_vl", qwen3],
  ["qwen3_vl_moe", qwen3],
  ["cosmos3_omni", qwen3],
  ["qwen3_5", qwen35],
  ["qwen3_5_moe", qwen35],
  ["qwen4_exp", qwen35],
  ["cosmos3_edge", { imageToken: 19, videoToken: 18, time: "timestamps" }],
  ["cohere_compass", { imageToken: 255031, videoToken: 255032, time: "timestamps" }],
  ["glm4v", { imageToken: 151343, videoToken: 151344, time: "timestamps", aroundVideo: [151341, 151342] }],
  ["glm4v_moe", { imageToken: 151363, videoToken: 151364, time: "timestamps", aroundVideo: [151341, 151342] }],
  ["glm46v", { imageToken: 151343, videoToken: 151344, time: "timestamps", aroundVideo: [151361, 151362] }],
  ["glm_ocr", { imageToken: 59280, videoToken: 59281, time: "timestamps", aroundVideo: [59258, 59259] }],
  ["ernie4_5_vl_moe", { imageToken: 100295, videoToken: 103367, time: "frames", temporalMerge: 2 }],
]);

export function promptFamilyOf(modelType: string): PromptFamily | undefined {
  return families.get(modelType);
}

export const promptFamilyNames: readonly string[] = [...families.keys()];
