import type { QueryAndKey, Workload } from "./workload.ts";

/** A way to rotate queries and keys, or a copy of the same bytes as the lower limit of time. */
export interface Contestant {
  readonly name: string;
  /** The software, with its version. */
  readonly source: string;
  /** The arithmetic of its angles. It selects the reference for its result. */
  readonly angles: "float32" | "float64";
  /**
   * Everything that a program does once, before the timed step; `undefined` for a workload that it does not support.
   */
  prepare(workload: Workload): Prepared | undefined | Promise<Prepared | undefined>;
}

/** A contestant that is ready to run. */
export interface Prepared {
  /** The timed step. It reads `workload.working`. */
  run(): unknown;
  /** Whether `run` returns a promise that must be awaited. */
  readonly isAsync?: boolean;
  /** The result of `run`. */
  readonly result: QueryAndKey;
  /** True if the result is a copy of the input, not its rotation. */
  readonly isCopy?: boolean;
  dispose?(): unknown;
}
