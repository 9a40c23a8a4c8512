/**
 * A rope on a device. Core checks a call and forms its turns, `plan.ts` makes one dispatch of it, and this class
 * records it.
 */

import { RopeError } from "@ropewalk/core";
import type {
  AtOptions,
  CacheShiftArguments,
  PassArguments,
  PassResult,
  Positions,
  RopeCapabilities,
  RopeSpec,
  RotaryEmbedding,
  RotateArguments,
} from "@ropewalk/core";
import { checkKeys, checkTensors, invalid, isPass, rotationShape, shapeError, show } from "@ropewalk/core/backend";
import type { BackendContext, CheckedTensor, Operation, Turns } from "@ropewalk/core/backend";
import { hostMemory, passTasks } from "@ropewalk/core/pass";
import type { PassMemory, PassTask } from "@ropewalk/core/pass";
import { abortable, refusedError, scopeError, signalIssues, textOf } from "./device.ts";
import type { DeviceState } from "./device.ts";
import { isOnDevice, passMemory, resolveGpuPositions, resolveGpuTensor } from "./device-tensors.ts";
import type { PassSlots } from "./device-tensors.ts";
import { dispatch, numbered } from "./dispatch.ts";
import { Faults } from "./faults.ts";
import { disposeSymbol, usage } from "./gpu.ts";
import type { GpuCommandEncoder, GpuComputePass, GpuDevice } from "./gpu.ts";
import type {
  AsyncOptions,
  EncodeArguments,
  EncodeResult,
  GpuPassArguments,
  GpuPositions,
  GpuRope,
  GpuRotateArguments,
  GpuStep,
  GpuStepArguments,
  TableKind,
} from "./gpu-rope.ts";
import type { KernelRows } from "./kernel-description.ts";
import { passBindings, planPass } from "./pass-plan.ts";
import type { PassPlan } from "./pass-plan.ts";
import { startPass } from "./pass-round-trip.ts";
import { planDispatch } from "./plan.ts";
import type { BoundRange, Plan } from "./plan.ts";
import { requireNoFloat64, roundTrip, startRotation } from "./round-trip.ts";
import type { RoundTrip } from "./round-trip.ts";
import { factoredRows, interleaveRows, sharedTable } from "./table.ts";
import type { DeviceTable, SharedTable } from "./table.ts";
import { Uploads } from "./uploads.ts";

/** The cos and sin of a dispatch, and the sizes that its tensors must have. */
interface CosSinSource {
  /** Those of core; for positions in a buffer, their shape. */
  readonly turns: Turns;
  readonly operation: Operation;
  readonly batch: number | undefined;
  readonly tokens: number;
  readonly rows: KernelRows;
  /** The table. The first call uploads it, after all checks. */
  table(): BoundRange;
  /** Bound after the tensors: positions and faults, for positions in a buffer. */
  readonly further: readonly BoundRange[];
  /** Further fields of `call`. */
  readonly values: Readonly<Record<string, number>>;
}

/** The most tables of a rope whose frequencies depend on the length. A decoding loop may need one for each step. */
const TABLES_KEPT = 4;

const passKeys = ["query", "key", "value", "norm", "queryScale", "out"];
const stepKeys = [...passKeys, "operation"];
const positionedKeys = [...passKeys, "positions", "length"];
const encodeKeys = [...stepKeys, "positions", "length"];
const operations = ["apply", "invert", "adjoint"];

type PositionedArguments = PassArguments & AtOptions & { readonly positions: Positions };

export class DeviceRope implements GpuRope {
  readonly backend = "webgpu";
  readonly rope: RotaryEmbedding;
  declare readonly [Symbol.dispose]: () => void;
  readonly #context: BackendContext;
  readonly #state: DeviceState;
  readonly #ownsDevice: boolean;
  readonly #uploads: Uploads;
  readonly #faults: Faults;
  readonly #tableKind: TableKind;
  /** By the effective length of the frequencies. */
  readonly #tables = new Map<number | null, SharedTable>();
  /** The turns of the last call and their source: the layers of a step use the same turns one after another. */
  #last: { readonly turns: Turns; readonly source: CosSinSource } | undefined;
  #failure: RopeError | undefined;
  #pending = new Set<Promise<void>>();
  #disposed = false;

