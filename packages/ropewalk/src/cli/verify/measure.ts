/** Measures the distance of the installed packages from one answer of another engine. */

import { getRopeUntyped } from "@ropewalk/core";
import type { ElementType, RotaryEmbedding } from "@ropewalk/core";
import { fromBfloat16, fromFloat16, pairElements, rotate } from "@ropewalk/core/math";
import { ropesFromConfig } from "@ropewalk/config";
import { typed } from "./vectors.ts";
import type { Rotation, Turned, Vector, VectorFile } from "./vectors.ts";

/** Upper ends of the bands of positions. The error of a typical bug is 0 at position 0 and grows. */
export const BANDS: readonly number[] = [257, 4096, 32_768, 131_071, 1_048_575, 2 ** 24];

/** The distances for one vector; `null` if there was nothing to compare. */
export interface Measured {
  readonly ropeType: string;
  /** ulp of float32; of float64 for `precision: "float64"`. */
  readonly frequencies: number | null;
  /** Largest difference of cos and sin in each band of {@link BANDS}. */
  readonly tables: readonly (number | null)[];
  /** Largest difference of a rotated element, as a share of the length of its pair. */
  readonly rotated: number | null;
  /** The first value whose distance exceeds the limit of the engine. */
  readonly mismatch: string | null;
}

/** The distance from a float32 to the next one of larger size. */
function ulp32(value: number): number {
  const size = Math.abs(value);
  return size < 2 ** -126 ? 2 ** -149 : 2 ** (Math.floor(Math.log2(Math.fround(size))) - 23);
}

function ulp64(value: number): number {
  const size = Math.abs(value);
  return size < 2 ** -1022 ? 2 ** -1074 : 2 ** (Math.floor(Math.log2(size)) - 52);
}

/** Builds the rope that a vector names. */
export function ropeOf(
  { config, dialect, layer, layerType = null, length, request }: Vector,
  { configs }: VectorFile,
): RotaryEmbedding {
  if (config === undefined) return getRopeUntyped(request!);
  const ropes = ropesFromConfig(configs[config], dialect === undefined ? {} : { dialect, capacity: length });
  const rope = layer === undefined ? ropes.byLayerType.get(layerType) : ropes.forLayer(layer);
  if (rope == null) {
    throw new TypeError(`${config} has no rope for ${layer === undefined ? String(layerType) : `layer ${layer}`}`);
  }
  return rope;
}

