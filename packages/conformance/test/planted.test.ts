// A suite that cannot fail proves nothing: each law must notice its own defect.

import type { BackendUnderTest, ConformanceOptions, LawGroup, RopeUnderTest } from "@ropewalk/conformance";
import type { CosSin, Positions, RopeFrequencies, RopeProvider, RotaryEmbedding, TensorView } from "@ropewalk/core";
import { RopeError } from "@ropewalk/core";
import { rotateTask } from "@ropewalk/core/backend";
import type { RotationTask } from "@ropewalk/core/backend";
import { passTask } from "@ropewalk/core/pass";
import type { PassTask } from "@ropewalk/core/pass";
import { fromBfloat16, inverseFrequencies, toBfloat16 } from "@ropewalk/core/math";
import { afterAll, describe, expect, test } from "vitest";
import type { ExampleParameters } from "./fixture.ts";
import { ExampleProvider, cases, changed, expectingCases, failing, mapped, outcomes, registryWith } from "./fixture.ts";

/** Every law by the first words of its name. */
const law = {
  declaration: "names its package and version",
  registration: "registers twice from the same source",
  schema: "describes each parameter",
  effects: "has no parameter without effect",
  refusals: "refuses undeclared, out-of-range",
  identity: "is one instance for equal requests",
  purity: "gives the same numbers every time",
  arithmetic: "computes in the arithmetic",
  ownership: "gives a result of its own",
  hostile: "meets hostile parameters",
  expectation: "gives the numbers from outside",
  values: "has cos and sin of position × frequency",
  widths: "gives half and full tables that agree",
  growth: "has the same bits in any order",
  forms: "takes positions in every form",
  copies: "returns copies",
  reported: "explains the numbers",
  range: "refuses positions outside its range",
  definition: "turns each pair by position × frequency",
  norms: "keeps the length of each pair",
  origin: "scales by the attention factor alone",
  relative: "gives products of queries and keys",
  composition: "adds positions",
  inverse: "is undone by invert",
  transpose: "has its transpose as adjoint",
  shift: "shifts rotated keys",
  pairings: "rotates the same pairs in every pairing",
  axes: "with several axes at equal positions",
  steps: "gives the same bits from one gathered step",
  contextParallel: "gives a sequence the same bits whole and cut",
  inPlace: "writes the same bits in place",
  strided: "rotates every layout",
  shapes: "takes bare arrays",
  outside: "leaves elements outside",
  rows: "rotates each row of a batch",
  independence: "rotates query and key alone",
  conversions: "computes 16-bit data in float32",
  fused: "rotates query and key inside one fused buffer",
  atomic: "writes nothing when it throws",
  frozen: "takes frozen arguments",
  nothing: "does nothing for no tokens",
  likeness: "is the same rope under another name",
  equality: "equals JavaScript",
  pass: "runs a pass from projection to cache",
} as const;
type LawName = keyof typeof law;

const noticed = new Set<LawName>();
const namesOf = (laws: readonly string[]): LawName[] =>
  (Object.keys(law) as LawName[]).filter((name) => laws.some((text) => text.startsWith(law[name])));

const groups: readonly (readonly [LawGroup, LawName])[] = [
  ["backend", "pass"],
  ["memory", "nothing"],
  ["rotation", "contextParallel"],
  ["tables", "range"],
  ["numbers", "expectation"],
  ["parameters", "hostile"],
  ["registration", "registration"],
];

/** The group of a law: `law` above lists them group by group, and each ends where `groups` says. */
function groupOf(name: LawName): LawGroup {
  const names = Object.keys(law);
  return groups.findLast(([, last]) => names.indexOf(last) >= names.indexOf(name))![0];
}

/** Runs the groups of the expected laws only; all of them would take minutes. */
async function expectFailures(options: ConformanceOptions, expected: readonly LawName[]): Promise<void> {
  const failed = namesOf(failing(await outcomes({ ...options, only: expected.map(groupOf) })));
  failed.forEach((name) => noticed.add(name));
  expect(failed).toEqual(expect.arrayContaining([...expected]));
}

