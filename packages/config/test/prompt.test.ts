import { RopeError } from "@ropewalk/core";
import { fixtures } from "@ropewalk/goldens";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { promptRules } from "../src/index.ts";

// Positions made by these rules are compared with transformers in packages/ropewalk/test/prompt-from-tokens.test.ts.

// Qwen/Qwen2.5-VL-7B-Instruct
const qwen25 = {
  architectures: ["Qwen2_5_VLForConditionalGeneration"],
  model_type: "qwen2_5_vl",
  image_token_id: 151655,
  video_token_id: 151656,
  vision_start_token_id: 151652,
  vision_config: { model_type: "qwen2_5_vl", spatial_merge_size: 2, tokens_per_second: 2, depth: 32 },
};

test("each number comes with its place in the file, or with the rule that gave it", () => {
  const byClass = { rule: "get_rope_index of qwen2_5_vl", source: "transformers 5.24" };
  expect(promptRules(qwen25)).toEqual({
    family: { value: "qwen2_5_vl", rule: "model_type" },
    imageToken: { value: 151655, rule: "image_token_id" },
    videoToken: { value: 151656, rule: "video_token_id" },
    aroundVideo: null,
    mergeSize: { value: 2, rule: "vision_config.spatial_merge_size" },
    temporalMergeSize: { value: 1, ...byClass },
    time: { value: "seconds", ...byClass },
    tokensPerSecond: { value: 2, rule: "vision_config.tokens_per_second" },
    advance: { value: "grid", ...byClass },
  });
});

test("what a file leaves out, its configuration class fills in", () => {
  const filled = { rule: "the default of qwen2_5_vl's configuration class", source: "transformers 5.24" };
  for (const config of [{ model_type: "qwen2_5_vl" }, { model_type: "qwen2_5_vl", vision_config: null }]) {
    const { imageToken, mergeSize, tokensPerSecond } = promptRules(config);
    expect([imageToken, mergeSize, tokensPerSecond]).toEqual([
      { value: 151655, ...filled },
      { value: 2, ...filled },
      { value: 4, ...filled },
    ]);
  }
});

test("GLM's frames are image tokens between the ends of a video", () => {
  const { aroundVideo, imageToken, videoToken } = promptRules({ model_type: "glm4v", image_token_id: 9 });
  expect(imageToken).toEqual({ value: 9, rule: "image_token_id" });
  expect(videoToken.value).toBe(9);
  expect([aroundVideo?.start.value, aroundVideo?.end.value]).toEqual([151341, 151342]);
});

test("every family of the goldens is known", () => {
  const rules = fixtures("positions/tokens").flatMap(({ configs }) => configs.map(promptRules));
  expect(new Set(rules.map(({ family }) => family.value)).size).toBe(16);
  const timeOf = Object.fromEntries(rules.map(({ family, time }) => [family.value, time.value]));
  expect(timeOf).toMatchObject({
    qwen2_vl: "frames",
    qwen2_5_vl: "seconds",
    qwen3_vl: "timestamps",
    glm4v: "timestamps",
  });
  const ernie = rules.filter(({ family }) => family.value === "ernie4_5_vl_moe");
  expect(ernie.map(({ temporalMergeSize }) => temporalMergeSize.value)).toEqual([2, 4]);
});

test.each<[string, unknown, RegExp]>([
  ["no config", undefined, /a config is not an object/],
  ["a text", JSON.stringify(qwen25), /Pass JSON\.parse\(text\)/],
  ["no model_type", {}, /no rules of positions.*\n.*model_type: expected a family.*got nothing/],
  ["a family that is not known", { model_type: "qwen2_5_omni" }, /got "qwen2_5_omni"/],
  ["a misspelt family", { model_type: "qwen3_v" }, /Did you mean "qwen3_vl"/],
  ["the text model alone", { model_type: "qwen2_vl_text" }, /Pass the config\.json of the whole model/],
  ["a token id of text", { ...qwen25, image_token_id: "151655" }, /image_token_id: expected a token id, got "151655"/],
  ["a negative token id", { ...qwen25, video_token_id: -1 }, /video_token_id/],
  [
    "the same token for images and videos",
    { ...qwen25, video_token_id: 151655 },
    /token ids that differ, got 151655, 151655/,
  ],
  ["one token around GLM's videos", { model_type: "glm4v", video_end_token_id: 151341 }, /token ids that differ/],
  ["a merge size of 0", { ...qwen25, vision_config: { spatial_merge_size: 0 } }, /vision_config\.spatial_merge_size/],
  [
    "a half merge of frames",
    { model_type: "ernie4_5_vl_moe", vision_config: { temporal_merge_size: 1.5 } },
    /temporal_merge_size/,
  ],
  [
    "no tokens per second",
    { ...qwen25, vision_config: { tokens_per_second: 0 } },
    /tokens_per_second: expected a number > 0/,
  ],
  ["a tower that is a list", { ...qwen25, vision_config: [] }, /vision_config: expected the config of a vision tower/],
])("refuses %s", (_, config, text) => {
  expect(() => promptRules(config)).toThrow(expect.objectContaining({ code: "ROPE_CONFIG" }));
  expect(() => promptRules(config)).toThrow(text);
});

test("all issues are told at once", () => {
  const config = { ...qwen25, image_token_id: 0.5, vision_config: { spatial_merge_size: "2" } };
  expect(() => promptRules(config)).toThrow(/2 issues.*\n.*image_token_id.*\n.*spatial_merge_size/);
});

describe("any config", () => {
  const keys = ["image_token_id", "video_token_id", "video_start_token_id", "video_end_token_id", "vision_config"];
  const family = fc.constantFrom("qwen2_vl", "qwen2_5_vl", "glm4v", "ernie4_5_vl_moe", "llama", "__proto__");
  const vision = fc.dictionary(
    fc.constantFrom("spatial_merge_size", "tokens_per_second", "temporal_merge_size"),
    fc.anything(),
  );
  const configs = fc
    .tuple(family, fc.dictionary(fc.constantFrom(...keys), fc.oneof(fc.anything(), fc.nat(), vision)))
    .map(([modelType, rest]) => ({ model_type: modelType, ...rest }));

  test("gives rules that can be used, or an error of this library; it is never changed", () => {
    const law = fc.property(fc.oneof(configs, fc.anything()), (config) => {
      let rules;
      try {
        rules = promptRules(config);
      } catch (error) {
        expect(RopeError.is(error) && error.code).toBe("ROPE_CONFIG");
        return;
      }
      for (const { value } of [rules.mergeSize, rules.temporalMergeSize]) expect(value).toBeGreaterThanOrEqual(1);
      for (const { value } of [rules.imageToken, rules.videoToken]) expect(Number.isSafeInteger(value)).toBe(true);
      expect((rules.tokensPerSecond === null) !== (rules.time.value === "seconds")).toBe(true);
      expect(Object.isFrozen(rules) && Object.values(rules).every((fact) => Object.isFrozen(fact))).toBe(true);
    });
    fc.assert(law, { numRuns: 1000 });
  });
});
