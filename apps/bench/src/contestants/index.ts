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

/**
 * Everyone who takes part, in fields that race one after the other, each with the two above. A new peer is a file beside
 * this one and a line here.
 *
 * Other runtimes have a field of their own: what they do beside their laps (compilation, collection, threads) holds up those
 * that wait for another thread. At 128 tokens onnxruntime-node took 0.8 ms by itself, and 1.7 ms among them.
 */
export const fields: readonly (readonly Contestant[])[] = [
  [
    ropewalkApply,
    ropewalkStep,
    wasmArenaApply,
    wasmArenaStep,
    wasmArraysApply,
    wasmThreadsStep,
    onnxruntimeOneThread,
    onnxruntimeTwoThreads,
    loopWithTables,
    loopWithPow,
    copy,
  ],
  [onnxruntimeWeb, tfjsWasm, jaxWasm, onnxruntimeOneThread, copy],
];
