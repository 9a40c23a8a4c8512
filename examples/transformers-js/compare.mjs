/**
 * Compares the positions of transformers.js with those of transformers, the Python package, and shows the same classes
 * with the positions of ropewalk. Needs no weights.
 */

import { readFileSync } from "node:fs";
import {
  GlmOcrForConditionalGeneration,
  Qwen2_5_VLForConditionalGeneration,
  Qwen2VLForConditionalGeneration,
  Qwen3_5ForConditionalGeneration,
  Qwen3_5MoeForConditionalGeneration,
  Qwen3VLForConditionalGeneration,
  Qwen3VLMoeForConditionalGeneration,
  Tensor,
} from "@huggingface/transformers";
import { promptPositionsFromTokens, promptRules } from "ropewalk";
import { ropeIndex } from "./positions.mjs";
import { emptySessions } from "./sessions.mjs";

const tensor = (rows) =>
  rows && new Tensor("int64", BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0].length]);

/** Everything that transformers.js reads from a config.json here. */
function configOf(file, visionStart) {
  const { imageToken, mergeSize, videoToken } = promptRules(file);
  return {
    ...file,
    image_token_id: imageToken.value,
    video_token_id: videoToken.value,
    vision_start_token_id: visionStart,
    vision_config: { ...file.vision_config, spatial_merge_size: mergeSize.value },
    hidden_size: 4,
    num_attention_heads: 2,
    num_hidden_layers: 1,
  };
}

/** A model without weights, with the positions of its class or with those of ropewalk. */
function modelOf(Class, config, isOurs, sessions = {}) {
  const model = new Class(config, sessions, { generation_config: {} });
  if (isOurs) model.get_rope_index = (...prompt) => ropeIndex(config, ...prompt);
  return model;
}

const sides = [
  ["transformers.js", false],
  ["with ropewalk", true],
];

/** Random prompts, with the positions that transformers 5.24 gave. */
const goldens = (family) =>
  JSON.parse(
    readFileSync(new URL(`../../tooling/goldens/fixtures/positions/tokens/${family}.json`, import.meta.url), "utf8"),
  );

console.log("1. Text alone, two rows, the second padded on the left: the positions that generate() feeds, row by row.");
const config = configOf({ model_type: "qwen2_vl" }, 151652);
const attention_mask = [
  [1, 1, 1, 1, 1],
  [0, 0, 1, 1, 1],
];
const Model = Qwen2VLForConditionalGeneration;
for (const [name, isOurs] of sides) {
  const { fed, sessions } = emptySessions();
  const model = modelOf(Model, config, isOurs, sessions);
  const prompt = {
    input_ids: tensor([
      [11, 12, 13, 14, 15],
      [0, 0, 11, 12, 13],
    ]),
    attention_mask: tensor(attention_mask),
  };
  await model.generate({ ...prompt, max_new_tokens: 3 });
  const rows = attention_mask.map((_, row) => fed.map(([time]) => time[row].join(" ")).join(" | "));
  console.log(`   ${name.padEnd(16)}${rows.join("      ")}`);
}

console.log("\n2. Text alone without a mask, one row of 5 and two rows of 5: get_rope_index.");
for (const [name, isOurs] of sides) {
  const model = modelOf(Model, config, isOurs);
  const shown = [1, 2].map((batch) => {
    const [positions] = model.get_rope_index(tensor(new Array(batch).fill([11, 12, 13, 14, 15])));
    return positions
      .tolist()[0]
      .map((row) => row.join(" "))
      .join(" | ");
  });
  console.log(`   ${name.padEnd(16)}${shown.join("      ")}`);
}

console.log("\n3. Random prompts: how many have the positions, and the first decoded position, of transformers 5.24.");
const families = {
  qwen2_vl: [Qwen2VLForConditionalGeneration, 151652],
  qwen2_5_vl: [Qwen2_5_VLForConditionalGeneration, 151652],
  qwen3_vl: [Qwen3VLForConditionalGeneration, 151652],
  qwen3_vl_moe: [Qwen3VLMoeForConditionalGeneration, 151652],
  qwen3_5: [Qwen3_5ForConditionalGeneration, 248053],
  qwen3_5_moe: [Qwen3_5MoeForConditionalGeneration, 248053],
  glm_ocr: [GlmOcrForConditionalGeneration, 59256],
};
const kinds = ["text", "images", "videos"];

function agrees(model, entry) {
  const { attentionMask: mask, decoded, imageGrids, inputIds, positions, secondsPerGrid, videoGrids } = entry;
  const [batch, length] = [inputIds.length, inputIds[0].length];
  try {
    // The class in transformers.js takes no seconds and ignores them.
    const tensors = [inputIds, imageGrids, videoGrids, mask].map(tensor);
    const [ids, deltas] = model.get_rope_index(...tensors, secondsPerGrid);
    const real = mask?.flat();
    const prompt = positions.every((p, i) => real?.[i % real.length] === 0 || BigInt(p) === BigInt(ids.data[i]));
    const first = inputIds.every(
      (_, row) => Number(deltas.data[row]) + length === decoded.positions[row * decoded.steps],
    );
    return { prompt, first: first && deltas.data.length === batch };
  } catch {
    return { threw: true };
  }
}

console.log(`   ${"".padEnd(31)}${kinds.map((kind) => kind.padEnd(26)).join("")}`);
for (const [family, [Class, start]] of Object.entries(families)) {
  const { cases, configs } = goldens(family);
  for (const [label, isOurs] of sides) {
    const cells = kinds.map((kind) => {
      const some = cases.filter(
        (entry) => (entry.videoGrids ? "videos" : entry.imageGrids ? "images" : "text") === kind,
      );
      const results = some.map((entry) => {
        return agrees(modelOf(Class, configOf(configs[entry.config], start), isOurs), entry);
      });
      const count = (key) => results.filter((result) => result[key]).length;
      return `${count("prompt")}, ${count("first")} of ${some.length}${count("threw") ? `, ${count("threw")} threw` : ""}`.padEnd(
        26,
      );
    });
    console.log(`   ${(isOurs ? "" : family).padEnd(14)}${label.padEnd(17)}${cells.join("")}`);
  }
}

console.log("\n4. Qwen2-VL's videos: how many have the positions of text after the largest position (advance: max).");
const { cases, configs } = goldens("qwen2_vl");
const videos = cases.filter(({ videoGrids }) => videoGrids);
const same = videos.filter((entry) => {
  const config = configOf(configs[entry.config], 151652);
  const { attentionMask, imageGrids, inputIds, videoGrids } = entry;
  const tensors = [inputIds, imageGrids, videoGrids, attentionMask].map(tensor);
  const [ids, deltas] = modelOf(Model, config, false).get_rope_index(...tensors);
  const options = { config, attentionMask, imageGrids, inputIds, videoGrids, advance: "max" };
  const { cacheDeltas, positions } = promptPositionsFromTokens(options);
  return [ids.data, deltas.data].join() === [positions.data, cacheDeltas.data].join();
});
console.log(`   transformers.js ${same.length} of ${videos.length}`);
