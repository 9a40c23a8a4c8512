import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { __name__Backend } from "@@package@@";
import { backendLaws } from "./laws.js";

// The laws of rotary position embedding, and: the same bits as core's JavaScript.
backendLaws(__name__Backend);

test("source is the name and version of the package", () => {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  assert.equal(__name__Backend.source, `${manifest.name}@${manifest.version}`);
});
