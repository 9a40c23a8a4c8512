import { getRope } from "@ropewalk/core";
import "@ropewalk/default";
import { createArena, createPool } from "@ropewalk/wasm-backend";
import type { PoolWorker } from "@ropewalk/wasm-backend";
import { expect, test } from "vitest";

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
  type Run = (kernels: { rotate(): void }, job: unknown, tableToken: number) => void;
  const { run } = Object.getPrototypeOf(pool) as { run: Run };
  let calls = 0;
  const idle = { rotate: () => undefined };
  Object.assign(pool, {
    run(_: unknown, job: unknown, tableToken: number) {
      calls++;
      run.call(pool, idle, job, tableToken);
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
