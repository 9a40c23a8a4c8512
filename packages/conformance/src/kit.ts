/**
 * The argument of every law: the provider, one case, and the ways to make ropes of it.
 */

import { RopeError, defaultRegistry, getRopeUntyped } from "@ropewalk/core";
import type {
  AtOptions,
  CosSin,
  CosSinOptions,
  Pairing,
  Positions,
  Precision,
  RopeProvider,
  RopeRegistry,
  RopeSpelling,
  RopeSpec,
  RotaryEmbedding,
  RotaryStep,
  RotateArguments,
  RotateResult,
  ShiftArguments,
  Tensor,
  UntypedRopeRequest,
} from "@ropewalk/core";
import type { ExpectedNumbers } from "./expected.ts";
import { randomStream } from "./random.ts";

type Awaitable<T> = T | Promise<T>;
type PositionedArguments = RotateArguments & AtOptions & { readonly positions: Positions };

/**
 * The part of a rope that the laws use. Every `RotaryEmbedding` has it. `backend.adapt` wraps a rope whose methods take
 * other arguments, or memory of its own. Methods may return promises.
 */
export interface RopeUnderTest extends Pick<
  RotaryEmbedding,
  "spec" | "capabilities" | "positionLimit" | "attentionFactor" | "frequencies"
> {
  apply(tensors: PositionedArguments): Awaitable<RotateResult>;
  invert(tensors: PositionedArguments): Awaitable<RotateResult>;
  adjoint(tensors: PositionedArguments): Awaitable<RotateResult>;
  shift(tensors: ShiftArguments): Awaitable<Tensor>;
  cosSin(positions: Positions, options?: CosSinOptions): Awaitable<CosSin>;
  at(positions: Positions, options?: AtOptions): Awaitable<StepUnderTest>;
}

/** The part of a step that the laws use. */
export interface StepUnderTest extends Omit<RotaryStep, "apply" | "invert" | "adjoint"> {
  apply(tensors: RotateArguments): Awaitable<RotateResult>;
  invert(tensors: RotateArguments): Awaitable<RotateResult>;
  adjoint(tensors: RotateArguments): Awaitable<RotateResult>;
}

/** A backend to test. */
export interface BackendUnderTest {
  /** The name of the backend, for `rope.to(name, options)`. */
  readonly name: string;
  /** Passed to `rope.to` as they are. */
  readonly options?: unknown;
  /**
   * Whether results must equal the JavaScript backend's bit for bit. Default true. `false` is for devices that fuse
   * multiplication and addition: then results may differ by the roundings that fusing changes.
   */
  readonly bitExact?: boolean;
  /** Makes a {@link RopeUnderTest} of the result of `rope.to` (`backendRope`). Default: the result itself. */
  readonly adapt?: (backendRope: any, rope: RotaryEmbedding) => Awaitable<RopeUnderTest>;
}

/** The subject of a run: the checked options of `conformance`. */
export interface Target {
  readonly ropeType: string;
  readonly registry: RopeRegistry;
  /** The provider, if the caller passed it as a value. */
  readonly given: RopeProvider | RopeSpelling | undefined;
  readonly backend: BackendUnderTest | undefined;
  readonly seed: number;
}

/** One form of a case's request. */
export interface Variant {
  /** For messages: the form, the case and the seed. */
  readonly label: string;
  readonly request: UntypedRopeRequest;
}

const bothPrecisions: readonly Precision[] = ["float32", "float64"];

/** One case of one provider. */
export class Kit {
  readonly name: string;
  readonly request: UntypedRopeRequest;
  readonly target: Target;
  /** Numbers from outside, if the case has some. */
  readonly expected: ExpectedNumbers | undefined;

  constructor(target: Target, name: string, request: UntypedRopeRequest, expected?: ExpectedNumbers) {
    this.target = target;
    this.name = name;
    this.request = request;
    this.expected = expected;
  }

  get provider(): RopeProvider | RopeSpelling {
    return this.target.given ?? this.target.registry.require(this.target.ropeType).provider;
  }