test("a sound provider and a sound backend pass every law", async () => {
  const results = await outcomes({
    ropeType: "example",
    registry: registryWith(new ExampleProvider()),
    cases: expectingCases,
    backend: { name: "planted" },
  });
  expect(
    results.filter(({ error }) => error !== undefined).map(({ name, error }) => `${name}: ${error!.message}`),
  ).toEqual([]);
  expect(namesOf(results.map((result) => result.law))).toEqual(Object.keys(law));
  expect(results).toHaveLength(Object.keys(law).length);
});

const withTable = (
  task: RotationTask,
  change: (value: number, index: number, name: "cos" | "sin") => number,
): RotationTask => ({
  ...task,
  table: {
    ...task.table,
    cos: task.table.cos.map((value, i) => change(value, i, "cos")),
    sin: task.table.sin.map((value, i) => change(value, i, "sin")),
  },
});

describe("executors with a planted defect", () => {
  const executors: [string, readonly LawName[], (task: RotationTask) => void][] = [
    [
      "the sine's sign is flipped",
      ["definition", "equality"],
      (task) => rotateTask(withTable(task, (value, _, name) => (name === "sin" ? -value : value))),
    ],
    [
      "each pair turns by the frequency of the next",
      ["definition", "equality"],
      (task) => {
        const pairs = task.rotaryDim / 2;
        const next = (table: Float32Array | Float64Array) =>
          table.map((_, i) => table[i - (i % pairs) + (((i % pairs) + 1) % pairs)]!);
        rotateTask({ ...task, table: { ...task.table, cos: next(task.table.cos), sin: next(task.table.sin) } });
      },
    ],
    [
      "the amplitude counts twice",
      ["definition", "norms", "origin", "composition", "inverse"],
      (task) => rotateTask(withTable(task, (value) => value * 1.25)),
    ],
    [
      "cos and sin are those of the token before",
      ["definition", "rows"],
      (task) => {
        const pairs = task.rotaryDim / 2;
        rotateTask(withTable(task, (_, i, name) => task.table[name][Math.max(i % pairs, i - pairs)]!));
      },
    ],
    [
      "the pairing is always half",
      ["definition", "pairings", "equality"],
      (task) => rotateTask({ ...task, blocks: 1 }),
    ],
    [
      "elements after the rotated ones are cleared",
      ["outside", "equality"],
      (task) => {
        rotateTask(task);
        forElements(
          task,
          (index, d) => void (d >= task.rotaryOffset + task.rotaryDim && (task.output.data[index] = 0)),
        );
      },
    ],
    [
      "elements before the rotated ones are not copied to out",
      ["outside", "inPlace"],
      (task) => {
        const before = new Map<number, number>();
        forElements(task, (index, d) => void (d < task.rotaryOffset && before.set(index, task.output.data[index]!)));
        rotateTask(task);
        before.forEach((value, index) => (task.output.data[index] = value));
      },
    ],
    [
      "only the first row of the batch is rotated",
      ["rows", "equality"],
      (task) => rotateTask({ ...task, input: { ...task.input, batch: 1 }, output: { ...task.output, batch: 1 } }),
    ],
    [
      "all rows take the positions of the first",
      ["rows", "equality"],
      (task) => rotateTask({ ...task, table: { ...task.table, batched: false } }),
    ],
    [
      "the last head is forgotten",
      ["definition", "independence"],
      (task) => rotateTask({ ...task, input: { ...task.input, heads: Math.max(1, task.input.heads - 1) } }),
    ],
    [
      "strides are ignored",
      ["strided", "equality"],
      (task) => {
        const dense = (layout: RotationTask["input"]) => ({
          ...layout,
          headStride: layout.headDim,
          tokenStride: layout.heads * layout.headDim,
          batchStride: layout.tokens * layout.heads * layout.headDim,
        });
        rotateTask({ ...task, input: dense(task.input), output: dense(task.output) });
      },
    ],
    [
      "whole rows are written, gaps too",
      ["strided", "fused"],
      (task) => {
        rotateTask(task);
        const { data, offset, tokenStride, heads, headDim, headStride } = task.output;
        if (task.output.tokens > 1 && Math.abs(tokenStride) > heads * headDim && headStride >= headDim) {
          data.fill(0, offset + heads * headStride, offset + tokenStride);
        }
      },
    ],
    [
      "the input is rotated as well",
      ["inPlace"],
      (task) => {
        rotateTask(task);
        if (task.input.data !== task.output.data) rotateTask({ ...task, output: task.input });
      },
    ],
    ["out is left alone", ["inPlace", "conversions"], (task) => rotateTask({ ...task, output: task.input })],
    [
      "float64 is computed in float32",
      ["definition", "relative", "composition", "equality"],
      (task) => rotateTask(withTable(task, Math.fround)),
    ],
    [
      "16-bit data is rotated with 16-bit cos and sin",
      ["conversions", "equality"],
      (task) =>
        rotateTask(
          task.input.dtype === "float16" || task.input.dtype === "bfloat16"
            ? withTable(task, (value) => fromBfloat16(toBfloat16(value)))
            : task,
        ),
    ],
    ["the second tensor of a call is forgotten when it is the smaller", ["independence", "steps"], () => {}],
    [
      "tokens past a multiple of four are forgotten",
      ["equality", "definition"],
      (task) => {
        const tokens = task.input.tokens - (task.input.tokens % 4);
        if (tokens > 0) rotateTask({ ...task, input: { ...task.input, tokens } });
      },
    ],
  ];

  test.each(executors)("%s", async (_name, expected, executor) => {
    const forgetful = _name.startsWith("the second tensor");
    const run = (tasks: readonly RotationTask[]) => (forgetful ? rotateTask(tasks[0]!) : tasks.forEach(executor));
    await expectFailures(
      { ropeType: "example", registry: registryWith(new ExampleProvider(), run), cases, backend: { name: "planted" } },
      expected,
    );
  });
});

