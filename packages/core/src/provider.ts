/**
 * The contract between core and the packages that know a rope type.
 *
 * A provider is a pure formula: from checked parameters to frequencies and amplitudes. Core has the tables, the cache,
 * the rotation and the positions, once for all providers. A provider declares in {@link RopeCapabilities} what its
 * ropes can do; core never compares the names of types.
 */

import type { Arithmetic, Real } from "./arithmetic.ts";
import { RopeError, show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import type { Pairing } from "./pairing.ts";
import type { ParameterSchema } from "./parameters.ts";

/** The version of this contract. Core accepts this version and the one before. */
export const SPECIFICATION_VERSION = 1;

const OLDEST_VERSION = Math.max(1, SPECIFICATION_VERSION - 1);

/**
 * @param whose the package or the request that `version` belongs to.
 * @throws RopeError `ROPE_SPEC_VERSION` unless `version` is core's contract version or the one before. Its
 * `facts.outdated` says which of the two is behind: `"core"`, `"other"`, or `null` if `version` is no version.
 */
export function checkSpecificationVersion(version: unknown, whose: string): void {
  const isVersion = Number.isInteger(version);
  if (isVersion && (version as number) >= OLDEST_VERSION && (version as number) <= SPECIFICATION_VERSION) return;
  const outdated = !isVersion ? null : (version as number) > SPECIFICATION_VERSION ? "core" : "other";
  throw new RopeError("ROPE_SPEC_VERSION", {
    what: `${whose} has a specification version that this @ropewalk/core does not know`,
    expected: (OLDEST_VERSION === SPECIFICATION_VERSION ? "" : `${OLDEST_VERSION} or `) + SPECIFICATION_VERSION,
    received: show(version),
    remedy: isVersion
      ? `Upgrade ${outdated === "core" ? "@ropewalk/core" : whose}, the older of the two.`
      : "Give core's SPECIFICATION_VERSION.",
    facts: { supported: SPECIFICATION_VERSION, received: version, outdated },
  });
}

/** How the angle of a rotation is rounded: to float32 as engines do, or not at all; see `RopeRequest.precision`. */
export type Precision = "float32" | "float64";

/** The settings that ropes of every type have. */
export interface RopeSettings {
  /** Elements of one attention head. */
  readonly headDim: number;
  /** Number of rotated elements; even, `≤ headDim`. */
  readonly rotaryDim: number;
  /** `theta`: the base of the geometric series of frequencies. */
  readonly base: number;
  /** The number of positions that the model accepts; `null` if the request does not say. */
  readonly maxPosition: number | null;
}

/** The input of a formula: settings, length, and the arithmetic to compute in. */
export interface FrequencyRequest extends RopeSettings {
  readonly precision: Precision;
  /**
   * The length in tokens, as the provider's `effectiveLength` returned it; `null` for a type that does not depend on
   * it.
   */
  readonly length: number | null;
  /** For steps that engines compute in Python floats: float64, or double-double for `precision: "float64"`. */
  readonly scalar: Arithmetic;
  /** For steps that engines compute in tensors: float32, or double-double for `precision: "float64"`. */
  readonly array: Arithmetic;
}

/** One number of a rope with the rule that gave it. */
export interface RopeRule {
  readonly name: string;
  readonly value: number | string | boolean | null;
  /** One sentence: the reason for the value. */
  readonly rule: string;
  /** Paper and equation, or engine and version. */
  readonly source?: string;
}

/** The result of a formula. */
export interface RopeFrequencies {
  /** Angle per position of each pair, in radians: `rotaryDim/2` values, 0 for a pair that is not rotated. */
  readonly invFreq: readonly Real[];
  /** The factor of cos and sin; every logit gets its square. Default 1. */
  readonly attentionFactor?: Real;
  /** The factor of the softmax scale; the attention layer applies it, core only reports it. Default 1. */
  readonly softmaxScaleFactor?: Real;
  /** The position axis of each pair, `rotaryDim/2` integers from 0. Default: one axis. */
  readonly axes?: readonly number[];
  /**
   * The number of positions that the type extends the context to (YaRN: `factor · originalMaxPosition`). Positions are
   * accepted up to this or `maxPosition`, whichever is larger.
   */
  readonly extendedMaxPosition?: number;
  /** The rules behind the numbers, for `explain()`. */
  readonly rules?: readonly RopeRule[];
  /** A word for each pair (`"kept"`, `"blended"`, `"interpolated"`, …), for `explain()`. */
  readonly regimes?: readonly string[];
}

/** The features of a type's ropes. A feature that is not declared throws `ROPE_UNSUPPORTED`. */
export interface RopeCapabilities {
  /** Each pair is turned by an angle proportional to the position and scaled by the amplitude. Default true. */
  readonly isRotation?: boolean;
  /**
   * A second rotation moves a rotated key to another position. Default: true for rotations that do not depend on the
   * length.
   */
  readonly canShift?: boolean;
  /** Frequencies depend on the current length: keys cached under other frequencies are stale. Default false. */
  readonly dependsOnLength?: boolean;
  /** Positions need not be integers and may be negative. Default false. */
  readonly fractionalPositions?: boolean;
  /** The number of position axes that the type takes. Default 1. */
  readonly axisCount?: number;
}

/** The request that a {@link RopeSpelling} stands for: the type with its parameters, and the position axes. */
export interface RewrittenRequest {
  /** The type that is meant, and its parameters. */
  readonly parameters: { readonly ropeType: string; readonly [name: string]: unknown };
  /** The position axis of each pair, `rotaryDim/2` integers from 0. Default: the axes of the request itself. */
  readonly axes?: readonly number[];
}

/** One registered name. */
export interface RopeRegistration {
  /** The registered name: a type, or an alias. */
  readonly name: string;
  /** The type that the name stands for. It differs from `name` for an alias. */
  readonly ropeType: string;
  readonly provider: RopeProvider | RopeSpelling;
  /** Parameters that an alias presets; the caller's own take precedence. */
  readonly presets: Readonly<Record<string, unknown>>;
}

/**
 * A rope type, as a value. It has no state: one instance serves all ropes.
 *
 * @example
 * class LinearProvider implements RopeProvider<{ factor: number }> {
 *   readonly specificationVersion = 1;
 *   readonly source = "rope-linear@1.0.0";
 *   readonly parameters = { factor: { type: "number", min: 1, description: "context extension" } } as const;
 *   frequencies({ base, rotaryDim, array }: FrequencyRequest, { factor }: { factor: number }): RopeFrequencies {
 *     return { invFreq: inverseFrequencies(base, rotaryDim, array).map((f) => array.divide(f, factor)) };
 *   }
 * }
 */
export interface RopeProvider<P = any> {
  /** The version of this contract that the provider was written against. */
  readonly specificationVersion: number;
  /** Package and version, `"@ropewalk/yarn@1.2.0"`. Registering the same source again does nothing. */
  readonly source: string;
  /** Every parameter of the type. Keys that are not here are errors. */
  readonly parameters: ParameterSchema<P>;
  /** The features of the type's ropes; a function if they depend on the parameters. */
  readonly capabilities?: RopeCapabilities | ((parameters: P, settings: RopeSettings) => RopeCapabilities);
  /** Defaults for the request, if the type's models differ from core's. */
  readonly defaults?: { readonly pairing?: Pairing };
  /**
   * Checks that the schema cannot express: parameters that contradict each other or the settings. Returns every issue.
   */
  check?(parameters: P, settings: RopeSettings): readonly RopeIssue[];
  /**
   * For a type that depends on the length: the effective length at `length` tokens. Lengths with equal results share
   * frequencies and tables. Default: every length has its own.
   */
  effectiveLength?(length: number, parameters: P, settings: RopeSettings): number;
  /** Computes the frequencies. Pure: equal arguments give equal results. It must not keep or change its arguments. */
  frequencies(request: FrequencyRequest, parameters: P): RopeFrequencies;
}

/**
 * Another way to write requests of an existing type, as a value: `mrope` with `sections` stands for `default` with
 * `axes`. It is registered like a rope type and has a schema and checks, but no formula. Both ways to write a request
 * give the same instance.
 */
export interface RopeSpelling<P = any> extends Pick<
  RopeProvider<P>,
  "specificationVersion" | "source" | "parameters" | "defaults" | "check"
> {
  /**
   * The request that is meant. Pure. Its type must be registered and have a formula: a spelling of a spelling is
   * refused with `ROPE_INVALID_PARAMETERS`.
   */
  rewrite(parameters: P, settings: RopeSettings): RewrittenRequest;
}

/**
 * Reads what a provider answers. Other packages supply providers, so an answer may be anything.
 *
 * @param read calls the provider and makes a checked copy of its answer; it calls `refuse` for one that cannot be used.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` that names the provider: by `refuse`, and for whatever `read` throws. A
 * RopeError passes.
 */
export function answerOf<T>(
  { source }: Pick<RopeProvider, "source">,
  read: (refuse: (expected: string, received: unknown) => never) => T,
): T {
  const refuse = (expected: string, received: unknown): never => {
    throw new RopeError("ROPE_INVALID_PARAMETERS", {
      what: `the provider ${source} gave a result that cannot be used`,
      expected,
      received: show(received),
      remedy: "Check the parameters. Otherwise report it to the provider.",
    });
  };
  try {
    return read(refuse);
  } catch (cause) {
    if (RopeError.is(cause)) throw cause;
    return refuse("no error", cause instanceof Error ? cause.message : cause);
  }
}

/** Whether a value is an object and no list. */
export const isRecord = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const isSpelling = (provider: RopeProvider | RopeSpelling): provider is RopeSpelling =>
  typeof (provider as Partial<RopeSpelling>).rewrite === "function";