  /** Whether results must equal JavaScript's bit for bit. */
  get bitExact(): boolean {
    return this.target.backend?.bitExact ?? true;
  }

  /** A stream of test data, a separate one for each label. */
  random(label: string): () => number {
    return randomStream(this.target.seed, label);
  }

  /** The rope in JavaScript. */
  js(request: UntypedRopeRequest = this.request): RotaryEmbedding {
    const { given, registry } = this.target;
    const names = given === undefined ? { registry } : { registry, provider: given };
    // Whatever a package has made the default.
    return getRopeUntyped(request, { ...names, backend: "js" });
  }

  /** The rope on the backend under test. */
  async rope(request: UntypedRopeRequest = this.request): Promise<RopeUnderTest> {
    const rope = this.js(request);
    const { backend } = this.target;
    if (backend === undefined) return rope;
    const made = await rope.to(backend.name, backend.options);
    return (backend.adapt === undefined ? made : await backend.adapt(made, rope)) as RopeUnderTest;
  }

  /** A new rope like `js(request)`, which has computed nothing and shares nothing with it. */
  fresh(request: UntypedRopeRequest = this.request): RotaryEmbedding {
    const { spec } = this.js(request);
    const { registry } = this.target;
    // A spelling has no formula, so the provider of the type behind it is used.
    const source = "rewrite" in this.provider ? registry.require(spec.parameters.ropeType).provider : this.provider;
    // A new provider object has an empty instance cache. It inherits the formula.
    const provider = Object.create(source) as RopeProvider;
    return getRopeUntyped(spec, { registry, provider, backend: "js" });
  }

  /**
   * The case's request with other pairings, other roundings of the angle, and other places of the rotated elements in a
   * wider head. The number of rotated elements stays, because parameters may depend on it. Variants that the type
   * refuses are left out; if it refuses all, the case as written remains.
   */
  variants({
    pairings = true,
    precisions = true,
    slices = true,
  }: { readonly pairings?: boolean; readonly precisions?: boolean; readonly slices?: boolean } = {}): Variant[] {
    const { spec } = this.js();
    const found: Variant[] = [];
    for (const precision of precisions ? bothPrecisions : [spec.precision]) {
      for (const pairing of pairings ? pairingsOf(spec.rotaryDim) : [spec.pairing]) {
        for (const slice of slices ? slicesOf(spec) : [{}]) {
          const request: UntypedRopeRequest = { ...spec, precision, pairing, ...slice };
          if (this.#admits(request)) found.push({ label: this.#label(request), request });
        }
      }
    }
    if (found.length > 0) return found;
    return [{ label: this.#label(spec), request: spec }];
  }

  #admits(request: UntypedRopeRequest): boolean {
    try {
      this.js(request);
      return true;
    } catch (error) {
      if (RopeError.is(error) && error.code === "ROPE_INVALID_PARAMETERS") return false;
      throw error;
    }
  }

  #label({ pairing, precision, headDim, rotaryDim, rotaryOffset }: UntypedRopeRequest): string {
    const where =
      rotaryDim === headDim ? `all ${headDim} elements` : `${rotaryDim} of ${headDim} elements from ${rotaryOffset}`;
    return `${JSON.stringify(pairing)} pairs, ${precision} angles, ${where} (${this.name}, seed ${this.target.seed})`;
  }
}

function pairingsOf(rotaryDim: number): Pairing[] {
  // Two blocks need a multiple of four; of four elements they are the adjacent pairs again.
  return rotaryDim % 4 === 0 && rotaryDim > 4 ? ["half", "adjacent", { blocks: 2 }] : ["half", "adjacent"];
}

function slicesOf({ headDim, rotaryOffset }: RopeSpec): Partial<UntypedRopeRequest>[] {
  return [{}, { headDim: headDim + 12 }, { headDim: headDim + 12, rotaryOffset: rotaryOffset + 7 }];
}

/** The registry of a run without the option `registry`. */
export const sharedRegistry: RopeRegistry = defaultRegistry;
