/**
 * The laws of rotation by position, for any frequencies.
 *
 * Most laws are tested in float64 with exact angles, where rounding cannot hide a wrong formula, and again with float32
 * angles and a tolerance for their rounding. A type that declares `isRotation: false` must refuse the methods of
 * rotations.
 */

import type { ElementType, Positions, TensorView } from "@ropewalk/core";
import { equal, fail, isFar, sameBits, throwsCode } from "./assert.ts";
import type { Kit, RopeUnderTest } from "./kit.ts";
import type { Law } from "./law.ts";
import { angleSlack, anglesOf, eachPair, floorOf, pairsOf, share } from "./numbers.ts";
import { admitted, drawnSpots, lengthFor, moved, probeSpots, testPositionsOf } from "./test-positions.ts";
import type { TestPositions } from "./test-positions.ts";
import { elementTypes, place, randomValues, sizeOf } from "./tensors.ts";
import type { Placed, Shape } from "./tensors.ts";

/**
 * A tensor for some positions, with elements from the kit's stream. Three heads: code for one and for two heads both
 * run.
 */
function tensorFor(
  kit: Kit,
  rope: RopeUnderTest,
  tested: TestPositions,
  dtype: ElementType,
  label: string,
  heads = 3,
): Placed {
  const shape: Shape = [tested.batch ?? 1, tested.tokens, heads, rope.spec.headDim];
  return place(dtype, shape, randomValues(kit.random(label), dtype, sizeOf(shape)));
}

/** A copy of a tensor after one call; `tensor` itself stays as it is. */
async function after(
  rope: RopeUnderTest,
  method: "apply" | "invert" | "adjoint",
  tested: TestPositions,
  tensor: Placed,
  length: { readonly length?: number } = lengthFor(rope, tested),
): Promise<Placed> {
  const copy = place(tensor.dtype, tensor.shape, tensor.values());
  await rope[method]({ positions: tested.positions, query: copy.tensor, ...length });
  return copy;
}

/** `Σ x·y` over the rotated elements of each row and head. */
function dots(rope: RopeUnderTest, tested: TestPositions, a: Placed, b: Placed): Float64Array {
  const [x, y] = [a.values(), b.values()];
  const { headDim } = rope.spec;
  const sums = new Float64Array(x.length / headDim);
  eachPair(rope.spec, tested, a.shape, (_row, _pair, first, second) => {
    sums[Math.floor(first / headDim)]! += x[first]! * y[first]! + x[second]! * y[second]!;
  });
  return sums;
}

/**
 * The tolerance of the sums of {@link dots}. A float64 sum of products of elements below 2 over a head loses about a
 * hundred roundings of 2^-53. 2^-44 of the lengths is 500 roundings, but only a millionth of one float32 rounding, so
 * an accidental step in float32 is found. With float32 angles, the table's rounding of 2^-24 and the rounding of the
 * angles are added.
 */
function dotTolerance(
  kit: Kit,
  rope: RopeUnderTest,
  tested: TestPositions,
  a: Placed,
  b: Placed,
  slack: (row: number, pair: number) => number,
): Float64Array {
  const [x, y] = [a.values(), b.values()];
  const { headDim } = rope.spec;
  const { precision } = rope.spec;
  const exact = precision === "float64" && kit.bitExact;
  const tolerance = new Float64Array(x.length / headDim);
  eachPair(rope.spec, tested, a.shape, (row, pair, first, second) => {
    const lengths = Math.hypot(x[first]!, x[second]!) * Math.hypot(y[first]!, y[second]!);
    tolerance[Math.floor(first / headDim)]! += lengths * ((exact ? 2 ** -44 : 16 * 2 ** -24) + slack(row, pair));
  });
  return tolerance;
}

function sameSums(got: Float64Array, expected: Float64Array, tolerance: Float64Array, what: string): void {
  got.forEach((sum, i) => {
    if (isFar(sum, expected[i]!, tolerance[i]!)) {
      fail(`${what}, head vector ${i}`, `${expected[i]} ± ${tolerance[i]}`, sum);
    }
  });
}

