/** A trace: the records of all rotations of the ropes that were given it. */

/** @import { RotationTask, TensorLayout } from "@ropewalk/core/backend" */
/** @import { TensorRecord, Trace, TraceRecord } from "../types.js" */
import { extent, rotateTask } from "@ropewalk/core/backend";
import { fingerprint, places } from "./fingerprint.js";
import { table } from "./table.js";

/** @typedef {(label: string, tasks: readonly RotationTask[]) => void} Recorder rotates the tasks of one call */

/**
 * What each trace does with the tasks of a call. Only this module can write to a trace.
 *
 * @type {WeakMap<object, Recorder>}
 */
const recorders = new WeakMap();

/**
 * The recorder of a trace; `undefined` for anything else.
 *
 * @param {unknown} trace
 */
export function recorderOf(trace) {
  return typeof trace === "object" && trace !== null ? recorders.get(trace) : undefined;
}

/**
 * Makes an empty trace. Its records name the caller's memory, and keep it until `clear`; nothing of it is copied.
 *
 * @returns {Trace}
 */
export function createTrace() {
  /** @type {TraceRecord[]} */
  let records = [];
  let calls = 0;
  /**
   * What was last written at each place of a buffer: the call, and the fingerprint of the bits.
   *
   * @type {WeakMap<ArrayBufferLike, Map<number, { call: number, print: number }>>}
   */
  let written = new WeakMap();
  const trace = Object.freeze({
    get records() {
      return [...records];
    },
    clear() {
      records = [];
      calls = 0;
      written = new WeakMap();
    },
    table: () => table(records),
  });

  /**
   * @param {RotationTask} task
   * @param {readonly number[]} inputs fingerprints before the rotation, head by head
   */
  function rotatedBefore({ input, rotaryOffset }, inputs) {
    const known = written.get(input.data.buffer);
    let vector = 0;
    let vectors = 0;
    let call = Infinity;
    for (const place of places(input)) {
      const before = known?.get(byteOf(input, place + rotaryOffset * input.elementStride));
      if (before?.print !== inputs[vector++] || before === undefined) continue;
      vectors++;
      call = Math.min(call, before.call);
    }
    return vectors === 0 ? null : { vectors, call };
  }

  /**
   * @param {RotationTask} task
   * @param {readonly number[]} inputs
   * @param {number} call
   */
  function remember({ output, rotaryDim, rotaryOffset }, inputs, call) {
    const known = written.get(output.data.buffer) ?? new Map();
    written.set(output.data.buffer, known);
    let vector = 0;
    for (const place of places(output)) {
      const print = fingerprint(output, place, rotaryOffset, rotaryDim);
      const key = byteOf(output, place + rotaryOffset * output.elementStride);
      // Bits that a rotation did not change (position 0, zeros) would match whatever is rotated there next.
      if (print === inputs[vector++]) known.delete(key);
      else known.set(key, { call, print });
    }
  }

  recorders.set(trace, (label, tasks) => {
    const call = ++calls;
    for (const [tensor, task] of tasks.entries()) {
      const { input, output, rotaryDim, rotaryOffset } = task;
      const inputs = Array.from(places(input), (place) => fingerprint(input, place, rotaryOffset, rotaryDim));
      const before = rotatedBefore(task, inputs);
      const start = performance.now();
      rotateTask(task);
      const milliseconds = performance.now() - start;
      remember(task, inputs, call);
      const inPlace = input.data === output.data && input.offset === output.offset;
      const vectors = input.batch * input.tokens * input.heads;
      // In place, elements that are not rotated are not touched.
      const moved = vectors * (inPlace ? rotaryDim : input.headDim);
      records.push(
        Object.freeze({
          call,
          label,
          tensor,
          input: tensorRecord(input),
          output: tensorRecord(output),
          inPlace,
          vectors,
          rotatedElements: vectors * rotaryDim,
          bytesRead: moved * input.data.BYTES_PER_ELEMENT,
          bytesWritten: moved * output.data.BYTES_PER_ELEMENT,
          rotatedBefore: before,
          milliseconds,
        }),
      );
    }
  });
  return trace;
}

/**
 * @param {TensorLayout} tensor
 * @returns {TensorRecord}
 */
function tensorRecord(tensor) {
  const { data, dtype, batch, tokens, heads, headDim, tokenStride, headStride, elementStride } = tensor;
  const { low, high } = extent(tensor);
  /** @type {TensorRecord["shape"]} */
  const shape = [batch, tokens, heads, headDim];
  return Object.freeze({
    buffer: data.buffer,
    firstByte: byteOf(tensor, low),
    endByte: byteOf(tensor, high + 1),
    dtype,
    shape: Object.freeze(shape),
    isContiguous: elementStride === 1 && headStride === headDim && tokenStride === heads * headDim,
  });
}

/**
 * The place of an element in its buffer, in bytes.
 *
 * @param {TensorLayout} tensor
 * @param {number} element
 */
function byteOf({ data }, element) {
  return data.byteOffset + element * data.BYTES_PER_ELEMENT;
}