  constructor(context: BackendContext, state: DeviceState, ownsDevice: boolean, tableKind: TableKind) {
    this.rope = context.rope;
    this.#context = context;
    this.#state = state;
    this.#ownsDevice = ownsDevice;
    this.#tableKind = tableKind;
    this.#uploads = new Uploads(state.device);
    this.#faults = new Faults(state);
    // Not a method: the class must also load in JavaScript engines without the symbol.
    Object.defineProperty(this, disposeSymbol, { value: () => this.dispose() });
  }

  get spec(): RopeSpec {
    return this.rope.spec;
  }
  get capabilities(): Required<RopeCapabilities> {
    return this.rope.capabilities;
  }
  get positionLimit(): number {
    return this.rope.positionLimit;
  }
  get device(): GpuDevice {
    return this.#state.device as unknown as GpuDevice;
  }

  encode(target: GpuComputePass | GpuCommandEncoder, tensors: EncodeArguments): EncodeResult {
    checkKeys("the arguments of encode", tensors, encodeKeys);
    this.#requireUsable();
    requireTarget(target);
    return this.#guarded(() => this.#record(target, this.#source(tensors), tensors));
  }

  async prepare(tensors: EncodeArguments, options: AsyncOptions = {}): Promise<void> {
    checkKeys("the arguments of prepare", tensors, encodeKeys);
    const signal = signalOf(options);
    this.#requireUsable();
    signal?.throwIfAborted();
    const plan = this.#guarded(() => this.#anyPlan(this.#source(tensors), tensors));
    if (plan !== undefined) await abortable(this.#state.compile(plan.kernel), signal);
  }

  at(positions: Positions, options: AtOptions = {}): GpuStep {
    checkKeys("the options of at", options, ["length"]);
    this.#requireUsable();
    // All three now, since the caller may change a list of positions later. `apply` last: its turns are those that core
    // keeps for the next call.
    const others = this.capabilities.isRotation ? (["invert", "adjoint"] as const) : [];
    const turns = [...others, "apply" as const].map(
      (name) => [name, this.#context.turns(positions, name, options)] as const,
    );
    const { batch, tokens } = turns.at(-1)![1];
    const tables = new Map<Operation, BoundRange>();
    const uploaded = (name: Operation, own: Turns): BoundRange => {
      const table = tables.get(name) ?? this.#upload(own, true);
      tables.set(name, table);
      return table;
    };
    const sources = new Map(turns.map(([name, own]) => [name, gathered(own, name, () => uploaded(name, own))]));
    this.#guarded(() => sources.get("apply")!.table());
    let live = true;
    const dispose = (): void => {
      if (live) for (const { buffer } of tables.values()) this.#uploads.free(buffer);
      live = false;
    };
    return Object.freeze({
      shape: Object.freeze([...(batch === undefined ? [] : [batch]), tokens, this.rope.rotaryDim / 2]),
      encode: (target: GpuComputePass | GpuCommandEncoder, tensors: GpuStepArguments): EncodeResult => {
        checkKeys("the arguments of step.encode", tensors, stepKeys);
        this.#requireUsable();
        requireTarget(target);
        if (!live) throw disposedError("the step");
        const source = sources.get(this.#operation(tensors.operation));
        return this.#guarded(() => this.#record(target, source!, tensors));
      },
      dispose,
      [disposeSymbol]: dispose,
    });
  }

  async apply(tensors: PositionedArguments, options?: AsyncOptions): Promise<any> {
    return this.#rotate("apply", tensors, options);
  }
  async invert(tensors: PositionedArguments, options?: AsyncOptions): Promise<any> {
    return this.#rotate("invert", tensors, options);
  }
  async adjoint(tensors: PositionedArguments, options?: AsyncOptions): Promise<any> {
    return this.#rotate("adjoint", tensors, options);
  }

  async shift(tensors: CacheShiftArguments, options: AsyncOptions = {}): Promise<any> {
    const { keys, from, to, out, length } = checkKeys("the arguments of shift", tensors, [
      "keys",
      "from",
      "to",
      "out",
      "length",
    ]);
    const turns = this.#context.turnsBetween(from, to, { length });
    const moved = out === undefined ? { key: keys } : { key: keys, out: { key: out } };
    await this.#throughDevice(turns, moved, "apply", options);
    return out ?? keys;
  }

  async check(): Promise<void> {
    this.#requireUsable();
    await Promise.all(this.#pending);
    const failure = this.#failure;
    this.#failure = undefined;
    this.#state.requireAlive();
    if (failure !== undefined) throw failure;
    await this.#faults.check();
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#last = undefined;
    this.#uploads.dispose();
    this.#faults.dispose();
    for (const [length, shared] of this.#tables) if (this.#release(length, shared)) shared.table.destroy();
    if (this.#ownsDevice) this.#state.device.destroy();
  }

  /** Rotates typed arrays. */
  async #rotate(operation: Operation, tensors: PositionedArguments, options?: AsyncOptions): Promise<PassResult> {
    const { positions, length, ...rest } = checkKeys("the arguments", tensors, positionedKeys);
    const { query, key, value, out } = rest;
    const turns = this.#context.turns(positions, operation, { length });
    await this.#throughDevice(turns, rest, operation, options);
    const result = { query: out?.query ?? query, key: out?.key ?? key };
    return (isPass(rest) ? { ...result, value: out?.value ?? value } : result) as PassResult;
  }

  async #throughDevice(
    turns: Turns,
    tensors: PassArguments,
    operation: Operation,
    options?: AsyncOptions,
  ): Promise<void> {
    const start = this.#roundTrip(turns, tensors, operation);
    const signal = signalOf(options);
    this.#requireUsable();
    signal?.throwIfAborted();
    await roundTrip(this.#state, start, signal);
  }

  /** Checks a call of typed arrays. What it returns uploads, records and submits it. */
  #roundTrip(turns: Turns, tensors: PassArguments, operation: Operation): RoundTrip {
    if (!isPass(tensors)) {
      const tasks = this.#context.check(turns, tensors as RotateArguments);
      requireNoFloat64(tasks);
      return (own) => startRotation(this.#state, this.#uploads, tasks, own);
    }
    const slots: PassSlots = new Map();
    const memory: PassMemory = {
      ...hostMemory,
      slots(name, _given, _count, check) {
        const checked = check();
        slots.set(name, checked);
        return checked;
      },
    };
    const tasks = this.#checkPass(turns, tensors, operation, memory);
    requireNoFloat64(tasks.map(({ input, output }) => ({ input: input.layout, output: output.layout })));
    const shape = rotationShape(this.spec);
    return (own) => startPass(this.#state, this.#uploads, { tasks, slots, turns, shape }, own);
  }

  /** @throws RopeError for an operation that is none, or that the type does not have. */
  #operation(operation: Operation = "apply"): Operation {
    if (!operations.includes(operation)) {
      const expected = operations.map((name) => JSON.stringify(name)).join(", ");
      throw invalid("the arguments of encode", [{ path: "operation", expected, received: show(operation) }]);
    }
    if (operation !== "apply" && !this.capabilities.isRotation) {
      throw new RopeError("ROPE_UNSUPPORTED", {
        what: `${operation} is not defined for the rope type ${JSON.stringify(this.rope.ropeType)}`,
        expected: "a type that declares isRotation",
        received: "isRotation: false",
      });
    }
    return operation;
  }

  #source({ positions, length, operation: given }: EncodeArguments): CosSinSource {
    const operation = this.#operation(given);
    return isOnDevice(positions)
      ? this.#deviceSource(positions, length, operation)
      : this.#hostSource(this.#context.turns(positions, operation, { length }), operation);
  }

  /** Turns that the host computed; uploaded once for all calls with the same turns. */
  #hostSource(turns: Turns, operation: Operation): CosSinSource {
    if (this.#last?.turns === turns) return this.#last.source;
    let table: BoundRange | undefined;
    const source = gathered(turns, operation, () => (table ??= this.#upload(turns, false)));
    this.#last = { turns, source };
    return source;
  }

  /** A table for positions in a buffer of the device. */
  #deviceSource(positions: GpuPositions, length: number | undefined, operation: Operation): CosSinSource {
    const { axisCount } = this.capabilities;
    if (length === undefined || !Number.isSafeInteger(length) || length < 1) {
      const expected = "the current length in tokens, an integer > 0; all positions are below it";
      throw invalid("the arguments of encode", [{ path: "length", expected, received: show(length) }]);
    }
    const { batch, tokens, words, range, first } = resolveGpuPositions(positions, axisCount, this.#state.limits);
    const limit = Math.min(length, this.positionLimit);
    const { axes, attentionFactor } = this.rope.frequencies(length);
    const onAxes = axisCount === 1 ? null : Array.from(axes);
    const factored = this.#tableKind === "factored";
    // A table of rows includes the amplitude, a factored table does not.
    const amplitude = operation === "invert" ? 1 / attentionFactor : attentionFactor;
    const factor = factored ? amplitude : amplitude / attentionFactor;
    return {
      turns: { batch, tokens, length, table: () => noTable },
      operation,
      batch,
      tokens,
      rows: factored
        ? { kind: "factored", rounded: this.rope.precision === "float32", words, axes: onAxes }
        : { kind: "table", words, axes: onAxes },
      table: () => {
        const buffer = this.#table(length).reserve(factored ? factoredRows(limit) : limit);
        return { buffer, offset: 0, size: buffer.size };
      },
      further: [range, this.#faults.range()],
      values: {
        position_offset: first,
        position_axis: (batch ?? 1) * tokens,
        position_limit: limit,
        cos_factor: factor,
        sin_factor: operation === "apply" ? factor : -factor,
      },
    };
  }

  #table(length: number): DeviceTable {
    const effective = this.rope.effectiveLength(length);
    let shared = this.#tables.get(effective);
    if (shared === undefined) {
      shared = sharedTable(this.#state, this.rope, this.#tableKind, length);
      shared.table.retain();
      this.#tables.set(effective, shared);
      // Commands that are not submitted yet may use the oldest table, so it is released, not destroyed.
      const [oldest] = this.#tables;
      if (this.#tables.size > TABLES_KEPT) this.#release(...oldest!);
    }
    return shared.table;
  }

  /** Stops using a table. Returns whether no other rope uses it. */
  #release(length: number | null, { key, table }: SharedTable): boolean {
    this.#tables.delete(length);
    if (!table.release()) return false;
    this.#state.tables.delete(key);
    return true;
  }

  /** Row after row, cos before sin. */
  #upload(turns: Turns, own: boolean): BoundRange {
    const { cos, sin } = turns.table("float32");
    const rows = interleaveRows(cos as Float32Array, sin as Float32Array, this.rope.rotaryDim / 2);
    return this.#uploads.write(rows, usage.storage, own);
  }

  /** Checks tensors in the caller's buffers and plans one dispatch; `undefined` if there is nothing to rotate. */
  #plan(source: CosSinSource, { query, key, out }: GpuRotateArguments): Plan | undefined {
    const { batch, tokens, rows, values } = source;
    const expected = { batch, tokens, headDim: this.rope.headDim };
    const tensors = checkTensors({ query, key, out }, expected, resolveGpuTensor);
    requireOneBatch(tensors);
    const shape = rotationShape(this.spec);
    const plan = planDispatch({ ...shape, tensors, rows, batched: batch !== undefined, values }, this.#state);
    if (plan !== undefined) this.#requireOwnPositions(plan, source);
    return plan;
  }

  #checkPass(turns: Turns, call: PassArguments, operation: Operation, memory: PassMemory): PassTask[] {
    return this.#context.checkPass(turns, call, operation, (given, of, headDim, rotated, factors) =>
      passTasks(given, of, headDim, rotated, factors, memory),
    );
  }

  /** Checks the tensors of a pass and plans one dispatch; `undefined` if there is nothing to do. */
  #planPass(
    source: CosSinSource,
    { query, key, value, norm, queryScale, out }: GpuPassArguments,
  ): PassPlan | undefined {
    const { turns, operation, rows, values: positionValues } = source;
    if (queryScale === true && rows.kind !== "gathered") {
      throw new RopeError("ROPE_UNSUPPORTED", {
        what: "queryScale needs positions of the host",
        expected: "positions that the host sees",
        received: "positions in a buffer",
        remedy: "Pass positions of the host, or multiply the queries in a shader of your own.",
      });
    }
    const slots: PassSlots = new Map();
    const call = { query, key, value, norm, queryScale, out } as PassArguments;
    const tasks = this.#checkPass(turns, call, operation, passMemory(slots));
    const shape = rotationShape(this.spec);
    const batched = source.batch !== undefined;
    const plan = planPass({ ...shape, tasks, slots, rows, batched, positionValues }, this.#state);
    if (plan !== undefined) this.#requireOwnPositions(plan, source);
    return plan;
  }

  /** @throws RopeError `ROPE_SHAPE` for positions in a buffer that the call writes. */
  #requireOwnPositions({ ranges, kernel }: Plan | PassPlan, { further }: CosSinSource): void {
    ranges.forEach(({ buffer }, i) => {
      if (kernel.memories[i]!.writable && further.some((range) => range.buffer === buffer)) {
        const remedy =
          "WebGPU forbids to read and write one buffer through two bindings: copy the positions to another buffer.";
        throw shapeError("positions", "a buffer of their own", "the buffer of query, key or out", remedy);
      }
    });
  }

  #anyPlan(source: CosSinSource, tensors: GpuPassArguments): Plan | PassPlan | undefined {
    return isPass(tensors as PassArguments)
      ? this.#planPass(source, tensors)
      : this.#plan(source, tensors as GpuRotateArguments);
  }

  #record(target: GpuComputePass | GpuCommandEncoder, source: CosSinSource, tensors: GpuPassArguments): EncodeResult {
    const plan = this.#anyPlan(source, tensors);
    if (plan === undefined) return { dispatches: 0, bytes: 0 };
    const { device } = this.#state;
    const pipeline = this.#state.pipeline(plan.kernel);
    const entries =
      "lists" in plan
        ? passBindings(plan, this.#uploads, {
            table: () => source.table(),
            positions: source.further[0],
            faults: () => this.#faults.range(),
          })
        : numbered([
            this.#uploads.write(new Uint8Array(plan.call), usage.uniform, false),
            source.table(),
            ...plan.ranges,
            ...source.further,
          ]);
    dispatch(device, target, pipeline, entries, plan.groups);
    return { dispatches: 1, bytes: plan.bytes };
  }