/** Runs a check for each variant. For a type that is no rotation, checks that the method `refused` is refused. */
function forRotations(
  name: string,
  check: (kit: Kit, rope: RopeUnderTest, label: string) => Promise<void>,
  refused?: "invert" | "adjoint",
): Law {
  return {
    group: "rotation",
    name,
    notApplicable: (kit) =>
      refused === undefined && !kit.js().capabilities.isRotation ? "the type declares isRotation: false" : undefined,
    async run(kit) {
      for (const { label, request } of kit.variants()) {
        const rope = await kit.rope(request);
        if (rope.capabilities.isRotation) {
          await check(kit, rope, label);
        } else if (refused !== undefined) {
          const tested = probeSpots(rope);
          const tensor = tensorFor(kit, rope, tested, "float32", label);
          await throwsCode(
            () => rope[refused]({ positions: tested.positions, query: tensor.tensor }),
            "ROPE_UNSUPPORTED",
            `${refused} of a type that declares isRotation: false, ${label}`,
          );
        }
      }
    },
  };
}

const definition = forRotations(
  "turns each pair by position × frequency and scales it by the attention factor",
  async (kit, rope, label) => {
    const tested = probeSpots(rope);
    const length = lengthFor(rope, tested);
    const angles = anglesOf(rope, tested, length.length);
    for (const dtype of elementTypes) {
      const input = tensorFor(kit, rope, tested, dtype, label);
      const x = input.values();
      const y = (await after(rope, "apply", tested, input, length)).values();
      eachPair(rope.spec, tested, input.shape, (row, pair, first, second) => {
        const [a, b] = [x[first]!, x[second]!];
        const [c, s] = [angles.amplitude * angles.cos(row, pair), angles.amplitude * angles.sin(row, pair)];
        const tolerance =
          Math.hypot(a, b) * angles.amplitude * share(rope, dtype, angles.size(row, pair)) + floorOf(dtype);
        if (isFar(y[first]!, a * c - b * s, tolerance) || isFar(y[second]!, b * c + a * s, tolerance)) {
          fail(
            `${dtype} pair ${pair} at position row ${row}, ${label}`,
            `(${a * c - b * s}, ${b * c + a * s}) ± ${tolerance}`,
            `(${y[first]}, ${y[second]})`,
          );
        }
      });
    }
  },
);

const norms = forRotations("keeps the length of each pair, times the attention factor", async (kit, rope, label) => {
  const tested = probeSpots(rope);
  const m = rope.frequencies(lengthFor(rope, tested).length).attentionFactor;
  for (const dtype of elementTypes) {
    const input = tensorFor(kit, rope, tested, dtype, label);
    const x = input.values();
    const y = (await after(rope, "apply", tested, input)).values();
    eachPair(rope.spec, tested, input.shape, (row, pair, first, second) => {
      const before = m * Math.hypot(x[first]!, x[second]!);
      const now = Math.hypot(y[first]!, y[second]!);
      // Two elements, each off by its share. The angle does not matter, since cos² + sin² = 1.
      const tolerance = 2 * (before * share(rope, dtype, 0) + floorOf(dtype));
      if (isFar(now, before, tolerance)) {
        fail(`length of ${dtype} pair ${pair} at position row ${row}, ${label}`, `${before} ± ${tolerance}`, now);
      }
    });
  }
});

const origin = forRotations("scales by the attention factor alone at position 0", async (kit, rope, label) => {
  const tested = testPositionsOf(rope, undefined, 2, () => 0);
  const m = rope.frequencies(lengthFor(rope, tested).length).attentionFactor;
  for (const dtype of elementTypes) {
    const input = tensorFor(kit, rope, tested, dtype, label);
    const x = input.values();
    const y = (await after(rope, "apply", tested, input)).values();
    eachPair(rope.spec, tested, input.shape, (_row, pair, first, second) => {
      const tolerance = m * Math.hypot(x[first]!, x[second]!) * share(rope, dtype, 0) + floorOf(dtype);
      for (const element of [first, second]) {
        // cos 0 = 1 and sin 0 = 0 are exact: with amplitude 1 nothing is rounded.
        const wrong = m === 1 ? y[element] !== x[element] : isFar(y[element]!, m * x[element]!, tolerance);
        if (wrong) fail(`${dtype} pair ${pair} at position 0, ${label}`, m * x[element]!, y[element]);
      }
    });
  }
});

