import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const folder = new URL("..", import.meta.url);
const readme = readFileSync(new URL("README.md", folder), "utf8");

test("the README's examples, one after the other, print what their comments say", () => {
  const code = [...readme.matchAll(/```js\n([^]*?)```/g)].map(([, block]) => block).join("\n");
  const said = [...code.matchAll(/^\s*console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
  // Core depends on no provider, so the one of the examples is found beside it.
  const linked = code.replaceAll(/"@ropewalk\/(default)"/g, (_, name: string) =>
    JSON.stringify(new URL(`../providers/${name}/dist/index.js`, folder).href),
  );
  const printed = execFileSync(process.execPath, ["--input-type=module", "--eval", linked], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(said.length).toBeGreaterThan(15);
  expect(printed.trimEnd().split("\n")).toEqual(said);
});

test("the table of errors has every code", () => {
  const declared = readFileSync(new URL("src/errors.ts", folder), "utf8")
    .match(/"ROPE_\w+"/g)!
    .map((code) => code.replaceAll('"', ""));
  const listed = [...readme.matchAll(/^\| `(ROPE_\w+)` \|/gm)].map(([, code]) => code);
  expect(listed.length).toBe(9);
  expect(listed).toEqual([...new Set(declared)]);
});
