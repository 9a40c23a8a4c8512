/**
 * Looking things up in parsed JSON: own keys only, several spellings, a memory of what was read, and no mutation.
 */

import type { Report } from "../report.ts";
import { isEqual, isFlag, isList, isNumber, isSize, join, narrow, own } from "./found.ts";
import type { Found, JsonObject } from "./found.ts";

/** One JSON object of several that are read as one. */
export interface Level {
  readonly record: JsonObject;
  readonly path: string;
  /** Objects of a lower level win; those of equal level have to agree. */
  readonly level: number;
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
        isEqual(inner.value, outer.value)
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
