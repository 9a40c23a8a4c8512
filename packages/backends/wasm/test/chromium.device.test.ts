import { webGpuEnvironment } from "@ropewalk/webgpu-environment";
import { build } from "esbuild";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Page } from "./page.ts";

declare const globalThis: { readonly page: Page };

let browser: Awaited<ReturnType<typeof chromium.launch>>;
let script: string;
beforeAll(async () => {
  const { chromium: executablePath } = webGpuEnvironment();
  const entry = fileURLToPath(new URL("page.ts", import.meta.url));
  const built = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    logLevel: "silent",
  });
  script = built.outputFiles[0]!.text;
  browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
    headless: true,
  });
});
afterAll(() => browser.close());

/** Opens the page under the given headers and runs `inPage` there. */
async function onPage<T>(headers: Readonly<Record<string, string>>, inPage: () => T | Promise<T>): Promise<T> {
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.setHeader("Content-Type", request.url === "/script.js" ? "text/javascript" : "text/html");
    response.end(
      request.url === "/script.js"
        ? script
        : '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="script.js"></script>',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const page = await browser.newPage();
  try {
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return (await page.evaluate(inPage)) as T;
  } finally {
    await page.close();
    server.close();
    server.closeAllConnections();
  }
}

const isolated = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

test("headless Chromium: equals JavaScript bit for bit, in plain arrays and in an arena", async () => {
  expect(await onPage({}, () => globalThis.page.rotate())).toEqual({ plain: 0, arena: 0, values: 3 * 9 * 5 * 64 });
});

test("headless Chromium: 16-bit elements, and cos and sin, too", async () => {
  expect(await onPage({}, () => globalThis.page.sixteenBitsAndRows())).toEqual({ float16: 0, bfloat16: 0, rows: 0 });
});

test("headless Chromium: threads on a cross-origin isolated page", async () => {
  expect(await onPage(isolated, () => globalThis.page.rotateWithThreads())).toEqual({ running: 2, differing: 0 });
});

test("headless Chromium: threads on any other page are refused, with the code", async () => {
  expect(await onPage({}, () => globalThis.page.refusal())).toBe("ROPE_BACKEND_UNAVAILABLE");
});
