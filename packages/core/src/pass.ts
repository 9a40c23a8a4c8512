/**
 * The pass from projection to cache: imported, it lets `apply` of ropes and steps take values, norms, factors of
 * queries, slots and 8-bit caches, and `shift` keys in such caches. It also exports what a backend needs for it.
 *
 * It is an entry of its own, because it weighs a fifth of core. The package `ropewalk` and those of backends import it.
 */

import { passTasks } from "./pass-check.ts";
import { passTask } from "./pass-kernel.ts";
import { passPart } from "./pass-part.ts";

passPart.current = { passTasks, passTask };

export { loadWeight, passTask } from "./pass-kernel.ts";
export type { CacheLayout, PassNorm, PassTask, PassTensor } from "./pass-kernel.ts";
export { hostMemory, passTasks } from "./pass-check.ts";
export type { PassMemory } from "./pass-check.ts";
export type { CacheElementType } from "./pass-arguments.ts";
