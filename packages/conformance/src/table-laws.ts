/**
 * cos and sin: their values and forms. Neither a caller's writes nor the order of calls may change them.
 */

import type { CosSin, ElementArray, RotaryEmbedding } from "@ropewalk/core";
import { fromBfloat16, fromFloat16 } from "@ropewalk/core/math";
import { equal, fail, isFar, isTrue, sameBits, sameData, throwsCode } from "./assert.ts";
import type { Law } from "./law.ts";
import { anglesOf, pairsOf } from "./numbers.ts";
import { admitted, lengthFor, probeSpots, testPositionsOf } from "./test-positions.ts";
import type { TestPositions } from "./test-positions.ts";
import { elementTypes, roundTo } from "./tensors.ts";

const wordsOf = (array: ElementArray): Uint16Array | Uint32Array =>
  array.BYTES_PER_ELEMENT === 2
    ? new Uint16Array(array.buffer, array.byteOffset, array.length)
    : new Uint32Array(array.buffer, array.byteOffset, array.byteLength / 4);

function sameTables(got: CosSin, expected: CosSin, what: string): void {
  sameData(got.shape, expected.shape, `${what}, shape`);
  sameBits(wordsOf(got.cos), wordsOf(expected.cos), `${what}, cos`);
  sameBits(wordsOf(got.sin), wordsOf(expected.sin), `${what}, sin`);
}

const values: Law = {
  group: "tables",
  name: "has cos and sin of position × frequency, times the attention factor",
  async run(kit) {
    for (const { label, request } of kit.variants({ pairings: false, slices: false })) {
      const rope = await kit.rope(request);
      if (!rope.capabilities.isRotation) continue;
      const tested = probeSpots(rope);
      const length = lengthFor(rope, tested);
      const angles = anglesOf(rope, tested, length.length);
      const exact = rope.spec.precision === "float64";
      const { cos, sin } = await rope.cosSin(tested.positions, { dtype: "float64", ...length });
      const pairs = rope.spec.rotaryDim / 2;
      for (let row = 0; row < tested.tokens; row++) {
        for (let pair = 0; pair < pairs; pair++) {
          // float64: the reported frequency and its product with the position are each half an ulp off, cos and sin and
          // the amplitude a few more. float32: cos, the amplitude and their product round once each; 3 × 2^-24, and a
          // fourth where Math.cos lands beside a tie.
          const relative = exact ? 0 : 4 * 2 ** -24;
          const absolute = exact ? angles.amplitude * (angles.size(row, pair) * 2 ** -52 + 8 * 2 ** -53) : 2 ** -149;
          for (const [name, got, expected] of [
            ["cos", cos[row * pairs + pair]!, angles.amplitude * angles.cos(row, pair)],
            ["sin", sin[row * pairs + pair]!, angles.amplitude * angles.sin(row, pair)],
          ] as const) {
            const tolerance = absolute + relative * Math.abs(expected);
            if (isFar(got, expected, tolerance)) {
              fail(`${name} of pair ${pair} at row ${row}, ${label}`, `${expected} ± ${tolerance}`, got);
            }
          }
        }
      }
    }
  },
};

const widths: Law = {
  group: "tables",
  name: "gives half and full tables that agree, in every element type",
  async run(kit) {
    for (const { label, request } of kit.variants()) {
      const rope = await kit.rope(request);
      const { rotaryDim, rotaryOffset } = rope.spec;
      const pairs = pairsOf(rope.spec);
      for (const batch of [undefined, 2]) {
        const tested = testPositionsOf(rope, batch, 3, (row) => admitted(rope)[(2 * row) % admitted(rope).length]!);
        const rows = batch === undefined ? [3] : [2, 3];
        const single = await rope.cosSin(tested.positions);
        isTrue(
          single.cos instanceof Float32Array,
          `cosSin without dtype, ${label}`,
          "a Float32Array",
          single.cos.constructor.name,
        );
        sameData(single.shape, [...rows, rotaryDim / 2], `shape of a half table, ${label}`);
        for (const dtype of elementTypes) {
          const half = await rope.cosSin(tested.positions, { width: "half", dtype });
          const full = await rope.cosSin(tested.positions, { width: "full", dtype });
          sameData(full.shape, [...rows, rotaryDim], `shape of a full ${dtype} table, ${label}`);
          for (const name of ["cos", "sin"] as const) {
            const [narrow, wide] = [wordsOf(half[name]), wordsOf(full[name])];
            const perValue = narrow.length / half[name].length;
            for (let at = 0; at < wide.length; at++) {
              const element = Math.floor(at / perValue);
              const row = Math.floor(element / rotaryDim);
              const pair = pairs.findIndex(
                ([x, y]) => x - rotaryOffset === element % rotaryDim || y - rotaryOffset === element % rotaryDim,
              );
              const source = (row * (rotaryDim / 2) + pair) * perValue + (at % perValue);
              if (wide[at] !== narrow[source]) {
                fail(
                  `full ${dtype} ${name}, element ${element % rotaryDim} of row ${row}, ${label}`,
                  `the value of pair ${pair}`,
                  wide[at],
                );
              }
            }
            if (dtype === "float64") continue;
            // 16-bit values are the float32 values, rounded once.
            half[name].forEach((stored: number, i: number) => {
              const got =
                dtype === "float16" ? fromFloat16(stored) : dtype === "bfloat16" ? fromBfloat16(stored) : stored;
              if (!Object.is(got, roundTo(dtype, single[name][i]!))) {
                fail(`${dtype} ${name} ${i}, ${label}`, roundTo(dtype, single[name][i]!), got);
              }
            });
          }
        }
      }
    }
  },
};

