/**
 * The tests for every device, in Node and in a browser. They need only the device: no runner, no file.
 */

import { createRegistry, getRopeUntyped, RopeError } from "@ropewalk/core";
import type { RopeProvider, UntypedRopeRequest } from "@ropewalk/core";
import { inverseFrequencies, toBfloat16, toFloat16 } from "@ropewalk/core/math";
import { webgpuBackend } from "@ropewalk/webgpu-backend";
import type { GpuDevice, GpuRope, TableKind } from "@ropewalk/webgpu-backend";
import { agree, bits, bufferOf, compare, copyOf, noise, onDevice, positionsOf, rotatedOnDevice } from "./on-device.ts";
import type { Tensors, View } from "./on-device.ts";

export interface BodyCase {
  readonly name: string;
  /** Whether float16 in shaders makes another kernel of it. */
  readonly float16?: boolean;
  /** Whether it is for Node alone: it compiles many kernels. */
  readonly isLong?: boolean;
  run(device: GPUDevice): Promise<void>;
}

const plain: RopeProvider = {
  specificationVersion: 1,
  source: "test@1.0.0",
  parameters: { amplitude: { type: "number", default: 1.138, description: "of cos and sin" } },
  frequencies: ({ base, rotaryDim, array }, { amplitude }: { amplitude: number }) => ({
    invFreq: inverseFrequencies(base, rotaryDim, array),
    attentionFactor: amplitude,
  }),
};
export const registry = createRegistry();
registry.register("plain", plain);
registry.registerBackend(webgpuBackend);

type Request = Omit<UntypedRopeRequest, "parameters">;

export async function gpuRope(
  device: GPUDevice | GpuDevice,
  request: Request,
  tables: TableKind = "rows",
  amplitude = 1.138,
): Promise<GpuRope> {
  return getRopeUntyped(
    { ...request, parameters: { ropeType: "plain", amplitude } as { ropeType: string } },
    { registry },
  ).to("webgpu", { device, tables });
}

const float = (shape: readonly number[], seed = 1): View => ({
  data: noise(
    shape.reduce((a, b) => a * b, 1),
    seed,
  ),
  shape,
});

export const geometries: readonly Request[] = [
  { headDim: 128, pairing: "half" },
  { headDim: 128, pairing: "adjacent" },
  { headDim: 128, pairing: { blocks: 2 } },
  { headDim: 80, rotaryDim: 32, pairing: "half" },
  { headDim: 80, rotaryDim: 32, rotaryOffset: 48, pairing: "adjacent" },
  { headDim: 96, rotaryDim: 48, rotaryOffset: 16, pairing: { blocks: 6 } },
  // Runs of two elements, and of one.
  { headDim: 36, rotaryDim: 20, rotaryOffset: 6, pairing: "half" },
  { headDim: 24, rotaryDim: 18, rotaryOffset: 4, pairing: "adjacent" },
  { headDim: 24, rotaryDim: 18, rotaryOffset: 5, pairing: "half" },
  { headDim: 25, rotaryDim: 18, rotaryOffset: 3, pairing: "adjacent" },
  { headDim: 2, pairing: "half" },
];

const label = ({ headDim, rotaryDim = headDim, rotaryOffset = 0, pairing }: Request): string =>
  `${JSON.stringify(pairing)}, ${rotaryDim} of ${headDim} from ${rotaryOffset}`;

async function refused(code: string, call: () => unknown): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (RopeError.is(error) && error.code === code) return;
    throw error;
  }
  throw new Error(`expected ${code}, got no error from ${call}`);
}

