import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as core from "@ropewalk/core";
import {
  clearRopeCache,
  createRegistry,
  getRope,
  getRopeUntyped,
  listRopeTypes,
  registerRopeType,
  RopeError,
  unregisterRopeType,
} from "@ropewalk/core";
import type { FrequencyRequest, RopeFrequencies, RopeProvider } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";
import { plain } from "./providers.ts";
import { caught } from "./failures.ts";

const request = (ropeType: string) => ({ headDim: 8, parameters: { ropeType } });
const names = () => listRopeTypes().map(({ name }) => name);
const other: RopeProvider = { ...plain, source: "another-package@2.0.0" };

beforeEach(() => expect(names(), "tests leave the shared registry empty").toEqual([]));
afterEach(() => {
  for (const { name } of listRopeTypes()) unregisterRopeType(name);
  clearRopeCache();
});

describe("registerRopeType", () => {
  test("decorates a class", () => {
    @registerRopeType("decorated-class")
    class Provider implements RopeProvider<{}> {
      static made = 0;
      readonly specificationVersion = 1;
      readonly source = "core-tests@1.0.0";
      readonly parameters = {};
      constructor() {
        Provider.made++;
      }
      frequencies({ base, rotaryDim, array }: FrequencyRequest): RopeFrequencies {
        return { invFreq: inverseFrequencies(base, rotaryDim, array) };
      }
    }
    expect(names()).toEqual(["decorated-class"]);
    expect(Provider.made).toBe(1);
    expect(new Provider()).toBeInstanceOf(Provider);
    expect(getRopeUntyped(request("decorated-class")).ropeType).toBe("decorated-class");
  });

  test("decorates a static method, which may use its class", () => {
    class Factory {
      // A static field would still be empty when the decorator of a static method runs.
      static get source(): string {
        return "core-tests@1.0.0";
      }
      @registerRopeType("decorated-method")
      static make(): RopeProvider {
        return { ...plain, source: this.source };
      }
    }
    expect(listRopeTypes()).toMatchObject([{ name: "decorated-method", provider: { source: Factory.source } }]);
  });

  class WithPrototypeMethod implements RopeProvider<{}> {
    readonly specificationVersion = 1;
    readonly source = "core-tests@1.0.0";
    readonly parameters = {};
    frequencies(frequencyRequest: FrequencyRequest): RopeFrequencies {
      return plain.frequencies(frequencyRequest, {});
    }
  }
  class WithFieldOnly implements RopeProvider<{}> {
    readonly specificationVersion = 1;
    readonly source = "core-tests@1.0.0";
    readonly parameters = {};
    readonly frequencies = (frequencyRequest: FrequencyRequest): RopeFrequencies =>
      plain.frequencies(frequencyRequest, {});
  }
  test.each([
    ["a class", WithPrototypeMethod],
    ["a class whose formula is a field", WithFieldOnly],
    ["an arrow that makes a provider", () => plain],
    [
      "a function that makes a provider",
      function make() {
        return plain;
      },
    ],
    ["a provider", plain],
  ])("is a plain function for %s, and returns it", (_, value) => {
    expect(registerRopeType("plain")(value as RopeProvider)).toBe(value);
    expect(getRopeUntyped(request("plain")).frequencies().invFreq).toHaveLength(4);
  });

  test.each([
    [
      "an instance method",
      () =>
        class {
          @(registerRopeType("no") as any) make() {}
        },
      "method",
    ],
    [
      "a field",
      () =>
        class {
          @(registerRopeType("no") as any) static made = 1;
        },
      "field",
    ],
    [
      "a getter",
      () =>
        class {
          @(registerRopeType("no") as any) static get made() {
            return plain;
          }
        },
      "getter",
    ],
  ])("refuses to decorate %s", (_, define, kind) => {
    const error = caught(define, "ROPE_UNSUPPORTED");
    expect(error.message).toContain(kind);
    expect(names()).toEqual([]);
  });

  test("by the older rules of experimentalDecorators: a class, but no member", () => {
    const decorate = registerRopeType("older") as unknown as (...values: unknown[]) => unknown;
    expect(decorate(WithPrototypeMethod)).toBe(WithPrototypeMethod);
    expect(names()).toEqual(["older"]);
    const factory = { make: () => plain };
    expect(
      caught(() => decorate(factory, "make", Object.getOwnPropertyDescriptor(factory, "make")), "ROPE_UNSUPPORTED")
        .message,
    ).toContain("experimentalDecorators (Babel, swc: legacy), which have to be off");
  });

  test.each([
    ["null", null],
    ["a number", 3],
    ["an object without a formula", { specificationVersion: 1, source: "x@1", parameters: {} }],
    ["parameters that are null", { ...plain, parameters: null }],
    ["a factory of nothing", () => undefined],
    ["an empty source", { ...plain, source: "" }],
  ])("refuses %s", (_, value) => {
    caught(() => registerRopeType("nothing")(value as any), "ROPE_INVALID_PARAMETERS");
    expect(names()).toEqual([]);
  });

  test.each([[""], [3], [3n], [Symbol("name")], [undefined]])("refuses the name %s", (name) => {
    caught(() => registerRopeType(name as string)(plain), "ROPE_INVALID_PARAMETERS");
    expect(names()).toEqual([]);
  });

  test("takes another registry", () => {
    const registry = createRegistry();
    registerRopeType("elsewhere", { registry })(plain);
    expect(names()).toEqual([]);
    expect(registry.list()).toHaveLength(1);
  });
});

