/**
 * Tensors in memory: layouts, element types, batches, aliasing, and no write outside the rotated elements.
 *
 * All comparisons are bit for bit: the result of the same arithmetic must not depend on the layout.
 */

import type { ElementType, Positions, RotateArguments, TensorView, UntypedRopeRequest } from "@ropewalk/core";
import { equal, fail, sameBits, sameData, throwsCode } from "./assert.ts";
import type { Kit, RopeUnderTest } from "./kit.ts";
import type { Law } from "./law.ts";
import { pairsOf } from "./numbers.ts";
import { drawnSpots, lengthFor, testPositionsOf } from "./test-positions.ts";
import type { TestPositions } from "./test-positions.ts";
import {
  contiguous,
  elementTypes,
  nativeFloat16Array,
  place,
  randomValues,
  roundTo,
  sizeOf,
  stridedLayouts,
} from "./tensors.ts";
import type { PlaceOptions, Placed, Shape } from "./tensors.ts";

/** Query heads and key heads: grouped-query attention. */
const HEADS = { query: 3, key: 1 } as const;

/**
 * Calls `check` for each pairing, slice, batch and number of tokens, with two of the four element types in turn: every
 * two of these are combined, not all five. The rounding of angles only changes the tables, and stays as in the case.
 */
function forTensors(name: string, check: (scene: Scene) => Promise<void>): Law {
  return {
    group: "memory",
    name,
    async run(kit) {
      let turn = 0;
      for (const { label, request } of kit.variants({ precisions: false })) {
        const rope = await kit.rope(request);
        for (const batch of [1, 2, 3]) {
          for (const tokens of [1, 2, 7]) {
            const tested = drawnSpots(rope, batch, tokens, turn++);
            for (const dtype of elementTypes.filter((_, i) => (i + turn) % 2 === 0)) {
              await check({
                kit,
                rope,
                request,
                tested,
                batch,
                tokens,
                dtype,
                label: `${dtype} [${batch}, ${tokens}, …], ${label}`,
              });
            }
          }
        }
      }
    },
  };
}

interface Scene {
  readonly kit: Kit;
  readonly rope: RopeUnderTest;
  readonly request: UntypedRopeRequest;
  readonly tested: TestPositions;
  readonly batch: number;
  readonly tokens: number;
  readonly dtype: ElementType;
  readonly label: string;
}

function shapeOf({ rope, batch, tokens }: Scene, name: keyof typeof HEADS): Shape {
  return [batch, tokens, HEADS[name], rope.spec.headDim];
}

const drawn = new WeakMap<Scene, { query?: Float64Array; key?: Float64Array }>();

/** The values of a scene's query or key, the same at every call. Only read. */
function valuesOf(scene: Scene, name: keyof typeof HEADS): Float64Array {
  let known = drawn.get(scene);
  if (known === undefined) drawn.set(scene, (known = {}));
  return (known[name] ??= randomValues(
    scene.kit.random(`${scene.label} ${name}`),
    scene.dtype,
    sizeOf(shapeOf(scene, name)),
  ));
}

/** Query and key of a scene in new memory, with the same values at every call. */
function tensors(scene: Scene, options?: PlaceOptions): { query: Placed; key: Placed } {
  const make = (name: keyof typeof HEADS): Placed =>
    place(scene.dtype, shapeOf(scene, name), valuesOf(scene, name), options);
  return { query: make("query"), key: make("key") };
}

const tensorsOf = ({ query, key }: { query: Placed; key: Placed }): RotateArguments => ({
  query: query.tensor,
  key: key.tensor,
});

/** Query and key of a scene after `apply`, contiguous and in place: the reference for other layouts. */
async function rotated(scene: Scene): Promise<{ query: Placed; key: Placed }> {
  const made = tensors(scene);
  await scene.rope.apply({ positions: scene.tested.positions, ...tensorsOf(made) });
  return made;
}

function sameTensors(
  got: { query: Placed; key: Placed },
  expected: { query: Placed; key: Placed },
  what: string,
): void {
  sameBits(got.query.bits(), expected.query.bits(), `query ${what}`);
  sameBits(got.key.bits(), expected.key.bits(), `key ${what}`);
}

