/** The tables of families and types. What the families do is compared in `tooling/census`. */

import { listRopeTypes } from "@ropewalk/core";
import type { ParameterRule } from "@ropewalk/core";
import { rows } from "../src/facts/families.ts";
import { ropeTypeFacts, ropeTypeNames } from "../src/facts/rope-types.ts";
import "./helpers.ts";
import { expect, test } from "vitest";

test("no model_type has two rows", () => {
  const names = rows.map(([name]) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

// Without its provider, a type is read with the built-in list; with it, with the keys that both have. Both must agree.
test.each(listRopeTypes().filter(({ name }) => ropeTypeFacts(name) !== undefined))(
  "the built-in facts of $name fit its provider",
  ({ name, provider }) => {
    const facts = ropeTypeFacts(name)!;
    expect(provider.source.startsWith(`${facts.package}@`)).toBe(true);
    const schema = Object.keys(provider.parameters);
    expect(facts.parameters.filter((parameter) => !schema.includes(parameter))).toEqual([]);
    const required = Object.entries(provider.parameters).flatMap(([parameter, rule]) =>
      (rule as ParameterRule).default === undefined ? [parameter] : [],
    );
    const presets = Object.keys(listRopeTypes().find((entry) => entry.name === name)!.presets);
    // `axes.ts` reads sections.
    expect(
      required.filter(
        (parameter) =>
          !facts.parameters.includes(parameter) && !presets.includes(parameter) && parameter !== "sections",
      ),
    ).toEqual([]);
  },
);

test("every package of the table is there and registers its type", () => {
  const registered = listRopeTypes().map(({ name }) => name);
  expect(ropeTypeNames().filter((name) => !registered.includes(name))).toEqual([]);
});
