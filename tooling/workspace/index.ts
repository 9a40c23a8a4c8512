/**
 * The packages of this workspace. Whoever needs a list of them asks here: a new package is found by looking, and a new
 * folder of packages is added to `groups` and to pnpm-workspace.yaml, which a test compares.
 */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";

/** Folders whose folders are packages, as paths from the root. */
export const groups = ["packages", "packages/providers", "packages/backends", "apps", "tooling"] as const;

/** What a package is. A library is what lies in `packages` itself and is none of the few that are one of a kind. */
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

/** What tools read of a package.json. */
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
  /** From the root, with slashes: `packages/providers/yarn`. */
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

/** Whether users install it: it lies in `packages`, and is not private. */
export function isPublished({ folder, manifest }: WorkspacePackage): boolean {
  return folder.startsWith("packages/") && manifest.private !== true;
}

export function publishedPackages(root: string): WorkspacePackage[] {
  return workspacePackages(root).filter(isPublished);
}

/** The files that an entry of a manifest's exports names. */
export function targetOf(entry: unknown): { readonly types?: string; readonly default?: string } {
  const { types, default: code } = Object(entry) as Readonly<Record<string, unknown>>;
  return { ...(typeof types === "string" ? { types } : {}), ...(typeof code === "string" ? { default: code } : {}) };
}

/** The folder says the kind, and in `packages` itself the name of the few that are one of a kind. */
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
      return name === "ropewalk" ? "command" : "library";
  }
}