describe("aliases", () => {
  test("as a list", () => {
    registerRopeType("long", { aliases: ["l", "el"] })(plain);
    expect(listRopeTypes().map(({ name, ropeType }) => [name, ropeType])).toEqual([
      ["el", "long"],
      ["l", "long"],
      ["long", "long"],
    ]);
    expect(getRopeUntyped(request("l"))).toBe(getRopeUntyped(request("long")));
    expect(getRopeUntyped(request("l")).ropeType).toBe("long");
  });

  const scaled: RopeProvider = {
    ...plain,
    parameters: { factor: { type: "number", description: "divides" } },
    frequencies: ({ base, rotaryDim, array }: FrequencyRequest, { factor }: { factor: number }) => ({
      invFreq: inverseFrequencies(base, rotaryDim, array).map((f) => array.divide(f, factor)),
    }),
  };
  const factorOf = (parameters: { ropeType: string; factor?: number }) =>
    getRopeUntyped({ headDim: 8, parameters }).spec.parameters["factor"];

  test("with presets, which the caller's own parameters beat", () => {
    const presets = { factor: 2 };
    registerRopeType("scaled", { aliases: { doubled: presets } })(scaled);
    expect(factorOf({ ropeType: "doubled" })).toBe(2);
    expect(factorOf({ ropeType: "doubled", factor: 3 })).toBe(3);
    expect(getRopeUntyped(request("doubled"))).toBe(
      getRopeUntyped({ headDim: 8, parameters: { ropeType: "scaled", factor: 2 } as any }),
    );
    caught(() => factorOf({ ropeType: "scaled" }), "ROPE_INVALID_PARAMETERS");

    presets.factor = 5;
    clearRopeCache();
    expect(factorOf({ ropeType: "doubled" }), "presets are copied").toBe(2);
  });

  test("removed and registered anew with other presets: the new ones hold", () => {
    registerRopeType("scaled", { aliases: { alias: { factor: 2 } } })(scaled);
    // The rope of factor 2 is first made under the type's own name, so that removing the alias leaves it in the cache.
    factorOf({ ropeType: "scaled", factor: 2 });
    expect(factorOf({ ropeType: "alias" })).toBe(2);
    unregisterRopeType("alias");
    caught(() => factorOf({ ropeType: "alias" }), "ROPE_UNKNOWN_TYPE");
    registerRopeType("scaled", { aliases: { alias: { factor: 4 } } })(scaled);
    expect(factorOf({ ropeType: "alias" })).toBe(4);
  });

  test.each([
    ["a string", "su"],
    ["a list with a number", [3]],
    ["an empty name", [""]],
    ["the type's own name", ["good"]],
    ["presets that are no object", { a: 1 }],
  ])("refuses %s, and registers nothing", (_, aliases) => {
    caught(() => registerRopeType("good", { aliases: aliases as any })(plain), "ROPE_INVALID_PARAMETERS");
    expect(names()).toEqual([]);
  });
});

describe("a taken name", () => {
  test("the same source again changes nothing", () => {
    registerRopeType("taken", { aliases: ["also"] })(plain);
    const before = listRopeTypes();
    registerRopeType("taken", { aliases: ["also"] })({ ...plain });
    expect(listRopeTypes()).toEqual(before);
    expect(listRopeTypes()[0]!.provider).toBe(plain);
  });

  test.each([
    ["the name", () => registerRopeType("taken", { aliases: ["new"] })(other)],
    ["an alias", () => registerRopeType("new", { aliases: ["newer", "taken"] })(other)],
    ["an alias of the same source for another type", () => registerRopeType("new", { aliases: ["taken"] })(plain)],
  ])("another source under %s throws and registers none of its names", (_, register) => {
    registerRopeType("taken")(plain);
    const error = caught(register, "ROPE_TYPE_CONFLICT");
    expect(error.facts).toMatchObject({ name: "taken", registered: plain.source });
    expect(names()).toEqual(["taken"]);
    expect(listRopeTypes()[0]!.provider).toBe(plain);
  });
});

describe("unregister", () => {
  test("a type takes its aliases along, and its ropes out of the cache", () => {
    registerRopeType("gone", { aliases: ["going"] })(plain);
    registerRopeType("stays")(plain);
    const [gone, stays] = [getRopeUntyped(request("going")), getRopeUntyped(request("stays"))];
    expect(unregisterRopeType("gone")).toBe(true);
    expect(unregisterRopeType("gone")).toBe(false);
    expect(names()).toEqual(["stays"]);
    caught(() => getRopeUntyped(request("going")), "ROPE_UNKNOWN_TYPE");
    expect(getRopeUntyped(request("stays"))).toBe(stays);

    registerRopeType("gone")(other);
    const anew = getRopeUntyped(request("gone"));
    expect(anew).not.toBe(gone);
    expect(gone.frequencies().invFreq, "ropes in use stay valid").toHaveLength(4);
  });

  test("an alias alone leaves the type", () => {
    registerRopeType("kept", { aliases: ["alias"] })(plain);
    expect(unregisterRopeType("alias")).toBe(true);
    expect(names()).toEqual(["kept"]);
  });
});

