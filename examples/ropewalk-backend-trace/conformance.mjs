/** What the suite runs the backend on: `test/index.test.js` and `ropewalk conformance` read it. */

/** @import { ConformanceCase } from "@ropewalk/conformance" */
import { createTrace } from "ropewalk-backend-trace";

/** @type {readonly ConformanceCase[]} */
const cases = [
  { name: "heads of 6", request: { headDim: 6 } },
  { name: "3 blocks of 18 of 24", request: { headDim: 24, rotaryDim: 18, rotaryOffset: 5, pairing: { blocks: 3 } } },
];

export default { cases, backend: { name: "trace", options: { trace: createTrace() } } };
