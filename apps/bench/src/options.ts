/** What both command lines take: lists separated by commas. */

/** Those of `all` that are named, all of them if none is. @throws Error for a name that is not among them. */
export function oneOf<T extends string>(name: string, given: string | undefined, all: readonly T[]): readonly T[] {
  if (given === undefined) return all;
  const wanted = given.split(",");
  const unknown = wanted.find((value) => !(all as readonly string[]).includes(value));
  if (unknown !== undefined) throw new Error(`--${name} ${unknown}: expected ${all.join(", ")}`);
  return wanted as T[];
}

/** @throws Error for what is no number above 0. */
export function numbers(name: string, given: string): number[] {
  const list = given.split(",").map(Number);
  if (!list.every((value) => value > 0)) throw new Error(`--${name} ${given}: expected numbers above 0`);
  return list;
}