  #requireUsable(): void {
    if (this.#disposed) throw disposedError("the rope");
    this.#state.requireAlive();
  }

  /** Runs work that calls the device. `check` reports the errors that the device finds later. */
  #guarded<T>(work: () => T): T {
    const { device } = this.#state;
    device.pushErrorScope("validation");
    device.pushErrorScope("out-of-memory");
    try {
      return work();
    } catch (cause) {
      // A value that is no buffer or no pass of WebGPU gives a TypeError of the platform.
      throw RopeError.is(cause) ? cause : refusedError(textOf(cause));
    } finally {
      for (const scope of [device.popErrorScope(), device.popErrorScope()]) {
        const settled: Promise<void> = scope
          .then((error) => {
            if (error !== null) this.#failure ??= scopeError(error);
          })
          // A lost device has no scopes; requireAlive reports the loss.
          .catch(() => undefined)
          .finally(() => this.#pending.delete(settled));
        this.#pending.add(settled);
      }
    }
  }
}

/** Rows on the device, one for each token. */
function gathered(turns: Turns, operation: Operation, table: () => BoundRange): CosSinSource {
  const { batch, tokens } = turns;
  return { turns, operation, batch, tokens, rows: { kind: "gathered" }, table, further: [], values: {} };
}

/** The turns of positions in a buffer have no numbers on the host. */
const noTable = Object.freeze({ cos: new Float32Array(0), sin: new Float32Array(0), batched: false });

