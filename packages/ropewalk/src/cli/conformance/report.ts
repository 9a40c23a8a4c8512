/** The report of `ropewalk conformance` as data. Its JSON schema is `report.schema.json` of `@ropewalk/conformance`. */

import type { LawFailure, LawResult } from "@ropewalk/conformance";
import type { RopeCapabilities } from "@ropewalk/core";

/** A law that held, failed or did not apply, with the subject that it is about. */
export interface ReportedLaw {
  /** The rope type, the backend, or `null` for the package itself. */
  readonly subject: string | null;
  /** As in `only` of the suite; `package` for laws about manifest and files. */
  readonly group: LawResult["group"] | "package";
  readonly law: string;
  readonly case: string | null;
  readonly status: LawResult["status"];
  readonly seed: number;
  readonly reason: string | null;
  readonly failure: LawFailure | null;
}

/** One rope type of the package. */
export interface ReportedType {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly source: string;
  /** Of the rope of the first case. */
  readonly capabilities: Required<RopeCapabilities>;
  readonly parameters: readonly string[];
  /** Whether the author wrote the cases, or they were made from the schema. */
  readonly cases: "given" | "made from the schema";
}

/** One backend of the package. */
export interface ReportedBackend {
  readonly name: string;
  readonly source: string;
  readonly bitExact: boolean;
}

/** Bytes of the package's own modules. */
export interface Weight {
  /** What was measured, in words. */
  readonly measured: string;
  readonly modules: number;
  readonly bytes: number;
  readonly brotliBytes: number;
  /** After the minifier; `null` without one. */
  readonly minifiedBytes: number | null;
  readonly minifiedBrotliBytes: number | null;
  /** Name and version of the minifier, which is one that the package has itself; `null` if it has none. */
  readonly minifier: string | null;
}

/** The whole report. */
export interface ConformanceReport {
  readonly format: "ropewalk-conformance-report";
  readonly formatVersion: 1;
  /** When the suite ended, as ISO 8601 in UTC. */
  readonly date: string;
  readonly package: {
    readonly name: string;
    readonly version: string;
    /** Of package.json: who lists packages by keyword needs no registry to see it. */
    readonly keywords: readonly string[];
    readonly module: string;
  };
  readonly core: { readonly version: string; readonly specificationVersion: number };
  readonly suite: { readonly name: string; readonly version: string };
  /** Name and version of the engine that ran the suite. */
  readonly engine: string;
  readonly seed: number;
  readonly passed: boolean;
  readonly counts: { readonly passed: number; readonly failed: number; readonly notApplicable: number };
  readonly types: readonly ReportedType[];
  readonly backends: readonly ReportedBackend[];
  readonly weight: Weight;
  readonly laws: readonly ReportedLaw[];
}
