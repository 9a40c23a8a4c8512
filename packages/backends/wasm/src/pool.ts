/**
 * Threads that rotate in a shared arena. The caller's thread works too, and waits for the others, so a rotation stays
 * synchronous.
 *
 * The caller posts a part for each thread in the block that they share (pool-worker.ts), and does the parts that nobody
 * took, so a thread that ended, or sleeps for long, costs nothing but its help.
 *
 * A thread that ends in the middle of a part leaves it half done, and what was rotated in place cannot be rotated
 * again. So threads copy each small step before they work on it: the caller puts the last step back and does the rest.
 */

import { RopeError } from "@ropewalk/core";
import { checkKeys, invalid, show } from "@ropewalk/core/backend";
import { disposeSymbol, isArena } from "./arena.ts";
import type { Arena } from "./arena.ts";
import { kernelModule, SCRATCH_BYTES } from "./kernel.ts";
import type { Kernels } from "./kernel.ts";
import {
  ARGUMENTS,
  ASLEEP,
  COPY_BYTES,
  COS,
  GIVEN_UP,
  HEADS,
  IDLE,
  POSTED,
  PROGRESS,
  SCRATCH,
  SEEN,
  SIN,
  SLOT_SIZE,
  SLOTS,
  SOURCE,
  SOURCE_HEAD,
  SOURCE_TOKEN,
  SPINS,
  STEP_BYTES,
  STEPS,
  STOP,
  TAKEN,
  TARGET,
  TARGET_TOKEN,
  TOKENS,
  TURN,
  workerSource,
} from "./pool-worker.ts";

/** The methods of a worker that a pool uses. Workers of Node and of browsers have them. */
export interface PoolWorker {
  postMessage(message: unknown): void;
  terminate(): unknown;
  /** Node: lets the program end while the worker waits. */
  unref?(): void;
  /** Node: tells when the worker ends. */
  on?(event: "exit" | "error", listener: () => void): unknown;
}

/** Options of {@link createPool}. */
export interface PoolOptions {
  /** The arena of the tensors, created with `shared: true`. The pool uses 16 KiB of it for each thread. */
  readonly arena: Arena;
  /** Number of threads with the caller's, 2 to 64. Default: as many as the machine runs in parallel, at most 8. */
  readonly threads?: number | undefined;
  /**
   * Starts a classic worker (Node: CommonJS) with the given source text. Needed if the package cannot start one: under
   * a content security policy that forbids `blob:`, and in Node before 20.16.
   */
  readonly createWorker?: ((source: string) => PoolWorker) | undefined;
}