const inPlace = forTensors(
  "writes the same bits in place and to out, and a rotation to out leaves its input unchanged",
  async (scene) => {
    const { rope, tested, label, dtype } = scene;
    const expected = await rotated(scene);
    const input = tensors(scene);
    const out = { query: place(dtype, input.query.shape, undefined), key: place(dtype, input.key.shape, undefined) };
    const result = await rope.apply({
      positions: tested.positions,
      ...tensorsOf(input),
      out: { query: out.query.tensor, key: out.key.tensor },
    });
    sameTensors(out, expected, `to out against in place, ${label}`);
    sameTensors(input, tensors(scene), `as input of a rotation to out, ${label}`);
    equal(result.query, out.query.tensor, `query that apply returns, ${label}`);
    const own = tensors(scene);
    const inner = await rope.apply({
      positions: tested.positions,
      ...tensorsOf(own),
      out: { key: place(dtype, own.key.shape, undefined).tensor },
    });
    equal(inner.query, own.query.tensor, `query that apply returns when only out.key is given, ${label}`);
    sameBits(own.query.bits(), expected.query.bits(), `query in place beside a key to out, ${label}`);
  },
);

const strided = forTensors(
  "rotates every layout to the same bits, and touches nothing between the elements",
  async (scene) => {
    const { rope, tested, label, dtype } = scene;
    const expected = await rotated(scene);
    for (const layout of stridedLayouts) {
      const made = tensors(scene, { layout });
      const gaps = [made.query.gaps(), made.key.gaps()] as const;
      await rope.apply({ positions: tested.positions, ...tensorsOf(made) });
      sameTensors(made, expected, `${layout.name}, in place, ${label}`);
      const source = tensors(scene);
      const out = {
        query: place(dtype, source.query.shape, undefined, { layout }),
        key: place(dtype, source.key.shape, undefined, { layout }),
      };
      await rope.apply({
        positions: tested.positions,
        ...tensorsOf(source),
        out: { query: out.query.tensor, key: out.key.tensor },
      });
      sameTensors(out, expected, `contiguous to ${layout.name}, ${label}`);
      for (const placed of [made, out]) {
        sameBits(placed.query.gaps(), gaps[0], `elements between those of a ${layout.name} query, ${label}`);
        sameBits(placed.key.gaps(), gaps[1], `elements between those of a ${layout.name} key, ${label}`);
      }
    }
  },
);

const shapes: Law = {
  group: "memory",
  name: "takes bare arrays, [tokens, heads, headDim], [tokens, hidden] and Float16Array alike",
  async run(kit) {
    for (const { label, request } of kit.variants({ slices: false })) {
      const rope = await kit.rope(request);
      for (const dtype of elementTypes) {
        const scene: Scene = {
          kit,
          rope,
          request,
          tested: drawnSpots(rope, undefined, 5, 2),
          batch: 1,
          tokens: 5,
          dtype,
          label: `${dtype}, ${label}`,
        };
        const expected = await rotated(scene);
        const ways: PlaceOptions[] = [{ axes: 3 }, { axes: 2 }];
        if (dtype === "float16" && nativeFloat16Array !== undefined) {
          ways.push({ nativeFloat16: true }, { nativeFloat16: true, bare: true });
        }
        if (dtype === "float32" || dtype === "float64") ways.push({ bare: true });
        for (const way of ways) {
          const made = tensors(scene, way);
          await rope.apply({ positions: scene.tested.positions, ...tensorsOf(made) });
          sameTensors(made, expected, `as ${JSON.stringify(way)}, ${scene.label}`);
        }
      }
    }
  },
};

const outside = forTensors(
  "leaves elements outside the rotated ones as they are, bit for bit, also to out",
  async (scene) => {
    const { rope, tested, label, dtype } = scene;
    const { headDim } = rope.spec;
    const isRotated = new Uint8Array(headDim);
    for (const pair of pairsOf(rope.spec)) for (const element of pair) isRotated[element] = 1;
    if (isRotated.every((flag) => flag === 1)) return;
    // Values that arithmetic would change: −0 · 1 + 0 · 0 is +0, ∞ · 0 is NaN, a subnormal may become 0.
    const strange = [-0, Infinity, -Infinity, NaN, 2 ** -149, -(2 ** -133)];
    const make = (name: keyof typeof HEADS): Placed => {
      const values = valuesOf(scene, name).slice();
      values.forEach((_, i) => {
        if (isRotated[i % headDim] === 0) values[i] = roundTo(dtype, strange[i % strange.length]!);
      });
      return place(dtype, shapeOf(scene, name), values);
    };
    const untouched = (placed: Placed): number[] => {
      const bits = placed.bits();
      const perElement = bits.length / sizeOf(placed.shape);
      return Array.from(bits).filter((_, i) => isRotated[Math.floor(i / perElement) % headDim] === 0);
    };
    const made = { query: make("query"), key: make("key") };
    const before = [untouched(made.query), untouched(made.key)] as const;
    const out = { query: place(dtype, made.query.shape, undefined), key: place(dtype, made.key.shape, undefined) };
    await rope.apply({
      positions: tested.positions,
      ...tensorsOf(made),
      out: { query: out.query.tensor, key: out.key.tensor },
    });
    await rope.apply({ positions: tested.positions, ...tensorsOf(made) });
    for (const [placed, way] of [
      [made, "in place"],
      [out, "to out"],
    ] as const) {
      sameBits(untouched(placed.query), before[0], `elements of query outside the rotated ones ${way}, ${label}`);
      sameBits(untouched(placed.key), before[1], `elements of key outside the rotated ones ${way}, ${label}`);
    }
  },
);

