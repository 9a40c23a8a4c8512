/** Code that the compiler must accept or refuse; nothing here runs, `tsc -p tsconfig.test.json` is the test. */

import { getRope, getRopeUntyped, registerRopeType } from "@ropewalk/core";
import type { Positions, RopeParameters, RopeProvider, RotaryEmbedding, RotaryStep, Tensor } from "@ropewalk/core";
import { rotate } from "@ropewalk/core/math";
// Brings the parameters of its types.
import type {} from "./providers.ts";

// Parameters belong to their type.
const rope: RotaryEmbedding = getRope({ headDim: 8, parameters: { ropeType: "tuned", factor: 2 } });
getRope({ headDim: 8, parameters: { ropeType: "plain" } });
getRope({ headDim: 8, parameters: { ropeType: "tuned-twice", mode: "fast", weights: Float32Array.of(1) } });
// @ts-expect-error -- no package that is imported here has this type
getRope({ headDim: 8, parameters: { ropeType: "absent" } });
// @ts-expect-error -- factor must be given
getRope({ headDim: 8, parameters: { ropeType: "tuned" } });
// @ts-expect-error -- factor is a number
getRope({ headDim: 8, parameters: { ropeType: "tuned", factor: "2" } });
// @ts-expect-error -- mode is slow or fast
getRope({ headDim: 8, parameters: { ropeType: "tuned", factor: 2, mode: "quick" } });
// @ts-expect-error -- plain has no factor
getRope({ headDim: 8, parameters: { ropeType: "plain", factor: 2 } });
// @ts-expect-error -- parameters must be given
getRope({ headDim: 8 });
// @ts-expect-error -- headDim must be given
getRope({ parameters: { ropeType: "plain" } });
// @ts-expect-error -- JSON's spelling is the business of @ropewalk/config
getRope({ headDim: 8, rope_theta: 10_000, parameters: { ropeType: "plain" } });
// @ts-expect-error -- the words of another engine
getRope({ headDim: 8, pairing: "interleaved", parameters: { ropeType: "plain" } });
// A type that is known only at run time.
getRopeUntyped({ headDim: 8, parameters: JSON.parse("{}") as { ropeType: string } });
getRopeUntyped(rope.spec);

const parameters: RopeParameters = { ropeType: "tuned", factor: 2 };
if (parameters.ropeType === "tuned") parameters.factor.toFixed();
// @ts-expect-error -- only some types have a factor
(parameters as RopeParameters).factor;

// Ropes are read-only.
// @ts-expect-error
rope.base = 3;
// @ts-expect-error
rope.spec.headDim = 3;
// @ts-expect-error
rope.spec.parameters.ropeType = "plain";

// Positions.
const positions: Positions[] = [
  [1, 2],
  Int32Array.of(1),
  Uint32Array.of(1),
  BigInt64Array.of(1n),
  BigUint64Array.of(1n),
  Float32Array.of(0.5),
  { start: 0, count: 3 },
  { start: 0n, count: 3 },
  { start: 0, count: 3, step: 2 },
  { data: Int32Array.of(1, 2), shape: [2], strides: [-1], offset: 1 },
  [
    [1, 2],
    [3, 4],
  ],
  { data: Int32Array.of(1, 2), shape: [1, 2] },
];
// @ts-expect-error -- too narrow for positions
const bytes: Positions = Uint8Array.of(1);
// @ts-expect-error -- a run has a count
const run: Positions = { start: 0 };
// @ts-expect-error -- positions are no text
const text: Positions = ["1"];

// Tensors.
const tensors: Tensor[] = [
  new Float32Array(8),
  new Float64Array(8),
  new Uint16Array(8),
  { data: new Uint16Array(8), shape: [1, 1, 8], dtype: "bfloat16" },
];
const native: Tensor = new Float16Array(8);
// @ts-expect-error -- integers are no tensor
const integers: Tensor = new Int32Array(8);
// @ts-expect-error -- a view has a shape
const shapeless: Tensor = { data: new Float32Array(8) };
// @ts-expect-error -- no such element type
const typed: Tensor = { data: new Uint16Array(8), shape: [1, 1, 8], dtype: "float8" };

rope.apply({ positions: positions[0]!, query: tensors[0] });
// @ts-expect-error -- positions must be given
rope.apply({ query: tensors[0] });
// @ts-expect-error -- `key`, not `keys`: what is misspelt would not be rotated
rope.apply({ positions: [1], keys: tensors[0] });
const step: RotaryStep = rope.at([1]);
// @ts-expect-error -- a step has its positions
step.apply({ positions: [1], query: tensors[0] });
// @ts-expect-error -- from and to must be given
rope.shift({ keys: tensors[0]! });
step.invert({ query: tensors[0] }).query;
step.adjoint({ key: tensors[0] }).key;
// @ts-expect-error -- width is half or full
rope.cosSin([1], { width: "both" });
// The form decides what comes.
rope.cosSin([1]).cos.length + rope.cosSin([1], { form: "separate", width: "full" }).sin.length;
for (const form of ["concatenated", "interleaved", "complex"] as const) rope.cosSin([1], { form }).data.length;
rope.cosSin([1], { form: "concatenated", out: new Float32Array(8) }).shape;
// @ts-expect-error -- one table has no cos of its own
rope.cosSin([1], { form: "interleaved" }).cos;
// @ts-expect-error -- two tables have no data
rope.cosSin([1]).data;
// @ts-expect-error -- no form of one table is doubled
rope.cosSin([1], { form: "concatenated", width: "full" });
// @ts-expect-error -- one table, one array
rope.cosSin([1], { form: "complex", out: { cos: new Float32Array(4), sin: new Float32Array(4) } });
// @ts-expect-error -- no such form
rope.cosSin([1], { form: "packed" });
const periods: Float32Array = rope.periods();
// @ts-expect-error -- rotate needs a pairing
rotate(tensors[0]!, { cos: new Float32Array(4), sin: new Float32Array(4) });
const given = { data: new Uint16Array(4), dtype: "float16", shape: [1, 1, 4], strides: [4, 4, 1], offset: 0 } as const;
rotate(tensors[0]!, { cos: given, sin: given, pairing: "half" });
// @ts-expect-error -- a step of a run is a number
const stepped: Positions = { start: 0, count: 3, step: "2" };

// Registration returns what it was given; decorators fit classes and static methods only.
const provider = {
  specificationVersion: 1,
  source: "x@1",
  parameters: {},
  frequencies: () => ({ invFreq: [1] }),
  mine: true,
};
registerRopeType("mine")(provider).mine.valueOf();
// @ts-expect-error -- no provider
registerRopeType("mine")({ source: "x@1" });
// @ts-expect-error -- the class makes no provider
@registerRopeType("mine")
class Empty {}
class Factory {
  @registerRopeType("mine")
  static make(): RopeProvider {
    return provider;
  }
  // @ts-expect-error -- not static
  @registerRopeType("mine")
  make(): RopeProvider {
    return provider;
  }
}

void [stepped, periods, bytes, run, text, native, integers, shapeless, typed, Empty, Factory];
