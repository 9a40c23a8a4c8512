/** Headless Chromium with a page that offers WebGPU and runs one bundled module. */

import { webGpuEnvironment } from "@ropewalk/webgpu-environment";
import { build } from "esbuild";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import type { Page } from "playwright-core";

export interface BrowserPage {
  readonly page: Page;
  close(): Promise<void>;
}

/**
 * Bundles a module of this folder and opens a page with it.
 * @param module absent: an empty page.
 * @param files further files to serve, by the name at the end of their address.
 */
export async function openPage(module?: string, files: Readonly<Record<string, string>> = {}): Promise<BrowserPage> {
  const built =
    module === undefined
      ? undefined
      : await build({
          entryPoints: [fileURLToPath(new URL(module, import.meta.url))],
          bundle: true,
          format: "esm",
          target: "es2022",
          write: false,
          logLevel: "silent",
        });
  const script = built?.outputFiles[0]!.text ?? "";
  // WebGPU is there in secure contexts only; an address of this machine is one.
  const server = createServer((request, response) => {
    const name = (request.url ?? "/").split("/").at(-1)!.split("?")[0]!;
    const file = files[name];
    response.setHeader(
      "Content-Type",
      name.endsWith("js") ? "text/javascript" : name.endsWith(".wasm") ? "application/wasm" : "text/html",
    );
    if (name === "script.js") response.end(script);
    else if (name === "") {
      response.end(
        '<!doctype html><meta charset="utf-8"><title>ropewalk</title><link rel="icon" href="data:,"><script type="module" src="script.js"></script>',
      );
    } else if (file !== undefined) createReadStream(file).pipe(response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { chromium: executablePath, chromiumArguments } = webGpuEnvironment();
  const browser = await chromium.launch({ executablePath, args: [...chromiumArguments], headless: true });
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(error));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return {
    page,
    async close() {
      await browser.close();
      server.close();
      server.closeAllConnections();
    },
  };
}
