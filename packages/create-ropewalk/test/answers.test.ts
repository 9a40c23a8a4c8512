import { RopeError } from "@ropewalk/core";
import { answerIssue, packageFiles, proposedType, requireAnswers } from "create-ropewalk";
import type { Answers } from "create-ropewalk";
import { listRopeTypes } from "ropewalk";
import { expect, test } from "vitest";
import { takenNames } from "../src/taken-names.ts";

const answers: Answers = {
  kind: "provider",
  language: "typescript",
  name: "rope-step",
  type: "step",
  description: "One sentence.",
  author: "somebody",
  workflow: true,
};

test("sound answers have no issue", () => {
  expect(requireAnswers({ ...answers })).toEqual(answers);
});

test("the taken names of rope types are those that the packages of this project register", () => {
  expect(takenNames.provider).toEqual(listRopeTypes().map(({ name }) => name));
});

test.each([
  ["capitals", "Rope-Step"],
  ["a space", "rope step"],
  ["a leading dot", ".rope"],
  ["a leading underscore", "_rope"],
  ["a scope without a name", "@me/"],
  ["too long", "r".repeat(215)],
  ["a module of Node", "http"],
  ["node_modules", "node_modules"],
  ["nothing", ""],
  ["characters that URLs escape", "rope~!"],
  ["a path", "../rope"],
  ["this project's scope", "@ropewalk/step"],
  ["this project's name", "ropewalk"],
  ["no text", 7],
])("a package name with %s is refused", (_, name) => {
  expect(answerIssue("name", name)).toMatchObject({ path: "name" });
});

test.each(["rope-step", "@me/rope-step", "rope.step", "rope2"])("%s is a package name", (name) => {
  expect(answerIssue("name", name)).toBeUndefined();
});

test.each([
  "Step",
  "2d",
  "half speed",
  "half__speed",
  "_step",
  "step_",
  "a_2",
  "schritt-größe",
  'a"b',
  "",
  "x".repeat(65),
  "yarn",
  "su",
  null,
])("%o is refused as the name of a rope type", (type) => {
  expect(answerIssue("type", type, "provider")).toMatchObject({ path: "type" });
});

test("names of backends are taken for backends only", () => {
  expect(answerIssue("type", "wasm", "backend")).toBeDefined();
  expect(answerIssue("type", "wasm", "provider")).toBeUndefined();
  expect(answerIssue("type", "yarn", "backend")).toBeUndefined();
});

test.each(["two\nlines", "", " padded", "bell\u0007", "a\u2028b"])("%o is no description and no author", (line) => {
  expect(answerIssue("description", line)).toBeDefined();
  expect(answerIssue("author", line)).toBeDefined();
});

test("all mistakes come at once, an unknown key among them", () => {
  const wrong = { ...answers, kind: "rope", name: "A", workflow: "yes", extra: 1 };
  const failure = (): unknown => requireAnswers(wrong);
  expect(failure).toThrow(RopeError);
  try {
    failure();
  } catch (error) {
    expect(RopeError.is(error) && error.issues.map(({ path }) => path)).toEqual(["kind", "name", "workflow", "extra"]);
  }
});

test.each([
  ["rope-step", "step"],
  ["@me/ropewalk-provider-half-speed", "half_speed"],
  ["ropewalk-backend-npu", "npu"],
  ["step-rope", "step"],
  ["rope-2d", "d"],
  ["rope", "rope"],
])("the name %s proposes the type %s", (name, type) => {
  expect(proposedType(name)).toBe(type);
});

test("no word of a template is left, whatever is in the answers", () => {
  const odd = { ...answers, description: "Costs $& and $1, says @@author@@ __name__.", author: 'O\'Neil "@@type@@"' };
  const versions = {
    "@ropewalk/core": "^1.0.0",
    "@ropewalk/conformance": "^1.0.0",
    "@types/node": "^24.0.0",
    oxlint: "^1.0.0",
    publint: "^0.3.0",
    ropewalk: "^1.0.0",
    typescript: "^7.0.0",
  };
  const template = "__Name__ __name__ @@type@@ @@package@@@@@version@@\n@@description@@\n@@author@@ @@year@@\n";
  const files = packageFiles(new Map([["common/_x/a.txt", template]]), odd, versions, 2026);
  expect([...files.keys()]).toEqual(["package.json", ".x/a.txt"]);
  expect(files.get(".x/a.txt")).toBe(`Step step step rope-step@0.1.0\n${odd.description}\n${odd.author} 2026\n`);
  expect(JSON.parse(files.get("package.json")!)).toMatchObject({ description: odd.description, author: odd.author });
});
