/**
 * The one list of packages in this workspace. It is read from the folders, so a new package needs no entry. A new
 * folder of packages is added to `groups` and to pnpm-workspace.yaml; a test compares the two.
 */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";

/** Folders whose folders are packages, as paths from the root. */
export const groups = ["packages", "packages/providers", "packages/backends", "apps", "tooling"] as const;

/** The kind of a package. A library lies directly in `packages` and has no kind of its own. */
export type Kind =
  | "core"
  | "config"
  | "conformance"
  | "command"
  | "provider"
  | "backend"
  | "library"
  | "app"
  | "tooling";

/** The fields of a package.json that tools read. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly description?: unknown;
  readonly license?: unknown;
  readonly type?: unknown;
  readonly engines?: { readonly node?: string };
  readonly repository?: { readonly url?: string; readonly directory?: string };
  readonly publishConfig?: { readonly access?: string };
  readonly files?: unknown;
  readonly bin?: unknown;
  readonly sideEffects?: unknown;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export interface WorkspacePackage {
  readonly name: string;
  /** The path from the root, with slashes: `packages/providers/yarn`. */
  readonly folder: string;
  readonly kind: Kind;
  readonly manifest: Manifest;
}

/** All packages under a root, group by group, in the order of their folders' names. */
export function workspacePackages(root: string): WorkspacePackage[] {
  return groups
    .filter((group) => existsSync(path.join(root, group)))
    .flatMap((group) =>
      readdirSync(path.join(root, group))
        .sort()
        .map((name) => ({ folder: `${group}/${name}`, kind: kindOf(group, name) })),
    )
    .filter(({ folder }) => existsSync(path.join(root, folder, "package.json")))
    .map(({ folder, kind }) => {
      const manifest = JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8")) as Manifest;
      return { name: manifest.name, folder, kind, manifest };
    });
}

/** Whether users can install it: it lies in `packages` and is not private. */
export function isPublished({ folder, manifest }: WorkspacePackage): boolean {
  return folder.startsWith("packages/") && manifest.private !== true;
}

export function publishedPackages(root: string): WorkspacePackage[] {
  return workspacePackages(root).filter(isPublished);
}

/** `SPECIFICATION_VERSION` of core: the version of its contract with providers and backends. */
export function contractVersion(root: string): number {
  const file = "packages/core/src/provider.ts";
  const version = /^export const SPECIFICATION_VERSION = (\d+);$/m.exec(
    readFileSync(path.join(root, file), "utf8"),
  )?.[1];
  if (version === undefined) throw new Error(`${file}: expected export const SPECIFICATION_VERSION = a number.`);
  return Number(version);
}

/**
 * The range of core that a package of contract `n` has as a peer: from the core that it was built with to the last one
 * that accepts its contract (docs/decisions/0030-peer-ranges.md).
 *
 * @param core the version of core. Before the first release the range names a prerelease, which changesets keeps.
 */
export function corePeerRange(contract: number, core: string): string {
  return `workspace:>=${core === "0.0.0" ? "0.0.0-0" : core} <${contract + 2}.0.0`;
}

/** The files of an entry in a manifest's exports. */
export function targetOf(entry: unknown): { readonly types?: string; readonly default?: string } {
  const { types, default: code } = Object(entry) as Readonly<Record<string, unknown>>;
  return { ...(typeof types === "string" ? { types } : {}), ...(typeof code === "string" ? { default: code } : {}) };
}

/** The kind follows from the group of folders, or, directly in `packages`, from the name. */
function kindOf(group: (typeof groups)[number], name: string): Kind {
  switch (group) {
    case "packages/providers":
      return "provider";
    case "packages/backends":
      return "backend";
    case "apps":
      return "app";
    case "tooling":
      return "tooling";
    case "packages":
      if (name === "core" || name === "config" || name === "conformance") return name;
      return name === "ropewalk" || name === "create-ropewalk" ? "command" : "library";
  }
}