const relative = forRotations(
  "gives products of queries and keys that depend on the distance of their positions only",
  async (kit, rope, label) => {
    const far = 4095;
    const list = admitted(rope, far);
    for (const step of [1, far]) {
      if (list.length < 2) continue;
      const at = testPositionsOf(rope, undefined, list.length, (row, axis) => list[(row + 3 * axis) % list.length]!);
      const back = testPositionsOf(
        rope,
        undefined,
        list.length,
        (row, axis) => list[(2 * row + 1 + axis) % list.length]!,
      );
      const [atMoved, backMoved] = [at, back].map((tested) => moved(rope, tested, () => step)) as [
        TestPositions,
        TestPositions,
      ];
      const length = lengthFor(rope, atMoved, backMoved);
      const query = tensorFor(kit, rope, at, "float64", `${label} query`);
      const key = tensorFor(kit, rope, at, "float64", `${label} key`);
      const here = [
        await after(rope, "apply", at, query, length),
        await after(rope, "apply", back, key, length),
      ] as const;
      const there = [
        await after(rope, "apply", atMoved, query, length),
        await after(rope, "apply", backMoved, key, length),
      ] as const;
      const angles = [at, back, atMoved, backMoved].map((tested) => anglesOf(rope, tested, length.length));
      const tolerance = dotTolerance(kit, rope, at, here[0], here[1], (row, pair) =>
        angleSlack(rope, ...angles.map(({ size }) => size(row, pair))),
      );
      sameSums(
        dots(rope, at, ...there),
        dots(rope, at, ...here),
        tolerance,
        `⟨q, k⟩ with both positions ${step} further, ${label}`,
      );
    }
  },
);

const composition = forRotations("adds positions when it is applied twice", async (kit, rope, label) => {
  const list = admitted(rope, 4097);
  if (list.length === 0) return;
  const a = testPositionsOf(rope, undefined, list.length, (row, axis) => list[(row + 3 * axis) % list.length]!);
  const b = testPositionsOf(rope, undefined, list.length, (row) => [1, 127, 4096][row % 3]!);
  const sum = moved(rope, a, (row) => [1, 127, 4096][row % 3]!);
  const length = lengthFor(rope, sum);
  const input = tensorFor(kit, rope, a, "float64", label);
  const twice = (await after(rope, "apply", b, await after(rope, "apply", a, input, length), length)).values();
  const once = (await after(rope, "apply", sum, input, length)).values();
  const angles = [a, b, sum].map((tested) => anglesOf(rope, tested, length.length));
  const m = angles[0]!.amplitude;
  const x = input.values();
  const exact = rope.spec.precision === "float64" && kit.bitExact;
  eachPair(rope.spec, a, input.shape, (row, pair, first, second) => {
    const slack = angleSlack(rope, ...angles.map(({ size }) => size(row, pair)));
    // As for the products above: 2^-44 is far from one float32 rounding, and 500 roundings of float64.
    const tolerance = m * m * Math.hypot(x[first]!, x[second]!) * ((exact ? 2 ** -44 : 16 * 2 ** -24) + slack);
    for (const element of [first, second]) {
      if (isFar(twice[element]!, m * once[element]!, tolerance)) {
        fail(
          `R(a) R(b) x, pair ${pair} at row ${row}, ${label}`,
          `${m * once[element]!} ± ${tolerance}`,
          twice[element],
        );
      }
    }
  });
});

const inverse = forRotations(
  "is undone by invert, before or after",
  async (kit, rope, label) => {
    const tested = probeSpots(rope);
    for (const dtype of ["float64", "float32"] as const) {
      const input = tensorFor(kit, rope, tested, dtype, label);
      const x = input.values();
      for (const [first, then] of [
        ["apply", "invert"],
        ["invert", "apply"],
      ] as const) {
        const back = (await after(rope, then, tested, await after(rope, first, tested, input))).values();
        eachPair(rope.spec, tested, input.shape, (row, pair, one, other) => {
          // Both use the same table row, so angles do not matter: two rotations, each off by its share.
          const tolerance = Math.hypot(x[one]!, x[other]!) * 2 * share(rope, dtype, 0) + floorOf(dtype);
          for (const element of [one, other]) {
            if (isFar(back[element]!, x[element]!, tolerance)) {
              fail(
                `${then} after ${first}, ${dtype} pair ${pair} at row ${row}, ${label}`,
                `${x[element]} ± ${tolerance}`,
                back[element],
              );
            }
          }
        });
      }
    }
  },
  "invert",
);

