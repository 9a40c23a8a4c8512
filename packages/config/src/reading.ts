/** What the readers of single facts share. */

import type { Pairing, Precision, RopeRegistry } from "@ropewalk/core";
import type { Dialect, DialectName } from "./dialects.ts";
import type { Layers } from "./layers.ts";
import type { Report } from "./report.ts";
import type { TextModel } from "./spelling.ts";

/** Overrides of what the file says. */
export interface ConfigOptions {
  /** Where a type's parameters are looked up; a type that is not registered there is read by a built-in list. */
  readonly registry?: RopeRegistry | undefined;
  /** Rounding of the angle, as in a rope request. */
  readonly precision?: Precision | undefined;
  /** `null`: no limit but that of exact positions. */
  readonly maxPosition?: number | null | undefined;
  readonly pairing?: Pairing | undefined;
  /** Whose reading of the file is followed: one of `dialects`, or a profile like them. Default: transformers. */
  readonly dialect?: DialectName | Dialect | undefined;
  /**
   * The length in tokens that the engine was started for, in dialects that choose by it: vLLM's `max_model_len`,
   * llama.cpp's `n_ctx`. Absent: the length that the file promises.
   */
  readonly capacity?: number | undefined;
}

/** One config while it is read. */
export interface Reading {
  readonly model: TextModel;
  readonly layers: Layers;
  readonly options: ConfigOptions;
  readonly report: Report;
  readonly dialect: Dialect;
}

/** A fact of a rope with the reason for it. */
export interface Explained<T> {
  readonly value: T;
  readonly rule: string;
  readonly source?: string;
}
