/**
 * Rotates typed arrays on the device: upload, one dispatch, and copy back.
 */

import { RopeError } from "@ropewalk/core";
import type { RotationTask } from "@ropewalk/core/backend";
import { abortable, lostError, scopeError, textOf } from "./device.ts";
import type { DeviceState } from "./device.ts";
import { dispatch, numbered } from "./dispatch.ts";
import { usage } from "./gpu.ts";
import { planDispatch } from "./plan.ts";
import { interleaveRows } from "./table.ts";
import { readBack, upload } from "./transfer.ts";
import type { ReadBack } from "./transfer.ts";
import type { Uploads } from "./uploads.ts";

/** Uploads, records and submits a checked call. The buffers that it creates are added to `own`. */
export type RoundTrip = (own: GPUBuffer[]) => readonly ReadBack[];

/** @throws RopeError `ROPE_UNSUPPORTED` for float64. */
export function requireNoFloat64(
  tasks: readonly { readonly input: { readonly dtype: string }; readonly output: { readonly dtype: string } }[],
): void {
  if (tasks.some(({ input, output }) => input.dtype === "float64" || output.dtype === "float64")) {
    throw new RopeError("ROPE_UNSUPPORTED", {
      what: "WebGPU has no float64",
      expected: "float32, float16 or bfloat16 tensors",
      received: "float64",
      remedy: "Rotate float64 tensors with the JavaScript or WebAssembly backend.",
    });
  }
}

/**
 * Runs a call of typed arrays. Resolves when the results are written. If it rejects, nothing is written.
 *
 * @throws RopeError `ROPE_BACKEND_UNAVAILABLE`, and those of `start`; the signal's reason.
 */
export async function roundTrip(state: DeviceState, start: RoundTrip, signal: AbortSignal | undefined): Promise<void> {
  const { device } = state;
  const own: GPUBuffer[] = [];
  device.pushErrorScope("validation");
  device.pushErrorScope("out-of-memory");
  const scopes: Promise<GPUError | null>[] = [];
  try {
    let results: readonly ReadBack[];
    try {
      results = start(own);
    } finally {
      scopes.push(device.popErrorScope(), device.popErrorScope());
    }
    // All requests are made at once, because each answer of a device takes time.
    const mapped = Promise.all(results.map((read) => read.map()));
    mapped.catch(() => undefined);
    const error = (await abortable(Promise.all(scopes), signal)).find((caught) => caught !== null);
    state.requireAlive();
    if (error) throw scopeError(error);
    await abortable(mapped, signal);
    for (const read of results) read.write();
  } catch (cause) {
    if (RopeError.is(cause) || cause === signal?.reason) throw cause;
    state.requireAlive();
    throw lostError({ reason: "unknown", message: textOf(cause) });
  } finally {
    for (const buffer of own) buffer.destroy();
  }
}

/** The {@link RoundTrip} of a rotation: the tensors of checked tasks, which share one table. */
export function startRotation(
  state: DeviceState,
  uploads: Uploads,
  tasks: readonly RotationTask[],
  own: GPUBuffer[],
): readonly ReadBack[] {
  const { device } = state;
  const [first] = tasks;
  if (first === undefined) return [];
  const { table, rotaryDim, rotaryOffset, blocks } = first;
  const tensors = tasks.map(({ input, output }, i) => {
    const moved = upload(device, input, own, true);
    const inPlace = output === input || (output.data === input.data && output.offset === input.offset);
    const result = inPlace ? moved : upload(device, output, own, false);
    return { name: (["query", "key"] as const)[i]!, input: moved, output: result, target: output };
  });
  const { batched } = table;
  const plan = planDispatch({ rotaryDim, rotaryOffset, blocks, tensors, rows: { kind: "gathered" }, batched }, state);
  if (plan === undefined) return [];
  const rows = interleaveRows(table.cos as Float32Array, table.sin as Float32Array, rotaryDim / 2);
  const bound = uploads.write(rows, usage.storage, false);
  const uniform = uploads.write(new Uint8Array(plan.call), usage.uniform, false);
  const encoder = device.createCommandEncoder({ label: "ropewalk" });
  dispatch(device, encoder, state.pipeline(plan.kernel), numbered([uniform, bound, ...plan.ranges]), plan.groups);
  const results = tensors.map(({ output, target }) => readBack(device, encoder, output, target, own));
  device.queue.submit([encoder.finish()]);
  return results;
}
