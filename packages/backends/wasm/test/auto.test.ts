/** WebAssembly as the executor of every rope: by an import, an option, or a variable of the environment. */

import { execFileSync } from "node:child_process";
import { createRegistry, defaultRegistry, getRope, getRopeUntyped } from "@ropewalk/core";
import "@ropewalk/default";
import { wasmBackend } from "@ropewalk/wasm-backend";
import { wasmByDefault } from "@ropewalk/wasm-backend/auto";
import { expect, test } from "vitest";

const request = { headDim: 64, parameters: { ropeType: "default" } } as const;

test("a rope without a chosen backend runs in WebAssembly, and is the one that was asked for by name", () => {
  const rope = getRope(request);
  expect(rope.backend).toBe("wasm");
  expect(getRope({ ...request, pairing: "half" }, { backend: "wasm" })).toBe(rope);
  const js = getRope(request, { backend: "js" });
  expect(js.backend).toBe("js");
  expect(js).not.toBe(rope);
  expect(getRope({ parameters: { ropeType: "default" }, headDim: 64 }, { backend: "js" })).toBe(js);
  expect(getRope(request)).toBe(rope);
});

test("an isolated registry stays in JavaScript unless it is given the executor", () => {
  const registry = createRegistry();
  registry.register("default", defaultRegistry.require("default").provider);
  const before = getRopeUntyped(request, { registry });
  expect(before.backend).toBe("js");
  registry.registerExecutor(wasmByDefault);
  registry.registerExecutor(wasmByDefault);
  expect(getRopeUntyped(request, { registry }).backend).toBe("wasm");
  expect(getRopeUntyped(request, { registry, backend: "js" })).toBe(before);
  // By name a backend has to be registered.
  expect(() => getRopeUntyped(request, { registry, backend: "wasm" })).toThrow(
    expect.objectContaining({ code: "ROPE_BACKEND_UNAVAILABLE" }),
  );
  registry.registerBackend(wasmBackend);
  expect(getRopeUntyped(request, { registry, backend: "wasm" })).toBe(getRopeUntyped(request, { registry }));
});

/** What a new process prints, after `before` and an import of `auto`. */
function inProcess(variable: string | undefined, before = ""): string {
  const { ROPEWALK_BACKEND: _, ...environment } = process.env;
  const code = `${before}
    const { getRope, RopeError } = await import("@ropewalk/core");
    await import("@ropewalk/default");
    await import("@ropewalk/wasm-backend/auto");
    const ask = (options) => {
      try { return getRope(${JSON.stringify(request)}, options).backend; }
      catch (error) { return RopeError.is(error) ? error.code + ": " + error.message : "no RopeError: " + error; }
    };
    console.log([ask(), ask({ backend: "js" }), ask({ backend: "wasm" })].join("; "));`;
  return execFileSync(process.execPath, ["--input-type=module", "-e", code], {
    cwd: import.meta.dirname,
    encoding: "utf8",
    env: { ...environment, ...(variable === undefined ? {} : { ROPEWALK_BACKEND: variable }) },
  }).trim();
}

test.each([
  ["no variable", undefined, "wasm; js; wasm"],
  ["an empty variable", "", "wasm; js; wasm"],
  ["js", "js", "js; js; wasm"],
  ["wasm", "wasm", "wasm; js; wasm"],
])("ROPEWALK_BACKEND: %s", (_, variable, expected) => {
  expect(inProcess(variable)).toBe(expected);
});

test("ROPEWALK_BACKEND: another value is an error of every call that names no backend", () => {
  expect(inProcess("WASM")).toBe(
    'ROPE_INVALID_PARAMETERS: 1 issue in the environment.\n  - ROPEWALK_BACKEND: expected "js", "wasm", or nothing, got "WASM".; js; wasm',
  );
});

test.each([
  ["no process", "delete globalThis.process;"],
  ["no environment", 'Object.defineProperty(globalThis, "process", { value: {} });'],
  [
    "an environment that must not be read",
    'Object.defineProperty(globalThis, "process", { value: { get env() { throw new Error("denied"); } } });',
  ],
])("%s: as without the variable", (_, before) => {
  expect(inProcess("js", before)).toBe("wasm; js; wasm");
});

test.each([
  ["WebAssembly", "delete globalThis.WebAssembly;"],
  ["SIMD", 'WebAssembly.Module = class { constructor() { throw new WebAssembly.CompileError("no SIMD"); } };'],
  ["memory", 'WebAssembly.Memory = class { constructor() { throw new RangeError("no memory"); } };'],
])("without %s JavaScript serves, but not who asked for WebAssembly", (_, before) => {
  expect(inProcess(undefined, before)).toMatch(/^js; js; ROPE_BACKEND_UNAVAILABLE: /);
  expect(inProcess("wasm", before)).toMatch(/^ROPE_BACKEND_UNAVAILABLE: .*; js; ROPE_BACKEND_UNAVAILABLE: /s);
});
