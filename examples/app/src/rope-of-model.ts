/** The rope of a model, from its config.json. */

import { ropesFromConfig } from "@ropewalk/config";
import type { RotaryEmbedding } from "@ropewalk/core";
// Each import registers a rope type. A config with another type is an error that says what to import.
import "@ropewalk/yarn";
import "ropewalk-provider-cope";

/** The rope of the first layer, and the number of query heads and key heads. */
export function ropeOfModel(config: unknown): { rope: RotaryEmbedding; heads: { query: number; key: number } } {
  const { num_attention_heads: query, num_key_value_heads: key } = config as Record<string, number>;
  const rope = ropesFromConfig(config as Record<string, unknown>).forLayer(0);
  if (rope === null || query === undefined || key === undefined) throw new Error("The model has no rope or no heads.");
  return { rope, heads: { query, key } };
}
