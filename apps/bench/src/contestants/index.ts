import type { Contestant } from "../contestant.ts";
import { copy } from "./copy.ts";
import { jaxWasm } from "./jax-js.ts";
import { loopWithPow, loopWithTables } from "./loop.ts";
import { onnxruntimeOneThread, onnxruntimeTwoThreads } from "./onnxruntime.ts";
import { onnxruntimeWeb } from "./onnxruntime-web.ts";
import { byDefault, ropewalkApply, ropewalkStep } from "./ropewalk.ts";
import { wasmArenaApply, wasmArenaStep, wasmArraysApply, wasmThreadsStep } from "./ropewalk-wasm.ts";
import { tfjsWasm } from "./tfjs.ts";

/** The contestant that ratios are computed to. */
export const yardstick: Contestant = onnxruntimeOneThread;
/** The second contestant that ratios are computed to. */
export const limit: Contestant = copy;

/**
 * All contestants, in fields that race one after the other. Each field also has the two above. To add a contestant, add
 * a file beside this one and a line here.
 *
 * Other runtimes have a field of their own, because their background work (compilation, collection, threads) delays
 * contestants that wait for another thread. At 128 tokens onnxruntime-node took 0.8 ms by itself, and 1.7 ms among
 * them.
 */
export const fields: readonly (readonly Contestant[])[] = [
  [
    byDefault,
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

/** Who also runs cold: the fastest ways of each software, since what they read is all that counts there. */
export const coldField: readonly Contestant[] = [
  byDefault,
  ropewalkApply,
  wasmArenaApply,
  wasmArenaStep,
  onnxruntimeOneThread,
  onnxruntimeTwoThreads,
  loopWithTables,
  copy,
];
