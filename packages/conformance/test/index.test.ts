import { conformance } from "@ropewalk/conformance";
import type { RopeUnderTest } from "@ropewalk/conformance";
import type { RopeProvider, RotaryEmbedding } from "@ropewalk/core";
import { rotateTask } from "@ropewalk/core/backend";
import { inverseFrequencies } from "@ropewalk/core/math";
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { ExampleProvider, cases, changed, failing, outcomes, registryWith } from "./fixture.ts";

const messages = (results: Awaited<ReturnType<typeof outcomes>>): string[] =>
  results.flatMap(({ name, error }) => (error === undefined ? [] : [`${name}: ${error.message}`]));

// The suite run for real, on the runner that runs this file.
conformance(test, {
  provider: ExampleProvider,
  cases: [{ name: "as a class", request: { headDim: 6, parameters: { factor: 3 } } }],
});

test.each<[string, Partial<RopeProvider<any>>]>([
  [
    "three position axes",
    {
      capabilities: { axisCount: 3 },
      frequencies: ({ base, rotaryDim, array }, { factor, gain }) => ({
        invFreq: inverseFrequencies(base, rotaryDim, array).map((frequency) => array.divide(frequency, factor)),
        attentionFactor: gain,
        rules: [{ name: "attentionFactor", value: gain, rule: "given" }],
        axes: Array.from({ length: rotaryDim / 2 }, (_, pair) => pair % 3),
      }),
    },
  ],
  ["fractional and negative positions", { capabilities: { fractionalPositions: true } }],
  [
    "frequencies that depend on the length, in steps of 4096",
    {
      capabilities: { dependsOnLength: true },
      effectiveLength: (length) => Math.max(4096, Math.ceil(length / 4096) * 4096),
      frequencies: ({ base, rotaryDim, array, length }, { factor, gain }) => ({
        invFreq: inverseFrequencies(base, rotaryDim, array).map((frequency) =>
          array.divide(frequency, array.multiply(factor, length! / 4096)),
        ),
        attentionFactor: gain,
        rules: [{ name: "attentionFactor", value: gain, rule: "given" }],
      }),
    },
  ],
  ["no shift", { capabilities: { canShift: false } }],
  ["no rotation, tested only for its declared features", { capabilities: { isRotation: false } }],
])("a sound provider with %s passes", async (_name, members) => {
  expect(messages(await outcomes({ provider: changed(members), cases }))).toEqual([]);
});

test("a rope whose methods return promises is tested like any other", async () => {
  const slow = (rope: RotaryEmbedding): RopeUnderTest => {
    const { spec, capabilities, positionLimit, attentionFactor } = rope;
    return {
      spec,
      capabilities,
      positionLimit,
      attentionFactor,
      frequencies: (length) => rope.frequencies(length),
      apply: async (tensors) => rope.apply(tensors),
      invert: async (tensors) => rope.invert(tensors),
      adjoint: async (tensors) => rope.adjoint(tensors),
      shift: async (tensors) => rope.shift(tensors),
      cosSin: async (positions, options) => rope.cosSin(positions, options),
      at: async (positions, options) => {
        const step = rope.at(positions, options);
        return { ...step, apply: async (tensors) => step.apply(tensors) };
      },
    };
  };
  const backend = { name: "planted", adapt: slow };
  expect(
    messages(await outcomes({ ropeType: "example", registry: registryWith(new ExampleProvider()), cases, backend })),
  ).toEqual([]);
});

