/**
 * A rope on a device: core checks a call and forms its tables, `plan.ts` makes one dispatch of it, and here it is recorded.
 */

import { RopeError } from "@ropewalk/core";
import type {
  AtOptions,
  Positions,
  RopeCapabilities,
  RopeSpec,
  RotaryEmbedding,
  RotateArguments,
  RotateResult,
  ShiftArguments,
  Tensor,
} from "@ropewalk/core";
import { checkAliasing, resolveLayout } from "@ropewalk/core/backend";
import type { BackendContext, RotationShape, RotationTask, TensorLayout } from "@ropewalk/core/backend";
import { abortable, lostError, scopeError, textOf } from "./device.ts";
import type { DeviceState } from "./device.ts";
import type {
  AsyncOptions,
  Direction,
  EncodeArguments,
  EncodeResult,
  GpuPositions,
  GpuRope,
  GpuRotateArguments,
  GpuStep,
  GpuTensor,
  TableKind,
} from "./gpu-rope.ts";
import { disposeSymbol, MAP_READ, usage } from "./gpu.ts";
import type { GpuCommandEncoder, GpuComputePass, GpuDevice } from "./gpu.ts";
import type { KernelRows } from "./kernel-description.ts";
import { deviceMemory, planDispatch } from "./plan.ts";
import type { BoundRange, Plan, PlannedTensor } from "./plan.ts";
import { factoredRows, interleaveRows, sharedTable } from "./table.ts";
import type { DeviceTable } from "./table.ts";
import { readBack, upload } from "./transfer.ts";
import type { ReadBack } from "./transfer.ts";
import { Uploads } from "./uploads.ts";

/** Where a dispatch has its turns from, and what tensors must agree with. */
interface Turns {
  readonly batch: number | undefined;
  readonly tokens: number;
  readonly rows: KernelRows;
  readonly table: BoundRange;
  /** Bound after the tensors: positions and faults, where there are any. */
  readonly further: readonly BoundRange[];
  /** Further fields of `call`. */
  readonly values: Readonly<Record<string, number>>;
}

/** Tables of a rope whose frequencies depend on the length; a decoding loop may need one for each step. */
const TABLES_KEPT = 4;

export class DeviceRope implements GpuRope {
  readonly backend = "webgpu";
  readonly rope: RotaryEmbedding;
  declare readonly [Symbol.dispose]: () => void;
  readonly #state: DeviceState;
  readonly #ownsDevice: boolean;
  readonly #uploads: Uploads;
  /** The rope with an executor that keeps tasks instead of rotating: core checks, the device rotates. */
  readonly #checking: RotaryEmbedding;
  #tasks: readonly RotationTask[] = [];
  #failure: RopeError | undefined;
  #pending = new Set<Promise<void>>();
  #last: { readonly key: string; readonly turns: Turns } | undefined;
  readonly #tableKind: TableKind;
  readonly #tables = new Map<string, DeviceTable>();
  #faults: GPUBuffer | undefined;
  #disposed = false;

  constructor({ rope, withExecutor }: BackendContext, state: DeviceState, ownsDevice: boolean, tableKind: TableKind) {
    this.rope = rope;
    this.#state = state;
    this.#ownsDevice = ownsDevice;
    this.#tableKind = tableKind;
    this.#uploads = new Uploads(state.device);
    // Not as a method: older engines have no such symbol, and the class must load there.
    Object.defineProperty(this, disposeSymbol, { value: () => this.dispose() });
    this.#checking = withExecutor({ name: "webgpu", rotate: (tasks) => void (this.#tasks = tasks) });
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
    checkKeys("the arguments of encode", tensors, ["query", "key", "out", "positions", "length", "direction"]);
    this.#requireUsable();
    return this.#guarded(() => this.#record(target, this.#turns(tensors), tensors));
  }

