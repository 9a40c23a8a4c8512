import { blockUntilReady, defaultDevice, init, jit, numpy } from "@jax-js/jax";
import type { Contestant } from "../contestant.ts";
import { versionOf } from "../machine.ts";
import type { Elements } from "../workload.ts";
import { signedTables } from "./signed-tables.ts";

/**
 * jax-js, which compiles the expression below into one WebAssembly kernel for queries and one for keys; one thread, the
 * most that it supports in Node. It has no rotary operation. This form was the fastest of several: slices and
 * `concatenate` or `stack` take two to four times as long.
 *
 * Timed as in a layer of a model: arrays are in its memory before and after. A run makes new arrays and frees those of
 * the run before. The time does not include copying results out of its memory.
 */
export const jaxWasm: Contestant = {
  name: "jax-js, wasm, jit",
  source: `@jax-js/jax ${versionOf("@jax-js/jax")}`,
  angles: "float32",
  async prepare(workload) {
    const { dtype, pairing, tokens, headDim, queryHeads, keyHeads, working } = workload;
    if (dtype !== "float32") return undefined;
    await init("wasm");
    defaultDevice("wasm");
    const pairs = headDim / 2;
    const shape = (heads: number): number[] =>
      pairing === "half" ? [tokens, heads, 2, pairs] : [tokens, heads, pairs, 2];
    const array = (data: Elements, heads: number): numpy.Array =>
      numpy.array(new Float32Array(data)).reshape(shape(heads));
    const tables = signedTables(workload);
    const inputs = [
      array(working.query, queryHeads),
      array(working.key, keyHeads),
      array(tables.cos, 1),
      array(tables.sin, 1),
    ];
    await blockUntilReady(inputs);

    // A call consumes its arguments; `ref` keeps one for later.
    const partnerAxis = pairing === "half" ? 2 : 3;
    const rotated = (x: numpy.Array, cos: numpy.Array, sin: numpy.Array): numpy.Array =>
      x.ref.mul(cos).add(numpy.flip(x, partnerAxis).mul(sin));
    const step = jit((query: numpy.Array, key: numpy.Array, cos: numpy.Array, sin: numpy.Array) => [
      rotated(query, cos.ref, sin.ref),
      rotated(key, cos, sin),
    ]);
    let outputs: numpy.Array[] = [];
    return {
      async run() {
        for (const output of outputs) output.dispose();
        const [query, key, cos, sin] = inputs.map((input) => input.ref);
        outputs = step(query!, key!, cos!, sin!);
        await blockUntilReady(outputs);
      },
      isAsync: true,
      get result() {
        const [query, key] = outputs.map((output) => output.ref.dataSync() as Float32Array);
        return { query: query!, key: key! };
      },
      dispose() {
        for (const used of [...outputs, ...inputs]) used.dispose();
        step.dispose();
      },
    };
  },
};
