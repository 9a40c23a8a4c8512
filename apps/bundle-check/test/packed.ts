/**
 * The public packages as a user gets them: packed by pnpm, and installed by npm without a network into a new folder
 * outside this repository. Only files of the packages can be found there.
 */

import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { publishedPackages } from "@ropewalk/workspace";
import type { WorkspacePackage } from "@ropewalk/workspace";

const run = promisify(execFile);

export const root: string = path.resolve(import.meta.dirname, "../../..");

export interface PublicPackage extends WorkspacePackage {
  /** Absolute. */
  readonly folder: string;
}

/** Every published package. A new package needs no entry here. */
export const publicPackages: readonly PublicPackage[] = publishedPackages(root).map((item) => ({
  ...item,
  folder: path.join(root, item.folder),
}));

export const providers: readonly PublicPackage[] = publicPackages.filter(({ kind }) => kind === "provider");

/** The environment of a user's shell, without the settings of the pnpm or npm that runs the tests. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm|pnpm|NODE_OPTIONS|VITEST|NODE_ENV)/i.test(name)),
);

export async function execute(command: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await run(command, args, { cwd, env: environment, maxBuffer: 2 ** 26 });
    return stdout;
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error(`${path.basename(command)} ${args.join(" ")}: ${message}\n${stdout ?? ""}${stderr ?? ""}`, {
      cause: error,
    });
  }
}

/** A tool of this package, run by this Node: `tool("typescript", "bin/tsc")`. */
export function tool(name: string, file: string): string {
  return realpathSync(path.join(import.meta.dirname, "../node_modules", name, file));
}

export function temporaryFolder(): string {
  return realpathSync(mkdtempSync(path.join(tmpdir(), "ropewalk-packed-")));
}

/** Packs a package and returns the path of the tarball. */
export async function pack(
  { folder, name }: Pick<PublicPackage, "folder" | "name">,
  destination: string,
): Promise<string> {
  if (!existsSync(path.join(folder, "dist"))) throw new Error(`${name} is not built. Run npm run build first.`);
  const before = new Set(readdirSync(destination));
  await execute(path.join(root, "node_modules/.bin/pnpm"), ["pack", "--pack-destination", destination], folder);
  const made = readdirSync(destination).filter((file) => file.endsWith(".tgz") && !before.has(file));
  if (made.length !== 1) throw new Error(`packing ${name} made ${made.length} tarballs`);
  return path.join(destination, made[0]!);
}

/** A folder with all public packages installed. */
export interface Installation {
  readonly folder: string;
  /** Tarballs by package name. */
  readonly tarballs: ReadonlyMap<string, string>;
  remove(): void;
}

/**
 * Packs and installs all public packages, and further folders of packages.
 *
 * npm installs packages that depend only on each other. A package with other dependencies (the command line) is
 * unpacked beside them and linked to the dependencies that pnpm installed, because npm may not have those in its cache.
 */
export async function install(others: readonly string[] = []): Promise<Installation> {
  const folder = temporaryFolder();
  const packed = path.join(folder, "packed");
  mkdirSync(packed);
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  const tarballs = new Map<string, string>();
  for (const item of publicPackages) tarballs.set(item.name, await pack(item, packed));
  const strange = [];
  for (const other of others) {
    strange.push(
      path.join(
        packed,
        (await execute("npm", ["pack", "--silent", "--pack-destination", packed, other], folder)).trim(),
      ),
    );
  }

  const selfContained = (item: PublicPackage): boolean =>
    Object.keys(item.manifest.dependencies ?? {}).every((name) => tarballs.has(name));
  const simple = publicPackages.filter(selfContained).map(({ name }) => tarballs.get(name)!);
  await execute(
    "npm",
    ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", ...simple, ...strange],
    folder,
  );
  for (const item of publicPackages.filter((candidate) => !selfContained(candidate))) {
    const target = path.join(folder, "node_modules", item.name);
    mkdirSync(target, { recursive: true });
    await execute("tar", ["xzf", tarballs.get(item.name)!, "-C", target, "--strip-components=1"], folder);
    for (const dependency of Object.keys(item.manifest.dependencies ?? {}).filter((name) => !tarballs.has(name))) {
      const link = path.join(target, "node_modules", dependency);
      mkdirSync(path.dirname(link), { recursive: true });
      symlinkSync(realpathSync(path.join(item.folder, "node_modules", dependency)), link, "dir");
    }
  }
  return { folder, tarballs, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Makes a second physical copy of an installed package that only `owner` finds. */
export function duplicate({ folder }: Installation, name: string, owner: string): string {
  const copy = path.join(folder, "node_modules", owner, "node_modules", name);
  cpSync(path.join(folder, "node_modules", name), copy, { recursive: true });
  return copy;
}

/** A Node to run packages on. */
export interface NodeBinary {
  readonly version: string;
  readonly command: string;
}

/** This Node, and every other version on PATH. Development uses a newer version than the oldest supported one. */
export async function nodes(): Promise<NodeBinary[]> {
  const found = new Map<string, NodeBinary>([
    [process.version, { version: process.version, command: process.execPath }],
  ]);
  for (const folder of (process.env["PATH"] ?? "").split(path.delimiter)) {
    const command = path.join(folder, "node");
    if (!existsSync(command)) continue;
    const version = (await execute(command, ["--version"], root)).trim();
    if (!found.has(version)) found.set(version, { version, command });
  }
  return [...found.values()];
}
