/** The names of the options of a reading: a misspelt one would be left out without a word. */

import { checkKeys } from "@ropewalk/core/backend";
import type { GgufOptions } from "./gguf.ts";
import type { ConfigOptions } from "./reading.ts";

const ofConfig: Readonly<Record<keyof ConfigOptions, true>> = {
  registry: true,
  precision: true,
  maxPosition: true,
  pairing: true,
  dialect: true,
  capacity: true,
};
const ofGguf: Readonly<Record<keyof GgufOptions, true>> = {
  registry: true,
  precision: true,
  maxPosition: true,
  pairing: true,
  tensors: true,
  capacity: true,
};

/** @throws RopeError `ROPE_INVALID_PARAMETERS` for an option that nothing reads, with the nearest one that is read. */
export function checkOptions(options: ConfigOptions): void {
  checkKeys("the options", options, Object.keys(ofConfig));
}

/** {@link checkOptions} for GGUF. */
export function checkGgufOptions(options: GgufOptions): void {
  checkKeys("the options", options, Object.keys(ofGguf));
}
