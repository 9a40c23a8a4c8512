import { setTimeout } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes of array memory that are still in use. */
export async function heldBytes(): Promise<number> {
  let least = Infinity;
  // The memory of collected arrays is freed a little later, on another thread.
  for (let round = 0; round < 5; round++) {
    collectGarbage();
    await setTimeout(2);
    least = Math.min(least, process.memoryUsage().arrayBuffers);
  }
  return least;
}
