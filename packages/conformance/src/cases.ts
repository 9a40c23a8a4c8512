/** Cases made from a provider's parameter schema, for an author who has written none yet. */

import { RopeError, createRegistry, getRopeUntyped } from "@ropewalk/core";
import type {
  ParameterRule,
  RopeProvider,
  RopeRegistry,
  RopeSpelling,
  RotaryEmbedding,
  UntypedRopeRequest,
} from "@ropewalk/core";
import { checkKeys, invalid, show } from "@ropewalk/core/backend";
import { sharedRegistry } from "./kit.ts";
import type { ConformanceCase } from "./options.ts";
import { effectOf } from "./provider-laws.ts";

/** The type to make cases for: a name in a registry, or a provider as a value. */
export interface CasesForOptions {
  /** The name of the type. Required unless `provider` is given. */
  readonly ropeType?: string;
  /** The registry of the type. Default: the shared one. */
  readonly registry?: RopeRegistry;
  /** The provider as a value. */
  readonly provider?: RopeProvider | RopeSpelling;
}

/** A trained model's settings: long enough that every extension of the context has something to do. */
const settings = { headDim: 16, base: 10_000, maxPosition: 32_768 } as const;

/** The same with a part of the head rotated, which some parameters need to have an effect. */
const partly = { ...settings, headDim: 24, rotaryDim: 16 } as const;

/**
 * Makes cases from the schema of a type: its required parameters alone, for a whole head and a part of one; each
 * parameter that is not set by default, with others that it needs; and another value of an optional parameter, if some
 * parameter has an effect only beside that.
 *
 * The values are in range and otherwise arbitrary. They show that laws hold, not that numbers are right: write cases
 * with `expected` numbers for that.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for options with neither type nor provider, and when no values from the
 * schema make a valid request; `ROPE_UNKNOWN_TYPE` for a name that is not registered.
 */
export function casesFor(options: CasesForOptions): ConformanceCase[] {
  checkKeys("the options of casesFor", options, ["ropeType", "registry", "provider"]);
  const { registry = sharedRegistry, provider } = options;
  if (options.ropeType === undefined && provider === undefined) {
    const expected = "a name, or a provider instead";
    throw invalid("the options of casesFor", [{ path: "ropeType", expected, received: show(options.ropeType) }]);
  }
  const ropeType = options.ropeType ?? "provider-under-test";
  if (provider !== undefined) createRegistry().register(ropeType, provider);
  const rules = Object.entries(
    (provider ?? registry.require(ropeType).provider).parameters as Record<string, ParameterRule>,
  );
  const make = (request: UntypedRopeRequest): RotaryEmbedding =>
    getRopeUntyped(request, provider === undefined ? { registry } : { registry, provider });
  const problem = (parameters: object, head: typeof settings | typeof partly = settings): RopeError | undefined => {
    const request = { ...head, parameters: { ...parameters, ropeType } };
    try {
      make(request).frequencies();
      return undefined;
    } catch (error) {
      if (RopeError.is(error)) return error;
      throw error;
    }
  };
  const isEffective = ({ request }: ConformanceCase, name: string, rule: ParameterRule): boolean => {
    const whole = { ...request, parameters: { ...request.parameters, ropeType } };
    return effectOf(make, whole, name, rule).changed;
  };
  const item = (
    name: string,
    parameters: Readonly<Record<string, unknown>>,
    head: typeof settings | typeof partly = settings,
  ): ConformanceCase => ({ name, request: { ...head, parameters } });

  const unset = rules.filter(([, { default: value }]) => value === null);
  const required = combinations(rules.filter(([, { default: value }]) => value === undefined));
  // Some types need one of their optional parameters.
  const bases = [...required, ...required.flatMap((base) => unset.flatMap((rule) => combinations([rule], base)))];
  const base = bases.find((parameters) => problem(parameters) === undefined);
  if (base === undefined) {
    throw invalid(`the cases that the schema of ${show(ropeType)} gives`, [
      {
        path: "cases",
        expected: "values from the schema that make a valid request",
        received: problem(bases[0] ?? {})?.message ?? "none",
        remedy: "Write cases: the parameters depend on each other in ways that the schema does not say.",
      },
    ]);
  }
  const cases = [item("required parameters", base)];
  if (problem(base, partly) === undefined) cases.push(item("a part of the head", base, partly));
  for (const [name, rule] of unset) {
    if (Object.hasOwn(base, name)) continue;
    const alone = combinations([[name, rule]], base);
    const beside = unset.flatMap((other) => (other[0] === name ? [] : combinations([[name, rule], other], base)));
    const found = [...alone, ...beside].find((parameters) => problem(parameters) === undefined);
    if (found === undefined) continue;
    const added = Object.keys(found).filter((key) => !Object.hasOwn(base, key));
    const known = cases.some(({ request }) => sameKeys(request.parameters ?? {}, found));
    if (!known) cases.push(item(`with ${added.join(" and ")}`, found));
  }
  // Some parameters only matter beside another value of an optional one.
  const idle = new Set(rules.filter(([name, rule]) => !cases.some((known) => isEffective(known, name, rule))));
  for (const [name, rule] of rules) {
    if (idle.size === 0) break;
    if (rule.default === undefined || rule.default === null) continue;
    for (const value of valuesFor(rule).filter((candidate) => candidate !== rule.default)) {
      const parameters = { ...base, [name]: value };
      for (const head of [settings, partly]) {
        if (problem(parameters, head) !== undefined) continue;
        const added = item(`with ${name} ${JSON.stringify(value)}`, parameters, head);
        const woken = [...idle].filter(([other, otherRule]) => isEffective(added, other, otherRule));
        if (woken.length === 0 || cases.some(({ name: taken }) => taken === added.name)) continue;
        cases.push(added);
        for (const rule of woken) idle.delete(rule);
      }
    }
  }
  return cases;
}

