/** One statement that must hold, and the words by which laws are chosen. */

import type { Kit } from "./kit.ts";

/**
 * - `registration`: names, sources, versions;
 * - `parameters`: the declared parameters and nothing else, each of effect;
 * - `tables`: cos and sin, their forms and their growth;
 * - `rotation`: what rotation means: norms, relative positions, composition, inverse, transpose, shift;
 * - `memory`: layouts, element types, batches, aliasing, and that an error writes nothing;
 * - `backend`: equality with the JavaScript backend.
 */
export type LawGroup = "registration" | "parameters" | "tables" | "rotation" | "memory" | "backend";

export interface Law {
  readonly group: LawGroup;
  /** A statement, as the test's name. */
  readonly name: string;
  run(kit: Kit): void | Promise<void>;
}

/** A law about all cases of a provider together. */
export interface ProviderLaw {
  readonly group: LawGroup;
  readonly name: string;
  run(kits: readonly Kit[]): void | Promise<void>;
}
