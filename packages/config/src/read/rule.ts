/** The input and output of a rule about the parameters of one rope dictionary. */

import type { Dialect } from "../facts/dialect.ts";
import type { Family } from "../facts/family.ts";
import type { Fields } from "../locate/fields.ts";
import { shown } from "../locate/found.ts";
import type { Found } from "../locate/found.ts";
import type { Report } from "../report.ts";

/** The parameters that are set for a type, by name. */
export type Parameters = ReadonlyMap<string, Found>;

/** The changes of a rule: new values, or `undefined` for a parameter that the engine does not read. */
export type Changes = Readonly<Record<string, Found | undefined>>;

/** The values that rules read besides the parameters. */
export interface RuleContext {
  readonly dictionary: Fields;
  /** The dictionary belongs to some layers alone. */
  readonly nested: boolean;
  /** The dictionary is made of keys that stand among the model's own keys. */
  readonly beside: boolean;
  /** The axes have the order of `bailing_mrope`. */
  readonly timeLast: boolean;
  /** The length that the file promises. */
  readonly maxPosition: Found<number> | undefined;
  /** `original_max_position_embeddings` beside the dictionary. */
  readonly outerOriginal: Found<number> | undefined;
  readonly report: Report;
  readonly dialect: Dialect;
  /** What the family's class makes of `longrope`, if it is not the usual. */
  readonly longropeOfFamily: Family["longrope"];
  /** The length that the engine was started for, if the caller gave it. */
  readonly capacity: number | undefined;
}

/** A rule does not change its input. It adds notes to the report and returns its changes. */
export type Rule = (parameters: Parameters, context: RuleContext) => Changes;

/** The parameters after some changes. */
export function changed(parameters: Parameters, changes: Changes): Parameters {
  const result = new Map(parameters);
  for (const [name, found] of Object.entries(changes)) {
    if (found === undefined) result.delete(name);
    else result.set(name, found);
  }
  return result;
}

/** A parameter that is a finite number. */
export function numberOf(parameters: Parameters, name: string): number | undefined {
  const value = parameters.get(name)?.value;
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** The engine behind a dialect, as the source of a rule. */
export const engineOf = ({ engine, version }: Dialect): string => `${engine} ${version}`;

/** A value that an engine fills in. */
export const implied = (key: string, value: unknown, path: string, dialect: Dialect): Found => ({
  value,
  path,
  key,
  source: engineOf(dialect),
});

/** Promised length / trained length. */
export const ratioOfLengths = (maxPosition: Found<number>, original: number): Found<number> => ({
  value: maxPosition.value / original,
  path: `${maxPosition.key} / original_max_position_embeddings = ${maxPosition.value} / ${original}`,
  key: "factor",
});

/** Removes a parameter that the engine does not read, and adds a note. */
export function dropped(name: string, parameters: Parameters, { dialect, report }: RuleContext, why: string): Changes {
  const found = parameters.get(name);
  if (found === undefined) return {};
  report.note("differs", found.path, `${found.key} = ${shown(found.value)} is not read by ${dialect.engine}${why}`);
  return { [name]: undefined };
}
