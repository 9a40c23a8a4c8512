/** The suite that every provider and backend passes, on JavaScript, WebAssembly and WebGPU. */

import { conformance } from "@ropewalk/conformance";
import type { BackendUnderTest } from "@ropewalk/conformance";
import { wasmBackend } from "@ropewalk/wasm-backend";
import { afterAll, describe, test } from "vitest";
import { registry } from "./body.ts";

registry.registerBackend(wasmBackend);

/** The file that `ropewalk conformance` reads, as its worker does. */
const { default: file } = (await import("../conformance.mjs" as string)) as {
  readonly default: { readonly backend: BackendUnderTest & { readonly options: { readonly device: GPUDevice } } };
};
afterAll(() => file.backend.options.device.destroy());

const backends: readonly ("js" | BackendUnderTest)[] = ["js", { name: "wasm" }, file.backend];

describe.each(backends.map((backend) => ({ name: typeof backend === "string" ? backend : backend.name, backend })))(
  "$name",
  ({ backend }) => {
    conformance(test, {
      ropeType: "plain",
      registry,
      backend,
      // The other laws concern the provider, and are the same on every backend.
      only: ["rotation", "memory", "backend"],
      cases: [{ name: "16 of 16", request: { headDim: 16, parameters: { amplitude: 1.138 } } }],
    });
  },
);
