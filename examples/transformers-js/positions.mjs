/** Positions for the Qwen-VL classes of transformers.js, as transformers, the Python package, has them. */

import { Tensor } from "@huggingface/transformers";
import { promptPositionsFromTokens } from "ropewalk";

/** What `get_rope_index` of a model with this config returns: position ids `[3, batch, tokens]`, and deltas `[batch, 1]`. */
export function ropeIndex(config, inputIds, imageGrids, videoGrids, attentionMask, secondsPerGrid) {
  const options = { config, inputIds, imageGrids, videoGrids, attentionMask, secondsPerGrid };
  const { positions, cacheDeltas } = promptPositionsFromTokens(options);
  return [positions, cacheDeltas].map(({ data, shape }) => new Tensor("int64", data, shape));
}
