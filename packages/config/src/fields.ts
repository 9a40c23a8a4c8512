/**
 * Looking things up in parsed JSON: own keys only, several spellings, a memory of what was read, and no mutation.
 */

import { show } from "./report.ts";
import type { Report } from "./report.ts";

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A value with the place where it stood. */
export interface Found<T = unknown> {
  readonly value: T;
  /** `text_config.rope_scaling.factor` */
  readonly path: string;
  /** The last part of the path. */
  readonly key: string;
  /** Whose rule gave it, where it does not stand in the file. */
  readonly source?: string;
}

/** One JSON object of several that are read as one. */
export interface Level {
  readonly record: JsonObject;
  readonly path: string;
  /** Objects of a lower level win; those of equal level have to agree. */
  readonly level: number;
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

export function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

/** One or several JSON objects that are read as one. */
export class Fields {
  readonly #levels: readonly Level[];
  readonly #read = new Set<string>();
  readonly #report: Report;

  /** @param levels innermost first. */
  constructor(levels: readonly Level[], report: Report) {
    this.#levels = levels;
    this.#report = report;
  }

  /** The path of the innermost object, for messages. */
  get path(): string {
    return this.#levels[0]?.path ?? "";
  }

  /** A place in the innermost object where a key would stand. */
  pathOf(key: string): string {
    return join(this.path, key);
  }

  /**
   * All places of the innermost level that sets one of the spellings, in the order of the spellings; marks them as read. A
   * rope key of an outer level that says something else is noted.
   */
  all(...keys: readonly string[]): Found[] {
    for (const key of keys) this.#read.add(key);
    const hits = this.#levels.flatMap(({ record, path, level }) =>
      keys
        .filter((key) => own(record, key) !== undefined)
        .map((key) => ({ value: record[key], path: join(path, key), key, level })),
    );
    const innermost = Math.min(...hits.map(({ level }) => level));
    const chosen = hits.filter(({ level }) => level === innermost);
    for (const outer of hits) {
      const inner = chosen.find(({ key }) => key === outer.key);
      if (
        outer.level === innermost ||
        inner === undefined ||
        !/rope|rotary/.test(outer.path) ||
        same(inner.value, outer.value)
      ) {
        continue;
      }
      this.#report.note("differs", outer.path, `${inner.path} is used, which says something else.`);
    }
    return chosen.map(({ value, path, key }) => ({ value, path, key }));
  }

  /** The preferred place where one of the spellings is set. */
  first(...keys: readonly string[]): Found | undefined {
    return this.all(...keys)[0];
  }

  /** Whether one of the spellings is set, without reading it. */
  has(...keys: readonly string[]): boolean {
    return this.#levels.some(({ record }) => keys.some((key) => own(record, key) !== undefined));
  }

  /** Whether the innermost object that mentions the key sets it to `null`. */
  isNull(key: string): boolean {
    const holder = this.#levels.find(({ record }) => Object.hasOwn(record, key));
    return holder !== undefined && holder.record[key] === null;
  }

  /** A finite number. Something else that is set becomes an issue. */
  number(...keys: readonly string[]): Found<number> | undefined {
    return narrow(this.first(...keys), isNumber, "a finite number", this.#report);
  }

  /** An integer ≥ 1. Something else that is set becomes an issue. */
  size(...keys: readonly string[]): Found<number> | undefined {
    return narrow(this.first(...keys), isSize, "an integer > 0", this.#report);
  }

  /** `true` or `false`. Something else that is set becomes an issue. */
  flag(...keys: readonly string[]): Found<boolean> | undefined {
    return narrow(this.first(...keys), isFlag, "true or false", this.#report);
  }

  /** A list. Something else that is set becomes an issue. */
  list(...keys: readonly string[]): Found<readonly unknown[]> | undefined {
    return narrow(this.first(...keys), isList, "a list", this.#report);
  }

  /** Keys that are set, each once. */
  keys(): string[] {
    return [
      ...new Set(
        this.#levels.flatMap(({ record }) => Object.keys(record).filter((key) => own(record, key) !== undefined)),
      ),
    ];
  }

  /** Places that are set and that nobody asked for. */
  unread(): Found[] {
    return this.#levels.flatMap(({ record, path }) =>
      Object.keys(record)
        .filter((key) => !this.#read.has(key) && own(record, key) !== undefined)
        .map((key) => ({ value: record[key], path: join(path, key), key })),
    );
  }
}

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
const isFlag = (value: unknown): value is boolean => typeof value === "boolean";
const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

/** A found value of the wrong type becomes an issue. */
function narrow<T>(
  found: Found | undefined,
  is: (value: unknown) => value is T,
  expected: string,
  report: Report,
): Found<T> | undefined {
  if (found === undefined) return undefined;
  if (is(found.value)) return found as Found<T>;
  report.issue(found.path, expected, show(found.value));
  return undefined;
}

/** A found number; something else becomes an issue. */
export function asNumber(found: Found, report: Report): Found<number> | undefined {
  return narrow(found, isNumber, "a finite number", report);
}

/** What several places state. Places that differ are an issue that prints both. */
export function agree<T>(places: readonly Found<T>[], report: Report): Found<T> | undefined {
  const [first, ...others] = places;
  const other = others.find(({ value }) => !same(value, first!.value));
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

/** Equality of plain data, cut off where JSON ends. */
function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}
