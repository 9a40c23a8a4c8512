/**
 * Looking things up in parsed JSON: own keys only, several spellings, a memory of what was read, and no mutation.
 */

import { show } from "./report.ts";
import type { Report } from "./report.ts";

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A value with the place where it stood. */
export interface Found {
  readonly value: unknown;
  readonly path: string;
}

/** A number with the place where it stood. */
export interface FoundNumber extends Found {
  readonly value: number;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** A value that is present: `null` says "not set" in a config, so it counts as absent. */
function own(record: JsonObject, key: string): unknown {
  return Object.hasOwn(record, key) ? (record[key] ?? undefined) : undefined;
}

/** One or several JSON objects that are read as one; earlier ones win. */
export class Fields {
  readonly #records: readonly { readonly record: JsonObject; readonly path: string }[];
  readonly #read = new Set<string>();
  readonly #report: Report;

  constructor(records: readonly { readonly record: JsonObject; readonly path: string }[], report: Report) {
    this.#records = records;
    this.#report = report;
  }

  /** The path of the first record, for messages. */
  get path(): string {
    return this.#records[0]?.path ?? "";
  }

  /** All places where one of the spellings is set, in order of preference; marks them as read. */
  all(...keys: readonly string[]): Found[] {
    return this.#records.flatMap(({ record, path }) => {
      const hits: Found[] = [];
      for (const key of keys) {
        const value = own(record, key);
        this.#read.add(key);
        if (value !== undefined) hits.push({ value, path: join(path, key) });
      }
      return hits;
    });
  }

  /** The preferred place where one of the spellings is set. */
  first(...keys: readonly string[]): Found | undefined {
    return this.all(...keys)[0];
  }

  /** Whether a spelling is set, without reading it. */
  has(key: string): boolean {
    return this.#records.some(({ record }) => own(record, key) !== undefined);
  }

  /** Whether the innermost object that mentions the key sets it to `null`. */
  isNull(key: string): boolean {
    const holder = this.#records.find(({ record }) => Object.hasOwn(record, key));
    return holder !== undefined && holder.record[key] === null;
  }

  /** A finite number; an integer ≥ 1 if `integer`. What is set but is none becomes an issue. */
  number(keys: readonly string[], integer = false): FoundNumber | undefined {
    const found = this.first(...keys);
    return found === undefined ? undefined : asNumber(found, this.#report, integer);
  }

  /** The same, where every place that states it has to agree. */
  agreedNumber(keys: readonly string[], integer = false): FoundNumber | undefined {
    return agree(this.all(...keys), this.#report, integer);
  }

  /** `true` or `false`; anything else that is set becomes an issue. */
  flag(...keys: readonly string[]): (Found & { readonly value: boolean }) | undefined {
    const found = this.first(...keys);
    if (found === undefined) return undefined;
    if (typeof found.value === "boolean") return found as Found & { readonly value: boolean };
    this.#report.issue(found.path, "true or false", show(found.value));
    return undefined;
  }

  /** A list; anything else that is set becomes an issue. */
  list(...keys: readonly string[]): (Found & { readonly value: readonly unknown[] }) | undefined {
    const found = this.first(...keys);
    if (found === undefined) return undefined;
    if (Array.isArray(found.value)) return found as Found & { readonly value: readonly unknown[] };
    this.#report.issue(found.path, "a list", show(found.value));
    return undefined;
  }

  /** Set keys that nobody asked for. */
  unread(): Found[] {
    return this.#records.flatMap(({ record, path }) =>
      Object.keys(record)
        .filter((key) => !this.#read.has(key) && own(record, key) !== undefined)
        .map((key) => ({ value: record[key], path: join(path, key), key })),
    );
  }

  /** Set keys of all records, each once. */
  keys(): string[] {
    return [...new Set(this.#records.flatMap(({ record }) => Object.keys(record).filter((key) => own(record, key) !== undefined)))];
  }
}

export function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

/** The last part of a path. */
export function keyOf({ path }: Found): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

export function asNumber({ value, path }: Found, report: Report, integer = false): FoundNumber | undefined {
  const valid = typeof value === "number" && (integer ? Number.isSafeInteger(value) && value > 0 : Number.isFinite(value));
  if (valid) return { value, path };
  report.issue(path, integer ? "an integer > 0" : "a finite number", show(value));
  return undefined;
}

/** One number that several places state; places that differ are an issue that prints them. */
export function agree(places: readonly Found[], report: Report, integer = false): FoundNumber | undefined {
  const numbers = places.map((place) => asNumber(place, report, integer)).filter((found) => found !== undefined);
  const [first, ...others] = numbers;
  const other = others.find(({ value }) => value !== first?.value);
  if (first !== undefined && other !== undefined) {
    report.issue(other.path, `${first.value}, as ${first.path} says`, `${other.value}`, "The file says two things; correct or remove one of them.");
  }
  return first;
}
