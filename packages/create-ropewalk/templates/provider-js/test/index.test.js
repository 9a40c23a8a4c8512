import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { conformance } from "@ropewalk/conformance";
import { __name__Provider } from "@@package@@";

// The laws of rotary position embedding. Together the cases use every parameter.
conformance(test, {
  ropeType: "@@type@@",
  cases: [
    { name: "factor 4", request: { headDim: 16, parameters: { factor: 4 } } },
    { name: "a part of the head", request: { headDim: 20, rotaryDim: 8, parameters: { factor: 2.5 } } },
  ],
});

test("source is the name and version of the package", () => {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  assert.equal(__name__Provider.source, `${manifest.name}@${manifest.version}`);
});

// Laws cannot find a wrong frequency: compare with an engine that was run, a table in a paper, or a sum by hand.
test.todo("numbers from outside");
