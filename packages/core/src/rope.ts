/**
 * The rope: a plan and an executor. Immutable; arrays that it returns are copies.
 *
 * Every call takes the same steps: check keys → turns → tasks → execute. All checks come before the first write.
 */

import type { BackendContext, RopeBackend, RotationExecutor } from "./backend.ts";
import { writeCosSin } from "./cos-sin.ts";
import type { CosSinWriter } from "./cos-sin.ts";
import { cosSinKeys, cosSinInForm } from "./cos-sin-forms.ts";
import { invalid, issue, shapeError } from "./errors.ts";
import { explainRope } from "./explain.ts";
import { checkKeys } from "./keys.ts";
import { rotateTask } from "./kernel.ts";
import type { RotationTask } from "./kernel.ts";
import type {
  AtOptions,
  CacheShiftArguments,
  CosSin,
  CosSinOptions,
  CosSinTable,
  CosSinTableOptions,
  Frequencies,
  RopeExplanation,
  RotaryEmbedding,
  RotaryStep,
} from "./interface.ts";
import type { Pairing } from "./pairing.ts";
import { passPart, requirePass } from "./pass-part.ts";
import { isPass } from "./pass-arguments.ts";
import type { PassArguments, PassResult } from "./pass-arguments.ts";
import type { PassTask } from "./pass-kernel.ts";
import { RopePlan } from "./plan.ts";
import type { Positions } from "./positions.ts";
import type { Precision, RopeCapabilities, RopeProvider } from "./provider.ts";
import type { RopeSpec } from "./request.ts";
import { stepOf } from "./step.ts";
import type { Operation, Turns } from "./turns.ts";

/** Core's own executor. */
const javaScriptExecutor: RotationExecutor = Object.freeze({
  name: "js",
  rotate: (tasks: readonly RotationTask[]) => tasks.forEach(rotateTask),
  pass: (tasks: readonly PassTask[]) => tasks.forEach((task) => passPart.current!.passTask(task)),
});

const rotatedKeys = ["query", "key", "out"];
const tensorKeys = [...rotatedKeys, "value", "norm", "queryScale"];
const positionedKeys = [...tensorKeys, "positions", "length"];
const shiftKeys = ["keys", "from", "to", "out", "length"];

type PositionedArguments = PassArguments & AtOptions & { readonly positions: Positions };

class PlannedRope implements RotaryEmbedding {
  readonly spec: RopeSpec;
  readonly positionLimit: number;
  readonly capabilities: Required<RopeCapabilities>;
  readonly attentionFactor: number;
  readonly softmaxScaleFactor: number;
  readonly #plan: RopePlan;
  readonly #names: RopeNames;
  readonly #executor: RotationExecutor;
  readonly #write: CosSinWriter;

  constructor(plan: RopePlan, names: RopeNames, executor: RotationExecutor) {
    if (typeof (executor as Partial<RotationExecutor> | null | undefined)?.rotate !== "function") {
      throw invalid("the backend", [issue("executor", "an object with name and rotate", executor)]);
    }
    this.#plan = plan;
    this.#names = names;
    this.#executor = executor;
    this.#write = executor.writeCosSin ?? writeCosSin;
    this.spec = plan.spec;
    this.positionLimit = plan.positionLimit;
    this.capabilities = plan.numbers.capabilities;
    const shortest = plan.numbers.at(1);
    this.attentionFactor = shortest.attentionFactor;
    this.softmaxScaleFactor = shortest.softmaxScaleFactor;
    Object.freeze(this);
  }

  get ropeType(): string {
    return this.spec.parameters.ropeType;
  }
  get headDim(): number {
    return this.spec.headDim;
  }
  get rotaryDim(): number {
    return this.spec.rotaryDim;
  }
  get rotaryOffset(): number {
    return this.spec.rotaryOffset;
  }
  get base(): number {
    return this.spec.base;
  }
  get maxPosition(): number | null {
    return this.spec.maxPosition;
  }
  get pairing(): Pairing {
    return this.spec.pairing;
  }
  get precision(): Precision {
    return this.spec.precision;
  }
  get backend(): string {
    return this.#executor.name;
  }

  apply(tensors: PositionedArguments): any {
    return this.#rotate("apply", tensors);
  }

  invert(tensors: PositionedArguments): any {
    return this.#rotate("invert", tensors);
  }

  adjoint(tensors: PositionedArguments): any {
    return this.#rotate("adjoint", tensors);
  }

