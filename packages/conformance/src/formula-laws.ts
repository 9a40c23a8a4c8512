/**
 * Laws of a provider's formula itself, called through the contract of `RopeProvider` and not through a rope: the
 * arithmetic that it computes in, whose memory its result is, and what it does with hostile parameters.
 */

import { RopeError } from "@ropewalk/core";
import type {
  FrequencyRequest,
  ParameterRule,
  RopeFrequencies,
  RopeProvider,
  UntypedRopeRequest,
} from "@ropewalk/core";
import { show } from "@ropewalk/core/backend";
import { doubleDouble, toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";
import { equal, fail, isTrue } from "./assert.ts";
import type { Kit } from "./kit.ts";
import type { Law } from "./law.ts";
import { rulesOf, withParameters } from "./provider-laws.ts";

/** A formula with the arguments that core would pass for a case, in exact arithmetic. */
interface Formula {
  readonly request: FrequencyRequest;
  readonly parameters: Readonly<Record<string, unknown>>;
  run(base: number, parameters: Readonly<Record<string, unknown>>): RopeFrequencies;
}

function formulaOf(kit: Kit): Formula {
  const rope = kit.js({ ...kit.request, precision: "float64" });
  const { headDim, rotaryDim, base, maxPosition } = rope.spec;
  const { ropeType: _, ...parameters } = rope.spec.parameters;
  const length = rope.effectiveLength(LENGTH);
  const provider = kit.provider as RopeProvider;
  const request: FrequencyRequest = Object.freeze({
    headDim,
    rotaryDim,
    base,
    maxPosition,
    precision: "float64",
    length,
    scalar: doubleDouble,
    array: doubleDouble,
  });
  return {
    request,
    parameters,
    run: (otherBase, others) => provider.frequencies({ ...request, base: otherBase }, Object.freeze({ ...others })),
  };
}

/** Long enough that types which depend on the length extend it. */
const LENGTH = 131072;

const spelling = (kit: Kit): string | undefined =>
  "rewrite" in kit.provider ? "the type is a spelling of another one and has no formula" : undefined;

/** Distance of neighbouring arguments, as a share of the argument. */
const STEP = 2 ** -20;

/**
 * The largest fourth difference of a smooth function at such a distance, as a share of its value: `STEP⁴ = 2^-80` times
 * the fourth derivative, for which 2^18 is left. One rounding to float64 gives about 2^-51.
 */
const SMOOTH = 2 ** -62;

/**
 * Places at which each function is tested, and at how many of them noise shows it wrong. Roundings cancel at one place
 * in three or so; a step or a kink that a formula has by right lies within a place of 2^-18 by rare chance only.
 */
const PLACES = 8;
const NOISY = 3;

/**
 * `f(x)` of double-double arithmetic is smooth to 2^-100, so its fourth difference over tiny steps of `x` vanishes. A
 * step of the formula that rounds to float64 makes it noisy at 2^-53, wherever it stands in the formula. Nothing has to
 * be known about the formula.
 *
 * Not seen: constants that were rounded once, such as an exponent `2 * i / rotaryDim`. Numbers from outside show those.
 */
const arithmetic: Law = {
  group: "parameters",
  name: "computes in the arithmetic that it is given",
  remedy:
    "Compute with array and scalar of the request (array.power(base, exponent), scalar.log(factor), array.multiply, …), never with Math.pow, **, Math.log or * on numbers that follow from the base or a parameter.",
  notApplicable: spelling,
  run(kit) {
    const { request, parameters, run } = formulaOf(kit);
    const tried: [name: string, value: number, rule: ParameterRule | undefined, at: (x: number) => RopeFrequencies][] =
      [["base", request.base, undefined, (x) => run(x, parameters)]];
    for (const [name, rule] of rulesOf(kit.provider)) {
      const value = parameters[name];
      if (rule.type !== "number" || rule.oneOf !== undefined || typeof value !== "number" || value === 0) continue;
      tried.push([name, value, rule, (x) => run(request.base, { ...parameters, [name]: x })]);
    }
    for (const [name, value, rule, at] of tried) {
      const noisy = new Map<string, { count: number; largest: number }>();
      for (let place = 1; place <= PLACES; place++) {
        // A float32 times 1 + k · STEP is an exact float64, so the arguments are equally far apart.
        const middle = Math.fround(value * (1 + place * 2 ** -8));
        const places = [-2, -1, 0, 1, 2].map((k) => middle * (1 + k * STEP));
        if (rule !== undefined && !places.every((x) => admits(rule, x))) continue;
        const results = places.map((x) => quantities(at(x)));
        for (const [quantity, centre] of results[2]!) {
          const values = results.map((result) => result.get(quantity));
          if (values.includes(undefined) || toNumber(centre) === 0) continue;
          const noise = Math.abs(fourthDifference(values as Real[]) / toNumber(centre));
          if (noise <= SMOOTH) continue;
          const { count, largest } = noisy.get(quantity) ?? { count: 0, largest: 0 };
          noisy.set(quantity, { count: count + 1, largest: Math.max(largest, noise) });
        }
      }
      for (const [quantity, { count, largest }] of noisy) {
        if (count < NOISY) continue;
        fail(
          `${quantity} in exact arithmetic, for small changes of ${name} (${kit.name})`,
          `a smooth function, within ${SMOOTH} of its value`,
          `noise of ${largest.toPrecision(2)}, as a step in float64 has it`,
        );
      }
    }
  },
};

/** The numbers of a result by name. */
function quantities({ invFreq, attentionFactor = 1, softmaxScaleFactor = 1 }: RopeFrequencies): Map<string, Real> {
  const named = Array.from(invFreq, (value, pair): [string, Real] => [`the frequency of pair ${pair}`, value]);
  return new Map([...named, ["attentionFactor", attentionFactor], ["softmaxScaleFactor", softmaxScaleFactor]]);
}

/** `a − 4 b + 6 c − 4 d + e`, in double-double. */
function fourthDifference(values: readonly Real[]): number {
  const { add, multiply } = doubleDouble;
  return toNumber(values.reduce<Real>((sum, value, k) => add(sum, multiply(value, [1, -4, 6, -4, 1][k]!)), 0));
}

function admits({ min, max, above, below }: ParameterRule, value: number): boolean {
  return (
    (min === undefined || value >= min) &&
    (max === undefined || value <= max) &&
    (above === undefined || value > above) &&
    (below === undefined || value < below)
  );
}

const ownership: Law = {
  group: "parameters",
  name: "gives a result of its own at each call, and changes no argument",
  remedy:
    "Make a new list at each call of frequencies; return no list that the module keeps, and write to no argument. Object.freeze a constant that every result shares.",
  notApplicable: spelling,
  run(kit) {
    const { request, parameters, run } = formulaOf(kit);
    const before = JSON.stringify(parameters);
    const first = run(request.base, parameters);
    const expected = JSON.stringify(first);
    const restore = overwrite(first);
    const second = JSON.stringify(run(request.base, parameters));
    // A list that the module keeps would spoil the laws that follow.
    restore();
    equal(second, expected, `a result after the caller wrote to the one before (${kit.name})`);
    equal(JSON.stringify(parameters), before, `parameters after the call (${kit.name})`);
  },
};

/**
 * Overwrites a result's lists and fields, as far as they are not frozen. Numbers of an arithmetic stay whole.
 *
 * @returns a function that puts everything back.
 */
function overwrite(result: RopeFrequencies): () => void {
  const undo: (() => void)[] = [];
  const set = (object: object, key: string, value: unknown): void => {
    undo.push(() => Reflect.set(object, key, value));
    Reflect.set(object, key, 7);
  };
  for (const [key, value] of Object.entries(result)) {
    if (Array.isArray(value) || ArrayBuffer.isView(value)) {
      for (const [index, element] of Object.entries(value)) set(value, index, element);
    }
    set(result, key, value);
  }
  return () => undo.forEach((step) => step());
}

/** Values of no type that a schema has. A thing that throws when it is read must not come through either. */
const strange = (): unknown[] => [
  Symbol("hostile"),
  1n,
  () => 1,
  new Date(0),
  { valueOf: () => 2 },
  Object.create(null),
  [],
  [[2]],
  "",
  "2",
  Number.NaN,
  Number.NEGATIVE_INFINITY,
  new Float64Array(0),
  new Proxy(
    {},
    {
      get: () => {
        throw new Error("hostile getter");
      },
    },
  ),
];

/** The ends of a rule's range, and beyond. */
function extremes({ type, min, max, above, below, oneOf }: ParameterRule, current: unknown): unknown[] {
  if (oneOf !== undefined) return [...oneOf];
  if (type === "boolean") return [true, false];
  if (type === "string") return ["", "\u0000", "x".repeat(1000)];
  const ends = [min, max, above, below].filter((end) => end !== undefined);
  const near = ends.flatMap((end) => [end, end + Number.EPSILON * Math.max(1, Math.abs(end)), end - Number.EPSILON]);
  const numbers =
    type === "integer"
      ? [...ends, 0, 1, -1, Number.MAX_SAFE_INTEGER]
      : [...near, 0, -0, 1, Number.MIN_VALUE, 1e-300, 1e300, Number.MAX_VALUE, -1];
  if (type !== "numbers") return numbers;
  const length = Array.isArray(current) ? current.length : 1;
  return [
    [],
    [1],
    Array.from({ length: 4096 }, () => 1),
    ...numbers.map((value) => Array.from({ length }, () => value)),
  ];
}

/** Settings at which formulas divide by zero or overflow. */
const settings: readonly Partial<UntypedRopeRequest>[] = [
  { headDim: 2, rotaryDim: 2 },
  { base: 1 },
  { base: 1 + Number.EPSILON },
  { base: Number.MIN_VALUE },
  { base: 1e300 },
  { maxPosition: 1 },
  { maxPosition: 2 ** 24 },
];

const hostile: Law = {
  group: "parameters",
  name: "meets hostile parameters with a RopeError or with finite numbers",
  remedy:
    "Give the parameter a range in the schema (above: 0, max, oneOf) or report the combination by check; frequencies must neither throw nor give NaN or Infinity for what both admit.",
  run(kit) {
    const { request, provider } = kit;
    const tried: [what: string, request: UntypedRopeRequest][] = settings.map((change) => [
      `${JSON.stringify(change)} (${kit.name})`,
      { ...request, ...change },
    ]);
    for (const [name, rule] of rulesOf(provider)) {
      const current = request.parameters[name as "ropeType"] ?? rule.default;
      for (const value of [...strange(), ...extremes(rule, current)]) {
        tried.push([`${name} = ${show(value)} (${kit.name})`, withParameters(request, { [name]: value })]);
      }
    }
    for (const [what, changed] of tried) {
      for (const precision of ["float32", "float64"] as const) checkOutcome(kit, { ...changed, precision }, what);
    }
  },
};

function checkOutcome(kit: Kit, request: UntypedRopeRequest, what: string): void {
  const where = `${what}, ${request.precision}`;
  try {
    const rope = kit.js(request);
    for (const length of rope.capabilities.dependsOnLength ? [0, 1, LENGTH, 2 ** 24] : [0]) {
      const { invFreq, attentionFactor, softmaxScaleFactor } = rope.frequencies(length);
      const numbers = [...invFreq, attentionFactor, softmaxScaleFactor];
      isTrue(numbers.every(Number.isFinite), where, "finite numbers, or a RopeError", numbers);
      rope.explain(length);
    }
  } catch (error) {
    if (Object(error).what === where) throw error;
    // Core makes a RopeError of whatever a formula throws.
    if (RopeError.is(error) && error.expected !== "no error") return;
    fail(where, "finite numbers, or a RopeError", String(error));
  }
}

export const formulaLaws: readonly Law[] = [arithmetic, ownership, hostile];
