/** The WebAssembly backend after bundling. Its kernels are part of the code, so no file can be lost. */

import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundlers } from "./bundle.ts";
import { execute, install, nodes } from "./packed.ts";
import type { Installation, NodeBinary } from "./packed.ts";

let installed: Installation;
let runtimes: NodeBinary[];
beforeAll(async () => {
  [installed, runtimes] = await Promise.all([install(), nodes()]);
}, 60_000);
// There is nothing to remove if installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

const code = `
import { getRope } from "@ropewalk/core";
import "@ropewalk/default";
import "@ropewalk/wasm-backend/auto";
import { createArena, createPool } from "@ropewalk/wasm-backend";
const request = { headDim: 64, base: 500000, parameters: { ropeType: "default" } };
const rope = getRope(request, { backend: "js" });
const backends = [getRope(request), rope].map(({ backend }) => backend);
const arena = createArena({ bytes: 1 << 22, shared: true });
const tensor = arena.float32([3, 4, 64]);
tensor.data.forEach((_, i) => (tensor.data[i] = Math.sin(i)));
const expected = tensor.data.slice();
const plain = tensor.data.slice();
const positions = [1, 2, 131071];
rope.apply({ positions, query: expected });
rope.to("wasm").apply({ positions, query: plain });
rope.to("wasm", { arena }).apply({ positions, query: tensor });
const same = (data) => data.every((value, i) => Object.is(value, expected[i]));
const pool = createPool({ arena, threads: 2 });
await pool.ready;
const threads = pool.running;
pool.dispose();
console.log(JSON.stringify({ backends, plain: same(plain), arena: same(tensor.data), changed: expected[5] !== Math.fround(Math.sin(5)), threads }));
`;

test.each(Object.entries(bundlers))(
  "%s keeps the kernels and the worker of the WebAssembly backend",
  async (name, bundle) => {
    const folder = path.join(installed.folder, `wasm-${name}`);
    mkdirSync(folder);
    const entry = path.join(folder, "entry.mjs");
    writeFileSync(entry, code);
    const file = await bundle(entry, folder);
    // One file and the entry: a server needs no other file.
    expect(readdirSync(folder).sort()).toEqual(["entry.mjs", path.basename(file)].sort());
    for (const { command } of runtimes) {
      expect(JSON.parse(await execute(command, [file], folder))).toEqual({
        backends: ["wasm", "js"],
        plain: true,
        arena: true,
        changed: true,
        threads: 2,
      });
    }
  },
);
