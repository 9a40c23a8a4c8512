/** What a rule about the parameters of one rope dictionary is given, and what it answers. */

import type { Dialect } from "../facts/dialect.ts";
import type { Fields } from "../locate/fields.ts";
import { shown } from "../locate/found.ts";
import type { Found } from "../locate/found.ts";
import type { Report } from "../report.ts";

/** What is set for a type, by parameter name. */
export type Parameters = ReadonlyMap<string, Found>;

/** What a rule changes of it: other values, and `undefined` for what the engine does not read. */
export type Changes = Readonly<Record<string, Found | undefined>>;

/** What the rules may look at besides the parameters. */
export interface RuleContext {
  readonly dictionary: Fields;
  /** The dictionary belongs to some layers alone. */
  readonly nested: boolean;
  /** The length that the file promises. */
  readonly maxPosition: Found<number> | undefined;
  /** `original_max_position_embeddings` beside the dictionary. */
  readonly outerOriginal: Found<number> | undefined;
  readonly report: Report;
  readonly dialect: Dialect;
  /** The family's class takes the short list of `longrope` only. */
  readonly shortListOnly: boolean;
  /** The length that the engine was started for, if the caller said it. */
  readonly capacity: number | undefined;
}

/** A rule changes nothing by itself: it notes what it has to tell, and returns its changes. */
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

/** A value that an engine takes by itself. */
export const implied = (key: string, value: unknown, path: string, dialect: Dialect): Found => ({
  value,
  path,
  key,
  source: engineOf(dialect),
});

/** Promised over trained length. */
export const ratioOfLengths = (maxPosition: Found<number>, original: number): Found<number> => ({
  value: maxPosition.value / original,
  path: `${maxPosition.key} / original_max_position_embeddings = ${maxPosition.value} / ${original}`,
  key: "factor",
});

/** Takes a parameter out that the engine does not read, with a note. */
export function dropped(name: string, parameters: Parameters, { dialect, report }: RuleContext, why: string): Changes {
  const found = parameters.get(name);
  if (found === undefined) return {};
  report.note("differs", found.path, `${found.key} = ${shown(found.value)} is not read by ${dialect.engine}${why}`);
  return { [name]: undefined };
}
