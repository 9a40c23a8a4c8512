/**
 * Tests of a provider's own declarations: names and versions, parameters, and the one instance of equal requests.
 */

import { SPECIFICATION_VERSION, createRegistry, getRopeUntyped } from "@ropewalk/core";
import type { ParameterRule, RopeProvider, RopeSpelling, RotaryEmbedding, UntypedRopeRequest } from "@ropewalk/core";
import { equal, fail, isTrue, sameData, throwsCode } from "./assert.ts";
import type { Kit } from "./kit.ts";
import type { Law, ProviderLaw } from "./law.ts";

type Provider = RopeProvider | RopeSpelling;

const providerOf = (kits: readonly Kit[]): { kit: Kit; provider: Provider; ropeType: string } => ({
  kit: kits[0]!,
  provider: kits[0]!.provider,
  ropeType: kits[0]!.target.ropeType,
});

/** A provider that differs from another in some fields only. */
const differing = (provider: Provider, fields: Partial<RopeProvider>): Provider =>
  Object.create(
    provider,
    Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, { value }])),
  ) as Provider;

const declaration: ProviderLaw = {
  group: "registration",
  name: "names its package and version, and a contract that core knows",
  remedy:
    'Write source as the literal "name@version" of your package.json, and specificationVersion as core\'s SPECIFICATION_VERSION.',
  run(kits) {
    const { provider } = providerOf(kits);
    isTrue(/^(@[^/@\s]+\/)?[^@\s]+@\d+\.\d+\.\d+/.test(provider.source), "source", '"package@1.2.3"', provider.source);
    isTrue(
      [SPECIFICATION_VERSION, SPECIFICATION_VERSION - 1].includes(provider.specificationVersion),
      "specificationVersion",
      `${SPECIFICATION_VERSION} or the one before`,
      provider.specificationVersion,
    );
  },
};

const registration: ProviderLaw = {
  group: "registration",
  name: "registers twice from the same source without effect, and never over another source",
  remedy: "Keep source one constant string: it must not change between reads, nor hold a date or a random part.",
  async run(kits) {
    const { provider, ropeType } = providerOf(kits);
    const registry = createRegistry();
    registry.register(ropeType, provider);
    registry.register(ropeType, provider);
    registry.register(ropeType, differing(provider, {}));
    equal(registry.list().length, 1, "registered names after three registrations of one source");
    equal(registry.get(ropeType)?.provider, provider, "provider after three registrations of one source");
    await throwsCode(
      () => registry.register(ropeType, differing(provider, { source: `not ${provider.source}` })),
      "ROPE_TYPE_CONFLICT",
      "registration from another source",
    );
    equal(registry.get(ropeType)?.provider, provider, "provider after a refused registration");
    await throwsCode(
      () => createRegistry().register(ropeType, differing(provider, { specificationVersion: 99 })),
      "ROPE_SPEC_VERSION",
      "registration under contract version 99",
    );
    equal(registry.unregister(ropeType), true, "unregister");
    await throwsCode(
      () => getRopeUntyped(kits[0]!.request, { registry }),
      "ROPE_UNKNOWN_TYPE",
      "request for an unregistered type",
    );
  },
};

const schema: ProviderLaw = {
  group: "parameters",
  name: "describes each parameter with the source of its default, and admits its own defaults",
  remedy:
    'Give each parameter a description; after its meaning and a semicolon, say where the default comes from ("turns above which pairs are kept; YaRN §3.2"). The default must obey its own rule.',
  run(kits) {
    const { provider, kit } = providerOf(kits);
    for (const [name, rule] of rulesOf(provider)) {
      isTrue(
        rule.description.trim() !== "",
        `description of ${name}`,
        "one line: what it is, its unit, where the default comes from",
        rule.description,
      );
      isTrue(
        rule.default === undefined || namesOrigin(rule.description),
        `description of ${name}, whose default is ${JSON.stringify(rule.default)}`,
        'where the default comes from, after a semicolon or in parentheses: "…; YaRN §3.2", "… (vLLM)"',
        JSON.stringify(rule.description),
      );
      if (rule.default === undefined || rule.default === null) continue;
      // A default that is written out gives the same instance as one that is left out, unless the case sets the
      // parameter.
      for (const { request } of kits) {
        if (name in request.parameters) continue;
        equal(
          kit.js(withParameters(request, { [name]: rule.default })),
          kit.js(request),
          `rope with ${name} at its default, written out`,
        );
      }
    }
  },
};