describe("passes with a planted defect", () => {
  const passes: [string, (task: PassTask) => PassTask][] = [
    ["the epsilon is another", (task) => ({ ...task, norm: task.norm && { ...task.norm, epsilon: 0.01 } })],
    [
      "the weight is that of the head's other half",
      (task) => {
        const weight = task.norm?.weight;
        if (weight === undefined) return task;
        const half = weight.headDim / 2;
        const data = weight.data.map((_, i) => weight.data[(i + half) % weight.headDim]!);
        return { ...task, norm: { ...task.norm!, weight: { ...weight, data } } };
      },
    ],
    ["1 + weight is the weight", (task) => ({ ...task, norm: task.norm && { ...task.norm, weightOffset: 0 } })],
    [
      "a norm over all heads is one of each head",
      (task) => ({ ...task, norm: task.norm && { ...task.norm, overHeads: false } }),
    ],
    [
      "the norm comes on the other side of the rotation",
      (task) => ({ ...task, norm: task.norm && { ...task.norm, after: !task.norm.after } }),
    ],
    ["the factors are left out", (task) => ({ ...task, factors: undefined })],
    [
      "the factors are those of the next token",
      (task) => ({ ...task, factors: task.factors?.map((_, i, all) => all[(i + 1) % all.length]!) }),
    ],
    ["every slot is the next one", (task) => ({ ...task, output: shifted(task.output) })],
    [
      "a token without a slot is written to the first",
      (task) => ({ ...task, output: { ...task.output, rows: task.output.rows?.map((row) => Math.max(row, 0)) } }),
    ],
    [
      "values are rotated",
      (task) => ({ ...task, ...(task.table === undefined && { table: turned(task), rotaryDim: 8 }) }),
    ],
    [
      "the scale of float8 is its inverse",
      (task) => ({ ...task, output: { ...task.output, scale: 1 / task.output.scale } }),
    ],
    [
      "groups are one after the other",
      (task) => ({ ...task, input: { ...task.input, groupStride: task.input.groupHeads * task.headDim } }),
    ],
  ];
  const shifted = (output: PassTask["output"]): PassTask["output"] => ({
    ...output,
    rows: output.rows?.map((row) => (row < 0 ? row : row + output.layout.tokenStride)),
  });
  const turned = ({ tokens }: PassTask): PassTask["table"] => ({
    cos: new Float32Array(tokens * 4),
    sin: new Float32Array(tokens * 4).fill(1),
    batched: false,
  });

  test.each(passes)("%s", async (_name, change) => {
    const registry = registryWith(new ExampleProvider(), undefined, (tasks) => {
      for (const task of tasks) passTask(change(task));
    });
    await expectFailures({ ropeType: "example", registry, cases, backend: { name: "planted" } }, ["pass"]);
  });

  test("a pass that writes and then refuses", async () => {
    const registry = registryWith(new ExampleProvider(), undefined, (tasks) => {
      for (const task of tasks) passTask(task);
      throw new RopeError("ROPE_UNSUPPORTED", { what: "the device cannot" });
    });
    await expectFailures({ ropeType: "example", registry, cases, backend: { name: "planted" } }, ["pass"]);
  });
});

