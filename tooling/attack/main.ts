/**
 * The attack, by hand: `npm run attack`, or with other numbers `npm run attack -- --seed 2 --kills 40 --files 20000`.
 *
 * Exit code 1 if anything was found.
 */

import { parseArgs } from "node:util";
import { attackWithDamage } from "./damage.ts";
import { attackScene, scenes } from "./kills.ts";
import { seeded } from "./random.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    /** Of each of the six scenes. */
    kills: { type: "string", default: "70" },
    files: { type: "string", default: "100000" },
  },
});
const [seed, kills, files] = [Number(values.seed), Number(values.kills), Number(values.files)];
const begin = performance.now();
const seconds = (): string => `${((performance.now() - begin) / 1000).toFixed(0)} s`;
let isClean = true;

console.log(`seed ${seed}`);
for (const scene of scenes) {
  const { found, ...counts } = await attackScene(scene, kills, true, seeded(seed));
  console.log(`${scene.what}: ${JSON.stringify(counts)}, ${found.length} found (${seconds()})`);
  for (const what of found.slice(0, 10)) console.log(`  ${JSON.stringify(what)}`);
  isClean &&= found.length === 0;
}
const { found, ...counts } = await attackWithDamage(seed, files);
console.log(`damaged files: ${JSON.stringify(counts)}, ${found.length} found (${seconds()})`);
for (const what of found.slice(0, 20)) console.log(`  ${JSON.stringify(what)}`);
if (!isClean || found.length > 0) process.exitCode = 1;
