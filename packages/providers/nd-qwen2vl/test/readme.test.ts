import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const folder = new URL("..", import.meta.url);
const readme = readFileSync(new URL("README.md", folder), "utf8");
const examples = [...readme.matchAll(/```js\n([^]*?)```\n\n```text\n([^]*?)```/g)];

test("the README has two examples", () => expect(examples.length).toBe(2));

test.each(examples.map(([, code, printed]) => [code!, printed!] as const))(
  "it prints what it says: %s",
  (code, printed) => {
    const { FORCE_COLOR: _, ...env } = process.env;
    expect(
      execFileSync(process.execPath, ["--input-type=module", "--eval", code], {
        cwd: folder,
        encoding: "utf8",
        env: { ...env, NO_COLOR: "1" },
      }),
    ).toBe(printed);
  },
);