function forElements({ output }: RotationTask, visit: (index: number, element: number) => void): void {
  for (let b = 0; b < output.batch; b++) {
    for (let t = 0; t < output.tokens; t++) {
      for (let h = 0; h < output.heads; h++) {
        for (let d = 0; d < output.headDim; d++) {
          visit(
            output.offset +
              b * output.batchStride +
              t * output.tokenStride +
              h * output.headStride +
              d * output.elementStride,
            d,
          );
        }
      }
    }
  }
}

/** A rope whose members can be replaced one by one. */
function plain(rope: RotaryEmbedding): RopeUnderTest {
  const { spec, capabilities, positionLimit, attentionFactor } = rope;
  return {
    spec,
    capabilities,
    positionLimit,
    attentionFactor,
    frequencies: (length) => rope.frequencies(length),
    apply: (tensors) => rope.apply(tensors),
    invert: (tensors) => rope.invert(tensors),
    adjoint: (tensors) => rope.adjoint(tensors),
    shift: (tensors) => rope.shift(tensors),
    cosSin: (positions, options) => rope.cosSin(positions, options),
    at: (positions, options) => rope.at(positions, options),
  };
}

const floor = (positions: Positions): Positions =>
  Array.isArray(positions) && typeof positions[0] === "number"
    ? (positions as number[]).map((p) => (p >= 0 && p < 5000 ? Math.floor(p) : 0))
    : positions;

