/** Wrong or missing arguments of the public functions and methods give RopeErrors, never a TypeError. */

import { getRope, RopeError } from "@ropewalk/core";
import "@ropewalk/default";
import * as wasm from "@ropewalk/wasm-backend";
import { createArena, createPool } from "@ropewalk/wasm-backend";
import type { PoolWorker } from "@ropewalk/wasm-backend";
import { afterAll, describe, expect, test } from "vitest";

const junk: readonly unknown[] = [
  undefined,
  null,
  0,
  -1,
  1.5,
  NaN,
  7n,
  "",
  "x",
  true,
  {},
  { a: 1 },
  Object.create(null),
  [],
  [null],
  [-1],
  [1.5],
  ["8"],
  [2 ** 40, 2 ** 40],
  // A list with holes.
  Object.assign([], { length: 2 }),
  [[], [1]],
  () => undefined,
  Symbol("s"),
  new Map(),
  new Float32Array(3),
  new DataView(new ArrayBuffer(8)),
  { data: new Float32Array(8), shape: [1, 1, 8], stride: [1] },
  { data: null, shape: null },
  { query: null, key: null, out: null },
  { positions: [0], query: new Float32Array(8), out: new Float32Array(8) },
  { memory: { buffer: new ArrayBuffer(8) } },
];

const arena = createArena({ bytes: 1 << 20, shared: true });
/** Looks like the arena, with its memory. */
const lookalike = { memory: arena.memory, shared: true, bytes: arena.bytes, free: arena.free };
/** Workers that never start. */
const idle = (): PoolWorker => ({ postMessage: () => undefined, terminate: () => undefined });
const pool = createPool({ arena, threads: 2, createWorker: idle });
afterAll(() => pool.dispose());

const js = getRope({ headDim: 8, parameters: { ropeType: "default" } });
const rope = js.to("wasm", { arena });
const step = rope.at([0]);
const query = arena.float32([1, 1, 8]);
const good = { positions: [0], query };

type Call = readonly [(...given: never[]) => unknown, readonly unknown[]];

/** Each function with valid arguments. The test replaces each argument by each piece of junk, and leaves it out. */
const calls: Readonly<Record<string, Call>> = {
  createArena: [createArena, [{ bytes: 64 }]],
  "createArena, bytes": [(bytes: never) => createArena({ bytes }), [64]],
  "createArena, shared": [(shared: never) => createArena({ bytes: 64, shared }), [true]],
  "arena.float32": [arena.float32.bind(arena), [[1]]],
  "arena.float64": [arena.float64.bind(arena), [[1]]],
  "arena.float16": [arena.float16.bind(arena), [[1]]],
  "arena.bfloat16": [arena.bfloat16.bind(arena), [[1]]],
  createPool: [createPool, [{ arena, threads: 2, createWorker: idle }]],
  "createPool, arena": [(given: never) => createPool({ arena: given, threads: 2, createWorker: idle }), [arena]],
  "createPool, threads": [(threads: never) => createPool({ arena, threads, createWorker: idle }), [2]],
  "createPool, createWorker": [(createWorker: never) => createPool({ arena, threads: 2, createWorker }), [idle]],
  "createPool, worker": [(worker: never) => createPool({ arena, threads: 2, createWorker: () => worker }), [idle()]],
  'rope.to("wasm")': [(options: never) => js.to("wasm", options), [{ arena }]],
  'rope.to("wasm"), arena': [(given: never) => js.to("wasm", { arena: given }), [arena]],
  'rope.to("wasm"), pool': [(given: never) => js.to("wasm", { pool: given }), [pool]],
  "rope.apply": [rope.apply.bind(rope), [good]],
  "rope.apply, positions": [(positions: never) => rope.apply({ positions, query }), [[0]]],
  "rope.apply, query": [(given: never) => rope.apply({ positions: [0], query: given }), [query]],
  "rope.apply, out": [(out: never) => rope.apply({ ...good, out }), [{ query }]],
  "rope.apply, out.query": [(given: never) => rope.apply({ ...good, out: { query: given } }), [query]],
  "rope.apply, length": [(length: never) => rope.apply({ ...good, length }), [1]],
  "rope.invert": [rope.invert.bind(rope), [good]],
  "rope.adjoint": [rope.adjoint.bind(rope), [good]],
  "rope.shift": [rope.shift.bind(rope), [{ keys: query, from: [0], to: [1] }]],
  "rope.at": [rope.at.bind(rope), [[0], {}]],
  "step.apply": [step.apply.bind(step), [{ query }]],
  "rope.cosSin": [rope.cosSin.bind(rope), [[0], {}]],
  "rope.frequencies": [rope.frequencies.bind(rope), [1]],
  "rope.effectiveLength": [rope.effectiveLength.bind(rope), [1]],
  "rope.explain": [rope.explain.bind(rope), [1]],
};

test("every function that the package exports is here", () => {
  const functions = Object.entries(wasm).filter(([, value]) => typeof value === "function");
  expect(functions.map(([name]) => name).filter((name) => calls[name] === undefined)).toEqual([]);
});

/** Frees the tensors and pools that a call made. */
function release(made: unknown): void {
  if (typeof made === "object" && made !== null && "dispose" in made) (made as { dispose(): void }).dispose();
}

describe.each(Object.entries(calls))("%s", (_, [call, right]) => {
  const outcome = (given: readonly unknown[]): string => {
    try {
      release(call(...(given as never[])));
      return "accepted";
    } catch (error) {
      return RopeError.is(error) ? "RopeError" : `${String(error)} for ${given.map((value) => typeof value).join()}`;
    }
  };

  test("answers any arguments with a RopeError or a result", () => {
    expect(outcome(right)).toBe("accepted");
    const outcomes = new Set<string>();
    for (let length = 0; length < right.length; length++) outcomes.add(outcome(right.slice(0, length)));
    for (let i = 0; i < right.length; i++) {
      for (const piece of junk) outcomes.add(outcome(right.with(i, piece)));
    }
    expect([...outcomes].filter((text) => text !== "accepted" && text !== "RopeError")).toEqual([]);
    expect([...outcomes]).toContain("RopeError");
  });
});

test.each<[string, () => unknown]>([
  ["an unknown option of createArena", () => createArena({ bytes: 64, size: 64 } as never)],
  ["an unknown option of createPool", () => createPool({ arena, thread: 2 } as never)],
  ["an unknown option of the backend", () => js.to("wasm", { threads: 2 } as never)],
  ["an object with the memory of an arena, for a pool", () => createPool({ arena: lookalike as never, threads: 2 })],
  ["an object with the memory of an arena, for a rope", () => js.to("wasm", { arena: lookalike as never })],
])("%s is refused", (_, call) => {
  expect(call).toThrow(expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }));
});

test("refused calls leave no memory allocated", () => {
  const own = createArena({ bytes: 1 << 20, shared: true });
  const refused = [undefined, null, {}, 5].map((worker) => () => {
    createPool({ arena: own, threads: 2, createWorker: () => worker as never });
  });
  for (const call of refused) expect(call).toThrow(expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }));
  expect(own.free).toBe(own.bytes);
});