test("a backend that fuses multiplication and addition passes only as not bit-exact", async () => {
  // Of contiguous float32 data in place: x·c − y·s with the first product unrounded, as a fused multiply-add has it.
  const fused = registryWith(new ExampleProvider(), (tasks) => {
    for (const task of tasks) {
      const {
        input: { batch, tokens, heads, headDim, dtype, data },
        table,
        rotaryDim,
        rotaryOffset,
        blocks,
      } = task;
      const dense =
        dtype === "float32" &&
        data === task.output.data &&
        data.length === batch * tokens * heads * headDim &&
        task.input.tokenStride === heads * headDim;
      const before = Float64Array.from(dense ? data : []);
      rotateTask(task);
      const pairs = rotaryDim / 2;
      const width = pairs / blocks;
      for (
        let at = rotaryOffset, token = 0;
        at < before.length;
        at += headDim, token = Math.floor(at / (heads * headDim))
      ) {
        for (let i = 0; i < pairs; i++) {
          const row = (table.batched ? token : token % tokens) * pairs + i;
          const first = at + 2 * (i - (i % width)) + (i % width);
          const [x, y] = [before[first]!, before[first + width]!];
          data[first] = x * table.cos[row]! - Math.fround(y * table.sin[row]!);
          data[first + width] = y * table.cos[row]! + Math.fround(x * table.sin[row]!);
        }
      }
    }
  });
  const run = (bitExact: boolean) =>
    outcomes({
      ropeType: "example",
      registry: fused,
      cases,
      backend: { name: "planted", bitExact },
      only: ["backend"],
    });
  expect(failing(await run(true))).toEqual(["equals JavaScript in every layout and element type"]);
  expect(messages(await run(false))).toEqual([]);
});

test("tests are named by type, case and law, each once, and messages say variant and seed", async () => {
  const sinus = registryWith(new ExampleProvider(), (tasks) =>
    tasks.forEach((task) =>
      rotateTask({ ...task, table: { ...task.table, sin: task.table.sin.map((value) => -value) } }),
    ),
  );
  const results = await outcomes({
    ropeType: "example",
    registry: sinus,
    cases,
    backend: { name: "planted" },
    only: ["rotation"],
    seed: 42,
  });
  expect(new Set(results.map(({ name }) => name)).size).toBe(results.length);
  expect(results[0]!.name).toBe(
    "example on planted (gain) turns each pair by position × frequency and scales it by the attention factor",
  );
  expect(results[0]!.error!.message).toMatch(
    /^float32 pair 0 at position row 1, "half" pairs, float32 angles, all 8 elements \(gain, seed 42\): expected \(.+\) ± \S+, got \(.+\)\.\nCompare the backend's result of this task with that of rotateTask .+$/,
  );
});

test("only and skip choose groups", async () => {
  const all = await outcomes({ provider: ExampleProvider, cases });
  const part = await outcomes({ provider: ExampleProvider, cases, only: ["registration", "tables"], skip: ["tables"] });
  expect(part.map(({ law }) => law)).toEqual([
    "names its package and version, and a contract that core knows",
    "registers twice from the same source without effect, and never over another source",
  ]);
  expect((await outcomes({ provider: ExampleProvider, cases, skip: ["registration"] })).length).toBe(all.length - 2);
});

test("the same seed gives the same data, another seed other data", async () => {
  const run = async (seed: number) =>
    messages(
      await outcomes({
        ropeType: "example",
        registry: registryWith(new ExampleProvider(), () => {}),
        cases,
        backend: { name: "planted" },
        only: ["backend"],
        seed,
      }),
    )[0]!;
  expect(await run(7)).toBe(await run(7));
  expect((await run(7)).replace("seed 7", "")).not.toBe((await run(8)).replace("seed 8", ""));
});

test("a request that the type refuses fails its tests, not their definition", async () => {
  const results = await outcomes({
    provider: ExampleProvider,
    cases: [{ name: "bad", request: { headDim: 7, parameters: { factor: 2 } } }],
    only: ["rotation"],
  });
  expect(
    results.every(
      ({ error }) => error?.message.includes("headDim") === true || error?.message.includes("rotaryDim") === true,
    ),
  ).toBe(true);
});

test("runs under node:test", () => {
  const program = `
    import { conformance } from "@ropewalk/conformance";
    import { test } from "node:test";
    const source = "rope-plain@1.0.0";
    const frequencies = ({ rotaryDim }) => ({ invFreq: Array.from({ length: rotaryDim / 2 }, (_, i) => 2 ** -i) });
    conformance(test, { provider: { specificationVersion: 1, source, parameters: {}, frequencies }, cases: [{ name: "4", request: { headDim: 4 } }], only: ["registration", "tables"] });
  `;
  const output = execFileSync(process.execPath, ["--test-reporter=tap", "--input-type=module", "--eval", program], {
    cwd: new URL("..", import.meta.url),
    encoding: "utf8",
  });
  expect(output).toMatch(/# pass 9\n# fail 0/);
});
