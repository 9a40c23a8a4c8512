/** The README's program, in Node and in a page. */

import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { openPage } from "./chromium.ts";
import { drivers } from "./node-device.ts";

const folder = new URL("..", import.meta.url);
const readme = readFileSync(new URL("README.md", folder), "utf8");
const [, code = ""] = /```js\n([^]*?)```/.exec(readme) ?? [];
const said = [...code.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);

test("prints what its comments say, in Node", () => {
  const printed = execFileSync(process.execPath, ["--input-type=module", "--eval", code], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, VK_DRIVER_FILES: drivers.swiftShader },
    stdio: ["ignore", "pipe", "ignore"],
  });
  expect(said.length).toBeGreaterThan(1);
  expect(printed.trimEnd().split("\n")).toEqual(said);
});

test("prints the same in headless Chromium", async () => {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: fileURLToPath(folder) },
    bundle: true,
    format: "esm",
    target: "es2022",
    external: ["webgpu"],
    write: false,
  });
  const { page, close } = await openPage();
  try {
    const printed: string[] = [];
    page.on("console", (message) => printed.push(message.text()));
    // As text: the test runner rewrites imports in functions.
    await page.evaluate(
      `import(URL.createObjectURL(new Blob([${JSON.stringify(outputFiles[0]!.text)}], { type: "text/javascript" }))).then(() => undefined)`,
    );
    expect(printed).toEqual(said);
  } finally {
    await close();
  }
});

test("names every option and every method", async () => {
  const { DeviceRope } = (await import("../dist/device-rope.js")) as { DeviceRope: { prototype: object } };
  const methods = Object.getOwnPropertyNames(DeviceRope.prototype).filter((name) => name !== "constructor");
  expect(methods.filter((name) => !readme.includes(`\`${name}`))).toEqual([]);
});
