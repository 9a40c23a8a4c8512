/**
 * `npm run bench:pass -- [--tokens 1,16] [--seconds 3] [--json file] [--smoke]`
 *
 * The pass from projection to cache of one attention layer of Qwen3-0.6B (16 query and 8 key heads of 128, RMS norm of
 * queries and keys): one call, against the same work as separate passes, as the loops that people write, and as a graph
 * of onnxruntime. All read one packed projection `[tokens, (16 + 2 · 8) · 128]` and write float32 queries, keys and
 * values to memory of their own.
 */

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type * as Onnxruntime from "onnxruntime-node";
import { getRope } from "@ropewalk/core";
import type { PassArguments, PassPlace, RotaryEmbedding, RotaryStep } from "@ropewalk/core";
import "@ropewalk/core/pass";
import "@ropewalk/default";
import { createArena } from "@ropewalk/wasm-backend";
import { describeComputer, fromCaller } from "./machine.ts";
import { median } from "./median.ts";
import { writeModel } from "./onnx-model.ts";
import { numbers } from "./options.ts";

const HEADS = { query: 16, key: 8, value: 8 } as const;
const LAYERS = 28;
const DIM = 128;
const WIDTH = (HEADS.query + HEADS.key + HEADS.value) * DIM;
const BASE = 1_000_000;
const EPSILON = 1e-5;
const names = ["query", "key", "value"] as const;
type Name = (typeof names)[number];
type Outputs = Readonly<Record<Name, Float32Array>>;

interface Contestant {
  readonly name: string;
  readonly run: () => unknown;
  readonly out: Outputs;
  readonly isAsync?: boolean;
}