const refusals: Law = {
  group: "parameters",
  name: "refuses undeclared, out-of-range and missing parameters, all at once",
  remedy:
    "Declare each parameter once in the schema, with its range; core does the checks. Report contradictions by check.",
  async run(kit) {
    const { request } = kit;
    const issuesOf = async (
      parameters: Readonly<Record<string, unknown>>,
      what: string,
      more: object = {},
    ): Promise<string[]> => {
      const error = await throwsCode(
        () => kit.js({ ...withParameters(request, parameters), ...more }),
        "ROPE_INVALID_PARAMETERS",
        what,
      );
      return error.issues.map(({ path }) => path);
    };
    const lists = (paths: readonly string[], path: string, what: string): void =>
      isTrue(paths.includes(path), what, `an issue at ${path}`, paths);

    lists(
      await issuesOf({ noSuchParameter: 1 }, "an undeclared parameter"),
      "parameters.noSuchParameter",
      "an undeclared parameter",
    );
    const several = await issuesOf({ noSuchParameter: 1, norThisOne: 2 }, "three mistakes at once", { headDim: 0.5 });
    for (const path of ["parameters.noSuchParameter", "parameters.norThisOne", "headDim"]) {
      lists(several, path, "three mistakes at once");
    }

    for (const [name, rule] of rulesOf(kit.provider)) {
      for (const bad of invalidValues(rule)) {
        const what = `${name} = ${JSON.stringify(bad) ?? String(bad)} (${kit.name})`;
        lists(await issuesOf({ [name]: bad }, what), `parameters.${name}`, what);
      }
      if (rule.default === undefined) {
        lists(
          await issuesOf({ [name]: undefined }, `a request without ${name}`),
          `parameters.${name}`,
          `a request without ${name}`,
        );
      }
    }
  },
};

const effects: ProviderLaw = {
  group: "parameters",
  name: "has no parameter without effect",
  remedy:
    "Use the parameter in frequencies, or take it out of the schema. If it only matters beside another, add a case that sets both.",
  async run(kits) {
    const { provider } = providerOf(kits);
    for (const [name, rule] of rulesOf(provider)) {
      let changed = false;
      let accepted = 0;
      for (const kit of kits) {
        const effect = effectOf((request) => kit.js(request), kit.request, name, rule);
        for (const [value, error] of effect.refused) {
          await throwsCode(
            () => Promise.reject(error as Error),
            "ROPE_INVALID_PARAMETERS",
            `${name} = ${JSON.stringify(value)} (${kit.name})`,
          );
        }
        accepted += effect.accepted;
        changed ||= effect.changed;
      }
      // A value may be refused, because it contradicts the rest of the case. It must not be accepted and ignored.
      if (accepted > 0 && !changed) {
        fail(
          `effect of the parameter ${name}`,
          "another table, amplitude or range in at least one case",
          `none with ${accepted} other values; does a case use it?`,
        );
      }
    }
  },
};

const identity: Law = {
  group: "parameters",
  name: "is one instance for equal requests, and its spec gives it back",
  remedy: "Make every default plain data that JSON can write, and keep anything that changes out of the provider.",
  run(kit) {
    for (const { label, request } of kit.variants()) {
      const rope = kit.js(request);
      equal(kit.js(structuredClone(request)), rope, `rope of an equal request, ${label}`);
      equal(kit.js(reversed(request)), rope, `rope of the request with its keys in reverse, ${label}`);
      equal(
        kit.js(JSON.parse(JSON.stringify(rope.spec)) as UntypedRopeRequest),
        rope,
        `rope of its spec after JSON, ${label}`,
      );
      isTrue(
        Object.isFrozen(rope) && Object.isFrozen(rope.spec) && Object.isFrozen(rope.spec.parameters),
        `rope and spec, ${label}`,
        "frozen",
        "not",
      );
      // The parameters of a spelling differ from those of the type behind it.
      if (!("rewrite" in kit.provider)) {
        const declared = ["ropeType", ...rulesOf(kit.provider).map(([name]) => name)];
        sameData(Object.keys(rope.spec.parameters).sort(), declared.sort(), `parameters in the spec, ${label}`);
      }
      equal(rope.spec.specificationVersion, 1, `specificationVersion of the spec, ${label}`);
      const { base, maxPosition } = rope.spec;
      for (const change of [{ base: base * 2 }, { maxPosition: (maxPosition ?? 1000) + 1 }]) {
        const other = kit.js({ ...request, ...change });
        isTrue(other !== rope, `rope with another ${Object.keys(change)[0]}, ${label}`, "another instance", "the same");
      }
    }
  },
};

