/** What executes a rope that is asked for without a backend, and how `getRope` is told another. */

import { clearRopeCache, createRegistry, getRopeUntyped, ropeCacheStatistics } from "@ropewalk/core";
import type { GetRopeOptions, RopeRegistry } from "@ropewalk/core";
import { rotateTask } from "@ropewalk/core/backend";
import type { DefaultExecutor, RopeBackend, RotationExecutor } from "@ropewalk/core/backend";
import { expect, test } from "vitest";
import { caught } from "./failures.ts";
import { plain, testRegistry } from "./providers.ts";

const request = { headDim: 8, parameters: { ropeType: "plain" } };
const executor = (name: string): RotationExecutor => ({ name, rotate: (tasks) => tasks.forEach(rotateTask) });
const abacus = executor("abacus");
const backend = (name: string, more: Partial<RopeBackend>): RopeBackend => ({
  specificationVersion: 1,
  name,
  source: "core-tests@1.0.0",
  create: () => undefined,
  ...more,
});
const byDefault = (choose: () => unknown, source = "core-tests@1.0.0"): DefaultExecutor =>
  ({ specificationVersion: 1, source, choose }) as DefaultExecutor;
const get = (registry: RopeRegistry, options: GetRopeOptions = {}) => getRopeUntyped(request, { registry, ...options });

test("an instance belongs to its request and its executor, however the executor was chosen", () => {
  const registry = testRegistry();
  class Abacus implements RopeBackend {
    readonly specificationVersion = 1;
    readonly name = "abacus";
    readonly source = "core-tests@1.0.0";
    readonly #executor = abacus;
    create = () => undefined;
    executor(): RotationExecutor {
      return this.#executor;
    }
  }
  registry.registerBackend(new Abacus());
  const js = get(registry);
  expect(js.backend).toBe("js");
  expect(get(registry, { backend: "js" })).toBe(js);
  expect(get(registry, { backend: undefined } as never)).toBe(js);
  registry.registerExecutor(byDefault(() => abacus));
  const other = get(registry);
  expect([other.backend, other === js, Object.isFrozen(other)]).toEqual(["abacus", false, true]);
  expect(other.spec).toEqual(js.spec);
  expect(get(registry, { backend: "abacus" })).toBe(other);
  expect(get(registry, { backend: "js" })).toBe(js);
  // Written otherwise, both are still known.
  const written = { ...request, pairing: "half" } as const;
  expect(getRopeUntyped(written, { registry })).toBe(other);
  expect(getRopeUntyped(written, { registry, backend: "js" })).toBe(js);
  expect(ropeCacheStatistics(registry)).toMatchObject({ size: 2, misses: 2 });
  clearRopeCache(registry);
  expect(get(registry)).not.toBe(other);
  registry.unregister("plain");
  caught(() => get(registry), "ROPE_UNKNOWN_TYPE");
  caught(() => get(registry, { backend: "js" }), "ROPE_UNKNOWN_TYPE");
});

test("the executor rotates, and core does when it leaves the rope to core", () => {
  const registry = testRegistry();
  let calls = 0;
  let chosen: RotationExecutor | undefined = { name: "counting", rotate: () => void calls++ };
  registry.registerExecutor(byDefault(() => chosen));
  const query = new Float32Array(8).fill(1);
  get(registry).apply({ positions: [1], query });
  expect([calls, query[0]]).toEqual([1, 1]);
  chosen = undefined;
  expect(get(registry).backend).toBe("js");
  get(registry).apply({ positions: [1], query });
  expect([calls, query[0] === 1]).toEqual([1, false]);
});

test("a provider as a value has the executor of the registry too", () => {
  const registry = createRegistry();
  registry.registerExecutor(byDefault(() => abacus));
  const rope = get(registry, { provider: plain });
  expect(rope.backend).toBe("abacus");
  expect(get(registry, { provider: plain })).toBe(rope);
  expect(get(registry, { provider: plain, backend: "js" }).backend).toBe("js");
});

test("registries do not share an executor", () => {
  const registry = testRegistry();
  registry.registerExecutor(byDefault(() => abacus));
  expect(get(registry).backend).toBe("abacus");
  expect(get(testRegistry()).backend).toBe("js");
});

test.each<[string, string, unknown]>([
  ["ROPE_BACKEND_UNAVAILABLE", "not registered", "abacus"],
  ["ROPE_BACKEND_UNAVAILABLE", "no name", 7],
  ["ROPE_BACKEND_UNAVAILABLE", "null", null],
  ["ROPE_UNSUPPORTED", "of a device, which needs rope.to", "postal"],
  ["ROPE_UNSUPPORTED", "whose executor is no function", "pigeon"],
  ["ROPE_INVALID_PARAMETERS", "without an executor that rotates", "idle"],
])("%s: a backend that is %s", (code, _, name) => {
  const registry = testRegistry();
  registry.registerBackend(backend("postal", {}));
  registry.registerBackend(backend("pigeon", { executor: "later" as never }));
  registry.registerBackend(backend("idle", { executor: () => ({ name: "idle" }) as never }));
  caught(() => get(registry, { backend: name as string }), code as "ROPE_INVALID_PARAMETERS");
});

test("what is no executor is refused: when it is registered, or when it is chosen", () => {
  const registry = testRegistry();
  for (const given of [undefined, null, {}, byDefault(() => abacus, ""), { ...byDefault(() => abacus), choose: 1 }]) {
    caught(() => registry.registerExecutor(given as never), "ROPE_INVALID_PARAMETERS");
  }
  caught(() => registry.registerExecutor({ ...byDefault(() => abacus), specificationVersion: 9 }), "ROPE_SPEC_VERSION");
  registry.registerExecutor(byDefault(() => null));
  caught(() => get(registry), "ROPE_INVALID_PARAMETERS");
});

test("one source has the place; the same again changes nothing", () => {
  const registry = testRegistry();
  registry.registerExecutor(byDefault(() => abacus));
  registry.registerExecutor(byDefault(() => executor("second")));
  expect(get(registry).backend).toBe("abacus");
  const error = caught(() => registry.registerExecutor(byDefault(() => abacus, "others@1.0.0")), "ROPE_TYPE_CONFLICT");
  expect(error.facts).toMatchObject({ registered: "core-tests@1.0.0", rejected: "others@1.0.0" });
});
