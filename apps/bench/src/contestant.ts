import type { QueryAndKey, Workload } from "./workload.ts";

/** Someone who rotates queries and keys, or does what cannot be undercut. */
export interface Contestant {
  readonly name: string;
  /** What takes part, with its version. */
  readonly source: string;
  /** In which arithmetic it forms angles: decides what its result is compared with. */
  readonly angles: "float32" | "float64";
  /** Everything that a program does once, before the step that is timed; `undefined` for a workload that it cannot do. */
  prepare(workload: Workload): Prepared | undefined | Promise<Prepared | undefined>;
}

/** A contestant at the start line. */
export interface Prepared {
  /** The timed step. It reads `workload.working`. */
  run(): unknown;
  /** Whether `run` returns a promise that must be awaited. */
  readonly isAsync?: boolean;
  /** Where `run` left its result. */
  readonly result: QueryAndKey;
  /** True where the result is a copy of what was given, not its rotation. */
  readonly isCopy?: boolean;
  dispose?(): unknown;
}
