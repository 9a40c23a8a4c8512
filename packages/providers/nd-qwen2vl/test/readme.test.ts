import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("the README's examples print what it says", () => {
  const folder = new URL("..", import.meta.url);
  const readme = readFileSync(new URL("README.md", folder), "utf8");
  const [, code = ""] = /```js\n([^]*?)```/.exec(readme) ?? [];
  const [, printed = ""] = /```text\n([^]*?)```/.exec(readme) ?? [];
  const { FORCE_COLOR: _, ...env } = process.env;
  expect(
    execFileSync(process.execPath, ["--input-type=module", "--eval", code], {
      cwd: folder,
      encoding: "utf8",
      env: { ...env, NO_COLOR: "1" },
    }),
  ).toBe(printed);
});
