/** Helpers of this package's tests. */

import { createRegistry, defaultRegistry, RopeError } from "@ropewalk/core";
import type { RopeRegistry } from "@ropewalk/core";
import { ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
import type { ConfigNote, ConfigOptions } from "@ropewalk/config";
import "@ropewalk/deepseek-yarn";
import "@ropewalk/default";
import "@ropewalk/dynamic";
import "@ropewalk/dynamic-alpha";
import "@ropewalk/given";
import "@ropewalk/linear";
import "@ropewalk/llama3";
import "@ropewalk/longrope";
import "@ropewalk/nd-qwen2vl";
import "@ropewalk/ntk";
import "@ropewalk/proportional";
import "@ropewalk/yarn";

export type Json = Readonly<Record<string, unknown>>;

/** Freezes a value and everything in it, so that a write throws. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(Object.freeze(value))) deepFreeze(inner);
  }
  return value;
}

/** The error that a call throws. */
export function failure(call: () => unknown): RopeError {
  try {
    call();
  } catch (error) {
    if (RopeError.is(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** The issues of a config as text, sorted by path. */
export function issues(config: Json, options: ConfigOptions = {}): string[] {
  const error = failure(() => ropeRequestsFromConfig(config, options));
  return error.issues.map(({ path, expected, received }) => `${path}: ${expected} | ${received}`).sort();
}

/** The notes about a config at a path. */
export function notesAt(config: Json, path: string, options: ConfigOptions = {}): ConfigNote[] {
  return ropesFromConfig(config, options).notes.filter((note) => note.path === path);
}

/** A small Llama; `more` adds or replaces keys. */
export function llama(more: Json = {}): Json {
  return {
    model_type: "llama",
    hidden_size: 4096,
    num_attention_heads: 32,
    num_hidden_layers: 4,
    max_position_embeddings: 8192,
    rope_theta: 10000,
    ...more,
  };
}

/** A registry with some of the registered types only. */
export function registryOf(...types: readonly string[]): RopeRegistry {
  const registry = createRegistry();
  for (const { name, provider } of defaultRegistry.list()) if (types.includes(name)) registry.register(name, provider);
  return registry;
}

/** Steps between two float32 values. */
export function ulps(a: number, b: number): number {
  const bits = new Int32Array(Float32Array.of(a, b).buffer);
  return Math.abs(bits[0]! - bits[1]!);
}
