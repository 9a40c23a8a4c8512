/**
 * The pass from projection to cache: the whole text of its kernels, mistakes in them that its tests see, and
 * transformers' own attention modules.
 */

import { ropesFromConfig } from "@ropewalk/config";
import type { RmsNorm } from "@ropewalk/core";
import { bytes, fixtures } from "@ropewalk/goldens";
import type { PassFixture } from "@ropewalk/goldens";
import { afterAll, describe, expect, test } from "vitest";
import "./golden-body.ts";
import { newDevice } from "./node-device.ts";
import { passCases, passRope, placeOnDevice, runOnDevice, scene, tensor, agree } from "./pass-body.ts";
import type { Call, Head, View } from "./pass-body.ts";
import { expectSeen } from "./planted.ts";

const device = await newDevice();
afterAll(() => device.destroy());

const weight = (length: number): Float32Array => new Float32Array(length).fill(1);
const cache = (heads: number, headDim: number, dtype: NonNullable<View["dtype"]>): View => ({
  ...tensor(16, heads, headDim, dtype as "int8"),
  shape: [4, 4, heads, headDim],
});
const slots = [5, -1, 0];

const kernels: Readonly<Record<string, { readonly head: Head; readonly call: Call; readonly hidden?: boolean }>> = {
  "norm of heads, half, into slots of a bfloat16 cache": {
    head: { headDim: 128, pairing: "half" },
    call: {
      query: tensor(3, 4, 128),
      key: tensor(3, 2, 128),
      value: tensor(3, 2, 128),
      norm: { query: { epsilon: 1e-6, weight: weight(128) }, key: { epsilon: 1e-6, weight: weight(128) } },
      out: {
        key: { cache: cache(2, 128, "bfloat16"), slots },
        value: { cache: cache(2, 128, "bfloat16"), slots },
      },
    },
  },
  "norm of all heads, adjacent, a slice, factors of queries": {
    head: { headDim: 80, rotaryDim: 32, rotaryOffset: 16, pairing: "adjacent" },
    call: {
      query: tensor(3, 32, 80, "float16"),
      norm: { query: { epsilon: 1e-6, weight: weight(32 * 80), over: "heads" } },
      queryScale: true,
    },
  },
  "norm after the rotation, keys in groups, into int8 and float8 by slots of the device": {
    head: { headDim: 64, pairing: { blocks: 2 } },
    hidden: true,
    call: {
      key: {
        ...tensor(3, 4, 64),
        data: new Float32Array(3 * 8 * 64),
        strides: [512, 64, 1],
        groups: { heads: 2, stride: 256 },
      },
      value: tensor(3, 4, 64),
      norm: { key: { epsilon: 1e-6, weight: weight(64), when: "after" } },
      out: {
        key: { cache: cache(4, 64, "int8"), slots },
        value: { cache: cache(4, 64, "float8_e4m3"), slots },
      },
    },
  },
  "pairs across chunks, elements without alignment": {
    head: { headDim: 22, rotaryDim: 14, rotaryOffset: 3, pairing: "half" },
    call: {
      query: tensor(3, 2, 22),
      norm: { query: { epsilon: 0 } },
      out: { query: tensor(3, 2, 22, "bfloat16") },
    },
  },
};