/** Threads for `rope.to("wasm", { arena, pool })`. */
export interface Pool {
  readonly arena: Arena;
  /** Number of threads, with the caller's. */
  readonly threads: number;
  /**
   * Number of threads that run, with the caller's; 0 after `dispose`. A thread that ended is not counted once its
   * worker says so (Node), or once it has slept through a rotation and two seconds more.
   */
  readonly running: number;
  /**
   * Resolves when all threads run. Rejects with `ROPE_BACKEND_UNAVAILABLE` if one ends, or if they do not within ten
   * seconds.
   */
  readonly ready: Promise<void>;
  /** Ends the threads and frees their memory. A second call does nothing. Ropes with the pool go on with one thread. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** The arguments of {@link Kernels.rotate}. */
type Job = Parameters<Kernels["rotate"]>;

/** A step takes microseconds. A thread that makes none for this long has ended. */
const PATIENCE_MS = 2000;

/**
 * Starts threads for an arena. They sleep between rotations, and do not keep a Node program alive.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown option, an arena that this package did not make, `threads`
 * that is no integer from 2 to 64, or `createWorker` that is no function; `ROPE_BACKEND_UNAVAILABLE` without workers or
 * shared memory, for an arena that is not shared, or that has no room for the pool.
 */
export function createPool(options: PoolOptions): Pool {
  const {
    arena,
    threads = defaultThreads(),
    createWorker = platformWorker,
  } = checkKeys("the options of createPool", options, ["arena", "threads", "createWorker"]);
  const issues = [];
  if (!Number.isInteger(threads) || threads < 2 || threads > 64) {
    const expected = "an integer from 2 to 64, the caller's thread among them";
    issues.push({ path: "threads", expected, received: show(threads) });
  }
  if (!isArena(arena)) {
    issues.push({ path: "arena", expected: "an arena that createArena of this package made", received: show(arena) });
  }
  if (typeof createWorker !== "function") {
    issues.push({ path: "createWorker", expected: "a function that starts a worker", received: show(createWorker) });
  }
  if (issues.length > 0) throw invalid("the options of createPool", issues);
  if (typeof SharedArrayBuffer !== "function") {
    throw unavailable(
      "shared memory",
      "none",
      "A page has it when it is cross-origin isolated: served with Cross-Origin-Opener-Policy and Cross-Origin-Embedder-Policy.",
    );
  }
  if (!arena.shared) {
    throw unavailable("an arena of shared memory", "an arena without it", "Create it with { shared: true }.");
  }
  return new ThreadPool(arena, threads, createWorker);
}

/** A worker with its slot. */
interface Thread {
  readonly worker: PoolWorker;
  readonly slot: number;
  readonly index: number;
  hasEnded: boolean;
  /** When the thread was first found not to have seen the last turn. */
  behindSince: number | undefined;
}

/** @internal The pool with the methods for the executor. */
export class ThreadPool implements Pool {
  declare [Symbol.dispose]: () => void;
  readonly arena: Arena;
  readonly threads: number;
  readonly ready: Promise<void>;
  readonly #block: Int32Array;
  readonly #copies: SharedArrayBuffer;
  readonly #scratch: number;
  readonly #others: Thread[] = [];
  readonly #release: () => void;
  readonly #maySleep: boolean = maySleep();
  #disposed = false;

  constructor(arena: Arena, threads: number, createWorker: (source: string) => PoolWorker) {
    this.arena = arena;
    this.threads = threads;
    this[disposeSymbol] = () => this.dispose();
    const others = threads - 1;
    // Not in the arena, which reuses memory: a thread may still use them while it is terminated.
    this.#block = new Int32Array(new SharedArrayBuffer((SLOTS + others * SLOT_SIZE) * 4));
    this.#copies = new SharedArrayBuffer(others * COPY_BYTES);
    Atomics.store(this.#block, TURN, 1);
    const room = arena.float64([(threads * SCRATCH_BYTES) / 8]);
    this.#release = room.dispose;
    this.#scratch = room.data.byteOffset;
    try {
      for (let index = 0; index < others; index++) {
        const worker = createWorker(workerSource);
        if (!isWorker(worker)) {
          const expected = "a function that returns a worker";
          throw invalid("the options of createPool", [{ path: "createWorker", expected, received: show(worker) }]);
        }
        const thread = { worker, index, slot: SLOTS + index * SLOT_SIZE, hasEnded: false, behindSince: undefined };
        this.#others.push(thread);
        worker.on?.("exit", () => (thread.hasEnded = true));
        const { buffer: shared } = this.#block;
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is a window's; a worker's takes none
        worker.postMessage({ module: kernelModule(true), memory: arena.memory, shared, copies: this.#copies, index });
        worker.unref?.();
      }
    } catch (cause) {
      this.dispose();
      throw RopeError.is(cause)
        ? cause
        : unavailable("workers", cause instanceof Error ? cause.message : String(cause));
    }
    this.ready = this.#started();
    // A caller that does not await `ready` must not get an unhandled rejection.
    this.ready.catch(() => undefined);
  }

  get running(): number {
    return this.#disposed ? 0 : 1 + this.#running().length;
  }

  /** The threads that run, as far as one can tell. */
  #running(): Thread[] {
    const block = this.#block;
    const turn = Atomics.load(block, TURN);
    return this.#others.filter((thread) => {
      const seen = Atomics.load(block, thread.slot + SEEN);
      if (seen === turn) thread.behindSince = undefined;
      else if (seen !== 0) thread.behindSince ??= Date.now();
      const isLate = Date.now() - (thread.behindSince ?? Infinity) > PATIENCE_MS;
      return seen !== 0 && !thread.hasEnded && !isLate;
    });
  }