test("createRegistry sees nothing global and leaks nothing", () => {
  registerRopeType("global")(plain);
  const registry = createRegistry();
  expect(registry.list()).toEqual([]);
  registry.register("local", plain);
  expect(names()).toEqual(["global"]);
  caught(() => getRopeUntyped(request("global"), { registry }), "ROPE_UNKNOWN_TYPE");
  caught(() => getRopeUntyped(request("local")), "ROPE_UNKNOWN_TYPE");
  expect(getRopeUntyped(request("local"), { registry }).ropeType).toBe("local");
});

test("a provider as a value needs no registry, and beats one", () => {
  registerRopeType("named")(plain);
  const value: RopeProvider = {
    ...plain,
    source: "value@1.0.0",
    frequencies: ({ rotaryDim }) => ({ invFreq: new Array<number>(rotaryDim / 2).fill(0.5) }),
  };
  const rope = getRopeUntyped(request("named"), { provider: value });
  expect([...rope.frequencies().invFreq]).toEqual([0.5, 0.5, 0.5, 0.5]);
  expect(getRopeUntyped(request("named"), { provider: value })).toBe(rope);
  expect(getRopeUntyped(request("named"))).not.toBe(rope);
  caught(() => getRopeUntyped({ headDim: 8, parameters: {} as any }, { provider: value }), "ROPE_UNKNOWN_TYPE");
});

test.each([
  ["of a contract of the future", { ...plain, specificationVersion: 2 }, "ROPE_SPEC_VERSION"],
  ["that is none", {} as RopeProvider, "ROPE_INVALID_PARAMETERS"],
  ["that gives too few frequencies", { ...plain, frequencies: () => ({ invFreq: [1] }) }, "ROPE_INVALID_PARAMETERS"],
  ["that gives NaN", { ...plain, frequencies: () => ({ invFreq: [1, 1, 1, NaN] }) }, "ROPE_INVALID_PARAMETERS"],
  [
    "that gives an amplitude of NaN",
    { ...plain, frequencies: () => ({ invFreq: [1, 1, 1, 1], attentionFactor: NaN }) },
    "ROPE_INVALID_PARAMETERS",
  ],
  [
    "that names an axis it did not declare",
    { ...plain, frequencies: () => ({ invFreq: [1, 1, 1, 1], axes: [0, 0, 0, 1] }) },
    "ROPE_INVALID_PARAMETERS",
  ],
] as const)("a provider as a value %s is refused", (_, provider, code) => {
  caught(() => getRopeUntyped(request("any"), { provider }), code);
});

describe("two loaded copies of core", () => {
  let folder: string;
  let copy: typeof core;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "ropewalk-core-"));
    await cp(fileURLToPath(new URL("../dist", import.meta.url)), join(folder, "dist"), { recursive: true });
    await cp(fileURLToPath(new URL("../package.json", import.meta.url)), join(folder, "package.json"));
    copy = (await import(/* @vite-ignore */ pathToFileURL(join(folder, "dist/index.js")).href)) as typeof core;
  });
  afterEach(() => rm(folder, { recursive: true }));

  test("share one registry", () => {
    expect(copy.getRope).not.toBe(getRope);
    copy.registerRopeType("from-the-copy", { aliases: ["alias"] })(plain);
    expect(names()).toEqual(["alias", "from-the-copy"]);
    const rope = getRopeUntyped(request("alias"));
    expect(rope.ropeType).toBe("from-the-copy");

    registerRopeType("from-the-copy", { aliases: ["alias"] })(plain);
    caught(() => registerRopeType("from-the-copy")(other), "ROPE_TYPE_CONFLICT");

    copy.unregisterRopeType("from-the-copy");
    caught(() => getRopeUntyped(request("alias")), "ROPE_UNKNOWN_TYPE");
    copy.registerRopeType("from-the-copy")(other);
    expect(getRopeUntyped(request("from-the-copy")), "the other copy's cache was told").not.toBe(rope);
  });

  test("recognise each other's errors", () => {
    expect(copy.RopeError).not.toBe(RopeError);
    const error = caught(() => copy.getRopeUntyped(request("absent")), "ROPE_UNKNOWN_TYPE");
    expect(error).not.toBeInstanceOf(RopeError);
    expect(RopeError.is(error)).toBe(true);
  });

  test("take each other's ropes on to a backend", () => {
    copy.registerRopeType("shared")(plain);
    const spec = copy.getRopeUntyped(request("shared")).spec;
    expect(getRopeUntyped(spec).spec).toEqual(spec);
  });
});