const transpose = forRotations(
  "has its transpose as adjoint: ⟨R x, y⟩ = ⟨x, Rᵀ y⟩",
  async (kit, rope, label) => {
    const tested = probeSpots(rope);
    const x = tensorFor(kit, rope, tested, "float64", `${label} x`);
    const y = tensorFor(kit, rope, tested, "float64", `${label} y`);
    const rotated = await after(rope, "apply", tested, x);
    const pulled = await after(rope, "adjoint", tested, y);
    // The same table row on both sides: no slack for angles.
    const tolerance = dotTolerance(kit, rope, tested, rotated, y, () => 0);
    sameSums(
      dots(rope, tested, x, pulled),
      dots(rope, tested, rotated, y),
      tolerance,
      `⟨x, Rᵀ y⟩ against ⟨R x, y⟩, ${label}`,
    );
  },
  "adjoint",
);

const shift: Law = {
  group: "rotation",
  name: "shifts rotated keys to other positions with amplitude 1, or refuses where canShift is not declared and no length given",
  async run(kit) {
    for (const { label, request } of kit.variants()) {
      const rope = await kit.rope(request);
      const from = probeSpots(rope);
      const list = admitted(rope);
      const to = testPositionsOf(
        rope,
        undefined,
        from.tokens,
        (row, axis) => list[(list.length - 1 - row + axis) % list.length]!,
      );
      const keys = tensorFor(kit, rope, from, "float32", label);
      const { canShift, isRotation, dependsOnLength } = rope.capabilities;
      const length = lengthFor(rope, from, to);
      if (!canShift) {
        const before = keys.words.slice();
        await throwsCode(
          () => rope.shift({ keys: keys.tensor, from: from.positions, to: to.positions }),
          "ROPE_UNSUPPORTED",
          `shift of a type without canShift, ${label}`,
        );
        sameBits(keys.words, before, `keys after a refused shift, ${label}`);
        // A length names one set of frequencies for both ends.
        if (!isRotation || !dependsOnLength) continue;
      }
      for (const dtype of ["float64", "float32"] as const) {
        const input = tensorFor(kit, rope, from, dtype, label);
        const x = input.values();
        const moving = await after(rope, "apply", from, input, length);
        const start = moving.values();
        await rope.shift({ keys: moving.tensor, from: from.positions, to: to.positions, ...length });
        const shifted = moving.values();
        const expected = (await after(rope, "apply", to, input, length)).values();
        const m = rope.frequencies(length.length).attentionFactor;
        const angles = [from, to].map((tested) => anglesOf(rope, tested, length.length));
        eachPair(rope.spec, from, input.shape, (row, pair, first, second) => {
          // The shift rotates by the difference of the two table angles, so only its own roundings count.
          const tolerance = m * Math.hypot(x[first]!, x[second]!) * 3 * share(rope, dtype, 0) + floorOf(dtype);
          for (const element of [first, second]) {
            if (isFar(shifted[element]!, expected[element]!, tolerance)) {
              fail(
                `${dtype} keys shifted by ${angles[1]!.size(row, pair) - angles[0]!.size(row, pair)} rad, pair ${pair} at row ${row}, ${label}`,
                `${expected[element]} ± ${tolerance}`,
                shifted[element],
              );
            }
          }
          const [before, now] = [
            Math.hypot(start[first]!, start[second]!),
            Math.hypot(shifted[first]!, shifted[second]!),
          ];
          if (isFar(now, before, tolerance)) {
            fail(`length of ${dtype} pair ${pair} after a shift, ${label}`, before, now);
          }
        });
      }
    }
  },
};