describe("ropes with a planted defect", () => {
  const ropes: [string, readonly LawName[], (rope: RotaryEmbedding) => Partial<RopeUnderTest>][] = [
    ["invert keeps the amplitude", ["inverse"], (rope) => ({ invert: (tensors) => rope.adjoint(tensors) })],
    ["adjoint divides by the amplitude", ["transpose"], (rope) => ({ adjoint: (tensors) => rope.invert(tensors) })],
    ["adjoint turns forwards", ["transpose"], (rope) => ({ adjoint: (tensors) => rope.apply(tensors) })],
    [
      "shift scales by the amplitude again",
      ["shift"],
      (rope) => ({
        shift({ keys, from, to }) {
          rope.adjoint({ positions: from, key: keys });
          rope.apply({ positions: to, key: keys });
          return keys;
        },
      }),
    ],
    [
      "shift is done by the undeclared",
      ["shift"],
      (rope) => ({ capabilities: { ...rope.capabilities, canShift: false } }),
    ],
    [
      "invert is done by the undeclared",
      ["inverse", "transpose"],
      (rope) => ({ capabilities: { ...rope.capabilities, isRotation: false, canShift: false } }),
    ],
    [
      "full tables repeat by halves whatever the pairing",
      ["widths"],
      (rope) => ({
        cosSin(positions, options = {}) {
          const table = rope.cosSin(positions, { ...options, width: "half" });
          if (options.width !== "full") return table;
          const pairs = rope.rotaryDim / 2;
          const twice = (half: CosSin["cos"]) =>
            (half as Float32Array).constructor.prototype.constructor.from(
              { length: half.length * 2 },
              (_: unknown, i: number) => half[Math.floor(i / (2 * pairs)) * pairs + (i % pairs)],
            ) as CosSin["cos"];
          return { shape: [...table.shape.slice(0, -1), 2 * pairs], cos: twice(table.cos), sin: twice(table.sin) };
        },
      }),
    ],
    [
      "cos is a little off",
      ["values"],
      (rope) => ({
        cosSin(positions, options) {
          const table = rope.cosSin(positions, options);
          return { ...table, cos: table.cos.map((value: number) => value * (1 + 2 ** -20)) as CosSin["cos"] };
        },
      }),
    ],
    [
      "tables are shared with the caller",
      ["copies"],
      (rope) => {
        const known = new Map<string, CosSin>();
        return {
          cosSin(positions, options) {
            const key = JSON.stringify([positions, options], (_, value: unknown) =>
              typeof value === "bigint" ? `${value}` : value,
            );
            return known.get(key) ?? known.set(key, rope.cosSin(positions, options)).get(key)!;
          },
        };
      },
    ],
    [
      "64-bit positions are not understood",
      ["forms"],
      (rope) => ({
        cosSin: (positions, options) =>
          rope.cosSin(positions instanceof BigInt64Array ? Array.from(positions, () => 0) : positions, options),
      }),
    ],
    [
      "positions out of range are bent into it",
      ["range", "atomic"],
      (rope) => ({
        cosSin: (positions, options) => rope.cosSin(floor(positions), options),
        apply: (tensors) => rope.apply({ ...tensors, positions: floor(tensors.positions) }),
      }),
    ],
    [
      "a step forgets the key",
      ["steps"],
      (rope) => ({
        at(positions, options) {
          const step = rope.at(positions, options);
          return { ...step, apply: ({ query }) => step.apply({ query }) };
        },
      }),
    ],
    [
      "a step's invert keeps the amplitude",
      ["steps"],
      (rope) => ({
        at(positions, options) {
          const step = rope.at(positions, options);
          return { ...step, invert: (tensors) => step.adjoint(tensors) };
        },
      }),
    ],
    [
      "the step of a run is ignored",
      ["contextParallel"],
      (rope) => ({
        apply({ positions, ...tensors }) {
          const isRun = !Array.isArray(positions) && "start" in positions;
          return rope.apply({ ...tensors, positions: isRun ? { ...positions, step: 1 } : positions });
        },
      }),
    ],
    [
      "the strides of positions are ignored",
      ["contextParallel"],
      (rope) => ({
        apply({ positions, ...tensors }) {
          const isView = !Array.isArray(positions) && "data" in positions;
          return rope.apply({ ...tensors, positions: isView ? { ...positions, strides: undefined } : positions });
        },
      }),
    ],
    [
      "unknown keys of a tensor are dropped",
      ["atomic"],
      (rope) => ({
        apply({ key, ...tensors }) {
          const { data, shape, strides, offset, dtype } = (key ?? {}) as TensorView;
          if (!ArrayBuffer.isView(data)) return rope.apply({ key, ...tensors });
          const given = { strides, offset, dtype };
          const kept = Object.entries(given).filter(([, value]) => value !== undefined);
          return rope.apply({ ...tensors, key: { data, shape, ...Object.fromEntries(kept) } });
        },
      }),
    ],
    [
      "axes are counted backwards in the sine",
      ["axes"],
      (rope) => ({
        apply: (tensors) => (rope.spec.axes === null ? rope.apply(tensors) : rope.adjoint(tensors)),
      }),
    ],
    [
      "Float16Array is taken for float32",
      ["shapes"],
      (rope) => ({
        apply: (tensors) =>
          Object.prototype.toString.call(tensors.query) === "[object Float16Array]"
            ? { query: undefined, key: undefined }
            : rope.apply(tensors),
      }),
    ],
    [
      "[tokens, hidden] is not rotated",
      ["shapes"],
      (rope) => ({
        apply: (tensors) =>
          tensors.query !== undefined && "shape" in tensors.query && tensors.query.shape.length === 2
            ? { query: undefined, key: undefined }
            : rope.apply(tensors),
      }),
    ],
    [
      "the query is written before the key is checked",
      ["atomic"],
      (rope) => ({
        apply({ query, key, ...rest }) {
          if (query === undefined || rest.out !== undefined) return rope.apply({ query, key, ...rest });
          const first = rope.apply({ query, ...rest });
          return key === undefined ? first : { query: first.query, key: rope.apply({ key, ...rest }).key };
        },
      }),
    ],
    [
      "positions are sorted where they lie",
      ["frozen"],
      (rope) => ({
        apply(tensors) {
          const data = "data" in tensors.positions ? (tensors.positions.data as number[]) : [];
          data.reverse().reverse();
          return rope.apply(tensors);
        },
      }),
    ],
    [
      "apply returns copies",
      ["inPlace"],
      (rope) => ({
        apply(tensors) {
          rope.apply(tensors);
          return { query: new Float32Array(1), key: undefined };
        },
      }),
    ],
    [
      "something is written for no tokens",
      ["nothing"],
      (rope) => ({
        apply(tensors) {
          const result = rope.apply(tensors);
          const query = tensors.query as Partial<TensorView> | undefined;
          if (query?.shape?.[0] === 0) (query.data as Float32Array)[0] = 1;
          return result;
        },
      }),
    ],
    ["the spec has another base", ["likeness"], (rope) => ({ spec: { ...rope.spec, base: 1 } })],
  ];

  test.each(ropes)("%s", async (_name, expected, change) => {
    const backend: BackendUnderTest = {
      name: "planted",
      adapt: (made: RotaryEmbedding) => ({ ...plain(made), ...change(made) }),
    };
    await expectFailures(
      { ropeType: "example", registry: registryWith(new ExampleProvider()), cases, backend },
      expected,
    );
  });
});

