import type { Contestant } from "../contestant.ts";
import { copy } from "./copy.ts";
import { jaxWasm } from "./jax-js.ts";
import { loopWithPow, loopWithTables } from "./loop.ts";
import { onnxruntimeOneThread, onnxruntimeTwoThreads } from "./onnxruntime.ts";
import { onnxruntimeWeb } from "./onnxruntime-web.ts";
import { ropewalkApply, ropewalkStep } from "./ropewalk.ts";
import { wasmArenaApply, wasmArenaStep, wasmArraysApply, wasmThreadsStep } from "./ropewalk-wasm.ts";
import { tfjsWasm } from "./tfjs.ts";

/** Ratios are to this one … */
export const yardstick: Contestant = onnxruntimeOneThread;
/** … and to this one. */
export const limit: Contestant = copy;

/** Everyone who takes part. A new peer is a file beside this one and a line here. */
export const contestants: readonly Contestant[] = [
  ropewalkApply,
  ropewalkStep,
  wasmArenaApply,
  wasmArenaStep,
  wasmArraysApply,
  wasmThreadsStep,
  onnxruntimeOneThread,
  onnxruntimeTwoThreads,
  onnxruntimeWeb,
  tfjsWasm,
  jaxWasm,
  loopWithTables,
  loopWithPow,
  copy,
];
