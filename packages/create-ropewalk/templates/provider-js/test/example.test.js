import { test } from "node:test";
import { conformance } from "@ropewalk/conformance";
import { linear } from "../example/linear.js";

conformance(test, {
  provider: linear,
  cases: [
    {
      name: "factor 4",
      request: { headDim: 4, base: 10_000, parameters: { factor: 4 } },
      expected: { source: "by hand: 10000^0 = 1 and 10000^(-1/2) = 0.01, each divided by 4", invFreq: [0.25, 0.0025] },
    },
  ],
});
