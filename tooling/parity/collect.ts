/** The vectors that `ropewalk verify` reads, from all answers. */

import { models } from "@ropewalk/goldens";
import { answers, hasAxes, ndrope, upTo } from "./answers.ts";
import type { Answer } from "./answers.ts";
import { engines } from "./engines.ts";
import { rotations } from "./rotations.ts";
import { float32 } from "./vectors.ts";
import type { Turned, Vector, VectorFile } from "./vectors.ts";

/**
 * Collects the answers. `whole`: everything. Otherwise a choice that is small enough for a package: all frequencies and
 * factors; an even choice of positions beyond 0 and of pairs, with the first and the last; and one head of one token of
 * one rotated tensor for each type and engine.
 */
export function collect({ whole = true }: { readonly whole?: boolean } = {}): VectorFile {
  const all = answers();
  const given = ndrope();
  const kept = whole ? all.answers.map(wholly) : thinned(all.answers);
  // The order of the files: ndrope comes before diffusers.
  const first = kept.findIndex(({ engine }) => engine === "diffusers");
  const vectors = kept.toSpliced(first, 0, ...(whole ? given : given.filter(isSmall)));

  const named = new Set(vectors.flatMap(({ config }) => (config === undefined ? [] : [config])));
  const configs = new Map(models().map(({ id, config }) => [id, config]));
  return {
    format: 1,
    engines,
    configs: Object.fromEntries([...named].map((id) => [id, configs.get(id)])),
    vectors,
    rotations: whole ? rotations() : [],
    unbuilt: all.unbuilt,
  };
}

const isSmall = ({ rotated }: Vector): boolean => rotated!.every(({ input }) => input.length <= 3000);

function wholly({ head, positions, pairs, cos, sin, rotated }: Answer): Vector {
  return {
    ...head,
    positions,
    pairs,
    cos: float32(cos.flatMap((row) => Array.from(row))),
    sin: float32(sin.flatMap((row) => Array.from(row))),
    ...(rotated === undefined || rotated.length === 0 ? {} : { rotated }),
  };
}

function thinned(all: readonly Answer[]): Vector[] {
  const rotatedOnce = new Set<string>();
  return all.map((answer) => {
    const { head, positions } = answer;
    const tokens = hasAxes(positions) ? positions[0]!.length : positions.length;
    const rows = evenly(tokens, 4, 1);
    const columns = evenly(answer.pairs.length, hasAxes(positions) ? 6 : 4);
    const pick = (table: Answer["cos"]): ArrayLike<number>[] =>
      rows.map((row) => columns.map((column) => table[row]![column]!));
    const at = (axis: readonly number[]): number[] => rows.map((row) => axis[row]!);
    const key = `${head.engine} ${answer.ropeType ?? head.request?.parameters.ropeType}`;
    const [tensor] = answer.rotated ?? [];
    const isFirst = tensor !== undefined && !rotatedOnce.has(key);
    if (isFirst) rotatedOnce.add(key);
    return wholly({
      head,
      positions: hasAxes(positions) ? positions.map(at) : at(positions),
      pairs: columns.map((column) => answer.pairs[column]!),
      cos: pick(answer.cos),
      sin: pick(answer.sin),
      ...(isFirst ? { rotated: [oneHead(tensor)] } : {}),
    });
  });
}

/** Indices below `count`, from `first` on. If there are more than `most`, an even choice with both ends. */
function evenly(count: number, most: number, first = 0): number[] {
  if (count - first <= most) return upTo(count);
  return upTo(most).map((i) => first + Math.round((i * (count - 1 - first)) / (most - 1)));
}

/** The last token's first head of a tensor. */
function oneHead({ dtype, input, output, positions, shape, ...rest }: Turned): Turned {
  const [tokens, heads, headDim] = shape as readonly [number, number, number];
  const size = headDim * (dtype === "float32" ? 4 : 2);
  const start = (tokens - 1) * heads * size;
  const cut = (text: string): string =>
    Buffer.from(text, "base64")
      .subarray(start, start + size)
      .toString("base64");
  const last = hasAxes(positions) ? positions.map((axis) => [axis.at(-1)!]) : [positions.at(-1)!];
  return { ...rest, dtype, positions: last, shape: [1, 1, headDim], input: cut(input), output: cut(output) };
}