  /**
   * Whether the pool can share a job between threads.
   *
   * @param tokenBytes bytes of the rotated elements of one token: a step must fit its copy.
   */
  canShare(tokenBytes: number): boolean {
    return !this.#disposed && tokenBytes <= COPY_BYTES && this.#running().length > 0;
  }

  /**
   * Rotates the tokens of a job in one part for each thread, the first part in this thread. Returns when all are done,
   * also when threads end meanwhile.
   *
   * @param tableToken bytes of the cos of one token.
   * @param row bytes of the rotated elements of one head.
   */
  run(kernels: Kernels, job: Job, tableToken: number, row: number): void {
    const block = this.#block;
    const threads = this.#running();
    const tokens = job[TOKENS];
    const share = Math.ceil(tokens / (threads.length + 1));
    const parts = threads.flatMap((thread, i) => {
      const first = (i + 1) * share;
      const part = this.#part(job, tableToken, first, Math.min(share, tokens - first), thread.index + 1);
      return first < tokens ? [{ thread, part }] : [];
    });
    for (const { thread, part } of parts) {
      const { slot } = thread;
      // Heads side by side are one row.
      const isPacked = job[SOURCE_HEAD] === row;
      const isInPlace = job[SOURCE] === job[TARGET];
      const rows = isPacked ? 1 : job[HEADS];
      const step = Math.max(1, Math.floor(STEP_BYTES / (row * job[HEADS])));
      block.set([step, tableToken, isPacked ? row * job[HEADS] : row, isInPlace ? rows : 0], slot + STEPS);
      block.set(part, slot + ARGUMENTS);
      Atomics.store(block, slot + PROGRESS, 0);
      Atomics.store(block, slot, POSTED);
    }
    Atomics.add(block, TURN, 1);
    // To wake threads takes longer than a small part of the work; a spinning thread needs no wake-up.
    if (Atomics.load(block, ASLEEP) > 0) Atomics.notify(block, TURN);
    kernels.rotate(...this.#part(job, tableToken, 0, Math.min(share, tokens), 0));
    for (const { thread, part } of parts) {
      // A part that nobody took.
      if (Atomics.compareExchange(block, thread.slot, POSTED, IDLE) === POSTED) kernels.rotate(...this.#mine(part));
    }
    for (const { thread, part } of parts) {
      if (!this.#hasFinished(thread)) this.#finish(kernels, thread, part, tableToken);
    }
  }

  /** The part of a job with `count` tokens from `first` on, and the scratch memory of thread `thread`. */
  #part(job: Job, tableToken: number, first: number, count: number, thread: number): Job {
    const part: Job = [...job];
    part[SOURCE] += first * job[SOURCE_TOKEN];
    part[TARGET] += first * job[TARGET_TOKEN];
    part[COS] += first * tableToken;
    part[SIN] += first * tableToken;
    part[SCRATCH] = this.#scratch + thread * SCRATCH_BYTES;
    part[TOKENS] = count;
    return part;
  }

  /** A thread's part for this thread. */
  #mine(part: Job): Job {
    return this.#part(part, 0, 0, part[TOKENS], 0);
  }

  /**
   * Waits for the part that a thread took. It spins first, since the rest is short. The main thread of a page may only
   * spin. Returns `false` if the thread has ended.
   */
  #hasFinished({ slot }: Thread): boolean {
    const block = this.#block;
    let progress = -1;
    let end = 0;
    for (let spins = 0; Atomics.load(block, slot) === TAKEN; spins++) {
      if (spins < SPINS) continue;
      const now = Date.now();
      const current = Atomics.load(block, slot + PROGRESS);
      if (current !== progress) [progress, end] = [current, now + PATIENCE_MS];
      else if (now > end) return Atomics.compareExchange(block, slot, TAKEN, GIVEN_UP) !== TAKEN;
      if (this.#maySleep) Atomics.wait(block, slot, TAKEN, 100);
    }
    return true;
  }

  /** Does the rest of the part of a thread that has ended. */
  #finish(kernels: Kernels, thread: Thread, part: Job, tableToken: number): void {
    const block = this.#block;
    const { slot, index } = thread;
    thread.hasEnded = true;
    end(thread);
    const progress = Atomics.load(block, slot + PROGRESS);
    const done = progress >> 1;
    const [step, , row, rows] = block.subarray(slot + STEPS, slot + STEPS + 4) as unknown as number[];
    const rest = this.#part(part, tableToken, done, part[TOKENS] - done, 0);
    // The last step as it was.
    if (progress % 2 === 1) {
      const bytes = new Uint8Array(this.arena.memory.buffer);
      const copy = new Uint8Array(this.#copies, index * COPY_BYTES, COPY_BYTES);
      for (let t = 0, from = 0; t < Math.min(step!, rest[TOKENS]); t++) {
        for (let r = 0; r < rows!; r++, from += row!) {
          bytes.set(copy.subarray(from, from + row!), rest[SOURCE] + t * rest[SOURCE_TOKEN] + r * rest[SOURCE_HEAD]);
        }
      }
    }
    kernels.rotate(...rest);
  }

  async #started(): Promise<void> {
    const end = Date.now() + 10_000;
    while (this.running < this.threads && !this.#disposed) {
      if (Date.now() > end || this.#others.some(({ hasEnded }) => hasEnded)) {
        throw unavailable(`${this.threads - 1} workers to start within ten seconds`, `${this.running - 1}`);
      }
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
    }
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    Atomics.store(this.#block, STOP, 1);
    Atomics.add(this.#block, TURN, 1);
    Atomics.notify(this.#block, TURN);
    for (const thread of this.#others) end(thread);
    // A thread that was given up may still write to its scratch memory for a moment.
    if (!this.#others.some(({ slot }) => Atomics.load(this.#block, slot) === GIVEN_UP)) this.#release();
  }
}

/** Terminates a worker. One that cannot be terminated sees that it has to stop. */
function end({ worker }: Thread): void {
  try {
    worker.terminate();
  } catch {
    // There is nothing else to do.
  }
}

function isWorker(worker: Partial<PoolWorker> | null | undefined): worker is PoolWorker {
  return typeof worker?.postMessage === "function" && typeof worker.terminate === "function";
}

function unavailable(expected: string, received: string, remedy = "Rotate without a pool."): RopeError {
  return new RopeError("ROPE_BACKEND_UNAVAILABLE", {
    what: "the pool of threads is not available",
    expected,
    received,
    remedy,
  });
}

interface Platform {
  readonly process?: { getBuiltinModule?(name: string): any };
  readonly navigator?: { readonly hardwareConcurrency?: number };
}
const platform: Platform = globalThis as Platform;
/** A built-in module of Node, loaded in a way that bundlers do not follow. */
const builtin = (name: string): any => platform.process?.getBuiltinModule?.(name);

function defaultThreads(): number {
  const available: number = platform.navigator?.hardwareConcurrency ?? builtin("node:os")?.availableParallelism() ?? 2;
  return Math.min(Math.max(available, 2), 8);
}

function platformWorker(source: string): PoolWorker {
  const threads: { Worker: new (source: string, options: object) => PoolWorker } | undefined =
    builtin("node:worker_threads");
  if (threads !== undefined) {
    const worker = new threads.Worker(source, { eval: true, execArgv: [] });
    // A worker that fails never starts to run: `ready` rejects, and the pool stays unused.
    worker.on?.("error", () => undefined);
    return worker;
  }
  if (typeof Worker === "function" && typeof Blob === "function") {
    return new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  }
  throw unavailable(
    "workers of a browser, or Node 20.16 or newer",
    "neither",
    "Pass createWorker, or rotate without a pool.",
  );
}

/** Whether this thread may sleep; the main thread of a page may not. */
function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
    return true;
  } catch {
    return false;
  }
}
