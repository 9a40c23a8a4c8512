import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { expect, test } from "vitest";

type Decorators = Parameters<typeof __esDecorate>[2];

// As tsc 7 calls them for `@first @second class Named {}`.
test("decorators run last to first, initializers first to last on the class that is left", () => {
  const said: unknown[] = [];
  class Named {}
  class Replacement {}
  const decorators: Decorators = [
    (value, { addInitializer, ...context }) => {
      said.push(["first", value, context]);
      addInitializer(function (this: unknown) {
        said.push(["initializer of first", this]);
      });
    },
    (value, { addInitializer, name }) => {
      said.push(["second", value, name]);
      addInitializer(function (this: unknown) {
        said.push(["initializer of second", this]);
      });
      return Replacement;
    },
  ];
  const descriptor = { value: Named as unknown };
  const context = { kind: "class", name: "Named", metadata: undefined } as const;
  const initializers: (() => void)[] = [];
  __esDecorate(null, descriptor, decorators, context, null, initializers);
  expect(descriptor.value).toBe(Replacement);
  __runInitializers(descriptor.value, initializers);
  expect(said).toEqual([
    ["second", Named, "Named"],
    ["first", Replacement, context],
    ["initializer of second", Replacement],
    ["initializer of first", Replacement],
  ]);
});
