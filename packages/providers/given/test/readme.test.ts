import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const folder = new URL("..", import.meta.url);
const readme = readFileSync(new URL("README.md", folder), "utf8");

test("the README's example prints what its comments say", () => {
  const [, code = ""] = /```js\n([^]*?)```/.exec(readme) ?? [];
  const said = [...code.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
  const printed = execFileSync(process.execPath, ["--input-type=module", "--eval", code], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(said.length).toBeGreaterThan(0);
  expect(printed.trimEnd().split("\n")).toEqual(said);
});