interface Layer {
  readonly tokens: number;
  readonly packed: Float32Array;
  readonly weights: { readonly query: Float32Array; readonly key: Float32Array };
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

const { values: options } = parseArgs({
  options: {
    tokens: { type: "string" },
    seconds: { type: "string", default: "3" },
    json: { type: "string" },
    smoke: { type: "boolean", default: false },
  },
});
const { smoke } = options;

function layerOf(tokens: number): Layer {
  const noise = (count: number, seed: number): Float32Array =>
    Float32Array.from({ length: count }, (_, i) => Math.sin(seed + i * 1.618) * 2);
  const { cos, sin } = ropeOf().cosSin({ start: 0, count: tokens }) as { cos: Float32Array; sin: Float32Array };
  return { tokens, packed: noise(tokens * WIDTH, 1), weights: { query: noise(DIM, 2), key: noise(DIM, 3) }, cos, sin };
}

function ropeOf(): RotaryEmbedding {
  return getRope({ headDim: DIM, base: BASE, maxPosition: 40960, parameters: { ropeType: "default" } });
}

const newOutputs = (tokens: number): Outputs => ({
  query: new Float32Array(tokens * HEADS.query * DIM),
  key: new Float32Array(tokens * HEADS.key * DIM),
  value: new Float32Array(tokens * HEADS.value * DIM),
});

const firstHead = { query: 0, key: HEADS.query, value: HEADS.query + HEADS.key } as const;
const viewOf = (data: Float32Array, tokens: number, name: Name): PassPlace => ({
  data,
  shape: [tokens, HEADS[name], DIM],
  strides: [WIDTH, DIM, 1],
  offset: firstHead[name] * DIM,
});
const toOutput = (data: Float32Array, tokens: number, name: Name): PassPlace => ({
  data,
  shape: [tokens, HEADS[name], DIM],
});

/** The arguments of one call for the whole pass. */
function passOf({ tokens, weights }: Layer, packed: Float32Array, out: Outputs): PassArguments {
  const places = (from: (name: Name) => PassPlace): Record<Name, PassPlace> => ({
    query: from("query"),
    key: from("key"),
    value: from("value"),
  });
  return {
    ...places((name) => viewOf(packed, tokens, name)),
    norm: {
      query: { epsilon: EPSILON, weight: weights.query },
      key: { epsilon: EPSILON, weight: weights.key },
    },
    out: places((name) => toOutput(out[name], tokens, name)),
  };
}

/** The same by calls that each do one thing: norm, rotation, write. */
function separateOf(step: RotaryStep, call: PassArguments, packed: Float32Array, pristine: Float32Array): () => void {
  const { query, key, value, norm, out } = call;
  return () => {
    // A norm in place would normalise what is normalised already at the next call.
    packed.set(pristine);
    step.apply({ value: query, norm: { value: norm!.query } });
    step.apply({ value: key, norm: { value: norm!.key } });
    step.apply({ query, key });
    step.apply({ value: query, out: { value: out!.query } });
    step.apply({ value: key, out: { value: out!.key } });
    step.apply({ value, out: { value: out!.value } });
  };
}

/** The loops that people write: a norm of each head, a rotation by tables, a copy. */
function loopsOf({ tokens, packed, weights, cos, sin }: Layer): Contestant {
  const out = newOutputs(tokens);
  const half = DIM / 2;
  const write = (name: "query" | "key", weight: Float32Array): void => {
    const heads = HEADS[name];
    const target = out[name];
    for (let t = 0; t < tokens; t++) {
      for (let h = 0; h < heads; h++) {
        const from = t * WIDTH + (firstHead[name] + h) * DIM;
        const to = (t * heads + h) * DIM;
        let sum = 0;
        for (let i = 0; i < DIM; i++) sum += packed[from + i]! * packed[from + i]!;
        const factor = 1 / Math.sqrt(sum / DIM + EPSILON);
        for (let i = 0; i < half; i++) {
          const x = packed[from + i]! * factor * weight[i]!;
          const y = packed[from + i + half]! * factor * weight[i + half]!;
          const c = cos[t * half + i]!;
          const s = sin[t * half + i]!;
          target[to + i] = x * c - y * s;
          target[to + i + half] = y * c + x * s;
        }
      }
    }
  };
  const width = HEADS.value * DIM;
  return {
    name: "loops in JavaScript",
    out,
    run() {
      write("query", weights.query);
      write("key", weights.key);
      for (let t = 0; t < tokens; t++) {
        const from = t * WIDTH + firstHead.value * DIM;
        out.value.set(packed.subarray(from, from + width), t * width);
      }
    },
  };
}

/** Split, SimplifiedLayerNormalization of each head, RotaryEmbedding, as exporters compose them. */
async function onnxruntimeOf(layer: Layer, threads: number): Promise<Contestant & { dispose(): Promise<void> }> {
  Reflect.deleteProperty(globalThis, "Float16Array");
  const { InferenceSession, Tensor } = (await import("onnxruntime-node")) as unknown as typeof Onnxruntime;
  const { tokens, packed, weights, cos, sin } = layer;
  const bytes = writeModel({
    opsets: { "": 17, "com.microsoft": 1 },
    nodes: [
      { op: "Split", domain: "", inputs: ["packed", "split"], outputs: ["q", "k", "value"], attributes: { axis: 2 } },
      ...(["query", "key"] as const).flatMap((name) => {
        const short = name[0]!;
        return [
          { op: "Reshape", domain: "", inputs: [short, `${short}4`], outputs: [`${short}h`], attributes: {} },
          {
            op: "SimplifiedLayerNormalization",
            domain: "",
            inputs: [`${short}h`, `${short}w`],
            outputs: [`${short}n`],
            attributes: { axis: 3, stash_type: 1 },
          },
          { op: "Reshape", domain: "", inputs: [`${short}n`, `${short}3`], outputs: [`${short}f`], attributes: {} },
          {
            op: "RotaryEmbedding",
            domain: "com.microsoft",
            inputs: [`${short}f`, "positions", "cos", "sin"],
            outputs: [name],
            attributes: { interleaved: 0 },
          },
        ];
      }),
    ],
    inputs: [
      { name: "packed", type: "float32", shape: [1, tokens, WIDTH] },
      { name: "split", type: "int64", shape: [3] },
      ...["q", "k"].flatMap((short) => [
        { name: `${short}4`, type: "int64" as const, shape: [4] },
        { name: `${short}3`, type: "int64" as const, shape: [3] },
        { name: `${short}w`, type: "float32" as const, shape: [DIM] },
      ]),
      { name: "positions", type: "int64", shape: [1, tokens] },
      { name: "cos", type: "float32", shape: [tokens, DIM / 2] },
      { name: "sin", type: "float32", shape: [tokens, DIM / 2] },
    ],
    outputs: names.map((name) => ({ name, type: "float32" as const, shape: [1, tokens, HEADS[name] * DIM] })),
  });
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    executionProviders: ["cpu"],
  });
  const int64 = (list: readonly number[], shape: number[] = [list.length]): Onnxruntime.Tensor =>
    new Tensor("int64", BigInt64Array.from(list, BigInt), shape);
  const feeds = {
    packed: new Tensor("float32", packed, [1, tokens, WIDTH]),
    split: int64(names.map((name) => HEADS[name] * DIM)),
    q4: int64([1, tokens, HEADS.query, DIM]),
    k4: int64([1, tokens, HEADS.key, DIM]),
    q3: int64([1, tokens, HEADS.query * DIM]),
    k3: int64([1, tokens, HEADS.key * DIM]),
    qw: new Tensor("float32", weights.query, [DIM]),
    kw: new Tensor("float32", weights.key, [DIM]),
    positions: int64(
      Array.from({ length: tokens }, (_, t) => t),
      [1, tokens],
    ),
    cos: new Tensor("float32", cos, [tokens, DIM / 2]),
    sin: new Tensor("float32", sin, [tokens, DIM / 2]),
  };
  const out = newOutputs(tokens);
  const fetches = Object.fromEntries(
    names.map((name) => [name, new Tensor("float32", out[name], [1, tokens, HEADS[name] * DIM])]),
  );
  return {
    name: `onnxruntime-node, ${threads} thread${threads === 1 ? "" : "s"}`,
    out,
    isAsync: true,
    run: () => session.run(feeds, fetches),
    dispose: () => session.release(),
  };
}

