/** What a rule about the parameters of one rope dictionary is given, and what it changes. */

import type { Dialect } from "./dialects.ts";
import type { Fields, Found } from "./fields.ts";
import type { Report } from "./report.ts";

/** What is set for a type, by parameter name. */
export type Parameters = Map<string, Found>;

/** What the rules may look at besides the dictionary. */
export interface RuleContext {
  readonly dictionary: Fields;
  /** The dictionary belongs to one layer type. */
  readonly nested: boolean;
  readonly maxPosition: Found<number> | undefined;
  /** `original_max_position_embeddings` beside the dictionary. */
  readonly outerOriginal: Found<number> | undefined;
  readonly report: Report;
  readonly dialect: Dialect;
  /** The rope has several position axes. */
  readonly severalAxes: boolean;
  /** The family's class takes the short list of `longrope` only. */
  readonly shortListOnly: boolean;
  /** The length that the engine was started for, if the caller said it. */
  readonly capacity: number | undefined;
}

export type Rule = (parameters: Parameters, context: RuleContext) => void;

/** A parameter that is a finite number. */
export function numberOf(parameters: Parameters, name: string): number | undefined {
  const value = parameters.get(name)?.value;
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