function ensure(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

export const bodyCases: readonly BodyCase[] = [
  {
    name: "query and key in place, positions up to 1048575, every pairing and slice",
    async run(device) {
      for (const geometry of geometries) {
        using gpu = await gpuRope(device, geometry);
        // No multiple of any workgroup or vector.
        await agree(
          label(geometry),
          device,
          gpu,
          { positions: positionsOf(13) },
          { query: float([13, 3, geometry.headDim], 1), key: float([13, 1, geometry.headDim], 2) },
        );
        await agree(
          `one token, ${label(geometry)}`,
          device,
          gpu,
          { positions: [131071] },
          { key: float([1, 5, geometry.headDim], 3) },
        );
      }
    },
  },
  {
    name: "to out: elements that are not rotated are copied, inputs stay",
    async run(device) {
      for (const geometry of geometries) {
        using gpu = await gpuRope(device, geometry);
        const { headDim } = geometry;
        const [query, key] = [float([5, 3, headDim], 1), float([5, 2, headDim], 2)];
        const [a, b] = [float([5, 3, headDim], 3), float([5, 2, headDim], 4)];
        await agree(
          label(geometry),
          device,
          gpu,
          { positions: positionsOf(5) },
          { query, key, out: { query: a, key: b } },
        );
        await agree(
          `only key to out, ${label(geometry)}`,
          device,
          gpu,
          { positions: positionsOf(5) },
          { query, key, out: { key: b } },
        );
      }
    },
  },
  {
    name: "strides: batches, head-first, gaps, reversed tokens, elements apart, a fused buffer of q, k and v",
    async run(device) {
      const headDim = 32;
      for (const pairing of ["half", "adjacent"] as const) {
        using gpu = await gpuRope(device, { headDim, rotaryDim: 24, pairing });
        const batched = { data: [...positionsOf(6)], shape: [2, 3] };
        const layouts: readonly Omit<View, "data">[] = [
          { shape: [2, 3, 4, headDim], strides: [3 * 4 * headDim, headDim, 3 * headDim, 1] },
          { shape: [2, 3, 4, headDim], strides: [900, 300, 40, 1], offset: 28 },
          { shape: [2, 3, 4, headDim], strides: [900, 301, 35, 1], offset: 5 },
          { shape: [2, 3, 4, headDim], strides: [600, -130, 32, 1], offset: 400 },
          { shape: [2, 3, 4, headDim], strides: [800, 260, 65, 2], offset: 1 },
        ];
        for (const layout of layouts) {
          await agree(
            JSON.stringify(layout),
            device,
            gpu,
            { positions: batched },
            { query: { data: noise(2000), ...layout } },
          );
          await agree(
            `shared positions, ${JSON.stringify(layout)}`,
            device,
            gpu,
            { positions: [7, 131071, 2] },
            { query: { data: noise(2000), ...layout } },
          );
        }
        const data = noise(3 * 8 * headDim);
        const row = 8 * headDim;
        await agree(
          "fused",
          device,
          gpu,
          { positions: [3, 4, 5] },
          {
            query: { data, shape: [3, 4, headDim], strides: [row, headDim, 1] },
            key: { data, shape: [3, 2, headDim], strides: [row, headDim, 1], offset: 4 * headDim },
          },
        );
      }
    },
  },
  {
    name: "float16 and bfloat16: every bit pattern, aligned or not, in place",
    float16: true,
    async run(device) {
      for (const dtype of ["float16", "bfloat16"] as const) {
        for (const geometry of geometries.slice(2)) {
          const { headDim } = geometry;
          using gpu = await gpuRope(device, geometry, "rows", 1);
          const view = (offset: number): View => ({
            data: bits(offset + 41 * 3 * headDim, dtype),
            shape: [41, 3, headDim],
            dtype,
            offset,
          });
          await agree(
            `${dtype}, ${label(geometry)}`,
            device,
            gpu,
            { positions: positionsOf(41) },
            { query: view(0), key: view(2) },
          );
          // Eight at a time, where the geometry admits it; and, to out of the other type, copies of what is not
          // rotated.
          const other = dtype === "float16" ? "bfloat16" : "float16";
          const out: View = { data: bits(41 * 3 * headDim, other), shape: [41, 3, headDim], dtype: other };
          await agree(
            `${dtype} aligned and to ${other}, ${label(geometry)}`,
            device,
            gpu,
            { positions: positionsOf(41) },
            { query: view(8), key: view(0), out: { key: out } },
          );
          await agree(
            `${dtype} at an odd offset, ${label(geometry)}`,
            device,
            gpu,
            { positions: positionsOf(41) },
            { query: view(1) },
          );
        }
      }
    },
  },
  {
    name: "a fused write: float32 keys into a slot of a head-first 16-bit cache, and back into float32",
    float16: true,
    async run(device) {
      for (const geometry of [geometries[0]!, geometries[3]!, geometries[8]!]) {
        const { headDim } = geometry;
        using gpu = await gpuRope(device, geometry);
        const [tokens, heads, room] = [6, 2, 40];
        const slot = { shape: [tokens, heads, headDim], strides: [headDim, room * headDim, 1], offset: 17 * headDim };
        for (const dtype of ["float16", "bfloat16"] as const) {
          const cache: View = { data: bits(heads * room * headDim, dtype), dtype, ...slot };
          await agree(
            `${dtype} cache, ${label(geometry)}`,
            device,
            gpu,
            { positions: positionsOf(tokens) },
            { query: float([tokens, 3, headDim]), key: float([tokens, heads, headDim]), out: { key: cache } },
          );
          const narrow = dtype === "float16" ? toFloat16 : toBfloat16;
          const key: View = {
            data: Uint16Array.from(noise(tokens * heads * headDim), narrow),
            shape: [tokens, heads, headDim],
            dtype,
          };
          await agree(
            `${dtype} to float32, ${label(geometry)}`,
            device,
            gpu,
            { positions: positionsOf(tokens) },
            { key, out: { key: { data: noise(heads * room * headDim, 5), ...slot } } },
          );
        }
      }
    },
  },
  {
    name: "rounding to 16 bits is to the nearest, ties to even, and overflows to infinity",
    float16: true,
    async run(device) {
      const special = [
        0,
        -0,
        1,
        65504,
        65519.996,
        65520,
        1e9,
        -1e9,
        2 ** -24,
        2 ** -25,
        2 ** -25 * 1.0001,
        3 * 2 ** -25,
        2 ** -14,
        2 ** -14 * 0.9999,
        1 + 2 ** -11,
        1 + 3 * 2 ** -11,
        1 + 2 ** -8,
        1 + 3 * 2 ** -8,
        3.3895314e38,
        3.4e38,
      ];
      const values = [...special, ...noise(236, 7)];
      // Angle 0 and amplitude 1: x cos - y sin is x itself, so nothing but the rounding is seen.
      using gpu = await gpuRope(device, { headDim: 4, pairing: "half" }, "rows", 1);
      const shape = [values.length / 4, 1, 4];
      const positions = values.slice(0, shape[0]).map(() => 0);
      for (const dtype of ["float16", "bfloat16"] as const) {
        for (const offset of [0, 1]) {
          const tensors = (data: View["data"]): Tensors => ({
            key: { data: Float32Array.from(values), shape },
            out: { key: { data, shape, dtype, offset } },
          });
          const got = await rotatedOnDevice(device, gpu, { positions }, tensors(new Uint16Array(values.length + 1)));
          const round = dtype === "float16" ? toFloat16 : toBfloat16;
          values.forEach((value, i) => {
            const [bits, expected] = [got.out!.key!.data[i + offset]!, round(Math.fround(value))];
            // The sum of products may turn -0 into 0.
            ensure(
              bits === expected || (value === 0 && (bits & 0x7fff) === 0),
              `${dtype} of ${value}: bits ${bits}, expected ${expected}`,
            );
          });
        }
      }
    },
  },
  {
    name: "an output in the buffer of its input, beside it; overlapping ones are refused",
    async run(device) {
      using gpu = await gpuRope(device, { headDim: 16, pairing: "half" });
      const data = noise(3 * 2 * 16 * 2);
      const [first, second] = [
        { data, shape: [3, 2, 16] },
        { data, shape: [3, 2, 16], offset: 96 },
      ];
      await agree("beside", device, gpu, { positions: [1, 2, 3] }, { key: first, out: { key: second } });
      const placed = onDevice(device, { query: first, key: { ...first, offset: 90 } });
      const encoder = device.createCommandEncoder();
      await refused("ROPE_SHAPE", () => gpu.encode(encoder, { positions: [1, 2, 3], ...placed.tensors }));
      const { query } = placed.tensors;
      await refused("ROPE_SHAPE", () =>
        gpu.encode(encoder, { positions: [1, 2, 3], query, out: { query: { ...query!, offset: 4 } } }),
      );
      placed.destroy();
    },
  },
  {
    name: "invert undoes apply, adjoint keeps the amplitude",
    async run(device) {
      for (const operation of ["invert", "adjoint"] as const) {
        using gpu = await gpuRope(device, { headDim: 64, pairing: "half" });
        await agree(operation, device, gpu, { positions: positionsOf(4), operation }, { query: float([4, 2, 64]) });
      }
    },
  },
  {
    name: "one step on the device serves every layer",
    async run(device) {
      using gpu = await gpuRope(device, { headDim: 64, pairing: "adjacent" });
      using step = gpu.at(positionsOf(4));
      const layers = [float([4, 2, 64], 1), float([4, 3, 64], 2)].map((query) => ({ query }));
      const placed = layers.map((layer) => onDevice(device, copyOf(layer)));
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (const { tensors } of placed) step.encode(pass, tensors);
      pass.end();
      device.queue.submit([encoder.finish()]);
      for (const [i, layer] of layers.entries()) {
        const got = copyOf(layer);
        const expected = copyOf(layer);
        gpu.rope.apply({ positions: positionsOf(4), query: expected.query! });
        const source = placed[i]!;
        await source.read();
        const alone = await rotatedOnDevice(device, gpu, { positions: positionsOf(4) }, got);
        compare(`layer ${i}`, alone, expected);
      }
      await gpu.check();
    },
  },
  {
    name: "a step inverts and transposes at the positions that it was made with",
    async run(device) {
      using gpu = await gpuRope(device, { headDim: 64, pairing: "half" });
      const positions = positionsOf(4);
      const list = [...(positions as number[])];
      using step = gpu.at(list);
      list.fill(0);
      for (const operation of ["adjoint", "invert", "apply", "invert"] as const) {
        const got = copyOf({ query: float([4, 2, 64]) });
        const expected = copyOf({ query: float([4, 2, 64]) });
        gpu.rope[operation]({ positions, query: expected.query! });
        const placed = onDevice(device, got);
        const encoder = device.createCommandEncoder();
        step.encode(encoder, { ...placed.tensors, operation });
        device.queue.submit([encoder.finish()]);
        await placed.read();
        compare(operation, got, expected);
        placed.destroy();
      }
      await gpu.check();
    },
  },
  {
    name: "positions in a buffer: every integer type, batches, an offset, tables that grow",
    async run(device) {
      using gpu = await gpuRope(device, { headDim: 64, rotaryDim: 32, rotaryOffset: 8, pairing: "half" });
      for (const length of [200, 700, 5000]) {
        const values = [0, 1, length - 1, 127, 199, 5, 6, 7];
        for (const dtype of ["uint32", "int32", "int64"] as const) {
          const words =
            dtype === "int64"
              ? BigInt64Array.from([9n, 9n, 9n, ...values.map(BigInt)])
              : Uint32Array.from([9, 9, 9, ...values]);
          const buffer = bufferOf(device, words);
          const tensors: Tensors = {
            query: float([2, 4, 3, 64]),
            key: float([2, 4, 1, 64]),
            out: { key: { data: new Uint16Array(2 * 4 * 64), shape: [2, 4, 1, 64], dtype: "bfloat16" } },
          };
          for (const operation of ["apply", "invert", "adjoint"] as const) {
            const got = await rotatedOnDevice(
              device,
              gpu,
              { positions: { buffer, shape: [2, 4], offset: 3, dtype }, length, operation },
              tensors,
            );
            const expected = copyOf(tensors);
            gpu.rope[operation]({ positions: { data: values, shape: [2, 4] }, ...(expected as object) });
            compare(`${dtype} ${operation} length ${length}`, got, expected);
          }
          buffer.destroy();
        }
      }
    },
  },
  {
    name: "positions out of range in a buffer: those tokens pass, check says how many and which",
    async run(device) {
      for (const pairing of ["half", "adjacent"] as const) {
        using gpu = await gpuRope(device, { headDim: 16, rotaryDim: 8, pairing });
        for (const [dtype, words, bad] of [
          ["uint32", Uint32Array.from([3, 100, 5, 4294967295]), 2],
          ["int32", Int32Array.from([3, -1, 5, 100]), 2],
          ["int64", BigInt64Array.from([3n, 2n ** 32n + 5n, 5n, -1n]), 2],
        ] as const) {
          const buffer = bufferOf(device, words);
          const tensors: Tensors = {
            query: float([4, 2, 16]),
            key: float([4, 1, 16]),
            out: { key: { data: new Uint16Array(64), shape: [4, 1, 16], dtype: "float16" } },
          };
          const got = copyOf(tensors);
          const placed = onDevice(device, got);
          const encoder = device.createCommandEncoder();
          gpu.encode(encoder, { positions: { buffer, shape: [4], dtype }, length: 100, ...placed.tensors });
          device.queue.submit([encoder.finish()]);
          await placed.read();
          let message = "";
          await gpu
            .check()
            .catch(
              (error) =>
                (message =
                  RopeError.is(error) && error.code === "ROPE_POSITION_RANGE"
                    ? `${error.facts["count"]} from ${error.facts["index"]}`
                    : String(error)),
            );
          ensure(message === `${bad} from 1`, `${dtype}: ${message}`);
          await gpu.check();
          const expected = copyOf(tensors);
          // The good tokens as ever; the others as a rope that turns nothing would have them.
          const still = getRopeUntyped(
            {
              headDim: 16,
              rotaryDim: 8,
              pairing,
              parameters: { ropeType: "plain", amplitude: 1 } as { ropeType: string },
            },
            { registry },
          );
          for (const token of [0, 1, 2, 3]) {
            const at = (view: View): View => ({
              ...view,
              shape: [1, view.shape[1]!, 16],
              offset: token * view.shape[1]! * 16,
            });
            const one = { query: at(expected.query!), key: at(expected.key!), out: { key: at(expected.out!.key!) } };
            const good = token % 2 === 0;
            (good ? gpu.rope : still).apply({ positions: [good ? token + 3 : 0], ...(one as object) });
          }
          compare(`${dtype} ${pairing}`, got, expected);
          placed.destroy();
          buffer.destroy();
        }
      }
    },
  },
  {
    name: "several axes: sections, cycles and any other order, positions from the host and from a buffer",
    async run(device) {
      const orders = [
        Array.from({ length: 16 }, (_, i) => (i < 4 ? 0 : i < 10 ? 1 : 2)),
        Array.from({ length: 16 }, (_, i) => i % 3),
        Array.from({ length: 16 }, (_, i) => [2, 0, 1, 1][(i * 7) % 4]!),
      ];
      for (const axes of orders) {
        for (const pairing of ["half", "adjacent", { blocks: 2 }] as const) {
          for (const tables of ["rows", "factored"] as const) {
            using gpu = await gpuRope(device, { headDim: 40, rotaryDim: 32, axes, pairing }, tables);
            const values = [...[0, 1, 2, 900], ...[5, 0, 77, 3], ...[999, 12, 0, 1]];
            const positions = { data: values, shape: [3, 4] };
            const tensors: Tensors = { query: float([4, 2, 40]) };
            await agree(`${axes} ${JSON.stringify(pairing)}`, device, gpu, { positions }, tensors);
            const buffer = bufferOf(device, Uint32Array.from(values));
            const got = await rotatedOnDevice(
              device,
              gpu,
              { positions: { buffer, shape: [3, 4] }, length: 1000 },
              tensors,
            );
            const expected = copyOf(tensors);
            gpu.rope.apply({ positions, ...(expected as object) });
            compare(`${axes} ${JSON.stringify(pairing)} ${tables} buffer`, got, expected);
            buffer.destroy();
          }
        }
      }
    },
  },
  {
    name: "the factored table: angles as both precisions round them, up to position 2^24",
    async run(device) {
      for (const precision of ["float32", "float64"] as const) {
        using gpu = await gpuRope(device, { headDim: 128, pairing: "half", precision }, "factored", 1);
        const values = [
          ...positionsOf(64),
          1023,
          1024,
          1025,
          2 ** 20 - 1,
          2 ** 22 + 12345,
          2 ** 23 + 1,
          2 ** 24 - 1,
          2 ** 24,
        ];
        const buffer = bufferOf(device, Uint32Array.from(values));
        const tensors: Tensors = { query: float([values.length, 1, 128]) };
        const got = await rotatedOnDevice(
          device,
          gpu,
          { positions: { buffer, shape: [values.length] }, length: 2 ** 24 + 1 },
          tensors,
        );
        const expected = copyOf(tensors);
        gpu.rope.apply({ positions: values, ...(expected as object) });
        compare(precision, got, expected);
        buffer.destroy();
      }
    },
  },
  {
    name: "heads that share cos and sin of the factored table: long contexts, in place and to out, some positions out of range",
    async run(device) {
      // Few heads of few elements, so many tokens: the number of invocations decides how many heads share.
      for (const { headDim, rotaryDim, heads, tokens, dtype, pairing } of [
        { headDim: 16, rotaryDim: 16, heads: [8, 8], tokens: 8200, dtype: "float32", pairing: "adjacent" },
        { headDim: 24, rotaryDim: 16, heads: [16, 4], tokens: 5000, dtype: "float32", pairing: "adjacent" },
        { headDim: 24, rotaryDim: 16, heads: [8, 8], tokens: 16400, dtype: "bfloat16", pairing: "half" },
        { headDim: 16, rotaryDim: 16, heads: [6, 2], tokens: 8300, dtype: "float16", pairing: "adjacent" },
      ] as const) {
        using gpu = await gpuRope(device, { headDim, rotaryDim, pairing }, "factored");
        const values = Array.from({ length: tokens }, (_, t) => (t * 104729) % 1048576);
        const wrong = [3, tokens - 2];
        const buffer = bufferOf(
          device,
          Uint32Array.from(values, (value, t) => (wrong.includes(t) ? 1048576 : value)),
        );
        const view = (count: number, seed: number): View => {
          const shape = [tokens, count, headDim];
          const { data } = float(shape, seed);
          return dtype === "float32"
            ? { data, shape }
            : { data: Uint16Array.from(data, dtype === "float16" ? toFloat16 : toBfloat16), shape, dtype };
        };
        const tensors: Tensors = { query: view(heads[0], 1), key: view(heads[1], 2), out: { key: view(heads[1], 3) } };
        const got = copyOf(tensors);
        const encoder = device.createCommandEncoder();
        const own = onDevice(device, got);
        gpu.encode(encoder, { positions: { buffer, shape: [tokens] }, length: 1048576, ...own.tensors });
        device.queue.submit([encoder.finish()]);
        await own.read();
        let message = "";
        await gpu
          .check()
          .catch(
            (error) =>
              (message =
                RopeError.is(error) && error.code === "ROPE_POSITION_RANGE"
                  ? `${error.facts["count"]} from ${error.facts["index"]}`
                  : String(error)),
          );
        ensure(message === "2 from 3", message);
        const expected = copyOf(tensors);
        gpu.rope.apply({ positions: values, ...(expected as object) });
        // Tokens without a row pass as they are.
        for (const t of wrong) {
          for (const [to, from] of [
            [expected.query!, tensors.query!],
            [expected.out!.key!, tensors.key!],
          ] as const) {
            const row = from.shape[1]! * headDim;
            to.data.set(from.data.subarray(t * row, (t + 1) * row), t * row);
          }
        }
        // cos and sin are within 1.2e-7 of those of JavaScript, which for small results is more than their last bit.
        compare(`${dtype}, ${JSON.stringify(pairing)}, ${heads} heads`, got, expected, 1e-6);
        own.destroy();
        buffer.destroy();
      }
    },
  },
  {
    name: "a dispatch beyond the limit of workgroups is folded",
    async run(device) {
      // The same device, which says that a row of workgroups may have three.
      const limits = new Proxy(device.limits, {
        get: (target, name) => (name === "maxComputeWorkgroupsPerDimension" ? 3 : Reflect.get(target, name, target)),
      });
      const narrow = new Proxy(device, {
        get(target, name) {
          if (name === "limits") return limits;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? (value as () => unknown).bind(target) : value;
        },
      });
      using gpu = await gpuRope(narrow, { headDim: 2, pairing: "half" });
      for (const tokens of [768, 769, 2300]) {
        await agree(
          `${tokens} tokens`,
          device,
          gpu,
          { positions: { start: 0, count: tokens } },
          { query: float([tokens, 1, 2]) },
        );
      }
      await refused("ROPE_UNSUPPORTED", () =>
        gpu.prepare({
          positions: { start: 0, count: 2305 },
          ...onDevice(device, { query: float([2305, 1, 2]) }).tensors,
        }),
      );
    },
  },
];
