/**
 * The packed packages in headless Chromium: in a page, a module worker and a service worker, bundled by each bundler;
 * in a page without a bundler, by an import map; and in a page of vite's development server, whose module changes.
 */

import { createReadStream, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { webGpuEnvironment } from "@ropewalk/webgpu-environment";
import { targetOf } from "@ropewalk/workspace";
import { chromium } from "playwright-core";
import type { Page } from "playwright-core";
import { createServer } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundlers } from "./bundle.ts";
import { install, publicPackages } from "./packed.ts";
import type { Installation } from "./packed.ts";

let installed: Installation;
let browser: Awaited<ReturnType<typeof chromium.launch>>;
let address: string;
const server = createHttpServer((request, response) => {
  const name = new URL(request.url!, "http://localhost").pathname;
  const file = path.join(installed.folder, name);
  const isPage = name === "/" || name === "/import-map";
  response.setHeader("Content-Type", isPage ? "text/html" : "text/javascript");
  if (isPage) response.end(name === "/" ? page("") : page(importMap()));
  else if (existsSync(file)) createReadStream(file).pipe(response);
  else response.writeHead(404).end();
});
beforeAll(async () => {
  const { chromium: executablePath, chromiumArguments } = webGpuEnvironment();
  installed = await install();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  browser = await chromium.launch({ executablePath, args: [...chromiumArguments], headless: true });
}, 60_000);
afterAll(async () => {
  await (browser as typeof browser | undefined)?.close();
  server.close();
  server.closeAllConnections();
  (installed as Installation | undefined)?.remove();
});

const page = (head: string): string =>
  `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${head}<title>ropewalk</title>`;

/** Where a browser finds each entry of the installed packages. */
function importMap(): string {
  const imports = publicPackages.flatMap(({ name, manifest }) =>
    Object.entries(manifest.exports ?? {}).flatMap(([entry, target]) => {
      const { default: code } = targetOf(target);
      return code === undefined
        ? []
        : [[path.posix.join(name, entry), path.posix.join("/node_modules", name, code)] as const];
    }),
  );
  return `<script type="importmap">${JSON.stringify({ imports: Object.fromEntries(imports) })}</script>`;
}

/** Answers as a global function in a page, and to messages in workers. */
const code = `
import { getRopeUntyped, listRopeTypes } from "@ropewalk/core";
import "@ropewalk/yarn";
function answer() {
  const request = { headDim: 4, parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } };
  const query = Float32Array.of(1, 0, 0, 1);
  getRopeUntyped(request).apply({ positions: [0], query });
  return {
    scope: globalThis.constructor.name,
    types: listRopeTypes().filter(({ name, ropeType }) => name === ropeType).map(({ name }) => name),
    invFreq: [...getRopeUntyped(request).frequencies().invFreq],
    query: [...query],
  };
}
globalThis.answer = () => {
  try {
    return answer();
  } catch (error) {
    return String(error);
  }
};
if (typeof document === "undefined") {
  globalThis.addEventListener("message", (event) => (event.source ?? globalThis).postMessage(globalThis.answer()));
}
`;

/** By hand: see bundlers.test.ts. At position 0 nothing turns, and the amplitude is 0.1 ln 4 + 1. */
const amplitude = Math.fround(0.1 * Math.log(4) + 1);
const answers = (scope: string): object => ({
  scope,
  types: ["yarn"],
  invFreq: [1, Math.fround(0.01)],
  query: [amplitude, 0, 0, amplitude],
});

declare const globalThis: { answer(): unknown };

