/** A value with its place in a parsed file, and checks of such values. */

import { show } from "@ropewalk/core/backend";
import type { Report } from "../report.ts";

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A value with its place in the file. */
export interface Found<T = unknown> {
  readonly value: T;
  /** `text_config.rope_scaling.factor` */
  readonly path: string;
  /** The last part of the path. */
  readonly key: string;
  /** The source of the rule that gave the value, if it does not stand in the file. */
  readonly source?: string;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

export function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** The value of an own key. `null` says "not set" in a config, so it counts as absent. */
export function own(record: JsonObject, key: string): unknown {
  return Object.hasOwn(record, key) ? (record[key] ?? undefined) : undefined;
}

/** A key as a part of a path: a long one is cut, so that paths stay short in every message about what lies below. */
export function join(path: string, key: string): string {
  const short = key.length > mostOfKey ? `${key.slice(0, mostOfKey - 1)}…` : key;
  return path === "" ? short : `${path}.${short}`;
}

const mostOfKey = 100;

/** Names for a message: the first of many, each cut if it is long. */
export function listed(names: Iterable<unknown>): string {
  const all = Array.from(names, (name) => join("", String(name)));
  return all.length > mostNames ? `${all.slice(0, mostNames).join(", ")}, … (${all.length})` : all.join(", ");
}

const mostNames = 16;

/** The entries of a value and of all that it holds, counted up to a number that is beyond `most`. */
export function entriesOf(value: unknown, most: number): number {
  if (!Array.isArray(value) && !isObject(value)) return 0;
  const held: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  let count = held.length;
  for (const each of held) {
    if (count > most) break;
    if (typeof each === "object") count += entriesOf(each, most - count);
  }
  return count;
}

/** Short text of a value for a message. */
export function shown(value: unknown): string {
  return value === undefined ? "nothing" : show(value);
}

export const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
/** Scales of queries multiply it by logarithms of positions, which stay below 100. */
export const isScale = (value: unknown): value is number => isNumber(value) && Math.abs(value) <= 1e36;
export const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
export const isFlag = (value: unknown): value is boolean => typeof value === "boolean";
export const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

/** A found value of the wrong type becomes an issue. */
export function narrow<T>(
  found: Found | undefined,
  is: (value: unknown) => value is T,
  expected: string,
  report: Report,
): Found<T> | undefined {
  if (found === undefined) return undefined;
  if (is(found.value)) return found as Found<T>;
  report.issue(found.path, expected, () => shown(found.value));
  return undefined;
}

/** A found number. Any other value becomes an issue. */
export function asNumber(found: Found, report: Report): Found<number> | undefined {
  return narrow(found, isNumber, "a finite number", report);
}

/** The value that several places state. If they differ, an issue prints both. */
export function agree<T>(places: readonly Found<T>[], report: Report): Found<T> | undefined {
  const [first, ...others] = places;
  const other = others.find(({ value }) => !isEqual(value, first!.value));
  if (first !== undefined && other !== undefined) {
    report.issue(
      other.path,
      `${show(first.value)}, as ${first.path} says`,
      show(other.value),
      "The file says two things; correct or remove one of them.",
    );
  }
  return first;
}

/**
 * Whether two values of plain data are equal. The order of keys does not matter. A value that is not JSON, or that lies
 * deeper than any config goes, equals only itself.
 */
export function isEqual(a: unknown, b: unknown, deepest = 100): boolean {
  if (Object.is(a, b)) return true;
  if (deepest === 0) return false;
  const isSame = (one: unknown, other: unknown): boolean => isEqual(one, other, deepest - 1);
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => isSame(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]));
}
