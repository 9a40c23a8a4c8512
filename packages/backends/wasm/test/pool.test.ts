import { Worker } from "node:worker_threads";
import { getRope } from "@ropewalk/core";
import "@ropewalk/default";
import { createArena, createPool } from "@ropewalk/wasm-backend";
import type { Arena, Pool, PoolWorker } from "@ropewalk/wasm-backend";
import { describe, expect, test } from "vitest";

const failure = (code: string) => expect.objectContaining({ code });

test("several threads give the same bits as one", async () => {
  const arena = createArena({ bytes: 96 << 20, shared: true });
  using pool = createPool({ arena, threads: 3 });
  await pool.ready;
  expect(pool.running).toBe(3);
  // More than one piece, and a number of tokens that three do not divide.
  const tokens = 2401;
  for (const pairing of ["half", "adjacent", { blocks: 4 }] as const) {
    for (const dtype of ["float32", "float64", "float16", "bfloat16"] as const) {
      const rope = getRope({ headDim: 128, pairing, maxPosition: 131072, parameters: { ropeType: "default" } });
      const positions = { start: 100_000, count: tokens };
      using query = arena[dtype]([tokens, 8, 128]);
      using key = arena[dtype]([tokens, 4, 128]);
      using out = arena[dtype]([tokens, 4, 128]);
      // As bits, numbers below 2 of both signs.
      const is16bit = dtype === "float16" || dtype === "bfloat16";
      query.data.forEach((_, i) => (query.data[i] = is16bit ? Math.imul(i, 40503) & 0xbfff : Math.sin(i)));
      key.data.set(query.data.subarray(0, key.data.length));
      const [expectedQuery, expectedKey] = [query.data.slice(), key.data.slice()];
      const view = (data: typeof expectedQuery, heads: number) => ({ data, shape: [tokens, heads, 128], dtype });
      rope.apply({ positions, query: view(expectedQuery, 8), key: view(expectedKey, 4) });
      rope.to("wasm", { pool }).apply({ positions, query, key, out: { key: out } });
      expect(query.data.every((value, i) => Object.is(value, expectedQuery[i]))).toBe(true);
      expect(out.data.every((value, i) => Object.is(value, expectedKey[i]))).toBe(true);
    }
  }
});

test("threads take part", async () => {
  const arena = createArena({ bytes: 16 << 20, shared: true });
  using pool = createPool({ arena, threads: 2 });
  await pool.ready;
  const rope = getRope({ headDim: 128, parameters: { ropeType: "default" } });
  using query = arena.float32([2048, 8, 128]);
  query.data.fill(1);
  // Without them the second half of the tokens would stay as it was.
  type Run = (kernels: { rotate(): void }, ...job: readonly unknown[]) => void;
  const { run } = Object.getPrototypeOf(pool) as { run: Run };
  let calls = 0;
  // Slow, so that the other thread takes its part before this one would.
  const idle = { rotate: () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200) };
  Object.assign(pool, {
    run(_: unknown, ...job: readonly unknown[]) {
      calls++;
      run.call(pool, idle, ...job);
    },
  });
  rope.to("wasm", { pool }).apply({ positions: { start: 1, count: 2048 }, query });
  expect(calls).toBeGreaterThan(0);
  expect(query.data.subarray(0, 8 * 128).every((value) => value === 1)).toBe(true);
  expect(query.data.at(-1)).not.toBe(1);
});

test("a pool that cannot start, and a pool of another arena, are errors", async () => {
  const arena = createArena({ bytes: 1 << 20, shared: true });
  const all = arena.free;
  expect(() => createPool({ arena: createArena({ bytes: 1 << 20 }), threads: 2 })).toThrow(
    failure("ROPE_BACKEND_UNAVAILABLE"),
  );
  expect(() => createPool({ arena, threads: 1 })).toThrow(failure("ROPE_INVALID_PARAMETERS"));
  const refusing = (): PoolWorker => {
    throw new Error("no workers here");
  };
  expect(() => createPool({ arena, threads: 2, createWorker: refusing })).toThrow(failure("ROPE_BACKEND_UNAVAILABLE"));
  expect(arena.free).toBe(all);

  const rope = getRope({ headDim: 128, parameters: { ropeType: "default" } });
  const pool = createPool({ arena, threads: 2 });
  expect(() => rope.to("wasm", { pool, arena: createArena({ bytes: 1 << 16, shared: true }) })).toThrow(
    failure("ROPE_INVALID_PARAMETERS"),
  );
  await pool.ready;
  pool.dispose();
  pool.dispose();
  expect(pool.running).toBe(0);
  expect(arena.free).toBe(all);
  // The rope goes on with one thread.
  using query = arena.float32([4, 8, 128]);
  expect(() => rope.to("wasm", { pool }).apply({ positions: [0, 1, 2, 3], query })).not.toThrow();
});

test("a program ends without disposing its pool", async () => {
  const { execFileSync } = await import("node:child_process");
  const code = `import { createArena, createPool } from ${JSON.stringify(import.meta.resolve("@ropewalk/wasm-backend"))};
    await createPool({ arena: createArena({ bytes: 1 << 20, shared: true }), threads: 2 }).ready; console.log("done");`;
  expect(
    execFileSync(process.execPath, ["--input-type=module", "--eval", code], { encoding: "utf8", timeout: 20_000 }),
  ).toBe("done\n");
});

