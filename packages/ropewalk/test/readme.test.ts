/** The README at the root is correct: its example runs, and its transcripts are from real runs. */

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import { expect, test } from "vitest";
import { folder, model, ropewalk, writeNpy } from "./support.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const readme = readFileSync(here("../../../README.md"), "utf8");
const blocks = [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
  language,
  text: text!,
}));
const [commands, example, output, inspect, apply, lint] = blocks as [
  (typeof blocks)[0],
  (typeof blocks)[0],
  (typeof blocks)[0],
  (typeof blocks)[0],
  (typeof blocks)[0],
  (typeof blocks)[0],
];

/** A project that has the package installed, and Qwen2.5-7B's config.json. */
function project(): string {
  const path = folder();
  mkdirSync(join(path, "node_modules", "@types"), { recursive: true });
  symlinkSync(here(".."), join(path, "node_modules", "ropewalk"), "dir");
  symlinkSync(here("../node_modules/@types/node"), join(path, "node_modules", "@types", "node"), "dir");
  writeFileSync(join(path, "package.json"), '{ "type": "module" }');
  copyFileSync(model("Qwen/Qwen2.5-7B-Instruct-yarn"), join(path, "config.json"));
  return path;
}

test("the blocks are the two commands, the example, its output and three transcripts", () => {
  expect(blocks.map(({ language }) => language)).toEqual(["sh", "ts", "text", "text", "text", "text"]);
  const { scripts } = JSON.parse(readFileSync(here("../../../package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  expect(commands.text.match(/^npm \w+/gm)).toEqual(["npm start", "npm test"]);
  expect(Object.keys(scripts)).toEqual(expect.arrayContaining(["start", "test", "ropewalk"]));
});

test("the example prints what the README says", async () => {
  const cwd = project();
  const { code } = await transform(example.text, { loader: "ts", format: "esm" });
  writeFileSync(join(cwd, "example.js"), code);
  const { status, stdout, stderr } = spawnSync(process.execPath, ["example.js"], { cwd, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toBe(output.text);
});

test("the example is correct TypeScript for a strict compiler", () => {
  const cwd = project();
  writeFileSync(join(cwd, "example.ts"), example.text);
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--types", "node"];
  expect(spawnSync(process.execPath, [tsc, ...options, "example.ts"], { cwd, encoding: "utf8" })).toMatchObject({
    status: 0,
    stdout: "",
  });
});

test.each([
  ["inspect", inspect, []],
  ["lint", lint, ["--for", "vllm,llama.cpp"]],
] as const)("the transcript of %s is cut from a real one", (command, { text }, options) => {
  const cwd = folder();
  copyFileSync(model("openai/gpt-oss-20b"), join(cwd, "config.json"));
  const real = ropewalk([command, "config.json", ...options], { cwd }).stdout.split("\n");
  const [, ...shown] = text.trimEnd().split("\n");
  let at = 0;
  for (const line of shown.filter((one) => one !== "  …")) {
    const found = real.indexOf(line, at);
    expect(found, line).toBeGreaterThanOrEqual(0);
    at = found + 1;
  }
});

test("the transcript of apply is from a real run", () => {
  const cwd = folder();
  copyFileSync(model("openai/gpt-oss-20b"), join(cwd, "config.json"));
  writeNpy(join(cwd, "q.npy"), "<f2", [4096, 64, 64], new Uint16Array(4096 * 64 * 64));
  writeNpy(join(cwd, "k.npy"), "<f2", [4096, 8, 64], new Uint16Array(4096 * 8 * 64));
  const [command, ...lines] = apply.text.trimEnd().split("\n") as [string, ...string[]];
  const run = ropewalk(command.replace("$ ropewalk ", "").split(" "), { cwd });
  expect(run).toMatchObject({ status: 0, stderr: "", stdout: `${lines.join("\n")}\n` });
});

test("the package's README lists every code of the command line", () => {
  const source = readFileSync(here("../src/cli/failure.ts"), "utf8");
  const codes = [.../type FailureCode =([^;]+);/.exec(source)![1]!.matchAll(/"(\w+)"/g)].map(([, code]) => code);
  const listed = [...readFileSync(here("../README.md"), "utf8").matchAll(/^\| `([A-Z_]+)` \|/gm)].map(
    ([, code]) => code,
  );
  expect(listed.toSorted()).toEqual([...codes, "INTERNAL"].toSorted());
});
