/**
 * ```sh
 * node dist/gpu.js [--tokens 1,512,4096] [--dtype float32,float16,bfloat16] [--pairing half,adjacent] \
 *   [--dawn] [--enable toggle] [--json file]
 * ```
 *
 * Runs in headless Chromium, together with onnxruntime-web. With `--dawn` it runs in this process, without
 * onnxruntime-web, on the Vulkan driver of the computer: use this for a real graphics card without a display.
 */

import { webGpuEnvironment } from "@ropewalk/webgpu-environment";
import { build } from "esbuild";
import { createReadStream, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { raceOnDevice, wantedFeatures } from "./gpu-race.ts";
import type { GpuPlan, GpuReport } from "./gpu-race.ts";
import { fromCaller } from "./machine.ts";
import { numbers, oneOf } from "./options.ts";
import type { GpuElementType, Pairing } from "./workload.ts";

const { values: options } = parseArgs({
  options: {
    tokens: { type: "string", default: "1,512,4096" },
    dtype: { type: "string", default: "float32" },
    pairing: { type: "string", default: "half,adjacent" },
    dawn: { type: "boolean", default: false },
    // A toggle of Dawn, for example vulkan_enable_f16_on_nvidia.
    enable: { type: "string" },
    json: { type: "string" },
  },
});

const plan: GpuPlan = {
  tokens: numbers("tokens", options.tokens),
  dtypes: oneOf<GpuElementType>("dtype", options.dtype, ["float32", "float16", "bfloat16"]),
  pairings: oneOf<Pairing>("pairing", options.pairing, ["half", "adjacent"]),
};

async function onDawn(): Promise<GpuReport> {
  const { create } = await import("webgpu");
  // Dawn rounds timestamps to 0.1 ms to protect web pages. That is not needed here.
  const gpu = create([
    "disable-dawn-features=timestamp_quantization",
    ...(options.enable === undefined ? [] : [`enable-dawn-features=${options.enable}`]),
  ]) as unknown as GPU;
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) throw new Error("expected a Vulkan driver (VK_DRIVER_FILES names one), got no adapter");
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const device = await adapter.requestDevice({
    requiredFeatures: wantedFeatures.filter((name) => adapter.features.has(name)),
    requiredLimits: { maxBufferSize, maxStorageBufferBindingSize },
  });
  const report = await raceOnDevice(device, adapter.info, plan, []);
  device.destroy();
  return report;
}

async function inChromium(): Promise<GpuReport> {
  const { chromium } = await import("playwright-core");
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("gpu-page.js", import.meta.url))],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  const dist = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/webgpu"));
  const files = [
    "ort.webgpu.bundle.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
  ];
  const server = createServer((request, response) => {
    const name = (request.url ?? "/").slice(1);
    response.setHeader(
      "Content-Type",
      name.endsWith("js") ? "text/javascript" : name.endsWith(".wasm") ? "application/wasm" : "text/html",
    );
    if (name === "race.js") response.end(outputFiles[0]!.text);
    else if (name === "") {
      response.end('<!doctype html><meta charset="utf-8"><script type="module" src="race.js"></script>');
    } else if (files.includes(name)) createReadStream(join(dist, name)).pipe(response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const environment = webGpuEnvironment();
  const browser = await chromium.launch({
    executablePath: environment.chromium,
    args: [...environment.chromiumArguments],
    headless: true,
  });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return (await page.evaluate(`race(${JSON.stringify(plan)})`)) as GpuReport;
  } finally {
    await browser.close();
    server.close();
    server.closeAllConnections();
  }
}

function textOf({ adapter, software, features, rows }: GpuReport): string {
  const lines = rows.map(({ name, dtype, tokens, pairing, dispatches, bytes, check, device, host }) => {
    const counted = `${dtype}, ${pairing}, ${tokens} tokens, ${name}: ${dispatches} dispatches, ${bytes} bytes`;
    const checked =
      check === undefined
        ? ""
        : `, error ${check.error.toExponential(1)} of ${check.tolerance.toExponential(1)} allowed`;
    const timed = device ?? host;
    if (timed === undefined) return counted + checked;
    const clocks = [["device", device] as const, ["host", host] as const]
      .map(([clock, timing]) => (timing === undefined ? "" : `, ${clock} ${(1e3 * timing.milliseconds).toFixed(2)} µs`))
      .join("");
    const ofLimits = Object.entries(timed.ofLimit)
      .map(([limit, ratio]) => `, ${ratio.toFixed(3)} of ${limit}`)
      .join("");
    return `${counted}${checked}${clocks}, ${(bytes / timed.milliseconds / 1e6).toFixed(0)} GB/s${ofLimits}`;
  });
  return [
    `Adapter: ${adapter}${software ? " (on the CPU: counts and correctness only, its times say nothing)" : ""}; ${features.join(", ")}`,
    ...lines,
  ].join("\n");
}

const report = options.dawn ? await onDawn() : await inChromium();
console.log(textOf(report));
if (options.json !== undefined) writeFileSync(fromCaller(options.json), `${JSON.stringify(report, null, 1)}\n`);
const wrong = report.rows.filter(({ check }) => check !== undefined && !(check.error <= check.tolerance));
if (wrong.length > 0) {
  throw new Error(
    `wrong results: ${wrong.map(({ name, dtype, tokens }) => `${name}, ${dtype}, at ${tokens} tokens`).join(", ")}`,
  );
}
