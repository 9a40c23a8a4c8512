/**
 * Threads that rotate in a shared arena. The caller's thread works too, and waits for the others, so a rotation stays
 * synchronous.
 *
 * Beside the arena, threads share one block of 32-bit integers: a turn, which increases by one with every job, the
 * number of threads that still work, and for each thread the arguments of the kernel.
 */

import { RopeError } from "@ropewalk/core";
import { checkKeys, invalid, show } from "@ropewalk/core/backend";
import { disposeSymbol, isArena } from "./arena.ts";
import type { Arena } from "./arena.ts";
import { kernelModule, SCRATCH_BYTES } from "./kernel.ts";
import type { Kernels } from "./kernel.ts";

/** The methods of a worker that a pool uses. Workers of Node and of browsers have them. */
export interface PoolWorker {
  postMessage(message: unknown): void;
  terminate(): unknown;
  /** Node: lets the program end while the worker waits. */
  unref?(): void;
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
   * Number of threads that have started, with the caller's; 0 after `dispose`. Until all run, the caller's thread works
   * alone.
   */
  readonly running: number;
  /** Resolves when all threads run. Rejects with `ROPE_BACKEND_UNAVAILABLE` if they do not within ten seconds. */
  readonly ready: Promise<void>;
  /** Ends the threads and frees their memory. A second call does nothing. Ropes with the pool go on with one thread. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** The arguments of {@link Kernels.rotate}. */
type Job = Parameters<Kernels["rotate"]>;

// Places in the block of integers.
const TURN = 0;
const WORKING = 1;
const RUNNING = 2;
const STOP = 3;
const ASLEEP = 4;
const JOBS = 16;

/** About ten microseconds of spinning: longer than the pause between two tensors or pieces. */
const SPINS = 2000;
/**
 * Integers of one thread: the arguments of its job, with the number of tokens at `TOKENS`. A first integer below 0 is
 * no job.
 */
const JOB_SIZE = 16;
const TOKENS = 10;

/**
 * The program of a worker, as text, so that bundlers need not find a file. In a loop it waits for a turn, works, and
 * reports that it is done. The numbers are those above.
 */
const workerSource = `
const start = ({ module, memory, shared, index }) => {
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const block = new Int32Array(shared);
  const job = ${JOBS} + index * ${JOB_SIZE};
  let turn = Atomics.load(block, ${TURN});
  Atomics.add(block, ${RUNNING}, 1);
  for (;;) {
    for (let spins = 0; Atomics.load(block, ${TURN}) === turn; ) {
      if (++spins < ${SPINS}) continue;
      Atomics.add(block, ${ASLEEP}, 1);
      Atomics.wait(block, ${TURN}, turn);
      Atomics.sub(block, ${ASLEEP}, 1);
    }
    turn = Atomics.load(block, ${TURN});
    if (Atomics.load(block, ${STOP}) !== 0) return;
    if (block[job] >= 0) kernels.rotate(...block.subarray(job, job + 14));
    block[job] = -1;
    if (Atomics.sub(block, ${WORKING}, 1) === 1) Atomics.notify(block, ${WORKING});
  }
};
if (typeof require === "function" && typeof self === "undefined") require("node:worker_threads").parentPort.once("message", start);
else self.onmessage = ({ data }) => start(data);
`;

/**
 * Starts threads for an arena. They sleep between rotations, and do not keep a Node program alive.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown option, an arena that this package did not make, `threads`
 * that is no integer from 2 to 64, or `createWorker` that is no function; `ROPE_BACKEND_UNAVAILABLE` without workers or
 * shared memory, for an arena that is not shared, or that has no room for the pool.
 */
export function createPool(options: PoolOptions): Pool {
  checkKeys("the options of createPool", options, ["arena", "threads", "createWorker"]);
  const { arena, threads = defaultThreads(), createWorker = platformWorker } = options;
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

/** @internal The pool with the methods for the executor. */
export class ThreadPool implements Pool {
  declare [Symbol.dispose]: () => void;
  readonly arena: Arena;
  readonly threads: number;
  readonly ready: Promise<void>;
  readonly #block: Int32Array;
  readonly #scratch: number;
  readonly #workers: PoolWorker[] = [];
  readonly #release: () => void;
  readonly #maySleep: boolean = maySleep();
  #disposed = false;

  constructor(arena: Arena, threads: number, createWorker: (source: string) => PoolWorker) {
    this.arena = arena;
    this.threads = threads;
    this[disposeSymbol] = () => this.dispose();
    const others = threads - 1;
    const room = arena.float64([(threads * SCRATCH_BYTES) / 8]);
    this.#release = room.dispose;
    this.#scratch = room.data.byteOffset;
    // Not in the arena, which reuses memory: a thread may still read the block while it is terminated.
    this.#block = new Int32Array(new SharedArrayBuffer((JOBS + others * JOB_SIZE) * 4));
    try {
      for (let index = 0; index < others; index++) {
        const worker = createWorker(workerSource);
        if (!isWorker(worker)) {
          const expected = "a function that returns a worker";
          throw invalid("the options of createPool", [{ path: "createWorker", expected, received: show(worker) }]);
        }
        this.#workers.push(worker);
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is a window's; a worker's takes none
        worker.postMessage({ module: kernelModule(true), memory: arena.memory, shared: this.#block.buffer, index });
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
    return this.#disposed ? 0 : 1 + Atomics.load(this.#block, RUNNING);
  }

  /** Whether all threads run. Otherwise the part of a missing thread would never be done. */
  get isComplete(): boolean {
    return this.running === this.threads;
  }

  /**
   * Rotates the tokens of a job in one part for each thread, the first part in this thread. Returns when all are done.
   *
   * @param tableToken bytes of the cos of one token.
   */
  run(kernels: Kernels, job: Job, tableToken: number): void {
    const block = this.#block;
    const tokens = job[TOKENS]!;
    const share = Math.ceil(tokens / this.threads);
    let parts = 0;
    for (let first = share; first < tokens; first += share, parts++) {
      block.set(
        this.#part(job, tableToken, first, Math.min(share, tokens - first), parts + 1),
        JOBS + parts * JOB_SIZE,
      );
    }
    // Threads without a part are counted too: each reports that it has seen this turn.
    for (let idle = parts; idle < this.threads - 1; idle++) block[JOBS + idle * JOB_SIZE] = -1;
    Atomics.store(block, WORKING, this.threads - 1);
    Atomics.add(block, TURN, 1);
    // To wake threads takes longer than a small part of the work; a spinning thread needs no wake-up.
    if (Atomics.load(block, ASLEEP) > 0) Atomics.notify(block, TURN);
    kernels.rotate(...this.#part(job, tableToken, 0, Math.min(share, tokens), 0));
    this.#wait();
  }

  /** The part of a job with `count` tokens from `first` on, and the scratch memory of thread `thread`. */
  #part(job: Job, tableToken: number, first: number, count: number, thread: number): Job {
    const [
      types,
      source,
      sourceToken,
      sourceHead,
      target,
      targetToken,
      targetHead,
      cos,
      sin,
      ,
      ,
      heads,
      blocks,
      width,
    ] = job;
    const table = first * tableToken;
    const scratch = this.#scratch + thread * SCRATCH_BYTES;
    return [
      types,
      source + first * sourceToken,
      sourceToken,
      sourceHead,
      target + first * targetToken,
      targetToken,
      targetHead,
      cos + table,
      sin + table,
      scratch,
      count,
      heads,
      blocks,
      width,
    ];
  }

  /** Waits until no thread works. It spins first, since the rest is short. The main thread of a page may only spin. */
  #wait(): void {
    const block = this.#block;
    const end = Date.now() + 10_000;
    for (let spins = 0; ; spins++) {
      const working = Atomics.load(block, WORKING);
      if (working === 0) return;
      if (spins < SPINS) continue;
      if (Date.now() > end) {
        this.dispose();
        throw unavailable(
          "all threads to finish",
          "a thread that ended or hangs",
          "The tensors of this call are incomplete. Rotate them again without a pool.",
        );
      }
      if (this.#maySleep) Atomics.wait(block, WORKING, working, 100);
    }
  }

  async #started(): Promise<void> {
    const end = Date.now() + 10_000;
    while (!this.isComplete && !this.#disposed) {
      if (Date.now() > end) {
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
    for (const worker of this.#workers) worker.terminate();
    this.#release();
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

interface NodeWorker extends PoolWorker {
  on(event: "error", listener: () => void): void;
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
  const threads: { Worker: new (source: string, options: object) => NodeWorker } | undefined =
    builtin("node:worker_threads");
  if (threads !== undefined) {
    const worker = new threads.Worker(source, { eval: true, execArgv: [] });
    // A worker that fails never starts to run: `ready` rejects, and the pool stays unused.
    worker.on("error", () => undefined);
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