  async prepare(tensors: EncodeArguments, { signal }: AsyncOptions = {}): Promise<void> {
    checkKeys("the arguments of prepare", tensors, ["query", "key", "out", "positions", "length", "direction"]);
    this.#requireUsable();
    signal?.throwIfAborted();
    const plan = this.#guarded(() => this.#plan(this.#turns(tensors), tensors));
    if (plan !== undefined) await abortable(this.#state.compile(plan.kernel), signal);
  }

  at(positions: Positions, options: AtOptions = {}): GpuStep {
    this.#requireUsable();
    const { shape, cos, sin } = this.rope.at(positions, options);
    const batch = shape.length === 3 ? shape[0] : undefined;
    const tokens = shape[shape.length - 2]!;
    const turns: Turns = gathered(
      batch,
      tokens,
      this.#guarded(() => this.#uploadRows(cos, sin, true)),
    );
    let live = true;
    const dispose = (): void => {
      if (live) this.#uploads.free(turns.table.buffer);
      live = false;
    };
    return Object.freeze({
      shape,
      encode: (target: GpuComputePass | GpuCommandEncoder, tensors: GpuRotateArguments): EncodeResult => {
        checkKeys("the arguments of step.encode", tensors, ["query", "key", "out"]);
        this.#requireUsable();
        if (!live) throw disposedError("the step");
        return this.#guarded(() => this.#record(target, turns, tensors));
      },
      dispose,
      [disposeSymbol]: dispose,
    });
  }

  async apply(
    tensors: RotateArguments & AtOptions & { readonly positions: Positions },
    options: AsyncOptions = {},
  ): Promise<RotateResult> {
    return this.#throughDevice((rope) => rope.apply(tensors), options);
  }
  async invert(
    tensors: RotateArguments & AtOptions & { readonly positions: Positions },
    options: AsyncOptions = {},
  ): Promise<RotateResult> {
    return this.#throughDevice((rope) => rope.invert(tensors), options);
  }
  async adjoint(
    tensors: RotateArguments & AtOptions & { readonly positions: Positions },
    options: AsyncOptions = {},
  ): Promise<RotateResult> {
    return this.#throughDevice((rope) => rope.adjoint(tensors), options);
  }
  async shift(tensors: ShiftArguments, options: AsyncOptions = {}): Promise<Tensor> {
    return this.#throughDevice((rope) => rope.shift(tensors), options);
  }

  async check(): Promise<void> {
    this.#requireUsable();
    await Promise.all(this.#pending);
    const failure = this.#failure;
    this.#failure = undefined;
    this.#state.requireAlive();
    if (failure !== undefined) throw failure;
    await this.#checkFaults();
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#last = undefined;
    this.#uploads.dispose();
    this.#faults?.destroy();
    for (const [key, table] of this.#tables) if (this.#release(key, table)) table.destroy();
    if (this.#ownsDevice) this.#state.device.destroy();
  }

  /** Lets core check a call and form its tables; what it would have rotated comes back instead. */
  #capture<R>(call: (rope: RotaryEmbedding) => R): { readonly result: R; readonly tasks: readonly RotationTask[] } {
    this.#tasks = [];
    const result = call(this.#checking);
    const tasks = this.#tasks;
    this.#tasks = [];
    return { result, tasks };
  }

  #turns({ positions, length, direction = "apply", query, key }: EncodeArguments): Turns {
    if (direction !== "apply" && direction !== "invert" && direction !== "adjoint") {
      throw new RopeError("ROPE_INVALID_PARAMETERS", {
        what: "the direction is not valid",
        expected: '"apply", "invert" or "adjoint"',
        received: String(direction),
      });
    }
    const { shape } = query ?? key ?? {};
    if (!Array.isArray(shape) || shape.length < 2 || shape.length > 4) {
      throw new RopeError("ROPE_SHAPE", {
        what: "there is nothing to rotate",
        expected: "query, key, or both, as { buffer, shape, strides?, offset?, dtype? }",
        received: shape === undefined ? "neither, or no shape" : String(shape),
      });
    }
    return isOnDevice(positions)
      ? this.#deviceTurns(positions, length, direction)
      : this.#hostTurns(positions, length, direction, shape);
  }

  /** Rows gathered by the host, those of the last call if its positions are the same. */
  #hostTurns(positions: Positions, length: number | undefined, direction: Direction, shape: readonly number[]): Turns {
    const layers = layerKey(positions, length, direction, shape);
    if (layers !== undefined && this.#last?.key === layers) return this.#last.turns;
    // A tensor without heads: its tokens are checked against the positions, and the tables come with the task.
    const nothing = {
      data: new Float32Array(0),
      shape: [...shape.slice(0, shape.length === 4 ? 2 : 1), 0, this.rope.headDim],
    };
    const { tasks } = this.#capture((rope) =>
      rope[direction]({ positions, query: nothing, ...(length === undefined ? {} : { length }) }),
    );
    const { table, input } = tasks[0]!;
    const turns = gathered(
      table.batched ? input.batch : undefined,
      input.tokens,
      this.#uploadRows(table.cos as Float32Array, table.sin as Float32Array, false),
    );
    if (layers !== undefined) this.#last = { key: layers, turns };
    return turns;
  }

  /** A table for positions that only the device sees. */
  #deviceTurns(positions: GpuPositions, length: number | undefined, direction: Direction): Turns {
    const { axisCount, isRotation } = this.capabilities;
    if (direction !== "apply" && !isRotation) {
      throw new RopeError("ROPE_UNSUPPORTED", {
        what: `${direction} is not defined for the rope type ${JSON.stringify(this.rope.ropeType)}`,
        expected: "a type that declares isRotation",
        received: "isRotation: false",
      });
    }
    if (length === undefined || !Number.isSafeInteger(length) || length < 1) {
      throw new RopeError("ROPE_INVALID_PARAMETERS", {
        what: "positions in a buffer need a length",
        issues: [
          {
            path: "length",
            expected: "an integer > 0 that all positions are below: the current length in tokens",
            received: String(length),
          },
        ],
      });
    }
    const { batch, tokens, words, range, first } = resolveGpuPositions(positions, axisCount, this.#state.limits);
    const limit = Math.min(length, this.positionLimit);
    const { axes, attentionFactor } = this.rope.frequencies(length);
    const onAxes = axisCount === 1 ? null : Array.from(axes);
    const factored = this.#tableKind === "factored";
    const table = this.#table(length).reserve(factored ? factoredRows(limit) : limit);
    // The table of rows has the amplitude in it, the factored one has not.
    const amplitude = direction === "invert" ? 1 / attentionFactor : attentionFactor;
    const factor = factored ? amplitude : amplitude / attentionFactor;
    this.#faults ??= this.#state.device.createBuffer({
      label: "ropewalk faults",
      size: 8,
      usage: usage.storage | usage.copySource | usage.copyTarget,
    });
    return {
      batch,
      tokens,
      rows: factored
        ? { kind: "factored", rounded: this.rope.precision === "float32", words, axes: onAxes }
        : { kind: "table", words, axes: onAxes },
      table: { buffer: table, offset: 0, size: table.size },
      further: [range, { buffer: this.#faults, offset: 0, size: 8 }],
      values: {
        position_offset: first,
        position_axis: (batch ?? 1) * tokens,
        position_limit: limit,
        cos_factor: factor,
        sin_factor: direction === "apply" ? factor : -factor,
      },
    };
  }

  #table(length: number): DeviceTable {
    const { key, table } = sharedTable(this.#state, this.rope, this.#tableKind, length);
    if (!this.#tables.has(key)) {
      table.retain();
      this.#tables.set(key, table);
      // Commands that wait for their submission may use the oldest, so it is only let go.
      const [oldest] = this.#tables;
      if (this.#tables.size > TABLES_KEPT) this.#release(...oldest!);
    }
    return table;
  }

  /** Whether this rope was the last to use the table. */
  #release(key: string, table: DeviceTable): boolean {
    this.#tables.delete(key);
    if (!table.release()) return false;
    this.#state.tables.delete(key);
    return true;
  }

  /** Row after row, cos before sin. */
  #uploadRows(cos: Float32Array, sin: Float32Array, own: boolean): BoundRange {
    return this.#uploads.write(interleaveRows(cos, sin, this.rope.rotaryDim / 2), usage.storage, own);
  }

  #plan(turns: Turns, tensors: GpuRotateArguments): Plan | undefined {
    const planned = this.#resolve(turns, tensors);
    const { rows, values, batch, further } = turns;
    const plan = planDispatch(
      { ...shapeOf(this.spec), tensors: planned, rows, batched: batch !== undefined, values },
      this.#state,
    );
    plan?.ranges.forEach(({ buffer }, i) => {
      if (plan.kernel.memories[i]!.writable && further.some((range) => range.buffer === buffer)) {
        throw new RopeError("ROPE_SHAPE", {
          what: "positions lie in a buffer that the call writes",
          expected: "a buffer of their own",
          received: "one that holds query, key or out as well",
          remedy:
            "WebGPU forbids reading and writing one buffer in a dispatch through two bindings: copy the positions out.",
        });
      }
    });
    return plan;
  }