const growth: Law = {
  group: "tables",
  name: "has the same bits in any order of positions",
  run(kit) {
    for (const { label, request } of kit.variants({ pairings: false, slices: false })) {
      const all = probeSpots(kit.js(request));
      const length = lengthFor(kit.js(request), all);
      const whole = kit.fresh(request).cosSin(all.positions, { dtype: "float64", ...length });
      const order = Array.from({ length: all.tokens }, (_, i) => i);
      for (const [name, rows] of [
        ["upwards", order],
        ["downwards", [...order].reverse()],
      ] as const) {
        const rope = kit.fresh(request);
        for (const row of rows) {
          const one = testPositionsOf(rope, undefined, 1, (_, axis) => all.values[axis * all.tokens + row]!);
          const table = rope.cosSin(one.positions, { dtype: "float64", ...length });
          const { length: pairs } = table.cos;
          const expected = {
            shape: [1, pairs],
            cos: whole.cos.slice(row * pairs, (row + 1) * pairs),
            sin: whole.sin.slice(row * pairs, (row + 1) * pairs),
          };
          sameTables(
            table,
            expected,
            `position row ${row} asked for ${name} one by one, against all at once, ${label}`,
          );
        }
      }
    }
  },
};

const forms: Law = {
  group: "tables",
  name: "takes positions in every form",
  async run(kit) {
    const { label, request } = kit.variants()[0]!;
    const rope = await kit.rope(request);
    const run = testPositionsOf(rope, undefined, 4, (row) => row % rope.positionLimit);
    const expected = await rope.cosSin(run.positions);
    const { axes, values: list } = run;
    const shape = axes === 1 ? [4] : [axes, 4];
    const same = async (name: string, positions: TestPositions["positions"]): Promise<void> =>
      sameTables(await rope.cosSin(positions), expected, `positions as ${name}, ${label}`);
    for (const data of [
      [...list],
      Int32Array.from(list),
      Uint32Array.from(list),
      BigInt64Array.from(list, BigInt),
      BigUint64Array.from(list, BigInt),
    ]) {
      await same(`{ data: ${data.constructor.name}, shape }`, { data, shape });
      if (axes === 1) await same(data.constructor.name, data);
    }
    if (rope.capabilities.fractionalPositions) {
      await same("{ data: Float64Array, shape }", { data: Float64Array.from(list), shape });
    }
    const spread = Int32Array.from({ length: 2 * list.length + 1 }, (_, i) => (i % 2 === 1 ? list[(i - 1) / 2]! : -1));
    await same("a strided view", { data: spread, shape, strides: axes === 1 ? [2] : [8, 2], offset: 1 });
    if (axes === 1) {
      await same("{ start, count }", { start: 0, count: 4 });
      await same("{ start: bigint, count }", { start: 0n, count: 4 });
      await same("{ start, count, step }", { start: 0, count: 4, step: 1 });
      await same("a view backwards", { data: list.toReversed(), shape, strides: [-1], offset: 3 });
      const rows = await rope.cosSin([list.slice(0, 2), list.slice(2)]);
      sameTables({ ...rows, shape: expected.shape }, expected, `nested lists, ${label}`);
    } else {
      await same(
        "nested lists, one for each axis",
        Array.from({ length: axes }, (_, axis) => list.slice(axis * 4, axis * 4 + 4)),
      );
    }
  },
};

const copies: Law = {
  group: "tables",
  name: "returns copies: a caller may write to them",
  async run(kit) {
    const { label, request } = kit.variants()[0]!;
    const rope = await kit.rope(request);
    const js = kit.js(request);
    const { positions } = probeSpots(rope);
    const before = await everything(rope, js, positions);
    const step = await rope.at(positions);
    const tables = [await rope.cosSin(positions), await rope.cosSin(positions, { width: "full" })];
    for (const array of [
      step.cos,
      step.sin,
      ...tables.flatMap(({ cos, sin }) => [cos, sin]),
      rope.frequencies().invFreq,
      rope.frequencies().axes,
    ]) {
      array.fill(7);
    }
    scribble(js.explain());
    scribble(js.frequencies());
    const after = await everything(rope, js, positions);
    for (const name of ["tables", "step"] as const) {
      sameTables(after[name], before[name], `${name} after scribbling on what was handed out, ${label}`);
    }
    sameData(after.facts, before.facts, `frequencies and explanation after scribbling, ${label}`);
  },
};