const rows = forTensors("rotates each row of a batch by its own positions, or all by shared ones", async (scene) => {
  const { rope, tested, label, batch, tokens } = scene;
  const together = await rotated(scene);
  const perRow = (name: keyof typeof HEADS): number => tokens * HEADS[name] * rope.spec.headDim;
  const { values } = tested;
  // For types that depend on the length: all calls get the same length.
  const length = lengthFor(rope, tested);
  for (const shared of [false, true]) {
    const all = shared ? tensors(scene) : together;
    const of = (b: number): TestPositions =>
      testPositionsOf(
        rope,
        undefined,
        tokens,
        (t, axis) => values[axis * batch * tokens + (shared ? 0 : b) * tokens + t]!,
      );
    if (shared) await rope.apply({ positions: of(0).positions, ...tensorsOf(all), ...length });
    const whole = { query: all.query.bits(), key: all.key.bits() };
    for (let b = 0; b < batch; b++) {
      for (const name of ["query", "key"] as const) {
        const alone = place(
          scene.dtype,
          [1, tokens, HEADS[name], rope.spec.headDim],
          valuesOf(scene, name).slice(b * perRow(name), (b + 1) * perRow(name)),
        );
        await rope.apply({ positions: of(b).positions, [name]: alone.tensor, ...length });
        const words = whole[name].length / batch;
        sameBits(
          whole[name].slice(b * words, (b + 1) * words),
          alone.bits(),
          `row ${b} of ${name} with ${shared ? "shared" : "its own"} positions against the row alone, ${label}`,
        );
      }
    }
  }
});

const independence = forTensors("rotates query and key alone as together, and each head alike", async (scene) => {
  const { rope, tested, label, dtype } = scene;
  const together = await rotated(scene);
  for (const name of ["query", "key"] as const) {
    const alone = tensors(scene)[name];
    await rope.apply({ positions: tested.positions, [name]: alone.tensor });
    sameBits(alone.bits(), together[name].bits(), `${name} alone, ${label}`);
  }
  const { headDim } = rope.spec;
  const [b, t] = [scene.batch, scene.tokens];
  const values = valuesOf(scene, "query");
  const bits = together.query.bits();
  const words = bits.length / (b * t * HEADS.query);
  for (let h = 0; h < HEADS.query; h++) {
    const one = Float64Array.from(
      { length: b * t * headDim },
      (_, i) => values[(Math.floor(i / headDim) * HEADS.query + h) * headDim + (i % headDim)]!,
    );
    const head = place(dtype, [b, t, 1, headDim], one);
    await rope.apply({ positions: tested.positions, query: head.tensor });
    const expected = Array.from(
      head.bits(),
      (_, i) => bits[(Math.floor(i / words) * HEADS.query + h) * words + (i % words)]!,
    );
    sameBits(head.bits(), expected, `head ${h} of the query alone, ${label}`);
  }
});

const conversions = forTensors(
  "computes 16-bit data in float32 and rounds once to the element type of out",
  async (scene) => {
    const { rope, tested, label, dtype } = scene;
    if (dtype === "float64") return;
    const shape = shapeOf(scene, "key");
    const single = place("float32", shape, valuesOf(scene, "key"));
    await rope.apply({ positions: tested.positions, key: single.tensor });
    const exact = single.values();
    for (const target of elementTypes) {
      const out = place(target, shape, undefined);
      await rope.apply({
        positions: tested.positions,
        key: place(dtype, shape, valuesOf(scene, "key")).tensor,
        out: { key: out.tensor },
      });
      sameBits(out.bits(), place(target, shape, exact).bits(), `to ${target} against float32 rounded once, ${label}`);
    }
  },
);

