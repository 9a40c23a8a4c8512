/**
 * Requests as plain data: copied once, and compared with an earlier copy.
 */

import { lengthOf } from "./element-types.ts";
import { invalid, show } from "./errors.ts";

/** Limits of a request. Deeper data (a cycle, say) or more entries in all could take forever to read. */
const MOST_LEVELS = 16;
const MOST_ENTRIES = 2 ** 16;

/**
 * A copy of the own enumerable data of a request, without prototypes. It is read once: parser and cache see the same
 * values, even with getters, prototypes or proxies. Typed arrays become lists.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` when it cannot be read.
 */
export function plainCopy(request: unknown, what = "the rope request"): unknown {
  let entries = 0;
  const count = (length: number, level: number): void => {
    entries += length;
    if (level > MOST_LEVELS) throw new RangeError(`more than ${MOST_LEVELS} levels, or a cycle`);
    if (entries > MOST_ENTRIES) throw new RangeError(`more than ${MOST_ENTRIES} entries`);
  };
  const copy = (value: unknown, level: number): unknown => {
    if (typeof value !== "object" || value === null) return value;
    const length = lengthOf(value);
    if (length !== undefined) {
      count(length, level);
      return Array.from({ length }, (_, i) => copy((value as ArrayLike<unknown>)[i], level + 1));
    }
    // A DataView stays, to be refused by its name.
    if (ArrayBuffer.isView(value)) return value;
    const keys = Object.keys(value);
    count(keys.length, level);
    const result = Object.create(null) as Record<string, unknown>;
    for (const key of keys) result[key] = copy((value as Record<string, unknown>)[key], level + 1);
    return result;
  };
  try {
    return copy(request, 0);
  } catch (cause) {
    const received = `something that cannot be read (${show(cause instanceof Error ? cause.message : cause)})`;
    const expected = "plain data: numbers, strings, booleans, lists and objects";
    throw invalid(what, [{ path: "request", expected, received }]);
  }
}

/** Whether a value has exactly the data of a plain copy, in the same order. `false` for a value that cannot be read. */
export function readsAs(value: unknown, copy: unknown): boolean {
  try {
    return equalData(value, copy);
  } catch {
    return false;
  }
}

function equalData(value: unknown, copy: unknown): boolean {
  if (typeof value !== "object" || value === null || typeof copy !== "object" || copy === null) {
    return Object.is(value, copy);
  }
  // To compare a typed array with its list would take longer than to parse it.
  if (ArrayBuffer.isView(value)) return false;
  if (Array.isArray(value) || Array.isArray(copy)) {
    const lists = Array.isArray(value) && Array.isArray(copy) && value.length === copy.length;
    return lists && copy.every((item, i) => equalData(value[i], item));
  }
  const keys = Object.keys(value);
  const copied = Object.keys(copy);
  if (keys.length !== copied.length) return false;
  return copied.every(
    (key, i) =>
      key === keys[i] && equalData((value as Record<string, unknown>)[key], (copy as Record<string, unknown>)[key]),
  );
}