const pairings: Law = {
  group: "rotation",
  name: "rotates the same pairs in every pairing, only at other places",
  async run(kit) {
    for (const { label, request } of kit.variants({ pairings: false })) {
      const reference = await kit.rope(request);
      const tested = drawnSpots(reference, 2, 3, 1);
      const own = pairsOf(reference.spec);
      const others = kit.variants().filter((other) => sameSlice(other.request, request));
      for (const other of others) {
        const rope = await kit.rope(other.request);
        const theirs = pairsOf(rope.spec);
        for (const dtype of elementTypes) {
          const input = tensorFor(kit, reference, tested, dtype, label);
          const moved = place(dtype, input.shape, permuted(input, own, theirs));
          await rope.apply({ positions: tested.positions, query: moved.tensor });
          const expected = place(
            dtype,
            input.shape,
            permuted(await after(reference, "apply", tested, input), own, theirs),
          );
          if (kit.bitExact) {
            sameBits(
              moved.bits(),
              expected.bits(),
              `${dtype} in ${other.label} against the pairing ${JSON.stringify(reference.spec.pairing)}`,
            );
          } else {
            const got = moved.values();
            expected.values().forEach((value, i) => {
              // Elements are below 2√2 times the amplitude.
              if (isFar(got[i]!, value, 4 * reference.attentionFactor * share(rope, dtype, 0))) {
                fail(`${dtype} element ${i} in ${other.label}`, value, got[i]);
              }
            });
          }
        }
      }
    }
  },
};

const sameSlice = (a: { readonly [key: string]: unknown } | object, b: object): boolean =>
  (["headDim", "rotaryOffset", "precision"] as const).every(
    (key) => (a as Record<string, unknown>)[key] === (b as Record<string, unknown>)[key],
  );

/** The values of a tensor, each pair moved from its place in one pairing to its place in another. */
function permuted(
  tensor: Placed,
  from: readonly (readonly [number, number])[],
  to: readonly (readonly [number, number])[],
): Float64Array {
  const values = tensor.values();
  const result = values.slice();
  const headDim = tensor.shape[3];
  for (let head = 0; head < values.length; head += headDim) {
    from.forEach(([x, y], pair) => {
      result[head + to[pair]![0]] = values[head + x]!;
      result[head + to[pair]![1]] = values[head + y]!;
    });
  }
  return result;
}

const axes: Law = {
  group: "rotation",
  name: "with several axes at equal positions is the rope of one axis, bit for bit",
  notApplicable: (kit) => (kit.js().capabilities.axisCount > 1 ? "the type has position axes of its own" : undefined),
  async run(kit) {
    for (const { label, request } of kit.variants()) {
      const rope = await kit.rope(request);
      // A request cannot give axes to a type with its own axes; the definition above covers those.
      if (rope.capabilities.axisCount > 1) continue;
      const many = await kit.rope({
        ...request,
        axes: Array.from({ length: rope.spec.rotaryDim / 2 }, (_, pair) => pair % Math.min(3, rope.spec.rotaryDim / 2)),
      });
      const single = drawnSpots(rope, 2, 3, 2);
      const equalAxes = testPositionsOf(many, 2, 3, (row) => single.values[row]!);
      const input = tensorFor(kit, rope, single, "float32", label);
      const expected = await after(rope, "apply", single, input);
      sameBits(
        (await after(many, "apply", equalAxes, input)).bits(),
        expected.bits(),
        `${many.capabilities.axisCount} equal axes against one, ${label}`,
      );
    }
  },
};

const steps: Law = {
  group: "rotation",
  name: "gives the same bits from one gathered step, used in many layers",
  async run(kit) {
    for (const { label, request } of kit.variants()) {
      const rope = await kit.rope(request);
      const tested = drawnSpots(rope, 2, 3, 0);
      const step = await rope.at(tested.positions);
      for (const operation of ["invert", "adjoint"] as const) {
        const query = tensorFor(kit, rope, tested, "float32", `${label} ${operation}`);
        if (!rope.capabilities.isRotation) {
          const what = `step.${operation} of a type that is no rotation, ${label}`;
          await throwsCode(() => step[operation]({ query: query.tensor }), "ROPE_UNSUPPORTED", what);
          continue;
        }
        const expected = await after(rope, operation, tested, query);
        await step[operation]({ query: query.tensor });
        sameBits(query.bits(), expected.bits(), `query after step.${operation}, ${label}`);
      }
      for (const layer of [0, 1, 2]) {
        const dtype = elementTypes[(layer + 1) % elementTypes.length]!;
        const query = tensorFor(kit, rope, tested, dtype, `${label} layer ${layer}`, 5);
        const key = tensorFor(kit, rope, tested, dtype, `${label} key of layer ${layer}`);
        const expected = [await after(rope, "apply", tested, query), await after(rope, "apply", tested, key)] as const;
        await step.apply({ query: query.tensor, key: key.tensor });
        sameBits(query.bits(), expected[0].bits(), `${dtype} query of layer ${layer}, ${label}`);
        sameBits(key.bits(), expected[1].bits(), `${dtype} key of layer ${layer}, ${label}`);
      }
      equal(step.cos.length, 2 * 3 * (rope.spec.rotaryDim / 2), `values of step.cos, ${label}`);
    }
  },
};

