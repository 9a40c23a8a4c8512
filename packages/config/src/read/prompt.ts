/** config.json → what building the positions of prompts with images and videos needs to know of the model. */

import { nearest, show } from "@ropewalk/core/backend";
import type { Fact } from "../facts/fact.ts";
import { promptFamilyNames, promptFamilyOf } from "../facts/prompts.ts";
import type { PromptFamily, VideoTimeRule } from "../facts/prompts.ts";
import { Fields } from "../locate/fields.ts";
import { isObject, isSize, isText, narrow, own, shown } from "../locate/found.ts";
import type { JsonObject } from "../locate/found.ts";
import { requireObject } from "../locate/text-model.ts";
import { Report } from "../report.ts";

/** What building the positions of a prompt needs to know of a multimodal model. Frozen. */
export interface PromptRules {
  /** The `model_type`. */
  readonly family: Fact<string>;
  /** The id of the tokens that stand for an image, one for each merged patch. */
  readonly imageToken: Fact<number>;
  /** The id of the tokens that stand for frames of a video. In GLM's families it is that of images. */
  readonly videoToken: Fact<number>;
  /**
   * The ids of the tokens before and after a video, where they alone say that image tokens are frames (GLM-4V and its
   * relatives); `null` elsewhere.
   */
  readonly aroundVideo: { readonly start: Fact<number>; readonly end: Fact<number> } | null;
  /** Patches of a token along each side. */
  readonly mergeSize: Fact<number>;
  /** Frames of a video's token. */
  readonly temporalMergeSize: Fact<number>;
  /**
   * The time of a video's frames. `"frames"`: frame `k` has time `k`. `"seconds"`: `k · seconds per frame ·
   * tokensPerSecond`. `"timestamps"`: text with the time stands between frames, and each frame is an image of its own.
   */
  readonly time: Fact<VideoTimeRule>;
  /** Positions per second of a video; `null` unless `time` is `"seconds"`. */
  readonly tokensPerSecond: Fact<number> | null;
  /**
   * Where text continues after an image or a video. `"grid"`: `max(height, width) / mergeSize` after its start.
   * `"max"`, as Hugging Face before 5.3, vLLM and transformers.js: after the largest position in it. They differ for
   * videos only.
   */
  readonly advance: Fact<"grid" | "max">;
}

const source = "transformers 5.24";

/**
 * Reads from a multimodal model's config.json what building its M-RoPE positions needs. A number that the file does not
 * state is that of the model's configuration class.
 *
 * @param config the parsed JSON; only own keys are read, and it is never changed.
 * @returns frozen facts that share no memory with `config`.
 * @throws RopeError `ROPE_CONFIG` if `config` is not an object, if its `model_type` is none of the families whose
 * `get_rope_index` this version knows, or with every number that cannot be used.
 * Source: configuration classes, processors and `get_rope_index` of Hugging Face transformers 5.24.
 * @example
 * import { promptRules } from "@ropewalk/config";
 *
 * const rules = promptRules({ model_type: "qwen2_vl", vision_config: { spatial_merge_size: 2 } });
 * rules.imageToken.value; // 151655
 * rules.imageToken.rule; // "the default of qwen2_vl's configuration class"
 * rules.mergeSize.rule; // "vision_config.spatial_merge_size"
 */
export function promptRules(config: unknown): PromptRules {
  const record = requireObject(config);
  const report = new Report("no rules of positions");
  const modelType = own(record, "model_type");
  const family = isText(modelType) ? promptFamilyOf(modelType) : undefined;
  if (family === undefined) refuse(modelType, report);
  report.throwIfBroken();
  return readRules(record, modelType as string, family!, report);
}

function readRules(record: JsonObject, modelType: string, family: PromptFamily, report: Report): PromptRules {
  const fields = new Fields([{ record, path: "", level: 0 }], report);
  const vision = visionFields(fields, report);
  const fact = <T>(value: T, rule: string, from?: string): Fact<T> =>
    Object.freeze({ value, rule, ...(from === undefined ? {} : { source: from }) });
  /** The number of the file, or that of the class. */
  const stated = (of: Fields, key: string, byClass: number, is: (value: unknown) => value is number, what: string) => {
    const place = of.first(key);
    if (place === undefined) return fact(byClass, `the default of ${modelType}'s configuration class`, source);
    return fact(narrow(place, is, what, report)?.value ?? byClass, place.path);
  };
  const token = (key: string, byClass: number): Fact<number> => stated(fields, key, byClass, isToken, "a token id");
  const ofClass = <T>(value: T): Fact<T> => fact(value, `get_rope_index of ${modelType}`, source);

  const imageToken = token("image_token_id", family.imageToken);
  const around = family.aroundVideo;
  const aroundVideo = around && {
    start: token("video_start_token_id", around[0]),
    end: token("video_end_token_id", around[1]),
  };
  const videoToken = aroundVideo
    ? fact(imageToken.value, `${imageToken.rule}: frames are made of image tokens`, source)
    : token("video_token_id", family.videoToken);
  const ids = aroundVideo ? [imageToken, aroundVideo.start, aroundVideo.end] : [imageToken, videoToken];
  if (new Set(ids.map(({ value }) => value)).size < ids.length) {
    report.issue(ids.at(-1)!.rule, "token ids that differ", ids.map(({ value }) => value).join(", "));
  }
  const sizes = "an integer > 0";
  const rules: PromptRules = {
    family: fact(modelType, "model_type"),
    imageToken,
    videoToken,
    aroundVideo: aroundVideo === undefined ? null : Object.freeze(aroundVideo),
    mergeSize: stated(vision, "spatial_merge_size", 2, isSize, sizes),
    temporalMergeSize:
      family.temporalMerge === undefined
        ? ofClass(1)
        : stated(vision, "temporal_merge_size", family.temporalMerge, isSize, sizes),
    time: ofClass(family.time),
    tokensPerSecond:
      family.tokensPerSecond === undefined
        ? null
        : stated(vision, "tokens_per_second", family.tokensPerSecond, isPositive, "a number > 0"),
    advance: ofClass("grid"),
  };
  report.throwIfBroken();
  return Object.freeze(rules);
}

/** The vision tower's config. A file without one has the defaults of its class. */
function visionFields(fields: Fields, report: Report): Fields {
  const place = narrow(fields.first("vision_config"), isObject, "the config of a vision tower", report);
  return new Fields([{ record: place?.value ?? {}, path: "vision_config", level: 0 }], report);
}

function refuse(modelType: unknown, report: Report): void {
  const near = isText(modelType) ? nearest(modelType, promptFamilyNames) : undefined;
  report.issue(
    "model_type",
    `a family whose positions are known: ${promptFamilyNames.join(", ")}`,
    shown(modelType),
    `${near === undefined ? "" : `Did you mean ${show(near)}? `}Pass the config.json of the whole model. For another family, build positions with promptPositions and its own rules.`,
  );
}

const isToken = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isPositive = (value: unknown): value is number => Number.isFinite(value) && (value as number) > 0;
