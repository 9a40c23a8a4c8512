/** The form of a law, and the groups by which callers choose laws. */

import type { Kit } from "./kit.ts";

/**
 * A group of laws:
 * - `registration`: names, sources, versions;
 * - `parameters`: the declared parameters and no others, each with an effect;
 * - `numbers`: the numbers from outside that a case expects;
 * - `tables`: cos and sin, their forms, and the same bits in any order of calls;
 * - `rotation`: norms, relative positions, composition, inverse, transpose, shift;
 * - `memory`: layouts, element types, batches, aliasing, and that an error writes nothing;
 * - `backend`: equality with the JavaScript backend.
 */
export type LawGroup = "registration" | "parameters" | "numbers" | "tables" | "rotation" | "memory" | "backend";

export const lawGroups: readonly LawGroup[] = [
  "registration",
  "parameters",
  "numbers",
  "tables",
  "rotation",
  "memory",
  "backend",
];

/** A statement that must hold for each case. */
export interface Law {
  readonly group: LawGroup;
  /** The statement, as the name of its tests. */
  readonly name: string;
  /** What to change when it does not hold. Default: the remedy of its group. */
  readonly remedy?: string;
  /** Why the law says nothing about this case; `undefined` if it applies. Without it the law always applies. */
  notApplicable?(kit: Kit): string | undefined;
  run(kit: Kit): void | Promise<void>;
}

/** A statement about all cases of a provider together. */
export interface ProviderLaw {
  readonly group: LawGroup;
  readonly name: string;
  readonly remedy?: string;
  run(kits: readonly Kit[]): void | Promise<void>;
}