async function everything(
  rope: {
    cosSin: (positions: TestPositions["positions"]) => unknown;
    at: (positions: TestPositions["positions"]) => unknown;
  },
  js: RotaryEmbedding,
  positions: TestPositions["positions"],
) {
  const facts = JSON.parse(
    JSON.stringify({
      explanation: js.explain(),
      spec: js.spec,
      attentionFactor: js.attentionFactor,
      invFreq: Array.from(js.frequencies().invFreq),
    }),
  ) as unknown;
  // Copied at once, because the result may be the memory that the law overwrites next.
  const copy = ({ shape, cos, sin }: CosSin): CosSin => ({ shape: [...shape], cos: cos.slice(), sin: sin.slice() });
  return {
    facts,
    tables: copy((await rope.cosSin(positions)) as CosSin),
    step: copy((await rope.at(positions)) as CosSin),
  };
}

/** Overwrites everything that is not frozen, deeply. */
function scribble(value: unknown): void {
  if (ArrayBuffer.isView(value)) return void (value as unknown as Float64Array).fill(7);
  if (typeof value !== "object" || value === null) return;
  for (const key of Object.keys(value)) {
    scribble((value as Record<string, unknown>)[key]);
    Reflect.set(value, key, "scribbled");
  }
}

const reported: Law = {
  group: "tables",
  name: "explains the numbers that it uses",
  run(kit) {
    for (const { label, request } of kit.variants()) {
      const rope = kit.js(request);
      const explanation = rope.explain();
      sameData(explanation.spec, rope.spec, `spec in explain(), ${label}`);
      const { invFreq, axes, attentionFactor, softmaxScaleFactor } = rope.frequencies();
      const pairs = pairsOf(rope.spec);
      equal(explanation.pairs.length, pairs.length, `pairs in explain(), ${label}`);
      explanation.pairs.forEach((pair, i) => {
        sameData(pair.elements, pairs[i], `elements of pair ${i}, ${label}`);
        equal(pair.invFreq, invFreq[i], `invFreq of pair ${i}, ${label}`);
        equal(pair.axis, axes[i], `axis of pair ${i}, ${label}`);
        equal(pair.wavelength, (2 * Math.PI) / Math.abs(invFreq[i]!), `wavelength of pair ${i}, ${label}`);
      });
      for (const [name, value] of Object.entries({ attentionFactor, softmaxScaleFactor })) {
        const rule = explanation.rules.find((candidate) => candidate.name === name);
        equal(rule?.value, value, `the rule of ${name} in explain(), ${label}`);
        isTrue(rule !== undefined && rule.rule !== "", `the rule of ${name}, ${label}`, "a sentence", rule);
      }
    }
  },
};

const range: Law = {
  group: "tables",
  name: "refuses positions outside its range, and fractions and axes that it does not declare",
  async run(kit) {
    const { label, request } = kit.variants()[0]!;
    const rope = await kit.rope(request);
    const { axisCount, fractionalPositions, dependsOnLength } = rope.capabilities;
    const at = (position: number): TestPositions["positions"] =>
      testPositionsOf(rope, undefined, 1, () => position).positions;
    for (const position of [rope.positionLimit, 2 ** 53, Infinity, NaN, ...(fractionalPositions ? [] : [-1, 0.5])]) {
      await throwsCode(() => rope.cosSin(at(position)), "ROPE_POSITION_RANGE", `cosSin at ${position}, ${label}`);
      await throwsCode(() => rope.at(at(position)), "ROPE_POSITION_RANGE", `at(${position}), ${label}`);
    }
    await rope.cosSin(at(rope.positionLimit - 1));
    if (fractionalPositions) for (const position of [-1, 0.5, -2049.25]) await rope.cosSin(at(position));
    const wrong = axisCount === 1 ? { data: [0, 1, 2, 3], shape: [2, 2, 1] } : { data: [0, 1], shape: [2] };
    await throwsCode(
      () => rope.cosSin(wrong),
      "ROPE_SHAPE",
      `positions of ${wrong.shape.length} axes of shape for axisCount ${axisCount}, ${label}`,
    );
    const step = await rope.at(at(0));
    isTrue(
      dependsOnLength ? typeof step.effectiveLength === "number" : step.effectiveLength === null,
      `effectiveLength of a step, ${label}`,
      dependsOnLength ? "a length" : "null: dependsOnLength is not declared",
      step.effectiveLength,
    );
    isTrue(
      rope.frequencies().axes.every((axis) => axis < axisCount),
      `axes of pairs, ${label}`,
      `below axisCount ${axisCount}`,
      Array.from(rope.frequencies().axes),
    );
  },
};

export const tableLaws: readonly Law[] = [values, widths, growth, forms, copies, reported, range];