/** A part of a sequence: `count` tokens from token `first` on, `step` apart. */
interface Part {
  readonly first: number;
  readonly step: number;
  readonly count: number;
}

/**
 * How context parallelism gives `tokens` to `ranks`: for each rank its parts. `tokens` is a multiple of `2 · ranks`.
 */
const cuts: Readonly<Record<string, (tokens: number, ranks: number, rank: number) => readonly Part[]>> = {
  contiguous: (tokens, ranks, rank) => [{ first: (rank * tokens) / ranks, step: 1, count: tokens / ranks }],
  "round-robin": (tokens, ranks, rank) => [{ first: rank, step: ranks, count: tokens / ranks }],
  // Two chunks of 2 · ranks, one early and one late: a causal mask gives every rank the same work.
  "zig-zag": (tokens, ranks, rank) =>
    [rank, 2 * ranks - 1 - rank].map((chunk) => {
      const count = tokens / (2 * ranks);
      return { first: chunk * count, step: 1, count };
    }),
};

const contextParallel: Law = {
  group: "rotation",
  name: "gives a sequence the same bits whole and cut by context parallelism: contiguous, round-robin, zig-zag",
  async run(kit) {
    const tokens = 24;
    for (const { label, request } of kit.variants()) {
      const rope = await kit.rope(request);
      const start = Math.min(rope.positionLimit - tokens, 2049);
      if (start < 0) continue;
      const whole = testPositionsOf(rope, undefined, tokens, (row, axis) => start + ((row * (axis + 1)) % tokens));
      const length = lengthFor(rope, whole);
      for (const [turn, dtype] of elementTypes.entries()) {
        const input = tensorFor(kit, rope, whole, dtype, `${label} ${dtype}`);
        const expected = (await after(rope, "apply", whole, input, length)).bits();
        const ranks = [2, 3, 4][turn % 3]!;
        for (const [name, cut] of Object.entries(cuts)) {
          const copy = place(dtype, input.shape, input.values());
          for (const part of Array.from({ length: ranks }, (_, rank) => cut(tokens, ranks, rank)).flat()) {
            await rope.apply({ ...length, positions: positionsOfPart(whole, start, part), key: viewOf(copy, part) });
          }
          sameBits(copy.bits(), expected, `${dtype}, ${name} over ${ranks} ranks, ${label}`);
        }
      }
    }
  },
};

/** Positions of a part, as the caller has them: numbers of a run, or a view of the whole sequence's list. */
function positionsOfPart({ axes, tokens, values }: TestPositions, start: number, part: Part): Positions {
  const { first, step, count } = part;
  // Every other part as a view, so that both forms are tried in every cut.
  if (axes === 1 && first % 2 === 0) return { start: start + first, count, step };
  return axes === 1
    ? { data: values, shape: [count], strides: [step], offset: first }
    : { data: values, shape: [axes, count], strides: [tokens, step], offset: first };
}

/** The tokens of a part, where they lie. */
function viewOf({ tensor, shape: [, , heads, headDim] }: Placed, { first, step, count }: Part): TensorView {
  const token = heads * headDim;
  const strides = [step * token, headDim, 1];
  return { ...(tensor as TensorView), shape: [count, heads, headDim], strides, offset: first * token };
}

export const rotationLaws: readonly Law[] = [
  definition,
  norms,
  origin,
  relative,
  composition,
  inverse,
  transpose,
  shift,
  pairings,
  axes,
  steps,
  contextParallel,
];