/** What runs in the page: it loads a module in a scope and asks it. */
const scopes: Readonly<Record<string, (module: string) => Promise<unknown>>> = {
  Window: (module) =>
    new Promise((resolve, reject) => {
      const script = Object.assign(document.createElement("script"), { type: "module", src: module });
      script.addEventListener("load", () => resolve(globalThis.answer()));
      script.addEventListener("error", () => reject(new Error(`${module} did not load`)));
      document.head.append(script);
    }),
  DedicatedWorkerGlobalScope: (module) =>
    new Promise((resolve, reject) => {
      const worker = new Worker(module, { type: "module" });
      worker.addEventListener("message", ({ data }) => resolve(data));
      worker.addEventListener("error", ({ message }) => reject(new Error(message)));
      worker.postMessage("answer", []);
    }),
  async ServiceWorkerGlobalScope(module) {
    const registration = await navigator.serviceWorker.register(module, { type: "module" });
    const worker = (registration.installing ?? registration.active)!;
    if (worker.state !== "activated") {
      await new Promise<void>((resolve) => {
        worker.addEventListener("statechange", () => worker.state === "activated" && resolve());
      });
    }
    return new Promise((resolve) => {
      navigator.serviceWorker.addEventListener("message", ({ data }) => resolve(data));
      navigator.serviceWorker.startMessages();
      worker.postMessage("answer", []);
    });
  },
};

async function onPage<T>(url: string, use: (page: Page) => Promise<T>): Promise<T> {
  const opened = await browser.newPage();
  const faults: string[] = [];
  opened.on("pageerror", (error) => faults.push(String(error)));
  try {
    await opened.goto(url);
    const result = await use(opened);
    expect(faults).toEqual([]);
    return result;
  } finally {
    await opened.close();
  }
}

describe.each(Object.entries(bundlers))("%s", (name, bundle) => {
  let module: string;
  beforeAll(async () => {
    const folder = path.join(installed.folder, name);
    mkdirSync(folder);
    writeFileSync(path.join(folder, "entry.js"), code);
    module = `/${name}/${path.basename(await bundle(path.join(folder, "entry.js"), folder))}`;
  });

  test.each(Object.entries(scopes))("registers in a %s", async (scope, ask) => {
    expect(await onPage(address, (opened) => opened.evaluate(ask, module))).toEqual(answers(scope));
  });
});

test("registers in a page without a bundler, by an import map", async () => {
  writeFileSync(path.join(installed.folder, "unbundled.js"), code);
  expect(
    await onPage(`${address}/import-map`, (opened) => opened.evaluate(scopes["Window"]!, "/unbundled.js")),
  ).toEqual(answers("Window"));
});

test("vite replaces the module of a provider in a running page: no conflict, the first provider stays", async () => {
  const folder = path.join(installed.folder, "replaced");
  mkdirSync(folder);
  const write = (file: string, text: string): void => writeFileSync(path.join(folder, file), text);
  const provider = (evaluation: number): string => `
    import { registerRopeType } from "@ropewalk/core";
    registerRopeType("replaced")({ specificationVersion: 1, source: "rope-replaced@1.0.0", parameters: {}, frequencies: () => ({ invFreq: [${evaluation}] }) });
    globalThis.evaluated = ${evaluation};`;
  write("index.html", page('<script type="module" src="./main.js"></script>'));
  write("provider.js", provider(1));
  write(
    "main.js",
    `import { getRopeUntyped } from "@ropewalk/core";
    import "./provider.js";
    globalThis.answer = () => [...getRopeUntyped({ headDim: 2, parameters: { ropeType: "replaced" } }).frequencies().invFreq];
    import.meta.hot.accept("./provider.js", () => {});`,
  );
  const development = await createServer({
    root: folder,
    configFile: false,
    logLevel: "silent",
    cacheDir: path.join(folder, ".vite"),
    server: { host: "127.0.0.1", port: 0, watch: { usePolling: true, interval: 50 } },
    // As sources of a workspace are: not bundled before.
    optimizeDeps: { noDiscovery: true },
  });
  try {
    await development.listen();
    const { port } = development.httpServer!.address() as AddressInfo;
    await onPage(`http://127.0.0.1:${port}/`, async (opened) => {
      await opened.waitForFunction("globalThis.evaluated === 1 && globalThis.answer !== undefined");
      await opened.evaluate("globalThis.isSamePage = true");
      expect(await opened.evaluate("globalThis.answer()")).toEqual([1]);
      write("provider.js", provider(2));
      await opened.waitForFunction("globalThis.evaluated === 2");
      expect(await opened.evaluate("[globalThis.isSamePage, globalThis.answer()]")).toEqual([true, [1]]);
    });
  } finally {
    await development.close();
  }
});
