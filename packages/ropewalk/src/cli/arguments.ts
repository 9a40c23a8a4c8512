/** Reads values of options strictly. A value that is not understood gives an error with the expected form. */

import type { Positions } from "../index.ts";
import { CliFailure } from "./failure.ts";
import { withFile } from "./files.ts";
import { readNpy } from "./npy.ts";
import { elementCount } from "./stored-tensor.ts";
import type { DescribedTensor } from "./stored-tensor.ts";

/** A whole number of at least `least`. */
export function wholeNumber(option: string, text: string, least: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
  if (value < least) {
    throw new CliFailure("USAGE", `${option} must be an integer ≥ ${least}, got ${JSON.stringify(text)}.`);
  }
  return value;
}

/** Positions, and the number of tokens. */
export interface GivenPositions {
  readonly positions: Positions;
  readonly tokens: number;
  /** The file that they come from. */
  readonly path?: string;
}

/** Ropes do not admit more positions. A longer list is a mistake, and must not take memory. */
const MOST = 2 ** 24;

/** `a:b` (b excluded), `a:b:step`, `0,1,7`, or an `.npy` file of integers. */
export function readPositions(text: string): GivenPositions {
  if (text.endsWith(".npy")) return positionsFromFile(text);
  const range = /^(\d{1,15}):(\d{1,15})(?::(\d{1,15}))?$/.exec(text);
  if (range !== null) {
    const [start, end, step] = [Number(range[1]), Number(range[2]), Number(range[3] ?? 1)];
    const count = Math.ceil((end - start) / step);
    if (step === 0 || count < 1) {
      throw new CliFailure(
        "USAGE",
        `--positions ${text} is empty: expected start:end or start:end:step with start < end and step > 0; the end is excluded.`,
      );
    }
    if (count > MOST) {
      throw new CliFailure("USAGE", `--positions ${text} are ${count} positions; at most ${MOST} are admitted.`);
    }
    if (step === 1) return { positions: { start, count }, tokens: count };
    return { positions: Array.from({ length: count }, (_, i) => start + i * step), tokens: count };
  }
  const list = text.split(",").map((part) => part.trim());
  if (!list.every((part) => /^\d{1,15}$/.test(part))) {
    throw new CliFailure(
      "USAGE",
      `--positions ${JSON.stringify(text)} is not understood: expected start:end (end excluded), start:end:step, a list like 0,1,7, or an .npy file of integers.`,
    );
  }
  return { positions: list.map(Number), tokens: list.length };
}

function positionsFromFile(path: string): GivenPositions {
  const { data, shape } = withFile(path, (file) => readNpy(file, (described) => checkPositions(path, described)));
  const wide = data instanceof BigInt64Array || data instanceof BigUint64Array;
  return {
    path,
    positions: { data: wide ? data : Int32Array.from(checked(path, data as ArrayLike<number>)), shape },
    tokens: shape.at(-1)!,
  };
}

/** Checked before the elements are read. */
function checkPositions(path: string, { dtype, shape }: DescribedTensor): void {
  if (!/^u?int/.test(dtype)) throw new CliFailure("FILE_FORMAT", `${path} holds ${dtype}; positions are integers.`);
  const count = elementCount(shape);
  if (shape.length === 0 || shape.length > 3 || count === 0) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${path} has the shape [${shape.join(", ")}]; positions are [tokens], [batch, tokens] or [axes, tokens].`,
    );
  }
  if (count > MOST) {
    throw new CliFailure("FILE_FORMAT", `${path} holds ${count} positions; at most ${MOST} are admitted.`);
  }
}

/** Narrow integers fit Int32Array; uint32 beyond 2^31 would wrap round. */
function checked(path: string, values: ArrayLike<number>): ArrayLike<number> {
  for (let i = 0; i < values.length; i++) {
    if (values[i]! >= 2 ** 31) {
      throw new CliFailure(
        "FILE_FORMAT",
        `${path} has the position ${values[i]} at index ${i}, which is out of any range.`,
      );
    }
  }
  return values;
}
