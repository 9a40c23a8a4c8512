/**
 * `npm run bench -- [--tokens 1,16] [--dtype float32] [--pairing half] [--seconds 3] [--json file] [--smoke]`
 *
 * `--smoke` checks every contestant on small inputs and measures almost nothing. It shows in CI that the benchmark
 * runs.
 */

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { coldField, fields, limit, yardstick } from "./contestants/index.ts";
import { describeComputer, fromCaller } from "./machine.ts";
import { numbers, oneOf } from "./options.ts";
import { race } from "./race.ts";
import type { Result } from "./race.ts";
import { checksOf, textOf } from "./report.ts";
import type { Race, Report } from "./report.ts";
import { measureCosts } from "./tables.ts";
import { createWorkload } from "./workload.ts";
import type { ElementType, Pairing } from "./workload.ts";

const { values: options } = parseArgs({
  options: {
    tokens: { type: "string" },
    dtype: { type: "string" },
    pairing: { type: "string" },
    seconds: { type: "string" },
    json: { type: "string" },
    smoke: { type: "boolean", default: false },
  },
});

const { smoke } = options;
const sizes = numbers("tokens", options.tokens ?? (smoke ? "1,3" : "1,16,128,512,2048,8192"));
const pairings = oneOf<Pairing>("pairing", options.pairing, ["half", "adjacent"]);
const dtypes = oneOf<ElementType>("dtype", options.dtype, ["float32", "float16"]);
const [seconds] = numbers("seconds", options.seconds ?? "3");

// Before the races, because they also cause load.
const machine = describeComputer();
if (!smoke && machine.load > 0.5) {
  process.stderr.write(
    `Other processes use this computer too (load ${machine.load}). This slows contestants most that wait for another thread, such as onnxruntime-node.\n`,
  );
}

const races: Race[] = [];
for (const dtype of dtypes) {
  for (const pairing of pairings) {
    for (const tokens of sizes) {
      const workload = createWorkload({ tokens, pairing, dtype });
      const results: Result[] = [];
      for (const field of fields) {
        const all = await race(
          workload,
          field,
          [yardstick, limit],
          smoke ? { seconds: 0, rounds: 1 } : { seconds: seconds! / fields.length, rounds: 15 },
        );
        // The two contestants that ratios are computed to run in each field. Their results are printed once.
        results.push(...all.filter(({ name }) => !results.some((known) => known.name === name)));
      }
      const { queryHeads, keyHeads, headDim } = workload;
      const size = { tokens, queryHeads, keyHeads, headDim };
      races.push({ dtype, pairing, ...size, results });
      // The caches hold bytes, whatever they mean: one type and one pairing tell what a cold call costs.
      if (dtype === "float32" && pairing === "half") {
        const rounds = smoke ? { seconds: 0, rounds: 1 } : { seconds: seconds!, rounds: 15 };
        const cold = await race(workload, coldField, [yardstick, limit], { ...rounds, cold: true });
        races.push({ dtype, pairing, ...size, cold: true, results: cold });
      }
      if (!smoke) process.stderr.write(`${dtype}, ${pairing}, ${tokens} tokens: ${results[0]!.rounds} rounds\n`);
    }
  }
}
const costs = measureCosts(smoke ? { rows: 256, rounds: 1 } : { rows: 131072, rounds: 7 });
const report: Report = { version: 1, machine, yardstick: yardstick.name, limit: limit.name, races, costs };
console.log(smoke ? checksOf(report) : textOf(report));
if (options.json !== undefined) writeFileSync(fromCaller(options.json), `${JSON.stringify(report, null, 1)}\n`);