const fused: Law = {
  group: "memory",
  name: "rotates query and key inside one fused buffer, and nothing else of it",
  async run(kit) {
    for (const { label, request } of kit.variants()) {
      const rope = await kit.rope(request);
      const { headDim } = rope.spec;
      const scene: Scene = {
        kit,
        rope,
        request,
        tested: drawnSpots(rope, undefined, 5, 4),
        batch: 1,
        tokens: 5,
        dtype: "float32",
        label,
      };
      const expected = await rotated(scene);
      // Rows of [query heads | key heads | value heads].
      const width = (HEADS.query + 2 * HEADS.key) * headDim;
      const buffer = Float32Array.from({ length: 5 * width }, (_, i) => i + 0.5);
      const original = buffer.slice();
      const view = (name: keyof typeof HEADS, offset: number) => {
        const heads = HEADS[name];
        valuesOf(scene, name).forEach(
          (value, i) => (buffer[Math.floor(i / (heads * headDim)) * width + offset + (i % (heads * headDim))] = value),
        );
        return { data: buffer, shape: [5, heads, headDim], strides: [width, headDim, 1], offset };
      };
      const query = view("query", 0);
      const key = view("key", HEADS.query * headDim);
      await rope.apply({ positions: scene.tested.positions, query, key });
      const [q, k] = [expected.query.values(), expected.key.values()];
      buffer.forEach((value, i) => {
        const [t, column] = [Math.floor(i / width), i % width];
        const keyStart = HEADS.query * headDim;
        const valueStart = keyStart + HEADS.key * headDim;
        const wanted =
          column < keyStart
            ? q[t * keyStart + column]!
            : column < valueStart
              ? k[t * HEADS.key * headDim + column - keyStart]!
              : original[i]!;
        if (!Object.is(value, wanted)) {
          fail(`element ${column} of token ${t} in a fused buffer, ${label}`, wanted, value);
        }
      });
    }
  },
};

const atomic: Law = {
  group: "memory",
  name: "writes nothing when it throws",
  async run(kit) {
    for (const { label, request } of kit.variants()) {
      const rope = await kit.rope(request);
      const { fractionalPositions, isRotation, canShift } = rope.capabilities;
      const scene: Scene = {
        kit,
        rope,
        request,
        tested: drawnSpots(rope, undefined, 3, 1),
        batch: 1,
        tokens: 3,
        dtype: "float32",
        label,
      };
      const { query, key } = tensors(scene);
      const out = {
        query: place("float32", query.shape, undefined, { layout: contiguous }),
        key: place("float32", key.shape, undefined),
      };
      const all = [query, key, out.query, out.key];
      const before = all.map(({ words }) => words.slice());
      const args = { ...tensorsOf({ query, key }) };
      const outs = { query: out.query.tensor, key: out.key.tensor };
      const short = place("float32", [1, 2, 2, rope.spec.headDim], undefined).tensor;
      const refused = async (
        name: string,
        code: "ROPE_POSITION_RANGE" | "ROPE_SHAPE" | "ROPE_INVALID_PARAMETERS",
        run: () => unknown,
      ): Promise<void> => {
        await throwsCode(run, code, `${name}, ${label}`);
        all.forEach(({ words }, i) => sameBits(words, before[i]!, `tensor ${i} after the error of ${name}, ${label}`));
      };
      const methods = isRotation ? (["apply", "invert", "adjoint"] as const) : (["apply"] as const);
      for (const method of methods) {
        for (const bad of [rope.positionLimit, NaN, Infinity, ...(fractionalPositions ? [] : [-1, 1.5])]) {
          // The bad position comes last, and the tokens before it must not have been written.
          const { positions } = testPositionsOf(rope, undefined, 3, (row) => (row === 2 ? bad : row));
          await refused(`${method} at position ${bad}`, "ROPE_POSITION_RANGE", () =>
            rope[method]({ positions, ...args }),
          );
          await refused(`${method} to out at position ${bad}`, "ROPE_POSITION_RANGE", () =>
            rope[method]({ positions, ...args, out: outs }),
          );
        }
        const { positions } = scene.tested;
        await refused(`${method} with a key of two tokens`, "ROPE_SHAPE", () =>
          rope[method]({ positions, query: query.tensor, key: short }),
        );
        await refused(`${method} with out.key of two tokens`, "ROPE_SHAPE", () =>
          rope[method]({ positions, ...args, out: { query: out.query.tensor, key: short } }),
        );
        const view = key.tensor as TensorView;
        for (const typo of ["stride", "byteOffset"]) {
          await refused(`${method} with the key "${typo}" in a tensor`, "ROPE_INVALID_PARAMETERS", () =>
            rope[method]({ positions, query: query.tensor, key: { ...view, [typo]: 0 } }),
          );
          await refused(`${method} with the key "${typo}" in positions`, "ROPE_INVALID_PARAMETERS", () =>
            rope[method]({ positions: { data: [0, 1, 2], shape: [3], [typo]: 0 } as Positions, ...args }),
          );
        }
        for (const data of [new Int8Array(view.data.length), new Uint8Array(view.data.length)]) {
          await refused(`${method} of a key in a ${data.constructor.name}`, "ROPE_SHAPE", () =>
            rope[method]({ positions, query: query.tensor, key: { data: data as never, shape: view.shape } }),
          );
        }
        await refused(`${method} with query and key in the same memory`, "ROPE_SHAPE", () =>
          rope[method]({ positions, query: query.tensor, key: query.tensor }),
        );
      }
      const step = await rope.at(scene.tested.positions);
      await refused("step.apply with a key of two tokens", "ROPE_SHAPE", () =>
        step.apply({ query: query.tensor, key: short }),
      );
      if (!canShift) continue;
      const far = testPositionsOf(rope, undefined, 3, (row) => (row === 2 ? rope.positionLimit : row)).positions;
      const { positions: near } = scene.tested;
      await refused("shift to a position out of range", "ROPE_POSITION_RANGE", () =>
        rope.shift({ keys: key.tensor, from: near, to: far }),
      );
      await refused("shift from a position out of range", "ROPE_POSITION_RANGE", () =>
        rope.shift({ keys: key.tensor, from: far, to: near }),
      );
      await refused("shift of two tokens by three", "ROPE_SHAPE", () =>
        rope.shift({ keys: short, from: near, to: near }),
      );
    }
  },
};

