/**
 * Importing this module makes WebAssembly the executor of every rope of the default registry that is asked for without
 * a backend. Results keep their bits. Where WebAssembly SIMD or its memory is missing, ropes stay in JavaScript, and
 * `rope.backend` says so.
 *
 * The environment variable `ROPEWALK_BACKEND` overrides it: `js` or `wasm`, which then is an error where it cannot run.
 */

import { defaultRegistry, RopeError } from "@ropewalk/core";
import type { DefaultExecutor, RotationExecutor } from "@ropewalk/core/backend";
import { invalid, show } from "@ropewalk/core/backend";
import { wasmBackend } from "./index.ts";

/** The answer for the life of the process; `null` for core's own executor. */
let chosen: RotationExecutor | null | undefined;

/**
 * The default executor, as a value: `registry.registerExecutor(wasmByDefault)` gives it to a registry of
 * `createRegistry()`.
 *
 * `choose` throws RopeError `ROPE_INVALID_PARAMETERS` when `ROPEWALK_BACKEND` is neither `js` nor `wasm`;
 * `ROPE_BACKEND_UNAVAILABLE` when it is `wasm` and WebAssembly SIMD or its memory is missing.
 *
 * @example
 * import "@ropewalk/default";
 * import "@ropewalk/wasm-backend/auto";
 *
 * getRope({ headDim: 4, parameters: { ropeType: "default" } }).backend; // "wasm"
 */
export const wasmByDefault: DefaultExecutor = Object.freeze({
  specificationVersion: 1,
  source: wasmBackend.source,
  choose: () => (chosen === undefined ? (chosen = wanted() ?? null) : chosen) ?? undefined,
});

function wanted(): RotationExecutor | undefined {
  const name = environmentVariable("ROPEWALK_BACKEND");
  if (name === "js") return undefined;
  if (name === "wasm") return wasmBackend.executor!();
  if (name !== undefined) {
    const expected = '"js", "wasm", or nothing';
    throw invalid("the environment", [{ path: "ROPEWALK_BACKEND", expected, received: show(name) }]);
  }
  try {
    return wasmBackend.executor!();
  } catch (error) {
    if (RopeError.is(error) && error.code === "ROPE_BACKEND_UNAVAILABLE") return undefined;
    throw error;
  }
}

/** A variable that is set and not empty. Pages have no `process`, and a runtime may refuse to show its environment. */
function environmentVariable(name: string): string | undefined {
  try {
    const { process } = globalThis as { process?: { env?: Readonly<Record<string, unknown>> } };
    const value = process?.env?.[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  } catch {
    return undefined;
  }
}

defaultRegistry.registerExecutor(wasmByDefault);
