/**
 * The contract between core and the packages that know a rope type.
 *
 * A provider is a pure formula: from a validated parameter object to frequencies and amplitudes. It owns no table, no
 * cache, no rotation and no position; core has each of these once, for all providers. What a rope can do is declared in
 * {@link RopeCapabilities}, and nobody compares the names of types.
 */

import type { Arithmetic, Real } from "./arithmetic.ts";
import { RopeError, show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import type { Pairing } from "./pairing.ts";
import type { ParameterSchema } from "./parameters.ts";

/** The version of this contract. Core accepts it and the one before. */
export const SPECIFICATION_VERSION = 1;

/** @throws RopeError `ROPE_SPEC_VERSION` unless core understands contract version `version` (its own and the one before). */
export function checkSpecificationVersion(version: unknown, whose: string): void {
  const oldest = Math.max(1, SPECIFICATION_VERSION - 1);
  if (Number.isInteger(version) && (version as number) >= oldest && (version as number) <= SPECIFICATION_VERSION) {
    return;
  }
  throw new RopeError("ROPE_SPEC_VERSION", {
    what: `${whose} has a specification version that this @ropewalk/core does not know`,
    expected: oldest === SPECIFICATION_VERSION ? `${SPECIFICATION_VERSION}` : `${oldest} or ${SPECIFICATION_VERSION}`,
    received: show(version),
    remedy: "Upgrade the older of the two packages.",
    facts: { supported: SPECIFICATION_VERSION, received: version },
  });
}

/** How the angle of a rotation is rounded; see `RopeRequest.precision`. */
export type Precision = "float32" | "float64";

/** The facts of a rope that do not depend on its type. */
export interface RopeSettings {
  /** Elements of one attention head. */
  readonly headDim: number;
  /** How many of them are rotated; even, `≤ headDim`. */
  readonly rotaryDim: number;
  /** `theta`: the base of the geometric series of frequencies. */
  readonly base: number;
  /** The number of positions that the model admits, or `null` where the request does not say. */
  readonly maxPosition: number | null;
}

/** What a formula gets to compute with. */
export interface FrequencyRequest extends RopeSettings {
  readonly precision: Precision;
  /**
   * The length for which frequencies are wanted, as `effectiveLength` of the provider returned it; `null` for a type that does
   * not depend on the length.
   */
  readonly length: number | null;
  /** Arithmetic of what engines compute in Python floats: float64, or double-double for `precision: "float64"`. */
  readonly scalar: Arithmetic;
  /** Arithmetic of what engines compute in tensors: float32, or double-double for `precision: "float64"`. */
  readonly array: Arithmetic;
}

/** One number of a rope with the rule that gave it. */
export interface RopeRule {
  readonly name: string;
  readonly value: number | string | boolean | null;
  /** One sentence: why this value. */
  readonly rule: string;
  /** Paper and equation, or engine and version. */
  readonly source?: string;
}

/** What a formula gives. */
export interface RopeFrequencies {
  /** Angle per position of each pair, in radians: `rotaryDim/2` values, zero where a pair is not rotated. */
  readonly invFreq: readonly Real[];
  /** Multiplies cos and sin, so every logit gets its square. Default 1. */
  readonly attentionFactor?: Real;
  /** Multiplies the softmax scale in the attention layer; core only reports it. Default 1. */
  readonly softmaxScaleFactor?: Real;
  /** The position axis that feeds each pair, `rotaryDim/2` values from 0. Absent: one axis. */
  readonly axes?: readonly number[];
  /**
   * How far the type extends the context, in positions, where that is more than `maxPosition` says (YaRN:
   * `factor · originalMaxPosition`). Positions are accepted up to the larger of the two.
   */
  readonly extendedMaxPosition?: number;
  /** Why the numbers are what they are, for `explain()`. */
  readonly rules?: readonly RopeRule[];
  /** A word for each pair (`"kept"`, `"blended"`, `"interpolated"`, …), for `explain()`. */
  readonly regimes?: readonly string[];
}

/** What a rope of a type can do. Undeclared features throw `ROPE_UNSUPPORTED`. */
export interface RopeCapabilities {
  /** Each pair is turned by an angle proportional to the position and scaled by the amplitude. Default true. */
  readonly isRotation?: boolean;
  /** A rotated key can be moved to another position by rotating it again. Default: a rotation that does not depend on the length. */
  readonly canShift?: boolean;
  /** Frequencies depend on the current length: keys cached under other frequencies are stale. Default false. */
  readonly dependsOnLength?: boolean;
  /** Positions need not be integers and may be negative. Default false. */
  readonly fractionalPositions?: boolean;
  /** The number of position axes that the type takes. Default 1. */
  readonly axisCount?: number;
}

/** What a spelling gives: the type that is meant, with its parameters, and position axes. */
export interface RewrittenRequest {
  readonly parameters: { readonly ropeType: string; readonly [name: string]: unknown };
  /** The position axis of each pair, as a request says it. Absent: those of the request itself. */
  readonly axes?: readonly number[];
}

/** One registered name. */
export interface RopeRegistration {
  /** The name that was asked for: a type, or an alias. */
  readonly name: string;
  /** The type that the name stands for; differs from `name` for an alias. */
  readonly ropeType: string;
  readonly provider: RopeProvider | RopeSpelling;
  /** Parameters that an alias sets before the caller's own. */
  readonly presets: Readonly<Record<string, unknown>>;
}

/**
 * A rope type, as a value. Stateless: one instance serves all ropes.
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
  /** Package and version, `"@ropewalk/yarn@1.2.0"`: registering the same source again is a no-op. */
  readonly source: string;
  /** Every parameter of the type. Keys that are not here are errors. */
  readonly parameters: ParameterSchema<P>;
  /** What ropes of the type can do; a function where that follows from the parameters. */
  readonly capabilities?: RopeCapabilities | ((parameters: P, settings: RopeSettings) => RopeCapabilities);
  /** What a request that leaves these out gets, where the type's models differ from core's defaults. */
  readonly defaults?: { readonly pairing?: Pairing };
  /** What the schema cannot say: contradictions between parameters, or with the settings. Returns all it finds. */
  check?(parameters: P, settings: RopeSettings): readonly RopeIssue[];
  /**
   * For a type that depends on the length: the effective length at `length` tokens, one that stands for all lengths with the
   * same frequencies. Lengths with equal results share frequencies and tables. Absent: each length has its own.
   */
  effectiveLength?(length: number, parameters: P, settings: RopeSettings): number;
  /** The formula. Pure: equal arguments give equal results. */
  frequencies(request: FrequencyRequest, parameters: P): RopeFrequencies;
}

/**
 * A name that is only another way of writing requests of other types, as a value: registered like a rope type, with a schema
 * and checks, but without a formula. Ropes of either way of writing are the same instance.
 */
export interface RopeSpelling<P = any> extends Pick<
  RopeProvider<P>,
  "specificationVersion" | "source" | "parameters" | "defaults" | "check"
> {
  /** The request that is meant; the type that it names must be registered, and is taken as it is. Pure. */
  rewrite(parameters: P, settings: RopeSettings): RewrittenRequest;
}

export const isSpelling = (provider: RopeProvider | RopeSpelling): provider is RopeSpelling =>
  typeof (provider as Partial<RopeSpelling>).rewrite === "function";
