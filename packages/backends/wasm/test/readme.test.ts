import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const folder = new URL("..", import.meta.url);

test("the README's examples, one after the other, print what their comments say", () => {
  const readme = readFileSync(new URL("README.md", folder), "utf8");
  const code = [...readme.matchAll(/```js\n([^]*?)```/g)].map(([, block]) => block).join("\n");
  const said = [...code.matchAll(/^\s*console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
  const printed = execFileSync(process.execPath, ["--input-type=module", "--eval", code], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(said.length).toBe(4);
  expect(printed.trimEnd().split("\n")).toEqual(said);
});
