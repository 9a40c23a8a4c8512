/** The program of the page in headless Chromium: the same body as in Node. */

import { allCases } from "./pass-body.ts";
import { compareGoldens } from "./golden-body.ts";
import type { GoldenSpec } from "./golden-body.ts";

let opened: Promise<GPUDevice> | undefined;

async function open(): Promise<GPUDevice> {
  const adapter = await navigator.gpu?.requestAdapter();
  if (adapter === null || adapter === undefined) {
    throw new Error("expected an adapter for WebGPU in Chromium, got none");
  }
  return adapter.requestDevice();
}

const page = {
  async run(name: string): Promise<void> {
    await allCases.find((one) => one.name === name)!.run(await (opened ??= open()));
  },
  async goldens(specs: readonly GoldenSpec[], positions: readonly number[]): Promise<string[]> {
    return compareGoldens(await (opened ??= open()), specs, positions);
  },
};

export type Page = typeof page;
(globalThis as unknown as { page: Page }).page = page;
