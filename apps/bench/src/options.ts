/** Options of both command lines: lists separated by commas. */

/** The named members of `all`, or all of them if no names are given. @throws Error for an unknown name. */
export function oneOf<T extends string>(name: string, given: string | undefined, all: readonly T[]): readonly T[] {
  if (given === undefined) return all;
  const wanted = given.split(",");
  const unknown = wanted.find((value) => !(all as readonly string[]).includes(value));
  if (unknown !== undefined) throw new Error(`--${name} ${unknown}: expected ${all.join(", ")}`);
  return wanted as T[];
}

/** @throws Error for a value that is not a number above 0. */
export function numbers(name: string, given: string): number[] {
  const list = given.split(",").map(Number);
  if (!list.every((value) => value > 0)) throw new Error(`--${name} ${given}: expected numbers above 0`);
  return list;
}