/** Everything in float64, token by token. */
function reference({ tokens, packed, weights }: Layer): Outputs {
  const out = newOutputs(tokens);
  for (const name of names) {
    for (let t = 0; t < tokens; t++) {
      for (let h = 0; h < HEADS[name]; h++) {
        const from = t * WIDTH + (firstHead[name] + h) * DIM;
        const head = Array.from(packed.subarray(from, from + DIM));
        const to = (t * HEADS[name] + h) * DIM;
        if (name === "value") {
          out.value.set(head, to);
          continue;
        }
        const root = Math.sqrt(head.reduce((sum, x) => sum + x * x, 0) / DIM + EPSILON);
        const normal = head.map((x, i) => (x / root) * weights[name][i]!);
        for (let i = 0; i < DIM / 2; i++) {
          const angle = t * BASE ** ((-2 * i) / DIM);
          const [x, y] = [normal[i]!, normal[i + DIM / 2]!];
          out[name][to + i] = x * Math.cos(angle) - y * Math.sin(angle);
          out[name][to + i + DIM / 2] = y * Math.cos(angle) + x * Math.sin(angle);
        }
      }
    }
  }
  return out;
}

/** @throws Error for a result that is not that of `expected` up to float32 angles and roundings. */
function check({ name, out }: Contestant, expected: Outputs): void {
  for (const part of names) {
    const worst = out[part].reduce((most, x, i) => Math.max(most, Math.abs(x - expected[part][i]!)), 0);
    // Elements below 16; an angle of float32 at 8192 is off by 2^-11 of a turn's radian at most.
    if (!(worst < 2e-2)) throw new Error(`${name}: ${part} is wrong by ${worst}`);
  }
}

async function time({ run, isAsync }: Contestant, calls: number): Promise<number> {
  const start = performance.now();
  if (isAsync === true) for (let i = 0; i < calls; i++) await run();
  else for (let i = 0; i < calls; i++) run();
  return ((performance.now() - start) * 1000) / calls;
}

interface Row {
  readonly name: string;
  readonly microseconds: number;
  /** How many times slower than the pass in its arena, as the median of rounds. */
  readonly passIsFasterBy: number;
}

