/**
 * Requests as plain data: copied once, and compared with an earlier copy.
 */

import { invalid, show } from "./errors.ts";

/** Limits of a request. Deeper data (a cycle, say) or more entries in all could take forever to read. */
const MOST_LEVELS = 16;
const MOST_ENTRIES = 2 ** 16;

/**
 * A copy of the own enumerable data of a request. It is read once: parser and cache see the same values, even with
 * getters, prototypes or proxies. Typed arrays are not copied.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` when it cannot be read.
 */
export function plainCopy(request: unknown): unknown {
  let entries = 0;
  const counted = <T extends ArrayLike<unknown>>(list: T, level: number): T => {
    // A DataView has no length.
    entries += list.length || 0;
    if (level > MOST_LEVELS) throw new RangeError(`more than ${MOST_LEVELS} levels, or a cycle`);
    if (entries > MOST_ENTRIES) throw new RangeError(`more than ${MOST_ENTRIES} entries`);
    return list;
  };
  const copy = (value: unknown, level: number): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (ArrayBuffer.isView(value)) return counted(value as unknown as ArrayLike<unknown>, level);
    if (Array.isArray(value)) return Array.from(counted(value, level), (item) => copy(item, level + 1));
    const keys = counted(Object.keys(value), level);
    return Object.fromEntries(keys.map((key) => [key, copy((value as Record<string, unknown>)[key], level + 1)]));
  };
  try {
    return copy(request, 0);
  } catch (cause) {
    const received = `something that cannot be read (${show(cause instanceof Error ? cause.message : cause)})`;
    const expected = "plain data: numbers, strings, booleans, lists and objects";
    throw invalid("the rope request", [{ path: "request", expected, received }]);
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
  // The copy holds the caller's typed array itself, whose numbers may have changed.
  if (ArrayBuffer.isView(copy) || ArrayBuffer.isView(value)) return false;
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