const sameKeys = (a: object, b: object): boolean =>
  JSON.stringify(Object.keys(a).sort()) === JSON.stringify(Object.keys(b).sort());

/** Objects with one of several values for each parameter; at most a few hundred. */
function combinations(
  rules: readonly (readonly [string, ParameterRule])[],
  base: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>>[] {
  let made: Readonly<Record<string, unknown>>[] = [base];
  for (const [name, rule] of rules) {
    made = valuesFor(rule).flatMap((value) => made.map((parameters) => ({ ...parameters, [name]: value })));
  }
  return made.slice(0, 256);
}

/** Values in a rule's range, the likeliest first. */
function valuesFor({ type, min, max, above, below, oneOf }: ParameterRule): unknown[] {
  if (oneOf !== undefined) return [...oneOf];
  if (type === "boolean") return [true, false];
  if (type === "string") return ["a"];
  const admits = (value: number): boolean =>
    (min === undefined || value >= min) &&
    (max === undefined || value <= max) &&
    (above === undefined || value > above) &&
    (below === undefined || value < below);
  const [low, high] = [min ?? above, max ?? below];
  const between = low !== undefined && high !== undefined ? [(low + high) / 2] : [];
  // A whole number without an upper end is most often a length in tokens.
  const usual = type === "integer" ? [8192, 4, 2, 1] : [4, 2, 1, 0.5];
  const numbers = [...new Set([...usual, ...between, (low ?? 0) + 1, (high ?? 0) - 1])].filter(admits);
  if (type === "number") return numbers.slice(0, 3);
  if (type === "integer") return numbers.filter((value) => Number.isInteger(value)).slice(0, 3);
  const pairs = settings.headDim / 2;
  const start = numbers[0] ?? 1;
  const slope = admits(start * 2) ? 1 / pairs : 0;
  return [
    Array.from({ length: pairs }, (_, pair) => start * (1 + pair * slope)),
    numbers.slice(0, 2),
    [pairs / 2, pairs / 4, pairs / 4],
  ].filter((list) => list.every(admits));
}
