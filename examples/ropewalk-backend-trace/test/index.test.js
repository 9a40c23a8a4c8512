/** @import { RopeProvider } from "@ropewalk/core" */
import assert from "node:assert/strict";
import { test } from "node:test";
import { conformance } from "@ropewalk/conformance";
import { RopeError, createRegistry, getRopeUntyped } from "@ropewalk/core";
import { createTrace, traceBackend } from "ropewalk-backend-trace";
import suite from "../conformance.mjs";

/**
 * A rope type with an amplitude, by hand. A backend never learns which type it rotates, so one is enough.
 *
 * @type {RopeProvider<{ readonly amplitude: number }>}
 */
const plain = {
  specificationVersion: 1,
  source: "plain-test@1.0.0",
  parameters: { amplitude: { type: "number", default: 1.138, description: "of cos and sin; any but 1" } },
  frequencies: ({ rotaryDim, array }, { amplitude }) => ({
    invFreq: Array.from({ length: rotaryDim / 2 }, (_, pair) => array.power(4, -pair)),
    attentionFactor: amplitude,
  }),
};

// The laws of rotary position embedding, and: the same bits as core's JavaScript.
const registry = createRegistry();
registry.register("plain", plain);
registry.registerBackend(traceBackend);
conformance(test, { ropeType: "plain", registry, ...suite, only: ["rotation", "memory", "backend"] });

/** A traced rope with heads of 8, of which 4 elements are rotated. */
function traced() {
  const trace = createTrace();
  const parameters = { ropeType: "plain", amplitude: 1 };
  const rope = getRopeUntyped({ headDim: 8, rotaryDim: 4, parameters }, { provider: plain }).to("trace", {
    trace,
    label: "layer 0",
  });
  return { trace, rope };
}

/** @param {number} length */
const numbers = (length) => Float32Array.from({ length }, (_, i) => i + 1);

test("a record says what was read and written, and where", () => {
  const { trace, rope } = traced();
  const memory = new Float32Array(100);
  memory.set(numbers(100));
  const query = memory.subarray(10, 10 + 2 * 3 * 8);
  const key = numbers(2 * 8);
  const out = {
    data: new Uint16Array(40),
    dtype: /** @type {const} */ ("float16"),
    shape: [2, 1, 8],
    strides: [16, 8, 1],
  };
  rope.apply({ positions: [5, 6], query, key, out: { key: out } });
  const [first, second] = trace.records;
  const { milliseconds, input, output, ...others } = first ?? assert.fail("no record");
  assert.deepEqual(others, {
    call: 1,
    label: "layer 0",
    tensor: 0,
    inPlace: true,
    vectors: 6,
    rotatedElements: 24,
    bytesRead: 96,
    bytesWritten: 96,
    rotatedBefore: null,
  });
  assert.ok(milliseconds >= 0);
  assert.deepEqual(input, output);
  assert.equal(input.buffer, memory.buffer);
  assert.deepEqual([input.firstByte, input.endByte, input.dtype, input.isContiguous], [40, 232, "float32", true]);
  assert.deepEqual(input.shape, [1, 2, 3, 8]);
  // To out, the four elements beside the rotated ones are copied.
  assert.deepEqual([second?.tensor, second?.inPlace, second?.bytesRead, second?.bytesWritten], [1, false, 64, 32]);
  assert.deepEqual([second?.output.firstByte, second?.output.endByte, second?.output.isContiguous], [0, 48, false]);
  assert.deepEqual(trace.table().split("\n").length, 3);
});

test("finds heads that are rotated twice", () => {
  const { trace, rope } = traced();
  const cache = numbers(4 * 8);
  rope.apply({ positions: [1, 2], key: cache.subarray(0, 16) });
  rope.apply({ positions: [1, 2, 3, 4], key: cache });
  assert.deepEqual(
    trace.records.map((record) => record.rotatedBefore),
    [null, { vectors: 2, call: 1 }],
  );
  // Memory with new numbers in it is rotated anew.
  cache.set(numbers(4 * 8));
  rope.apply({ positions: [1, 2, 3, 4], key: cache });
  assert.equal(trace.records[2]?.rotatedBefore, null);
  // Position 0 changes nothing, so nobody can tell.
  const start = numbers(8);
  rope.apply({ positions: [0], key: start });
  rope.apply({ positions: [0], key: start });
  assert.equal(trace.records[4]?.rotatedBefore, null);
  // Also when it is read from there and written elsewhere, by another view, and after clear() no more.
  const bytes = cache.buffer;
  rope.apply({ positions: [7], key: new Float32Array(bytes, 96, 8), out: { key: new Float32Array(8) } });
  assert.deepEqual(trace.records[5]?.rotatedBefore, { vectors: 1, call: 3 });
  trace.clear();
  assert.equal(trace.records.length, 0);
  rope.apply({ positions: [7], key: cache.subarray(0, 8) });
  assert.deepEqual([trace.records[0]?.call, trace.records[0]?.rotatedBefore], [1, null]);
});

test("refuses other options, all at once", () => {
  const rope = getRopeUntyped({ headDim: 8, parameters: { ropeType: "plain" } }, { provider: plain });
  for (const options of [
    undefined,
    {},
    { trace: {} },
    { trace: createTrace(), lable: "x" },
    { trace: createTrace(), label: 1 },
  ]) {
    assert.throws(() => rope.to("trace", /** @type {any} */ (options)), RopeError.is);
  }
  assert.throws(() => rope.to("trace", /** @type {any} */ ({ label: 1 })), /trace.*label/s);
});

test("types.d.ts describes what is exported", async () => {
  /** @type {typeof import("ropewalk-backend-trace")} */
  const { createTrace: create, traceBackend: backend, ...others } = await import("../src/index.js");
  assert.deepEqual([typeof create, backend.name, Object.keys(others)], ["function", "trace", []]);
});