test.each(Object.entries(kernels))("text: %s", async (name, { head, call, hidden = false }) => {
  let text = "";
  const reader = new Proxy(device, {
    get(target, property) {
      if (property === "createShaderModule") {
        return (descriptor: GPUShaderModuleDescriptor) => {
          text = descriptor.code;
          throw new Error("read, not compiled");
        };
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
  using gpu = await passRope(reader, head);
  const placed = placeOnDevice(device, call, { hidden });
  expect(() => gpu.encode(device.createCommandEncoder(), { positions: [1, 2, 3], ...placed.tensors })).toThrow("read");
  placed.destroy();
  await expect(text).toMatchFileSnapshot(`kernels/pass-${name.replaceAll(/[^a-z0-9]+/gi, "-")}.wgsl`);
});

describe("a mistake in a kernel fails the body", () => {
  test.each([
    {
      mistake: "the sum of squares is one element short",
      find: /dot\(value, value\)/g,
      replacement: "(dot(value, value) - select(0.0, value.w * value.w, lane == 15u))",
      cases: ["pass: packed"],
    },
    {
      mistake: "the sum misses half of the invocations",
      find: /half > 0u/g,
      replacement: "half > 1u",
      cases: ["pass: packed"],
    },
    {
      mistake: "a slot off by one",
      find: /let key_out_slot = ([^;]*);/,
      replacement: "let key_out_slot = ($1) ^ 1u;",
      cases: ["pass: slots"],
    },
    {
      mistake: "the slot behind the last is taken for one of the cache",
      find: /key_out_slot >= call\.key_out_limit/,
      replacement: "key_out_slot > call.key_out_limit",
      cases: ["pass: slots"],
    },
    {
      mistake: "the weight of another head",
      find: /call\.query_weight \+ head \* 64u/,
      replacement: "call.query_weight + (head + 1u) % 21u * 64u",
      cases: ["pass: a norm over more heads"],
    },
    {
      mistake: "the last head of the second round is left out",
      find: /k < 2u/,
      replacement: "k < 1u",
      cases: ["pass: a norm over more heads"],
    },
    {
      mistake: "the weight is applied before the rotation instead of after it",
      find: /(\n {2}if \(live && i >= 16u[^}]*\}\n)( {2}let factor[^\n]*\n {2}value = value \* factor) \* (bitcast[^;]*);/,
      replacement: "\n  value = value * $3;$1$2;",
      cases: ["pass: norm, rotation"],
    },
    {
      mistake: "the factor of queries of another token",
      find: /call\.query_factors \+ row/g,
      replacement: "call.query_factors",
      cases: ["pass: a step"],
    },
    {
      mistake: "the heads of a group lie where the groups do",
      find: /h % call\.query_group_heads \* call\.query_head/,
      replacement: "h % call.query_group_heads * call.query_group",
      cases: ["pass: packed"],
    },
    {
      mistake: "the scale of int8 is that of 128 steps",
      find: /\/ 127\.0/,
      replacement: "/ 128.0",
      cases: ["pass: values of another"],
    },
    {
      mistake: "float8 is cut off, not rounded",
      find: / \+ Words\(0x7ffffu\) \+ \(\(size >> Words\(20u\)\) & Words\(1u\)\)/,
      replacement: "",
      cases: ["pass: rounding to 8 bits"],
    },
    {
      mistake: "int8 is cut off, not rounded",
      find: /vec4<i32>\(round\(/,
      replacement: "vec4<i32>(trunc(",
      cases: ["pass: rounding to 8 bits"],
    },
    {
      mistake: "a token whose position is out of range is written",
      find: /(atomicMax\(&faults\[1\], ~row\); \}\n) {4}live = false;/,
      replacement: "$1",
      cases: ["pass: positions in a buffer"],
    },
  ])("$mistake", (mistake) => expectSeen(device, mistake, passCases));
});

const floats = ({ data }: { readonly data: string }): Float32Array<ArrayBuffer> => new Float32Array(bytes(data).buffer);
const names = ["query", "key", "value"] as const;

/** The call of a fixture: its projections, perhaps packed, and its norms. */
function callOf(fixture: PassFixture, hasFactors: boolean): Call {
  const { model, projections, headDim, positions, norms } = fixture;
  const counts = { query: fixture.query.shape[1]!, key: fixture.key.shape[1]!, value: fixture.key.shape[1]! };
  const packed = projections.packed && floats(projections.packed);
  const width = (projections.packed?.shape[1] ?? 0) as number;
  // GPT-NeoX has query, key and value of a head beside each other.
  const isByHead = model === "GPTNeoXForCausalLM";
  const [tensors, out]: Record<string, View>[] = [{}, {}];
  const norm: Record<string, RmsNorm> = {};
  let offset = 0;
  for (const name of names) {
    const shape = [positions.length, counts[name], headDim];
    tensors![name] =
      packed === undefined
        ? { data: floats(projections[name]!), shape }
        : { data: packed, shape, strides: [width, isByHead ? 3 * headDim : headDim, 1], offset };
    offset += isByHead ? headDim : counts[name] * headDim;
    out![name] = { data: new Float32Array(positions.length * counts[name] * headDim), shape };
    if (norms[name] === undefined) continue;
    const { weight: values, weightOffset, ...settings } = norms[name];
    norm[name] = { ...settings, ...(values && { weight: Float32Array.from(values), weightOffset }) };
  }
  return { ...tensors, norm, out: out!, ...(hasFactors && { queryScale: true }) };
}

test.each(fixtures("pass").map((fixture) => [fixture.model, fixture] as const))(
  "%s of transformers, in one dispatch",
  async (_, fixture) => {
    const js = ropesFromConfig(fixture.config).forLayer(0)!;
    using gpu = await js.to("webgpu", { device });
    const positions = [...fixture.positions];
    const call = callOf(fixture, js.at(positions).queryScale !== null);
    expect((await runOnDevice(device, gpu, { positions }, call)).dispatches).toBe(1);
    for (const name of names) {
      const expected = floats(fixture[name]);
      const { data } = call.out![name] as View;
      const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      expected.forEach((x, i) => {
        // As in JavaScript: float32 with another order of sums.
        expect(Math.abs(data[i]! - x), `${name}[${i}]`).toBeLessThan(largest * 2 ** -20);
      });
    }
  },
);

// A kernel for each, so there is one; after a change of the kernel more, by hand: ROPEWALK_PASS_SCENES=200.
test("random calls", { timeout: 0 }, async () => {
  for (let seed = 1000; seed < 1000 + Number(process.env["ROPEWALK_PASS_SCENES"] ?? 1); seed++) {
    const { head, tokens, call, hidden } = scene(seed);
    using gpu = await passRope(device, head);
    await agree(`scene ${seed}`, device, gpu, { positions: { start: 3, count: tokens } }, call, {
      hidden,
      shared: true,
    });
  }
});