  /** Checks tensors in the caller's buffers. */
  #resolve({ batch, tokens }: Turns, { query, key, out }: GpuRotateArguments): PlannedTensor[] {
    const expected = { batch, tokens, headDim: this.rope.headDim };
    if (out !== undefined) checkKeys("the tensors of out", out, ["query", "key"]);
    const planned: PlannedTensor[] = [];
    for (const [name, tensor, target] of [
      ["query", query, out?.query],
      ["key", key, out?.key],
    ] as const) {
      if (tensor === undefined) {
        if (target !== undefined) {
          throw new RopeError("ROPE_SHAPE", {
            what: `out.${name} is given without ${name}`,
            expected: `${name} as well`,
            received: "undefined",
          });
        }
        continue;
      }
      const input = resolveGpuTensor(name, tensor, expected);
      const output = target === undefined ? input : resolveGpuTensor(`out.${name}`, target, expected);
      if (input.batch !== output.batch || input.heads !== output.heads) {
        throw new RopeError("ROPE_SHAPE", {
          what: `"out.${name}" does not fit`,
          expected: `[${input.batch}, ${tokens}, ${input.heads}, ${input.headDim}] like ${name}`,
          received: `[${output.batch}, ${tokens}, ${output.heads}, ${output.headDim}]`,
        });
      }
      planned.push({ name, input, output });
    }
    if (planned.length === 2 && planned[0]!.input.batch !== planned[1]!.input.batch) {
      throw new RopeError("ROPE_SHAPE", {
        what: "query and key differ in batch",
        expected: `${planned[0]!.input.batch} rows each, to be rotated in one dispatch`,
        received: `${planned[1]!.input.batch}`,
        remedy: "Record them one after the other.",
      });
    }
    checkAliasing(planned);
    return planned;
  }

  #record(target: GpuComputePass | GpuCommandEncoder, turns: Turns, tensors: GpuRotateArguments): EncodeResult {
    const plan = this.#plan(turns, tensors);
    if (plan === undefined) return { dispatches: 0, bytes: 0 };
    const pipeline = this.#state.pipeline(plan.kernel);
    const entries = [
      this.#uploads.write(new Uint8Array(plan.call), usage.uniform, false),
      turns.table,
      ...plan.ranges,
      ...turns.further,
    ];
    dispatch(this.#state.device, target, pipeline, entries, plan.groups);
    return { dispatches: 1, bytes: plan.bytes };
  }

  /** Rotates typed arrays. */
  async #throughDevice<R>(call: (rope: RotaryEmbedding) => R, { signal }: AsyncOptions): Promise<R> {
    this.#requireUsable();
    signal?.throwIfAborted();
    const { result, tasks } = this.#capture(call);
    for (const { input, output } of tasks) {
      for (const { dtype } of [input, output]) {
        if (dtype === "float64") {
          throw new RopeError("ROPE_UNSUPPORTED", {
            what: "WebGPU has no float64",
            expected: "float32, float16 or bfloat16 tensors",
            received: dtype,
            remedy: "Rotate float64 tensors with the rope in JavaScript, or through wasm.",
          });
        }
      }
    }
    const { device } = this.#state;
    const own: GPUBuffer[] = [];
    device.pushErrorScope("validation");
    device.pushErrorScope("out-of-memory");
    const scopes: Promise<GPUError | null>[] = [];
    try {
      let results: readonly ReadBack[];
      try {
        results = this.#startTransfer(tasks, own);
      } finally {
        scopes.push(device.popErrorScope(), device.popErrorScope());
      }
      // Asked for at once: each answer of a device takes its time.
      const mapped = Promise.all(results.map((read) => read.map()));
      mapped.catch(() => undefined);
      const error = (await abortable(Promise.all(scopes), signal)).find((caught) => caught !== null);
      this.#state.requireAlive();
      if (error) throw scopeError(error);
      await abortable(mapped, signal);
      for (const read of results) read.write();
      return result;
    } catch (cause) {
      if (RopeError.is(cause) || cause === signal?.reason) throw cause;
      this.#state.requireAlive();
      throw lostError({ reason: "unknown", message: textOf(cause) });
    } finally {
      for (const buffer of own) buffer.destroy();
    }
  }

  /** Uploads, records, submits. */
  #startTransfer(tasks: readonly RotationTask[], own: GPUBuffer[]): readonly ReadBack[] {
    const { device } = this.#state;
    const [first] = tasks;
    if (first === undefined) return [];
    const moved = tasks.map((task, i) => {
      const input = upload(device, task.input, own, true);
      const inPlace =
        task.output === task.input ||
        (task.output.data === task.input.data && task.output.offset === task.input.offset);
      const output = inPlace ? input : upload(device, task.output, own, false);
      return { name: (["query", "key"] as const)[i]!, input, output, target: task.output };
    });
    const plan = planDispatch(
      { ...shapeOf(this.spec), tensors: moved, rows: { kind: "gathered" }, batched: first.table.batched },
      this.#state,
    );
    if (plan === undefined) return [];
    const pairs = this.rope.rotaryDim / 2;
    const rows = this.#uploads.write(
      interleaveRows(first.table.cos as Float32Array, first.table.sin as Float32Array, pairs),
      usage.storage,
      false,
    );
    const uniform = this.#uploads.write(new Uint8Array(plan.call), usage.uniform, false);
    const encoder = device.createCommandEncoder({ label: "ropewalk" });
    dispatch(device, encoder, this.#state.pipeline(plan.kernel), [uniform, rows, ...plan.ranges], plan.groups);
    const results = moved.map(({ output, target }) => readBack(device, encoder, output, target, own));
    device.queue.submit([encoder.finish()]);
    return results;
  }

  /** Reads and clears what shaders found. */
  async #checkFaults(): Promise<void> {
    if (this.#faults === undefined) return;
    const { device } = this.#state;
    const staging = device.createBuffer({ label: "ropewalk", size: 8, usage: usage.copyTarget | usage.mapRead });
    try {
      const encoder = device.createCommandEncoder({ label: "ropewalk" });
      encoder.copyBufferToBuffer(this.#faults, 0, staging, 0, 8);
      encoder.clearBuffer(this.#faults);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(MAP_READ);
      const [count, place] = new Uint32Array(staging.getMappedRange());
      if (count === 0) return;
      const token = ~place! >>> 0;
      throw new RopeError("ROPE_POSITION_RANGE", {
        what: "positions in a buffer are out of range",
        expected: "integers ≥ 0 and below the length that was said",
        received: `${count} tokens with others, the first at index ${token}`,
        remedy: "These tokens were not rotated. Say the length that the sequence has with them.",
        facts: { count, index: token },
      });
    } catch (cause) {
      if (RopeError.is(cause)) throw cause;
      this.#state.requireAlive();
      throw lostError({ reason: "unknown", message: textOf(cause) });
    } finally {
      staging.destroy();
    }
  }

  #requireUsable(): void {
    if (this.#disposed) throw disposedError("the rope");
    this.#state.requireAlive();
  }

  /** Runs what calls the device; what the device says to it later waits for `check`. */
  #guarded<T>(work: () => T): T {
    const { device } = this.#state;
    device.pushErrorScope("validation");
    device.pushErrorScope("out-of-memory");
    try {
      return work();
    } finally {
      for (const scope of [device.popErrorScope(), device.popErrorScope()]) {
        const settled: Promise<void> = scope
          .then((error) => {
            if (error !== null) this.#failure ??= scopeError(error);
          })
          // A lost device has no scopes left; requireAlive reports it.
          .catch(() => undefined)
          .finally(() => this.#pending.delete(settled));
        this.#pending.add(settled);
      }
    }
  }
}

/** Rows on the device, one for each token. */
function gathered(batch: number | undefined, tokens: number, table: BoundRange): Turns {
  return { batch, tokens, rows: { kind: "gathered" }, table, further: [], values: {} };
}

const isOnDevice = (positions: Positions | GpuPositions): positions is GpuPositions =>
  typeof positions === "object" && positions !== null && "buffer" in positions && !ArrayBuffer.isView(positions);

/** Checks positions in a buffer, as far as the host can. */
function resolveGpuPositions(
  positions: GpuPositions,
  axisCount: number,
  limits: GPUSupportedLimits,
): { batch: number | undefined; tokens: number; words: 1 | 2; range: BoundRange; first: number } {
  checkKeys('"positions"', positions, ["buffer", "shape", "offset", "dtype"]);
  const { buffer, shape, offset = 0, dtype = "uint32" } = positions;
  const misfit = (expected: string, received: string): RopeError =>
    new RopeError("ROPE_SHAPE", { what: "positions have the wrong form", expected, received });
  if (dtype !== "uint32" && dtype !== "int32" && dtype !== "int64") {
    throw misfit('dtype "uint32", "int32" or "int64"', String(dtype));
  }
  if (typeof buffer?.size !== "number" || (buffer.usage & usage.storage) === 0) {
    throw misfit(
      "a GPUBuffer with GPUBufferUsage.STORAGE",
      typeof buffer?.size === "number" ? `usage 0x${buffer.usage.toString(16)}` : "no buffer",
    );
  }
  const sizes = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 0) ? shape : [];
  const own = axisCount === 1 ? sizes : sizes[0] === axisCount ? sizes.slice(1) : [];
  if (own.length !== 1 && own.length !== 2) {
    throw misfit(
      axisCount === 1
        ? "the shape [tokens] or [batch, tokens]"
        : `the shape [${axisCount}, tokens] or [${axisCount}, batch, tokens]`,
      Array.isArray(shape) ? `[${shape.join(", ")}]` : String(shape),
    );
  }
  const words = dtype === "int64" ? 2 : 1;
  const count = sizes.reduce((product, size) => product * size, 1);
  if (!Number.isSafeInteger(offset) || offset < 0 || (offset + count) * 4 * words > buffer.size) {
    throw misfit(`${offset + count} elements of ${dtype}`, `${buffer.size} bytes`);
  }
  const start =
    Math.floor((offset * 4 * words) / limits.minStorageBufferOffsetAlignment) * limits.minStorageBufferOffsetAlignment;
  const range = {
    buffer: buffer as unknown as GPUBuffer,
    offset: start,
    size: Math.max(4, (offset + count) * 4 * words - start),
  };
  return {
    batch: own.length === 2 ? own[0] : undefined,
    tokens: own.at(-1)!,
    words,
    range,
    first: offset - start / (4 * words),
  };
}