async function raceOf(tokens: number): Promise<Row[]> {
  const layer = layerOf(tokens);
  const positions = { start: 0, count: tokens };
  const bytes = tokens * WIDTH * 4;
  const arena = createArena({ bytes: 3 * bytes + 65536 });
  const inArena = arena.float32([tokens, WIDTH]).data;
  const outArena = Object.fromEntries(
    names.map((name) => [name, arena.float32([tokens, HEADS[name], DIM]).data]),
  ) as unknown as Outputs;
  inArena.set(layer.packed);
  const rope = ropeOf();
  const step = rope.to("wasm").at(positions);
  const call = passOf(layer, inArena, outArena);
  const plain = newOutputs(tokens);
  const plainCall = passOf(layer, layer.packed, plain);
  const js = newOutputs(tokens);
  const jsCall = passOf(layer, layer.packed, js);
  const jsStep = rope.at(positions);
  // A copy for the separate passes, which write over their input.
  const own = arena.float32([tokens, WIDTH]).data;
  const separate = passOf(layer, own, outArena);
  const runtimes = [await onnxruntimeOf(layer, 1), await onnxruntimeOf(layer, 2)];
  const refill = { name: "copy of the projection", out: outArena, run: () => own.set(inArena) };
  const contestants: Contestant[] = [
    { name: "ropewalk wasm, arena, one pass", out: outArena, run: () => step.apply(call) },
    { name: "ropewalk wasm, arena, separate", out: outArena, run: separateOf(step, separate, own, inArena) },
    { name: "ropewalk wasm, arrays, one pass", out: plain, run: () => step.apply(plainCall) },
    { name: "ropewalk js, one pass", out: js, run: () => jsStep.apply(jsCall) },
    loopsOf(layer),
    ...runtimes,
  ];
  const expected = reference(layer);
  for (const contestant of contestants) {
    for (const name of names) contestant.out[name].fill(0);
    await contestant.run();
    check(contestant, expected);
  }
  const repeat = new Map<Contestant, number>();
  const all = [...contestants, refill];
  for (const contestant of all) {
    if (!smoke) await time(contestant, 20);
    const each = smoke ? 300 : await time(contestant, Math.max(3, Math.ceil(20_000 / bytes)));
    repeat.set(contestant, Math.max(1, Math.round(600 / each)));
  }
  const laps = new Map<Contestant, number[]>(all.map((contestant) => [contestant, []]));
  const end = performance.now() + (smoke ? 0 : Number(options.seconds) * 1000);
  for (let round = 0; round < (smoke ? 1 : 15) || performance.now() < end; round++) {
    const order = all.map((item) => ({ item, key: Math.random() })).sort((a, b) => a.key - b.key);
    for (const { item } of order) laps.get(item)!.push(await time(item, repeat.get(item)!));
  }
  for (const runtime of runtimes) await runtime.dispose();
  // What the separate passes copy back before each call is no work of theirs.
  const net = (contestant: Contestant): number[] => {
    const own = laps.get(contestant)!;
    if (!contestant.name.endsWith("separate")) return own;
    return own.map((lap, round) => lap - laps.get(refill)![round]!);
  };
  const pass = laps.get(contestants[0]!)!;
  return contestants.map((contestant) => ({
    name: contestant.name,
    microseconds: median(net(contestant)),
    passIsFasterBy: median(net(contestant).map((lap, round) => lap / pass[round]!)),
  }));
}

const sizes = numbers("tokens", options.tokens ?? (smoke ? "1,3" : "1,16,128,512,2048"));
const machine = describeComputer();
const report = [];
for (const tokens of sizes) {
  const rows = await raceOf(tokens);
  report.push({ tokens, bytes: 2 * tokens * WIDTH * 4, rows });
  if (smoke) continue;
  console.log(`\n${tokens} token${tokens === 1 ? "" : "s"}, Qwen3-0.6B, float32 (load ${machine.load})`);
  for (const { name, microseconds, passIsFasterBy } of rows) {
    const model = `${((microseconds * LAYERS) / 1000).toFixed(2)} ms for ${LAYERS} layers`;
    console.log(
      `  ${name.padEnd(34)} ${microseconds.toFixed(2).padStart(10)} µs   ${passIsFasterBy.toFixed(2).padStart(6)}×   ${model}`,
    );
  }
}
if (smoke) console.log(`${report.flatMap(({ rows }) => rows).length} results checked`);
if (options.json !== undefined) {
  writeFileSync(fromCaller(options.json), `${JSON.stringify({ machine, report }, null, 1)}\n`);
}