/** One dispatch rotates query and key, so both must have the same number of batch rows. */
function requireOneBatch([first, second]: readonly CheckedTensor[]): void {
  if (second === undefined || first!.input.batch === second.input.batch) return;
  const expected = `${first!.input.batch} batch rows like query, since one dispatch rotates both`;
  throw shapeError("key", expected, `${second.input.batch}`, "Record query and key in two calls.");
}

function requireTarget(target: GpuComputePass | GpuCommandEncoder): void {
  const isObject = typeof target === "object" && target !== null;
  if (isObject && ("beginComputePass" in target || "setPipeline" in target)) return;
  const expected = "a GPUComputePassEncoder or a GPUCommandEncoder";
  throw invalid("the arguments of encode", [{ path: "target", expected, received: show(target) }]);
}

function signalOf(options: AsyncOptions = {}): AbortSignal | undefined {
  const { signal } = checkKeys("the options", options, ["signal"]);
  const issues = signalIssues(signal);
  if (issues.length > 0) throw invalid("the options", issues);
  return signal;
}

const disposedError = (what: string): RopeError =>
  new RopeError("ROPE_BACKEND_UNAVAILABLE", {
    what: `${what} is disposed`,
    expected: `${what} in use`,
    received: `${what} after dispose, without its memory on the device`,
    remedy: 'Make a new one: await rope.to("webgpu", { device }).',
  });
