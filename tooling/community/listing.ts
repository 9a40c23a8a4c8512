/** community.json and the reports that it names, as data. Nothing of them is trusted to have its form. */

import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import path from "node:path";

/** A package of somebody else, as community.json lists it. */
export interface Entry {
  /** On npm. */
  readonly name: string;
  readonly kind: "provider" | "backend";
  /** One line of plain text. */
  readonly description: string;
  /**
   * Path of the report of `ropewalk conformance` from the root of this repository. It is no URL: what a URL gives may
   * change, and the check needs no network.
   */
  readonly report: string;
}

export interface Listing {
  /** Reports of older versions of core and suite are no longer listed. */
  readonly oldest: { readonly core: string; readonly suite: string };
  readonly packages: readonly Entry[];
}

/** The part of a report that the page shows and the check reads; the schema says the rest. */
export interface Report {
  readonly date: string;
  readonly package: { readonly name: string; readonly version: string; readonly keywords?: readonly string[] };
  readonly core: { readonly version: string; readonly specificationVersion: number };
  readonly suite: { readonly version: string };
  readonly passed: boolean;
  readonly counts: { readonly passed: number; readonly failed: number; readonly notApplicable: number };
  readonly types: readonly { readonly name: string; readonly aliases: readonly string[] }[];
  readonly backends: readonly { readonly name: string; readonly bitExact: boolean }[];
  readonly laws: readonly {
    readonly subject: string | null;
    readonly group: string;
    readonly law: string;
    readonly case: string | null;
    readonly status: string;
  }[];
}

export const listingFile = "community.json";

/** The listing, checked or not. @throws Error if it is no JSON. */
export function readListing(root: string): Listing {
  return readJson(path.join(root, listingFile)) as Listing;
}

/** The text of community.json, for what its lines look like. */
export function listingText(root: string): string {
  return readFileSync(path.join(root, listingFile), "utf8");
}

export function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as unknown;
  } catch (error) {
    throw new Error(`${path.basename(file)} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** The absolute path of a report; `undefined` unless it is a file of this repository, also behind links. */
export function reportFile(root: string, report: string): string | undefined {
  const file = path.join(root, report);
  if (path.isAbsolute(report) || !existsSync(file) || !statSync(file).isFile()) return undefined;
  const inside = path.relative(realpathSync(root), realpathSync(file));
  return inside.startsWith("..") ? undefined : file;
}

/** The manifest beside a report, if the package itself lies in this repository. */
export function manifestBeside(file: string): Readonly<Record<string, unknown>> | undefined {
  const manifest = path.join(path.dirname(file), "package.json");
  return existsSync(manifest) ? (Object(readJson(manifest)) as Readonly<Record<string, unknown>>) : undefined;
}