describe("threads that end", () => {
  const rope = getRope({ headDim: 128, parameters: { ropeType: "default" } });
  const tokens = 1024;
  const positions = { start: 5, count: tokens };
  type Type = "float32" | "float64" | "float16" | "bfloat16";
  const fill = (data: Float32Array | Float64Array | Uint16Array): void => {
    const is16bit = data.BYTES_PER_ELEMENT === 2;
    for (let i = 0; i < data.length; i++) data[i] = is16bit ? Math.imul(i, 40503) & 0xbfff : Math.sin(i);
  };
  type Form = "in place" | "out" | "strided";
  /** Rotates in place, to another tensor, or every second head in place; the bits must be those of one thread. */
  const expectRotated = (arena: Arena, pool: Pool, dtype: Type, form: Form): void => {
    using whole = arena[dtype]([tokens, 16, 128]);
    using out = arena[dtype]([tokens, 16, 128]);
    const view =
      form === "strided"
        ? { dtype, shape: [tokens, 8, 128], strides: [16 * 128, 2 * 128, 1], offset: 128 }
        : { dtype, shape: [tokens, 16, 128] };
    fill(whole.data);
    const expected = whole.data.slice();
    rope.apply({ positions, query: { data: expected, ...view } });
    const query = { data: whole.data, ...view };
    rope.to("wasm", { pool }).apply({ positions, query, ...(form === "out" && { out: { query: out } }) });
    const result = form === "out" ? out.data : whole.data;
    expect(
      result.findIndex((value, i) => !Object.is(value, expected[i])),
      `${dtype}, ${form}`,
    ).toBe(-1);
  };
  const expectAllRotated = (arena: Arena, pool: Pool, types: readonly Type[]): void => {
    for (const dtype of types) {
      for (const form of ["in place", "out", "strided"] as const) expectRotated(arena, pool, dtype, form);
    }
  };
  const all = ["float32", "float64", "float16", "bfloat16"] as const;

  test("between two calls: the caller does their part, and they no longer count", async () => {
    const arena = createArena({ bytes: 64 << 20, shared: true });
    const workers: Worker[] = [];
    const createWorker = (source: string): PoolWorker => {
      const worker = new Worker(source, { eval: true });
      workers.push(worker);
      return worker;
    };
    using pool = createPool({ arena, threads: 3, createWorker });
    await pool.ready;
    await workers[0]!.terminate();
    expect(pool.running).toBe(2);
    expectAllRotated(arena, pool, all);
    await workers[1]!.terminate();
    expect(pool.running).toBe(1);
    expectAllRotated(arena, pool, ["float32"]);
  });

  test("between two calls, with a worker that tells nothing: they no longer count after a while", async () => {
    const arena = createArena({ bytes: 64 << 20, shared: true });
    const workers: Worker[] = [];
    const createWorker = (source: string): PoolWorker => {
      const worker = new Worker(source, { eval: true });
      workers.push(worker);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is a window's; a worker's takes none
      return { postMessage: (message) => worker.postMessage(message), terminate: () => worker.terminate() };
    };
    using pool = createPool({ arena, threads: 3, createWorker });
    await pool.ready;
    await workers[0]!.terminate();
    expectAllRotated(arena, pool, all);
    expect(pool.running).toBeGreaterThanOrEqual(2);
    await expect.poll(() => pool.running, { timeout: 20_000 }).toBe(2);
    expectAllRotated(arena, pool, ["float32"]);
  });

  // The worker rotates half of the heads of its second step, and then ends or hangs.
  const dying = (death: string): string => `{
    const { Instance } = WebAssembly;
    WebAssembly.Instance = function (...given) {
      const { exports } = new Instance(...given);
      let calls = 0;
      const rotate = (...job) => {
        if (++calls < 2) return exports.rotate(...job);
        job[11] >>= 1;
        exports.rotate(...job);
        ${death}
      };
      return { exports: { ...exports, rotate } };
    };
  }`;
  test.each([
    ["ends", 'throw new Error("killed");', "float32", "in place"],
    ["ends", 'throw new Error("killed");', "bfloat16", "strided"],
    ["ends", 'throw new Error("killed");', "float32", "out"],
    ["hangs", "for (;;);", "bfloat16", "in place"],
  ] as const)("in the middle of a call: a worker that %s leaves nothing half done", async (_, death, dtype, form) => {
    const arena = createArena({ bytes: 32 << 20, shared: true });
    const createWorker = (source: string): PoolWorker => {
      const worker = new Worker(`${dying(death)}\n${source}`, { eval: true });
      worker.on("error", () => undefined);
      return worker;
    };
    using pool = createPool({ arena, threads: 2, createWorker });
    await pool.ready;
    expectRotated(arena, pool, dtype, form);
  });
});

test("a pool that cannot start frees its memory, whatever its workers do", () => {
  const arena = createArena({ bytes: 1 << 20, shared: true });
  const all = arena.free;
  const good: PoolWorker = { postMessage: () => undefined, terminate: () => undefined };
  const stubborn: PoolWorker = {
    ...good,
    terminate() {
      throw new Error("no");
    },
  };
  const made: readonly (readonly unknown[])[] = [[null], [{}], [good, null], [stubborn, null], [stubborn, {}]];
  for (const workers of made) {
    let count = 0;
    const createWorker = (): PoolWorker => workers[count++] as PoolWorker;
    expect(() => createPool({ arena, threads: 3, createWorker })).toThrow(failure("ROPE_INVALID_PARAMETERS"));
    expect(arena.free).toBe(all);
  }
  const pool = createPool({ arena, threads: 2, createWorker: () => stubborn });
  expect(() => pool.dispose()).not.toThrow();
  expect(arena.free).toBe(all);
});