export function measure(vector: Vector, file: VectorFile): Measured {
  const engine = file.engines[vector.engine]!;
  const rope = ropeOf(vector, file);
  const exact = rope.precision === "float64";
  const { invFreq, attentionFactor, softmaxScaleFactor, axes } = rope.frequencies(vector.length);
  let mismatch: string | null = null;
  const check = (far: boolean, what: () => string): void => {
    if (far) mismatch ??= what();
  };

  const theirs = vector.invFreq === undefined ? undefined : typed(exact ? "float64" : "float32", vector.invFreq);
  let frequencies: number | null = null;
  if (theirs !== undefined) {
    check(theirs.length !== invFreq.length, () => `${invFreq.length} frequencies, expected ${theirs.length}`);
    theirs.forEach((expected, pair) => {
      const distance = Math.abs(invFreq[pair]! - expected) / (exact ? ulp64 : ulp32)(expected);
      frequencies = Math.max(frequencies ?? 0, distance);
      // 2: the last bit of the engine's power function, and one more operation; MLX's reciprocals add a rounding.
      check(
        !(distance <= 2 + (vector.engine === "mlx" ? 2 : 0)),
        () => `frequency of pair ${pair} is ${invFreq[pair]}, expected ${expected}`,
      );
    });
  }
  // Both sides compute the factors in float64 by the same formula in a different order of operations. MLX gives
  // float32.
  const factor = (name: string, got: number, expected: number | undefined): void => {
    if (expected !== undefined) {
      check(
        !(Math.abs(got / expected - 1) <= (vector.engine === "mlx" ? 2 ** -23 : 2 ** -50)),
        () => `${name} is ${got}, expected ${expected}`,
      );
    }
  };
  factor("attentionFactor", attentionFactor, vector.attentionFactor);
  factor("softmaxScaleFactor", softmaxScaleFactor, vector.softmaxScaleFactor);
  if (vector.axes !== undefined) {
    check(
      vector.axes.some((axis, pair) => axis !== axes[pair]),
      () => `axes of pairs are ${axes.join(" ")}, expected ${vector.axes!.join(" ")}`,
    );
  }

  const slackOf = (pair: number, position: number): number => {
    const frequency = invFreq[pair]!;
    const stated = theirs === undefined || exact ? 0 : Math.abs(position) * Math.abs(frequency - theirs[pair]!);
    const roundings = engine.angle + (engine.running ?? 0) * pair;
    const angle = Math.abs(position) * frequency;
    // If the bits of a frequency differ, the angle may be rounded to the neighbouring value.
    const side = exact || (theirs !== undefined && stated === 0 && roundings === 0) ? 0 : ulp32(angle);
    return stated + roundings * angle * 2 ** -24 + side;
  };

  const tables: (number | null)[] = BANDS.map(() => null);
  const positions = perAxis(vector.positions, axes);
  const tokens = positions[0]!
    .map((_, token) => token)
    .filter((token) => positions.every((axis) => axis[token]! < rope.positionLimit));
  const [cos, sin] = [typed("float32", vector.cos), typed("float32", vector.sin)];
  const { pairs } = vector;
  if (pairs.length > 0) {
    const taken = positions.map((axis) => tokens.map((token) => axis[token]!));
    const table = rope.cosSin(
      taken.length === 1 ? taken[0]! : taken,
      vector.length === undefined ? {} : { length: vector.length },
    );
    tokens.forEach((token, row) => {
      pairs.forEach((pair, column) => {
        const position = positions[axes[pair] ?? 0]![token]!;
        const band = BANDS.findIndex((end) => Math.abs(position) <= end);
        const slack = attentionFactor * slackOf(pair, position);
        for (const [name, got, expected, sign] of [
          ["cos", table.cos, cos, 1],
          ["sin", table.sin, sin, vector.turnsBack === true ? -1 : 1],
        ] as const) {
          const ours = sign * got[row * invFreq.length + pair]!;
          const wanted = expected[token * pairs.length + column]!;
          const difference = Math.abs(ours - wanted);
          tables[band] = Math.max(tables[band] ?? 0, difference);
          // One rounding of a value of size 1 is 2^-24. The engine's sine is no better when cos or sin is nearly 0.
          const places =
            engine.places *
            (vector.engine === "hf" || exact ? ulp32(wanted) : Math.max(ulp32(wanted), attentionFactor * 2 ** -24));
          check(
            !(difference <= slack + places),
            () => `${name} of pair ${pair} at position ${position} is ${ours}, expected ${wanted} ± ${slack + places}`,
          );
        }
      });
    });
  }

  let rotated: number | null = null;
  for (const turned of vector.rotated ?? []) {
    const worst = compareTurned(rope, turned, vector.length, attentionFactor, slackOf, check);
    rotated = Math.max(rotated ?? 0, worst);
  }
  return {
    ropeType:
      rope.capabilities.axisCount > 1 && rope.ropeType !== "mrope" && rope.ropeType !== "nd"
        ? `${rope.ropeType}, several axes`
        : rope.ropeType,
    frequencies,
    tables,
    rotated,
    mismatch,
  };
}

/** Positions by axis. Text has the same positions on each axis. */
function perAxis(positions: Vector["positions"], axes: ArrayLike<number>): readonly (readonly number[])[] {
  const count = Math.max(...Array.from(axes)) + 1;
  if (Array.isArray(positions[0])) return (positions as readonly (readonly number[])[]).slice(0, count);
  return Array.from({ length: count }, () => positions as readonly number[]);
}

const toNumbers = (dtype: ElementType, data: Float32Array | Float64Array | Uint16Array): ArrayLike<number> =>
  dtype === "float16"
    ? Float32Array.from(data, fromFloat16)
    : dtype === "bfloat16"
      ? Float32Array.from(data, fromBfloat16)
      : data;

/**
 * The rounding error of one element, as a share of the length of its pair. float32: 10 · 2^-24 (2 ulp of cos and sin,
 * three roundings on each side). 16 bits: the engine rounds cos, sin, both products and the sum, `(2√2 + 1) u`;
 * ropewalk
 * rounds once.
 */
const share: Readonly<Record<ElementType, number>> = {
  float64: 2 ** -50,
  float32: 10 * 2 ** -24,
  float16: 5 * 2 ** -11,
  bfloat16: 5 * 2 ** -8,
};

type Check = (far: boolean, what: () => string) => void;