export const shapeOf = ({ rotaryDim, rotaryOffset, pairing }: RopeSpec): RotationShape => ({
  rotaryDim,
  rotaryOffset,
  blocks: pairing === "half" ? 1 : pairing === "adjacent" ? rotaryDim / 2 : pairing.blocks,
});

/** Records one dispatch; resources in the order of bindings, the first of them uniform. */
function dispatch(
  device: GPUDevice,
  target: GpuComputePass | GpuCommandEncoder,
  pipeline: GPUComputePipeline,
  resources: readonly BoundRange[],
  groups: readonly [number, number],
): void {
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: resources.map((resource, binding) => ({ binding, resource })),
  });
  const own =
    "beginComputePass" in target
      ? (target.beginComputePass({ label: "ropewalk" }) as unknown as GPUComputePassEncoder)
      : undefined;
  const pass = own ?? (target as unknown as GPUComputePassEncoder);
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(groups[0], groups[1]);
  own?.end();
}

function resolveGpuTensor(
  name: string,
  tensor: GpuTensor,
  expected: { batch: number | undefined; tokens: number; headDim: number },
): TensorLayout {
  const misfit = (wanted: string, received: string, remedy?: string): RopeError =>
    new RopeError("ROPE_SHAPE", {
      what: `"${name}" does not fit`,
      expected: wanted,
      received,
      ...(remedy === undefined ? {} : { remedy }),
      facts: { tensor: name },
    });
  if (typeof tensor !== "object" || tensor === null || typeof tensor.buffer?.size !== "number") {
    throw misfit(
      "{ buffer, shape, strides?, offset?, dtype? } with a GPUBuffer",
      ArrayBuffer.isView(tensor) || ArrayBuffer.isView((tensor as { data?: unknown } | null)?.data)
        ? "a typed array"
        : typeof tensor,
      "For typed arrays there is apply.",
    );
  }
  checkKeys(`"${name}"`, tensor, ["buffer", "shape", "strides", "offset", "dtype"]);
  const { buffer, shape, strides, offset, dtype = "float32" } = tensor;
  if (dtype !== "float32" && dtype !== "float16" && dtype !== "bfloat16") {
    throw misfit('dtype "float32", "float16" or "bfloat16"', String(dtype));
  }
  if ((buffer.usage & usage.storage) === 0) {
    throw misfit("a buffer with GPUBufferUsage.STORAGE", `usage 0x${buffer.usage.toString(16)}`);
  }
  const memory = deviceMemory(buffer as unknown as GPUBuffer, dtype) as unknown as TensorLayout["data"];
  return resolveLayout(
    name,
    memory,
    dtype,
    { shape, ...(strides === undefined ? {} : { strides }), ...(offset === undefined ? {} : { offset }) },
    expected,
  );
}

