/** The built command, with standard input that is no terminal. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";

const cli = path.join(import.meta.dirname, "../dist/cli.js");

function run(...args: string[]): { status: number | null; stdout: string; stderr: string; left: string[] } {
  const cwd = mkdtempSync(path.join(tmpdir(), "create-ropewalk-"));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  writeFileSync(path.join(cwd, "mine.txt"), "mine");
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { cwd, encoding: "utf8", input: "" });
  return { status, stdout, stderr, left: readdirSync(cwd) };
}

test("without a terminal nothing is asked: the error names every option that is missing", () => {
  const { status, stdout, stderr, left } = run();
  expect({ status, stdout, left }).toEqual({ status: 2, stdout: "", left: ["mine.txt"] });
  for (const option of ["<folder>", "--kind", "--language", "--name", "--type", "--description", "--author"]) {
    expect(stderr).toContain(option);
  }
  expect(stderr).toContain("--workflow or --no-workflow");
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("only what is missing is named", () => {
  const { status, stderr } = run(
    "step",
    "--kind",
    "provider",
    "--language=javascript",
    "--name",
    "rope-step",
    "--no-workflow",
  );
  expect(status).toBe(2);
  expect(stderr).toContain("no answer for --type, --description, --author:");
});

test.each([
  [["x", "--kind", "rope"], /provider, backend/],
  [["x", "--language", "rust"], /typescript, javascript/],
  [["x", "--name", "Rope X"], /--name: expected a name that npm accepts/],
  [["x", "--type", "2d", "--kind", "provider"], /--type: expected words/],
  [["x", "--type", "yarn", "--kind", "provider", "--yes"], /--type: .*taken/],
  [["x", "--nmae", "x"], /--nmae/],
  [["x", "y"], /too many arguments/],
  [[".", "--yes"], /holds mine\.txt/],
  [["mine.txt", "--yes"], /is a file/],
  [["", "--yes"], /empty name/],
  [["--yes"], /no answer for <folder>, --name/],
])("%j is refused in one sentence, and nothing is written", (args, message) => {
  const { status, stdout, stderr, left } = run(...args);
  expect({ status, stdout, left }).toEqual({ status: 2, stdout: "", left: ["mine.txt"] });
  expect(stderr).toMatch(message);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("in the repository it says what to use instead, because it has no versions to write", () => {
  const { status, stderr, left } = run("rope-step", "--yes");
  expect(status).toBe(2);
  expect(stderr).toContain("npm run new:provider");
  expect(left).toEqual(["mine.txt"]);
});

test.each(["--help", "--version"])("%s", (option) => {
  const { status, stdout } = run(option);
  expect(status).toBe(0);
  expect(stdout).toMatch(option === "--help" ? /--no-workflow/ : /^\d+\.\d+\.\d+\n$/);
});