function compareTurned(
  rope: RotaryEmbedding,
  turned: Turned,
  length: number | undefined,
  amplitude: number,
  slackOf: (pair: number, position: number) => number,
  check: Check,
): number {
  const { dtype, headFirst = false, shape, outputPairing = rope.pairing } = turned;
  const { axes } = rope.frequencies(length);
  const [tokens, heads] = (headFirst ? [shape[1]!, shape[0]!] : [shape[0]!, shape[1]!]) as [number, number];
  const { headDim, rotaryDim, rotaryOffset } = rope;
  const data = typed(dtype, turned.input);
  const given = Array.from(toNumbers(dtype, data));
  const all = perAxis(turned.positions, axes);
  // Rows beyond the config's context are left out, because the rope does not admit those positions.
  const admitted = Array.from({ length: tokens }, (_, token) => all.every((axis) => axis[token]! < rope.positionLimit));
  const positions = all.map((axis) => axis.map((position, token) => (admitted[token] ? position : 0)));
  const strides = headFirst ? [headDim, tokens * headDim, 1] : [heads * headDim, headDim, 1];
  rope.apply({
    positions: positions.length === 1 ? positions[0]! : positions,
    key: { data: data as Float32Array, dtype, shape: [tokens, heads, headDim], strides },
    ...(length === undefined ? {} : { length }),
  });
  const got = toNumbers(dtype, data);
  const wanted = toNumbers(dtype, typed(dtype, turned.output));
  const from = pairElements(rope.pairing, rotaryDim);
  const to = pairElements(outputPairing, rotaryDim);
  let worst = 0;
  const seen = new Set<number>();
  for (let i = 0; i < rotaryDim; i++) seen.add(rotaryOffset + i);
  for (let token = 0; token < tokens; token++) {
    if (!admitted[token]) continue;
    for (let head = 0; head < heads; head++) {
      const start = token * strides[0]! + head * strides[1]!;
      for (let pair = 0; pair < rotaryDim / 2; pair++) {
        const [x, y] = [
          start + rotaryOffset + from.first[pair]!,
          start + rotaryOffset + from.first[pair]! + from.distance,
        ];
        const size = amplitude * Math.hypot(given[x]!, given[y]!);
        const position = positions[axes[pair] ?? 0]![token]!;
        const tolerance = size * (slackOf(pair, position) + share[dtype]) + (dtype === "float16" ? 2 ** -24 : 0);
        for (const [ours, theirs] of [
          [x, to.first[pair]!],
          [y, to.first[pair]! + to.distance],
        ] as const) {
          const difference = Math.abs(got[ours]! - wanted[start + rotaryOffset + theirs]!);
          worst = Math.max(worst, size === 0 ? difference : difference / size);
          check(
            !(difference <= tolerance),
            () =>
              `rotated ${dtype} element of pair ${pair} at position ${position} is ${got[ours]}, expected ${wanted[start + rotaryOffset + theirs]} ± ${tolerance}`,
          );
        }
      }
      for (let i = 0; i < headDim; i++) {
        if (!seen.has(i)) {
          check(!Object.is(got[start + i], wanted[start + i]), () => `element ${i}, which is not rotated, changed`);
        }
      }
    }
  }
  return worst;
}

/** Measures rotation with given tables: the largest difference as a share of the pair's length. */
export function measureRotation({
  headDim,
  rotaryDim,
  pairing,
  dtype,
  headFirst,
  shape,
  positions,
  cos,
  sin,
  input,
  output,
}: Rotation): { readonly rotated: number; readonly mismatch: string | null } {
  const [batch, tokens, heads] = shape;
  const data = typed(dtype, input);
  const given = Array.from(toNumbers(dtype, data));
  const strides = headFirst
    ? [heads * tokens * headDim, headDim, tokens * headDim, 1]
    : [tokens * heads * headDim, heads * headDim, headDim, 1];
  const table = (part: string) => ({ data: typed(dtype, part) as Float32Array, dtype });
  rotate(
    { data: data as Float32Array, dtype, shape, strides },
    { cos: table(cos), sin: table(sin), pairing, rotaryDim, positions },
  );
  const got = toNumbers(dtype, data);
  const wanted = toNumbers(dtype, typed(dtype, output));
  const { first, distance } = pairElements(pairing, rotaryDim);
  let worst = 0;
  let mismatch: string | null = null;
  for (let start = 0; start < batch * tokens * heads * headDim; start += headDim) {
    for (let pair = 0; pair < rotaryDim / 2; pair++) {
      const [x, y] = [start + first[pair]!, start + first[pair]! + distance];
      const size = Math.hypot(given[x]!, given[y]!);
      for (const element of [x, y]) {
        const difference = Math.abs(got[element]! - wanted[element]!);
        worst = Math.max(worst, difference / size);
        if (!(difference <= size * share[dtype])) {
          mismatch ??= `element ${element} is ${got[element]}, expected ${wanted[element]}`;
        }
      }
    }
    for (let i = rotaryDim; i < headDim; i++) {
      if (!Object.is(got[start + i], wanted[start + i])) mismatch ??= `element ${i}, which is not rotated, changed`;
    }
  }
  return { rotated: worst, mismatch };
}