/** Text that two calls share if they have the same positions; `undefined` for forms that are not compared. */
function layerKey(
  positions: Positions,
  length: number | undefined,
  direction: Direction,
  shape: readonly number[],
): string | undefined {
  const flat = Array.isArray(positions) || ArrayBuffer.isView(positions);
  const list = flat ? (positions as ArrayLike<unknown>) : undefined;
  // Joining more than this costs as much as gathering.
  if (list !== undefined && list.length > 4096) return undefined;
  const text =
    list !== undefined
      ? Array.prototype.join.call(list, ",")
      : "start" in positions
        ? `${positions.start}+${positions.count}`
        : undefined;
  if (text === undefined || typeof list?.[0] === "object") return undefined;
  return `${direction} ${length} ${shape.length === 4 ? shape.slice(0, 2) : shape[0]} ${text}`;
}

export function checkKeys(what: string, given: object, keys: readonly string[]): void {
  if (typeof given !== "object" || given === null) {
    throw new RopeError("ROPE_INVALID_PARAMETERS", {
      what: `${what} cannot be read`,
      expected: `an object with ${keys.join(", ")}`,
      received: String(given),
    });
  }
  const unknown = Object.keys(given).filter((key) => !keys.includes(key));
  if (unknown.length === 0) return;
  throw new RopeError("ROPE_INVALID_PARAMETERS", {
    what: `${what} cannot be used`,
    issues: unknown.map((path) => ({ path, expected: `one of ${keys.join(", ")}`, received: "an unknown key" })),
  });
}

const disposedError = (what: string): RopeError =>
  new RopeError("ROPE_BACKEND_UNAVAILABLE", {
    what: `${what} is disposed`,
    expected: `${what} in use`,
    received: "one whose memory on the device is freed",
    remedy: 'Make a new one: await rope.to("webgpu", { device }).',
  });
