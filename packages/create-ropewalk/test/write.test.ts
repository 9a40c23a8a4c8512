import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { folderIssue, writePackage } from "../src/write.ts";

function temporary(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "create ropewalk ü "));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const files = new Map([
  ["package.json", "{}\n"],
  ["src/index.ts", "one\n"],
  [".github/workflows/ci.yml", "two\n"],
]);
/** A file below a file: the file system refuses it half-way. */
const impossible = new Map([...files, ["package.json/below", "three\n"]]);

test("writes a new folder, its parents included, and nothing beside it", () => {
  const place = temporary();
  writePackage(path.join(place, "a/b/new"), files);
  expect(readdirSync(path.join(place, "a/b"))).toEqual(["new"]);
  expect(readFileSync(path.join(place, "a/b/new/.github/workflows/ci.yml"), "utf8")).toBe("two\n");
});

test("writes into an empty folder, also through a link", () => {
  const place = temporary();
  mkdirSync(path.join(place, "empty"));
  symlinkSync(path.join(place, "empty"), path.join(place, "link"), "dir");
  writePackage(path.join(place, "link"), files);
  expect(readdirSync(path.join(place, "empty")).sort()).toEqual([".github", "package.json", "src"]);
});

test.each([".git", "notes.txt"])("never writes into a folder that holds %s", (name) => {
  const place = temporary();
  writeFileSync(path.join(place, name), "mine");
  expect(folderIssue(place)).toContain(name);
  expect(() => writePackage(place, files)).toThrow(/Nothing was written/);
  expect(readdirSync(place)).toEqual([name]);
});

test("never writes over a file", () => {
  const file = path.join(temporary(), "file");
  writeFileSync(file, "mine");
  expect(() => writePackage(file, files)).toThrow(/is a file/);
  expect(readFileSync(file, "utf8")).toBe("mine");
});

test("a failure half-way leaves nothing, not even new parents", () => {
  const place = temporary();
  expect(() => writePackage(path.join(place, "a/b/new"), impossible)).toThrow(/Nothing was left behind/);
  expect(readdirSync(place)).toEqual([]);
  mkdirSync(path.join(place, "empty"));
  expect(() => writePackage(path.join(place, "empty"), impossible)).toThrow(/Nothing was left behind/);
  expect(readdirSync(path.join(place, "empty"))).toEqual([]);
});

test("a link that leads nowhere is not written through", () => {
  const place = temporary();
  symlinkSync(path.join(place, "gone"), path.join(place, "link"), "dir");
  expect(() => writePackage(path.join(place, "link"), files)).toThrow(/Nothing was left behind/);
  expect(readdirSync(place)).toEqual(["link"]);
});
