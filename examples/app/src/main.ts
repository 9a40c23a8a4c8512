/** How much a query attends to an equal key, by distance, under two ropes; and what was rotated for it. */

import { readFileSync } from "node:fs";
import { createTrace } from "ropewalk-backend-trace";
import { ropeOfModel } from "./rope-of-model.ts";
import { scores } from "./scores.ts";

const distances = [0, 1, 64, 1024, 8192, 32768, 65535];
const trace = createTrace();

const columns = ["llama-yarn.json", "llama-cope.json"].map((file) => {
  const config: unknown = JSON.parse(readFileSync(new URL(`../models/${file}`, import.meta.url), "utf8"));
  const { rope, heads } = ropeOfModel(config);
  const { ropeType } = rope.spec.parameters;
  const { pairs } = rope.explain();
  const regimes = [...new Set(pairs.map(({ regime }) => regime))]
    .map((regime) => `${pairs.filter((pair) => pair.regime === regime).length} ${regime}`)
    .join(", ");
  console.log(`${file}: ${ropeType}, ${pairs.length} pairs (${regimes}), amplitude ${rope.attentionFactor.toFixed(4)}`);
  return [ropeType, ...scores(rope.to("trace", { trace, label: ropeType }), heads, distances).map((s) => s.toFixed(4))];
});

console.log("\nScore of an equal query and key, as a share of the score without a rope:");
for (const [row, cell] of ["distance", ...distances].entries()) {
  console.log([cell, ...columns.map((column) => column[row])].map((text) => String(text).padStart(8)).join("  "));
}
console.log(`\n${trace.table()}`);
