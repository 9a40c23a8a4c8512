/** The options of the public functions, and their check. Without it, a misspelled option would be ignored silently. */

import { RopeError } from "@ropewalk/core";
import type { Pairing, Precision, RopeRegistry } from "@ropewalk/core";
import { checkKeys, invalid, nearest, show } from "@ropewalk/core/backend";
import type { Dialect, DialectName } from "./facts/dialect.ts";
import { dialects } from "./facts/dialects.ts";
import { familyNames, familyOf } from "./facts/families.ts";
import type { RopeWeights } from "./facts/family.ts";
import type { TowerPart } from "./facts/tower.ts";

/** Options for every file format. Each overrides the file. */
export interface RequestOverrides {
  /** Rounding of the angle, as in a rope request. */
  readonly precision?: Precision | undefined;
  /** Positions must be below this, in tokens. `null`: no limit but that of exact positions. */
  readonly maxPosition?: number | null | undefined;
  /** Which two elements of a head form a pair. */
  readonly pairing?: Pairing | undefined;
}

/** Options for a config.json. */
export interface ConfigOptions extends RequestOverrides {
  /**
   * The part of the model whose ropes are read. Default: `"text"`, with which the config of a tower alone is read as
   * that tower.
   */
  readonly part?: "text" | TowerPart | undefined;
  /**
   * The registry with the parameters of each type. A type that is not registered there is read with a built-in list.
   */
  readonly registry?: RopeRegistry | undefined;
  /**
   * The engine whose reading of the file is followed: one of `dialects`, or a profile of your own. Default:
   * transformers.
   */
  readonly dialect?: DialectName | Dialect | undefined;
  /**
   * The length in tokens that the engine was started for: vLLM's `max_model_len`, llama.cpp's `n_ctx`. Used by dialects
   * that choose by it. Default: the length that the file promises.
   */
  readonly capacity?: number | undefined;
  /**
   * The known model whose attention rotates as this one does, by its `model_type`: `"llama"`. For a file whose own
   * `model_type` is not known; it replaces that of the file.
   */
  readonly family?: string | undefined;
  /** Learned numbers of the checkpoint that a rope needs. */
  readonly weights?: RopeWeights | undefined;
}

/**
 * The tensors of a GGUF file that belong to its rope: float32 values, one for each pair. They are read, not kept or
 * changed.
 */
export interface GgufRopeTensors {
  readonly "rope_freqs.weight"?: ArrayLike<number> | undefined;
  readonly "rope_factors_long.weight"?: ArrayLike<number> | undefined;
  readonly "rope_factors_short.weight"?: ArrayLike<number> | undefined;
}

/** Options for a GGUF file, and data of the file that is not in its key/values. */
export interface GgufOptions extends RequestOverrides {
  readonly tensors?: GgufRopeTensors | undefined;
  readonly registry?: RopeRegistry | undefined;
  /**
   * The size of the context (`n_ctx`) in tokens. It chooses between two lists of factors. Default: the length that the
   * file promises.
   */
  readonly capacity?: number | undefined;
}

const configKeys: Readonly<Record<keyof ConfigOptions, true>> = {
  part: true,
  registry: true,
  precision: true,
  maxPosition: true,
  pairing: true,
  dialect: true,
  capacity: true,
  family: true,
  weights: true,
};
const weightNames: Readonly<Record<keyof RopeWeights, true>> = { "lerope.alpha": true };
const ggufKeys: Readonly<Record<keyof GgufOptions, true>> = {
  registry: true,
  precision: true,
  maxPosition: true,
  pairing: true,
  tensors: true,
  capacity: true,
};
const tensorNames: Readonly<Record<keyof GgufRopeTensors, true>> = {
  "rope_freqs.weight": true,
  "rope_factors_long.weight": true,
  "rope_factors_short.weight": true,
};

/**
 * Checks the options of a config.json.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown option (it names the nearest known one), or for a value
 * that cannot be used.
 */
export function checkOptions(options: ConfigOptions): void {
  checkCommon(options, Object.keys(configKeys));
  const { family, part = "text", weights = {} } = options;
  if (!parts.includes(part)) throw wrong("part", `one of ${parts.map(show).join(", ")}`, part);
  if (!isRecord(weights)) throw wrong("weights", "an object with weights of the checkpoint by their names", weights);
  checkKeys("the weights", weights, Object.keys(weightNames));
  if (family === undefined || (typeof family === "string" && familyOf(family) !== undefined)) return;
  const near = typeof family === "string" ? nearest(family, familyNames()) : undefined;
  throw invalid("the options", [
    {
      path: "family",
      expected: "the model_type of a known model, such as llama",
      received: show(family),
      ...(near === undefined ? {} : { remedy: `Did you mean ${show(near)}?` }),
    },
  ]);
}

const parts: readonly string[] = ["text", "vision", "audio"] satisfies readonly ConfigOptions["part"][];

/** Checks the options of a GGUF header, including the names of its tensors. */
export function checkGgufOptions(options: GgufOptions): void {
  checkCommon(options, Object.keys(ggufKeys));
  const { tensors = {} } = options;
  if (!isRecord(tensors)) throw wrong("tensors", "an object with tensors of the file by their names", tensors);
  checkKeys("the tensors", tensors, Object.keys(tensorNames));
}

function checkCommon(options: ConfigOptions | GgufOptions, known: readonly string[]): void {
  if (!isRecord(options)) throw wrong("options", "an object", options);
  checkKeys("the options", options, known);
  const { capacity, registry } = options;
  if (capacity !== undefined && !(Number.isSafeInteger(capacity) && capacity > 0)) {
    throw wrong("capacity", "an integer > 0, in tokens", capacity);
  }
  const isRegistry =
    registry === undefined ||
    (isRecord(registry) && (["get", "require", "list"] as const).every((name) => typeof registry[name] === "function"));
  if (!isRegistry) throw wrong("registry", "a registry, as createRegistry() gives it", registry);
}

/**
 * The dialect that an option names, or the profile itself.
 *
 * @throws RopeError `ROPE_CONFIG` for an unknown name, or a profile that lacks a knob.
 */
export function dialectOf(given: ConfigOptions["dialect"]): Dialect {
  const name = given === undefined ? "hf" : given;
  if (typeof name === "string" && Object.hasOwn(dialects, name)) return dialects[name];
  const missing = isRecord(given) ? missingKnob(given, dialects.hf, "") : undefined;
  if (isRecord(given) && missing === undefined) return given;
  throw new RopeError("ROPE_CONFIG", {
    what: missing === undefined ? "there is no such dialect" : `the profile of a dialect lacks the knob ${missing}`,
    expected: `one of ${Object.keys(dialects).join(", ")}, or a profile like them`,
    received: show(given),
    remedy: missing === undefined ? undefined : "Copy one of dialects and change a knob.",
  });
}

/** The path of the first knob that is missing in a profile, or has another type than in transformers' profile. */
function missingKnob(given: object, like: object, path: string): string | undefined {
  for (const [key, standard] of Object.entries(like) as [string, unknown][]) {
    const value = (given as Record<string, unknown>)[key];
    const where = path === "" ? key : `${path}.${key}`;
    if (Array.isArray(standard)) {
      if (!Array.isArray(value)) return where;
    } else if (isRecord(standard)) {
      const inner = isRecord(value) ? missingKnob(value, standard, where) : where;
      if (inner !== undefined) return inner;
    } else if (value === undefined) return where;
  }
  return undefined;
}

const isRecord = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const wrong = (path: string, expected: string, value: unknown): RopeError =>
  invalid("the options", [{ path, expected, received: show(value) }]);