const frozen: Law = {
  group: "memory",
  name: "takes frozen arguments and changes no argument",
  async run(kit) {
    const { label, request } = kit.variants()[0]!;
    const rope = await kit.rope(deepFreeze(structuredClone(request)));
    const scene: Scene = {
      kit,
      rope,
      request,
      tested: drawnSpots(rope, 2, 3, 0),
      batch: 2,
      tokens: 3,
      dtype: "float32",
      label,
    };
    const expected = await rotated(scene);
    const made = tensors(scene);
    const out = { key: place("float32", made.key.shape, undefined) };
    const args = deepFreeze({ positions: scene.tested.positions, ...tensorsOf(made), out: { key: out.key.tensor } });
    const described = JSON.stringify(args, (_, value: unknown) => (ArrayBuffer.isView(value) ? "memory" : value));
    await rope.apply(args);
    sameData(
      JSON.stringify(args, (_, value: unknown) => (ArrayBuffer.isView(value) ? "memory" : value)),
      described,
      `arguments after apply, ${label}`,
    );
    sameBits(made.query.bits(), expected.query.bits(), `query from frozen arguments, ${label}`);
    sameBits(out.key.bits(), expected.key.bits(), `key to a frozen out, ${label}`);
    (await rope.at(deepFreeze(structuredClone(scene.tested.positions)))).apply(deepFreeze(tensorsOf(tensors(scene))));
  },
};

/** Freezes an object and everything in it, except typed arrays, which cannot be frozen. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}

const nothing: Law = {
  group: "memory",
  name: "does nothing for no tokens",
  async run(kit) {
    const { label, request } = kit.variants()[0]!;
    const rope = await kit.rope(request);
    const { positions } = testPositionsOf(rope, undefined, 0, () => 0);
    const data = new Float32Array(5);
    const query = { data, shape: [0, 2, rope.spec.headDim] };
    await rope.apply({ positions, query });
    sameBits(new Uint32Array(data.buffer), new Uint32Array(5), `memory behind no tokens, ${label}`);
    sameData(
      (await rope.cosSin(positions)).shape,
      [0, rope.spec.rotaryDim / 2],
      `shape of a table of no tokens, ${label}`,
    );
  },
};

export const memoryLaws: readonly Law[] = [
  inPlace,
  strided,
  shapes,
  outside,
  rows,
  independence,
  conversions,
  fused,
  atomic,
  frozen,
  nothing,
];
