/** The suite that every provider and backend passes, on JavaScript, WebAssembly and WebGPU. */

import { conformance } from "@ropewalk/conformance";
import type { BackendUnderTest } from "@ropewalk/conformance";
import { wasmBackend } from "@ropewalk/wasm-backend";
import { afterAll, describe, test } from "vitest";
import { adapt } from "./adapt.ts";
import { registry } from "./body.ts";
import { newDevice } from "./node-device.ts";

registry.registerBackend(wasmBackend);
const device = await newDevice();
afterAll(() => device.destroy());

const backends: readonly ("js" | BackendUnderTest)[] = [
  "js",
  { name: "wasm" },
  { name: "webgpu", options: { device }, bitExact: false, adapt },
];

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
