import { conformance } from "@ropewalk/conformance";
import type { ConformanceOptions } from "@ropewalk/conformance";
import { createRegistry } from "@ropewalk/core";
import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeProvider, RopeRegistry } from "@ropewalk/core";
import { rotateTask } from "@ropewalk/core/backend";
import type { PassTask } from "@ropewalk/core/pass";
import type { RotationTask } from "@ropewalk/core/backend";
import { inverseFrequencies, toNumber } from "@ropewalk/core/math";

export interface ExampleParameters {
  readonly factor: number;
  readonly gain?: number;
}

/** A sound provider: interpolated positions, an amplitude, and a softmax factor. */
export class ExampleProvider implements RopeProvider<Required<ExampleParameters>> {
  readonly specificationVersion: number = 1;
  readonly source: string = "rope-example@1.0.0";
  readonly parameters: ParameterSchema<ExampleParameters> = {
    factor: { type: "number", min: 1, description: "context extension" },
    gain: { type: "number", above: 0, default: 1.25, description: "amplitude of cos and sin; arbitrary" },
  };

  frequencies(
    { base, rotaryDim, array }: FrequencyRequest,
    { factor, gain }: Required<ExampleParameters>,
  ): RopeFrequencies {
    return {
      invFreq: inverseFrequencies(base, rotaryDim, array).map((frequency) => array.divide(frequency, factor)),
      attentionFactor: gain,
      rules: [{ name: "attentionFactor", value: gain, rule: "given as gain" }],
    };
  }
}

/** `ExampleProvider` with some of its members replaced. */
export function changed(members: Partial<RopeProvider<any>>): RopeProvider {
  return Object.assign(new ExampleProvider(), members) as RopeProvider;
}

/** Frequencies of the example with a function over them. */
export function mapped(change: (value: number, pair: number) => number): Pick<RopeProvider, "frequencies"> {
  return {
    frequencies(request, parameters) {
      const made = new ExampleProvider().frequencies(request, parameters as Required<ExampleParameters>);
      return { ...made, invFreq: made.invFreq.map((value, pair) => change(toNumber(value), pair)) };
    },
  };
}

/**
 * An isolated registry with a provider under "example" and a backend "planted" that rotates by `executor`, and runs a
 * pass by `pass`.
 */
export function registryWith(
  provider: RopeProvider,
  executor: (tasks: readonly RotationTask[]) => void = (tasks) => tasks.forEach(rotateTask),
  pass?: (tasks: readonly PassTask[]) => void,
): RopeRegistry {
  const registry = createRegistry();
  registry.register("example", provider);
  registry.registerBackend({
    specificationVersion: 1,
    name: "planted",
    source: "planted@1.0.0",
    create: ({ withExecutor }) => withExecutor({ name: "planted", rotate: executor, ...(pass && { pass }) }),
  });
  return registry;
}

/** Small, so that a whole suite runs in a moment; the second case has no amplitude. */
export const cases: ConformanceOptions["cases"] = [
  { name: "gain", request: { headDim: 8, base: 500, maxPosition: 5000, parameters: { factor: 2 } } },
];

/** The case with numbers from Python: `500 ** (-i / 4) / 2` for the frequencies, `math.cos(3 * f) * 1.25` for cos. */
export const expectingCases: ConformanceOptions["cases"] = [
  {
    ...cases[0]!,
    expected: {
      source: "Python 3, math",
      digits: 12,
      invFreq: [0.5, 0.105737126344, 0.022360679775, 0.00472870804502],
      attentionFactor: 1.25,
      positions: [0, 3],
      cos: [
        [1.25, 1.25, 1.25, 1.25],
        [0.0884215020846, 1.18763616629, 1.24718855453, 1.24987422329],
      ],
      sin: [
        [0, 0, 0, 0],
        [1.24686873326, 0.389897853948, 0.083789673893, 0.0177320604035],
      ],
    },
  },
];

export interface Outcome {
  readonly name: string;
  /** The law, without type and case. */
  readonly law: string;
  readonly error: Error | undefined;
}

/** Runs a suite through a `test` function of its own. */
export async function outcomes(options: ConformanceOptions): Promise<Outcome[]> {
  const collected: { name: string; run: () => void | Promise<void> }[] = [];
  conformance((name, run) => collected.push({ name, run }), options);
  const results: Outcome[] = [];
  for (const { name, run } of collected) {
    const law = name.replace(/^\S+( on \S+)?( \([^)]*\))? /, "");
    try {
      await run();
      results.push({ name, law, error: undefined });
    } catch (error) {
      results.push({ name, law, error: error as Error });
    }
  }
  return results;
}

export const failing = (results: readonly Outcome[]): string[] => [
  ...new Set(results.filter(({ error }) => error !== undefined).map(({ law }) => law)),
];