  at(positions: Positions, options: AtOptions = {}): RotaryStep {
    const { length } = checkKeys("the options of at", options, ["length"]);
    const turns = this.#plan.turns(positions, "apply", length, this.#write, true);
    return stepOf(turns, this.#names.queryScale, (operation, given) => {
      const tensors = checkKeys("the arguments", given, tensorKeys);
      if (operation !== "apply") this.#plan.require("isRotation", operation);
      return this.#execute(turns.as(operation), tensors, operation);
    });
  }

  cosSin(positions: Positions, options: CosSinTableOptions): CosSinTable;
  cosSin(positions: Positions, options?: CosSinOptions): CosSin;
  cosSin(positions: Positions, options: CosSinOptions | CosSinTableOptions = {}): CosSin | CosSinTable {
    const checked = checkKeys("the options of cosSin", options, cosSinKeys);
    const resolved = this.#plan.positions(positions);
    const numbers = this.#plan.numbersFor(resolved, checked.length);
    return cosSinInForm(resolved, numbers, this.spec, checked, this.#write);
  }

  frequencies(length = 1): Frequencies {
    const { invFreq, attentionFactor, softmaxScaleFactor, axisOfPair } = this.#plan.numbers.at(length);
    const axes = Uint8Array.from(axisOfPair ?? new Uint8Array(invFreq.length));
    return { invFreq: invFreq.slice(), attentionFactor, softmaxScaleFactor, axes };
  }

  periods(length = 1): Float32Array {
    const { angles } = this.#plan.numbers.at(length);
    // −0 is the frequency of a pair that is not rotated, in a rope that turns backwards.
    return Float32Array.from(angles.invFreq, (frequency) => (frequency === 0 ? Infinity : 1 / frequency));
  }

  shift(tensors: CacheShiftArguments): any {
    const { keys, from, to, out, length } = checkKeys("the arguments of shift", tensors, shiftKeys);
    if (keys === undefined) throw shapeError("keys", "a tensor of keys", "nothing");
    const turns = this.#plan.turnsBetween(from, to, length);
    return this.#execute(turns, out === undefined ? { key: keys } : { key: keys, out: { key: out } }, "shift").key!;
  }

  effectiveLength(length: number): number | null {
    return this.#plan.numbers.at(length).length;
  }

  explain(length = 1): RopeExplanation {
    const { source } = this.#plan.numbers.provider;
    return explainRope(this.spec, this.#plan.numbers.at(length), { ...this.#plan, source });
  }

  to(backend: string, options?: unknown): never {
    const plan = this.#plan;
    const context: BackendContext = {
      rope: this,
      turns: (positions, operation, given = {}) => {
        const { length } = checkKeys("the options of turns", given, ["length"]);
        requireOperation(operation);
        return plan.turns(positions, operation, length, this.#write, false);
      },
      turnsBetween: (from, to, given = {}) => {
        return plan.turnsBetween(from, to, checkKeys("the options of turnsBetween", given, ["length"]).length);
      },
      check: (turns, tensors) => {
        return plan.tasks(turns, checkKeys("the tensors", tensors, rotatedKeys));
      },
      checkPass: (turns, tensors, operation, check = requirePass("", true).passTasks) => {
        requireOperation(operation);
        const { queryScale } = this.#names;
        return plan.passTasks(check, turns, checkKeys("the tensors", tensors, tensorKeys), queryScale, operation);
      },
      withExecutor: (executor) => new PlannedRope(plan, this.#names, executor),
    };
    return this.#names.backend(backend).create(context, options) as never;
  }

  #rotate(operation: Operation, given: PositionedArguments): PassResult {
    const tensors = checkKeys("the arguments", given, positionedKeys);
    const turns = this.#plan.turns(tensors.positions, operation, tensors.length, this.#write, false);
    return this.#execute(turns, tensors, operation);
  }

  #execute(turns: Turns, tensors: PassArguments, operation: Operation | "shift"): PassResult {
    const { query, key, value, out } = tensors;
    if (!isPass(tensors)) {
      this.#executor.rotate(this.#plan.tasks(turns, tensors));
      return { query: out?.query ?? query, key: out?.key ?? key } as PassResult;
    }
    const executor = this.#executor;
    const { passTasks } = requirePass(executor.name, executor.pass !== undefined);
    executor.pass!(this.#plan.passTasks(passTasks, turns, tensors, this.#names.queryScale, operation));
    return { query: out?.query ?? query, key: out?.key ?? key, value: out?.value ?? value };
  }
}

function requireOperation(operation: unknown): void {
  if (operation === "apply" || operation === "invert" || operation === "adjoint") return;
  throw invalid("the call of turns", [issue("operation", '"apply", "invert" or "adjoint"', operation)]);
}

/** The parts of a rope that come from its registry. */
export interface RopeNames {
  /** @throws RopeError `ROPE_BACKEND_UNAVAILABLE`. */
  readonly backend: (name: string) => RopeBackend;
  /** The factor of queries at a position; `null` for a rope without `queryScale`. */
  readonly queryScale: ((position: number) => number) | null;
}

/** Makes the rope of a checked spec. */
export function createRope(
  spec: RopeSpec,
  provider: RopeProvider,
  names: RopeNames,
  executor: RotationExecutor = javaScriptExecutor,
): RotaryEmbedding {
  return new PlannedRope(new RopePlan(spec, provider), names, executor);
}
