/**
 * Looks up keys in parsed JSON: own keys only, several spellings for one key. Remembers which keys were read. Never
 * changes the JSON.
 */

import type { Report } from "../report.ts";
import { isEqual, isFlag, isList, isNumber, isScale, isSize, join, narrow, own } from "./found.ts";
import type { Found, JsonObject } from "./found.ts";

/** One of several JSON objects that are read together. */
export interface Level {
  readonly record: JsonObject;
  readonly path: string;
  /** Objects of a lower level have precedence. Objects of equal level have to agree. */
  readonly level: number;
  /** The key in the file, for keys that the file spells otherwise. */
  readonly spelled?: Readonly<Record<string, string>>;
}

/** One or several JSON objects that are read as if they were one. */
export class Fields {
  readonly #levels: readonly Level[];
  readonly #read: Set<string>;
  /** Pairs of places whose values were compared, so that long lists are compared once. */
  readonly #compared: Set<string>;
  readonly #report: Report;

  /**
   * @param levels innermost first.
   * @param of fields that look at the same places: what they read counts as read here, and the reverse.
   */
  constructor(levels: readonly Level[], report: Report, of?: Fields) {
    this.#levels = levels;
    this.#report = report;
    this.#read = of === undefined ? new Set() : of.#read;
    this.#compared = of === undefined ? new Set() : of.#compared;
  }

  /** The same fields with one more object before them. */
  within({ record, path }: { readonly record: JsonObject; readonly path: string }): Fields {
    return new Fields([{ record, path, level: -1 }, ...this.#levels], this.#report, this);
  }

  /** The same fields without all keys but these. */
  only(...keys: readonly string[]): Fields {
    const levels = this.#levels.map(({ record, ...place }) => ({
      ...place,
      record: Object.fromEntries(keys.flatMap((key) => (Object.hasOwn(record, key) ? [[key, record[key]]] : []))),
    }));
    return new Fields(levels, this.#report);
  }

  /** The path of the innermost object, for messages. */
  get path(): string {
    return this.#levels[0]?.path ?? "";
  }

  /** The path that a key would have in the innermost object. */
  pathOf(key: string): string {
    return join(this.path, this.#levels[0]?.spelled?.[key] ?? key);
  }

  /**
   * All places with one of the spellings, in the innermost level that sets any of them, in the order of the spellings.
   * Marks them as read. Adds a note if a rope key of an outer level has another value.
   */
  all(...keys: readonly string[]): Found[] {
    for (const key of keys) this.#read.add(key);
    const hits = this.#levels.flatMap(({ record, path, level, spelled }) =>
      keys
        .filter((key) => own(record, key) !== undefined)
        .map((key) => ({ value: record[key], path: join(path, spelled?.[key] ?? key), key, level })),
    );
    const innermost = Math.min(...hits.map(({ level }) => level));
    const chosen = hits.filter(({ level }) => level === innermost);
    for (const outer of hits) {
      const inner = chosen.find(({ key }) => key === outer.key);
      if (outer.level === innermost || inner === undefined || !/rope|rotary/.test(outer.path)) continue;
      const places = `${inner.path}\n${outer.path}`;
      if (this.#compared.has(places)) continue;
      this.#compared.add(places);
      if (isEqual(inner.value, outer.value)) continue;
      this.#report.note("differs", outer.path, `${inner.path} is used instead; its value differs.`);
    }
    return chosen.map(({ value, path, key }) => ({ value, path, key }));
  }

  /** The first place with one of the spellings, by precedence. */
  first(...keys: readonly string[]): Found | undefined {
    return this.all(...keys)[0];
  }

  /** Whether one of the spellings is set. Does not mark it as read. */
  has(...keys: readonly string[]): boolean {
    return this.#levels.some(({ record }) => keys.some((key) => own(record, key) !== undefined));
  }

  /** Whether the innermost object that mentions the key sets it to `null`. */
  isNull(key: string): boolean {
    const holder = this.#levels.find(({ record }) => Object.hasOwn(record, key));
    return holder !== undefined && holder.record[key] === null;
  }

  /** A finite number. Any other value becomes an issue. */
  number(...keys: readonly string[]): Found<number> | undefined {
    return narrow(this.first(...keys), isNumber, "a finite number", this.#report);
  }

  /** An integer ≥ 1. Any other value becomes an issue. */
  size(...keys: readonly string[]): Found<number> | undefined {
    return narrow(this.first(...keys), isSize, "an integer > 0", this.#report);
  }

  /** A factor in a scale of queries, which stays finite in float32. Any other value becomes an issue. */
  scale(key: string): Found<number> | undefined {
    return narrow(this.first(key), isScale, "a number that leaves the scale of queries finite", this.#report);
  }

  /** `true` or `false`. Any other value becomes an issue. */
  flag(...keys: readonly string[]): Found<boolean> | undefined {
    return narrow(this.first(...keys), isFlag, "true or false", this.#report);
  }

  /** A list. Any other value becomes an issue. */
  list(...keys: readonly string[]): Found<readonly unknown[]> | undefined {
    return narrow(this.first(...keys), isList, "a list", this.#report);
  }

  /** The keys that are set, each once. */
  keys(): string[] {
    return [
      ...new Set(
        this.#levels.flatMap(({ record }) => Object.keys(record).filter((key) => own(record, key) !== undefined)),
      ),
    ];
  }

  /** The places that are set and were never read. */
  unread(): Found[] {
    return this.#levels.flatMap(({ record, path, spelled }) =>
      Object.keys(record)
        .filter((key) => !this.#read.has(key) && own(record, key) !== undefined)
        .map((key) => ({ value: record[key], path: join(path, spelled?.[key] ?? key), key })),
    );
  }
}