describe("providers with a planted defect", () => {
  let calls = 0;
  const providers: [string, readonly LawName[], RopeProvider][] = [
    ["no version in its source", ["declaration"], changed({ source: "rope-example" })],
    [
      "another source each time",
      ["registration"],
      Object.defineProperty(new ExampleProvider(), "source", { get: () => `rope-example@1.0.${calls++}` }),
    ],
    [
      "a default that its own rule refuses",
      ["schema"],
      changed({
        parameters: {
          ...new ExampleProvider().parameters,
          gain: { type: "number", above: 2, default: 1.25, description: "amplitude" },
        },
      }),
    ],
    [
      "a parameter without description",
      ["schema"],
      changed({
        parameters: {
          ...new ExampleProvider().parameters,
          gain: { type: "number", above: 0, default: 1.25, description: "" },
        },
      }),
    ],
    [
      "a parameter that nothing reads",
      ["effects"],
      changed({
        parameters: {
          ...new ExampleProvider().parameters,
          sharpness: { type: "number", default: 1, description: "nothing reads it" },
        },
      }),
    ],
    [
      "a default whose source is not said",
      ["schema"],
      changed({
        parameters: {
          ...new ExampleProvider().parameters,
          gain: { type: "number", above: 0, default: 1.25, description: "amplitude of cos and sin" },
        },
      }),
    ],
    [
      "powers by Math.pow",
      ["arithmetic"],
      changed({
        frequencies: ({ base, rotaryDim, array }, { factor, gain }) => ({
          invFreq: Array.from({ length: rotaryDim / 2 }, (_, i) =>
            array.divide(Math.pow(base, (-2 * i) / rotaryDim), factor),
          ),
          attentionFactor: gain,
        }),
      }),
    ],
    [
      "an amplitude by Math.log",
      ["arithmetic"],
      changed({
        frequencies: (request, parameters) => ({
          ...new ExampleProvider().frequencies(request, parameters),
          attentionFactor: parameters.gain * (0.1 * Math.log(parameters.factor) + 1),
        }),
      }),
    ],
    [
      "a parameter multiplied as a plain number",
      ["arithmetic"],
      changed({
        frequencies: ({ base, rotaryDim, array }, { factor, gain }) => ({
          invFreq: inverseFrequencies(base, rotaryDim, array).map((value) => array.divide(value, factor * 1.1)),
          attentionFactor: gain,
        }),
      }),
    ],
    ["a result that every call shares", ["ownership"], changed(sharing())],
    [
      "a parameter written to",
      ["ownership"],
      changed({
        frequencies: (request, parameters) =>
          new ExampleProvider().frequencies(request, Object.assign(parameters, { factor: parameters.factor })),
      }),
    ],
    [
      "a list as long as a parameter says",
      ["hostile"],
      changed({
        frequencies(request, parameters) {
          const steps = new Array(Math.ceil(Math.log2(parameters.factor)) + 1 > 20 ? -1 : 1);
          const made = new ExampleProvider().frequencies(request, parameters);
          return { ...made, regimes: made.invFreq.map(() => `${steps.length}`) };
        },
      }),
    ],
    ["any key is admitted", ["refusals"], changed({ parameters: admittingAll(new ExampleProvider().parameters) })],
    [
      "a default that JSON cannot say",
      ["identity"],
      changed({
        parameters: {
          ...new ExampleProvider().parameters,
          gain: { type: "number", above: 0, default: Infinity, description: "amplitude" },
        },
        ...mapped((value) => value),
      }),
    ],
    ["other numbers at each call", ["purity", "growth"], changed(mapped((value) => value * (1 + calls++ * 2 ** -20)))],
    ["frequencies that remember the base before", ["purity"], changed(remembering())],
    [
      "an explanation of other numbers",
      ["reported"],
      changed({
        frequencies: (request, parameters) => ({
          ...new ExampleProvider().frequencies(request, parameters),
          rules: [{ name: "attentionFactor", value: 2, rule: "wrong" }],
        }),
      }),
    ],
  ];

  test.each(providers)("%s", async (_name, expected, provider) => {
    await expectFailures({ ropeType: "example", provider, cases }, expected);
  });

  function admittingAll(schema: ExampleProvider["parameters"]): ExampleProvider["parameters"] {
    // The rules are asked for by name only, so the schema admits the names that the law makes up.
    return { ...schema, noSuchParameter: schema.gain, norThisOne: schema.gain } as ExampleProvider["parameters"];
  }

  function sharing(): Pick<RopeProvider, "frequencies"> {
    const known = new Map<string, RopeFrequencies>();
    return {
      frequencies(request, parameters) {
        const key = JSON.stringify([request.base, request.precision, parameters]);
        const made =
          known.get(key) ?? new ExampleProvider().frequencies(request, parameters as Required<ExampleParameters>);
        known.set(key, made);
        return made;
      },
    };
  }

  function remembering(): Pick<RopeProvider, "frequencies"> {
    let base = 500;
    return {
      frequencies(request, parameters) {
        const made = new ExampleProvider().frequencies(
          { ...request, base },
          parameters as { factor: number; gain: number },
        );
        base = request.base;
        return made;
      },
    };
  }
});

test.each([
  ["a frequency", { invFreq: [0.5, 0.10573714, 0.02236068, 0.0047287081] }],
  ["an amplitude", { attentionFactor: 1.3 }],
  ["cos", { positions: [3], cos: [[0.0885, 1.1876, 1.2472, 1.2499]] }],
  ["sin", { positions: [3], sin: [[1.2469, 0.3899, 0.0838, 0.0178]] }],
])("numbers from outside with another digit of %s", async (_name, numbers) => {
  const digits = "invFreq" in numbers ? 8 : 4;
  const expected = { source: "Python 3, one digit changed", digits, ...numbers };
  await expectFailures({ provider: new ExampleProvider(), cases: [{ ...cases[0]!, expected }] }, ["expectation"]);
});

afterAll(() => {
  // Each law has noticed something above.
  expect([...noticed].sort()).toEqual(Object.keys(law).sort());
});
