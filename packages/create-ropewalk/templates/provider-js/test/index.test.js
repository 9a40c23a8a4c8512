import { readFileSync } from "node:fs";
import { test } from "node:test";
import { conformance } from "@ropewalk/conformance";
import "@@package@@";

/**
 * The cases are data: `ropewalk conformance` reads the same file.
 *
 * @type {{ readonly cases: readonly import("@ropewalk/conformance").ConformanceCase[] }}
 */
const { cases } = JSON.parse(readFileSync(new URL("../conformance.json", import.meta.url), "utf8"));

// The laws of rotary position embedding. Together the cases use every parameter.
conformance(test, { ropeType: "@@type@@", cases });

// Laws cannot find a wrong frequency: an engine that was run, a table in a paper, or a sum by hand can.
test("a case expects numbers from outside", { todo: cases.every(({ expected }) => expected === undefined) }, () => {});