const purity: Law = {
  group: "parameters",
  name: "gives the same numbers every time, also after other requests",
  remedy:
    "Make frequencies pure: no module state, no caches, no randomness, no clock. Declare dependsOnLength if they follow the length.",
  run(kit) {
    for (const { label, request } of kit.variants({ pairings: false, slices: false })) {
      const rope = kit.js(request);
      const first = outcome(rope);
      equal(outcome(kit.fresh(request)), first, `numbers of a rope made anew, ${label}`);
      kit.fresh({ ...request, base: rope.base * 3 });
      equal(outcome(kit.fresh(request)), first, `numbers after a rope of another base, ${label}`);
      const { invFreq, attentionFactor, softmaxScaleFactor, axes } = rope.frequencies();
      equal(invFreq.length, rope.rotaryDim / 2, `number of frequencies, ${label}`);
      equal(axes.length, rope.rotaryDim / 2, `number of axes, ${label}`);
      isTrue(
        invFreq.every((value) => Number.isFinite(value)),
        `frequencies, ${label}`,
        "finite numbers",
        Array.from(invFreq),
      );
      isTrue(
        attentionFactor > 0 && Number.isFinite(attentionFactor),
        `attentionFactor, ${label}`,
        "a finite number > 0",
        attentionFactor,
      );
      isTrue(
        softmaxScaleFactor > 0 && Number.isFinite(softmaxScaleFactor),
        `softmaxScaleFactor, ${label}`,
        "a finite number > 0",
        softmaxScaleFactor,
      );
      if (rope.precision === "float32") {
        isTrue(
          invFreq.every((value) => Math.fround(value) === value),
          `frequencies, ${label}`,
          "exact float32 values",
          Array.from(invFreq),
        );
      }
      for (const length of lengths) {
        const name = rope.effectiveLength(length);
        isTrue(
          rope.capabilities.dependsOnLength ? typeof name === "number" : name === null,
          `effectiveLength(${length}), ${label}`,
          rope.capabilities.dependsOnLength ? "a length" : "null: dependsOnLength is not declared",
          name,
        );
        if (name === null) continue;
        equal(rope.effectiveLength(name), name, `effectiveLength of the effective length of ${length}, ${label}`);
        sameData(
          Array.from(rope.frequencies(length).invFreq),
          Array.from(rope.frequencies(name).invFreq),
          `frequencies at length ${length} and at its effective length ${name}, ${label}`,
        );
      }
    }
  },
};

export const providerLaws: readonly ProviderLaw[] = [declaration, registration, schema, effects];
export const requestLaws: readonly Law[] = [refusals, identity, purity];

/** Whether a description has a second part, which says where the default comes from. */
function namesOrigin(description: string): boolean {
  const [, ...after] = description.split(";");
  const [, ...inside] = description.split("(");
  return after.join("").trim() !== "" || inside.some((part) => part.includes(")") && part.trim()[0] !== ")");
}

/** The lengths at which types that depend on the length are tested. */
const lengths = [1, 2048, 4096, 4097, 32768, 131072, 1_048_576];

/** What other values of a parameter do to the rope of a request. */
export interface ParameterEffect {
  /** The number of values that the type accepts. */
  readonly accepted: number;
  /** Values that it refuses, with the errors. */
  readonly refused: readonly (readonly [value: unknown, error: unknown])[];
  /** Whether an accepted value changes a number of the rope. */
  readonly changed: boolean;
}

