/** For `ropewalk conformance ./dist/index.js`: a device in Node, and the methods of a rope on it. */

import { adapt } from "./test/adapt.ts";
import { newDevice } from "./test/node-device.ts";

export default {
  cases: [{ name: "heads of 2", request: { headDim: 2 } }],
  backend: { name: "webgpu", options: { device: await newDevice() }, bitExact: false, adapt },
};
