/** Sessions of a model without weights: they answer with zeros, and keep the positions that they are given. */

import { Tensor } from "@huggingface/transformers";

/** @returns `{ sessions, fed }`; `fed` has the position ids of each call, `[3][batch][tokens]`. */
export function emptySessions() {
  const fed = [];
  const zeros = (dims) => new Tensor("float32", new Float32Array(dims.reduce((a, b) => a * b, 1)), dims);
  const cache = ["past_key_values.0.key", "past_key_values.0.value"];
  const embed_tokens = {
    inputNames: ["input_ids"],
    run: async ({ input_ids: { dims } }) => ({ inputs_embeds: zeros([...dims, 4]) }),
  };
  const decoder_model_merged = {
    inputNames: ["inputs_embeds", "attention_mask", "position_ids", ...cache],
    inputMetadata: cache.map((name) => ({
      name,
      type: "float32",
      shape: ["batch_size", 1, "past_sequence_length", 2],
    })),
    run: async ({ attention_mask, inputs_embeds, position_ids: { data, dims, type } }) => {
      fed.push(new Tensor(type, data, dims).tolist());
      const [batch, tokens] = inputs_embeds.dims;
      const present = zeros([batch, 1, attention_mask.dims[1], 2]);
      return { logits: zeros([batch, tokens, 3]), "present.0.key": present, "present.0.value": present };
    },
  };
  return { sessions: { embed_tokens, decoder_model_merged }, fed };
}