/** Tries other values of a parameter, in exact numbers, in which a small change is visible. */
export function effectOf(
  make: (request: UntypedRopeRequest) => RotaryEmbedding,
  request: UntypedRopeRequest,
  name: string,
  rule: ParameterRule,
): ParameterEffect {
  const exact: UntypedRopeRequest = { ...request, precision: "float64" };
  const rope = make(exact);
  const before = outcome(rope);
  // The parameters of a spelling are in the request, not in the spec.
  const current = rope.spec.parameters[name] ?? request.parameters[name as "ropeType"] ?? rule.default;
  const refused: [unknown, unknown][] = [];
  let accepted = 0;
  let changed = false;
  for (const value of validValues(rule, current)) {
    let other: RotaryEmbedding;
    try {
      other = make(withParameters(exact, { [name]: value }));
    } catch (error) {
      refused.push([value, error]);
      continue;
    }
    accepted++;
    changed ||= outcome(other) !== before;
  }
  return { accepted, refused, changed };
}

/** The numbers of a rope that a parameter may change, as text. */
function outcome(rope: RotaryEmbedding): string {
  const outcomes = (rope.capabilities.dependsOnLength ? lengths : [1]).map((length) => {
    const { invFreq, axes, ...factors } = rope.frequencies(length);
    return { invFreq: Array.from(invFreq), axes: Array.from(axes), ...factors };
  });
  return JSON.stringify({ outcomes, limit: rope.positionLimit, capabilities: rope.capabilities });
}

export const rulesOf = (provider: Provider): [string, ParameterRule][] =>
  Object.entries(provider.parameters as Record<string, ParameterRule>);

export const withParameters = (
  request: UntypedRopeRequest,
  parameters: Readonly<Record<string, unknown>>,
): UntypedRopeRequest => ({ ...request, parameters: { ...request.parameters, ...parameters } });

/** The same object with its keys in the opposite order, deeply. */
function reversed<T>(value: T): T {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  ) as T;
}

/** Values that a rule accepts, without the current one. */
function validValues({ type, oneOf, ...rule }: ParameterRule, current: unknown): unknown[] {
  if (type === "boolean") return [current !== true];
  if (type === "string") return (oneOf ?? []).filter((value) => value !== current);
  const within = (value: number): boolean =>
    Number.isFinite(value) &&
    (rule.min === undefined || value >= rule.min) &&
    (rule.max === undefined || value <= rule.max) &&
    (rule.above === undefined || value > rule.above) &&
    (rule.below === undefined || value < rule.below);
  if (type === "numbers") {
    const list = current as readonly number[] | null;
    return list === null
      ? []
      : [list.map((value) => value * 1.25), list.map((value) => value + 1), [...list].reverse()].filter(
          (candidate) => candidate.every(within) && JSON.stringify(candidate) !== JSON.stringify(list),
        );
  }
  const near =
    typeof current === "number" ? [current * 2, current / 2, current * 8, current / 8, current + 1, current - 1] : [];
  const candidates = [...near, 0.5, 1.5, 2, 16, 4096].map((value) => (type === "integer" ? Math.round(value) : value));
  return [...new Set(candidates)].filter((value) => value !== current && within(value));
}

/** Values that a rule refuses. */
function invalidValues({ type, min, max, above, below, oneOf, default: fallback }: ParameterRule): unknown[] {
  const bad: unknown[] = [{}, ...(fallback === null ? [] : [null])];
  if (type === "boolean") return [...bad, 1, "true"];
  if (type === "string") return [...bad, 7, ...(oneOf === undefined ? [] : ["no such choice"])];
  if (type === "numbers") return [...bad, 7, ["1"], [NaN]];
  bad.push("2", true, NaN, Infinity);
  if (type === "integer") bad.push(Math.ceil(min ?? above ?? 0) + 1.5);
  if (min !== undefined) bad.push(min - 1);
  if (max !== undefined) bad.push(max + 1);
  if (above !== undefined) bad.push(above);
  if (below !== undefined) bad.push(below);
  return bad;
}
