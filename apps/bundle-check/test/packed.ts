/**
 * The public packages as a user gets them: packed by pnpm, and installed by npm without a network into a new folder
 * outside this repository. Only files of the packages can be found there.
 */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
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

/** Installs all public packages, packed, into a new folder, and further folders of packages. */
export async function install(others: readonly string[] = []): Promise<Installation> {
  const folder = temporaryFolder();
  cpSync(await prepared(), folder, { recursive: true, verbatimSymlinks: true });
  const packed = path.join(folder, "packed");
  const names = JSON.parse(readFileSync(path.join(folder, "tarballs.json"), "utf8")) as [string, string][];
  const tarballs = new Map(names.map(([name, file]) => [name, path.join(packed, file)]));
  if (others.length > 0) {
    const made = await execute("npm", ["pack", "--silent", "--pack-destination", packed, ...others], folder);
    const files = made.trim().split("\n");
    await npmInstall(
      folder,
      files.map((file) => path.join(packed, file)),
    );
    // npm has removed what it did not install.
    await unpackOthers(folder, tarballs);
  }
  return { folder, tarballs, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

const npmInstall = (folder: string, tarballs: readonly string[]): Promise<string> =>
  execute("npm", ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", ...tarballs], folder);

/** npm installs packages that depend only on each other. */
const isSelfContained = (item: PublicPackage): boolean =>
  Object.keys(item.manifest.dependencies ?? {}).every((name) => publicPackages.some((other) => other.name === name));

/**
 * A package with other dependencies (the command line) is unpacked beside the rest and linked to the dependencies that
 * pnpm installed, because npm may not have those in its cache.
 */
async function unpackOthers(folder: string, tarballs: ReadonlyMap<string, string>): Promise<void> {
  for (const item of publicPackages.filter((candidate) => !isSelfContained(candidate))) {
    const target = path.join(folder, "node_modules", item.name);
    mkdirSync(target, { recursive: true });
    await execute("tar", ["xzf", tarballs.get(item.name)!, "-C", target, "--strip-components=1"], folder);
    for (const dependency of Object.keys(item.manifest.dependencies ?? {}).filter((name) => !tarballs.has(name))) {
      const link = path.join(target, "node_modules", dependency);
      mkdirSync(path.dirname(link), { recursive: true });
      symlinkSync(realpathSync(path.join(item.folder, "node_modules", dependency)), link, "dir");
    }
  }
}

/**
 * The folder that installations are copies of. It is kept while the packages stay as they are, because each test file
 * would need five seconds to make it again.
 */
async function prepared(): Promise<string> {
  const cache = path.join(import.meta.dirname, "../node_modules/.cache/packed");
  const folder = path.join(cache, fingerprint());
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const made = mkdtempSync(path.join(cache, "making-"));
  const packed = path.join(made, "packed");
  mkdirSync(packed);
  writeFileSync(path.join(made, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  const tarballs = new Map<string, string>();
  for (const item of publicPackages) tarballs.set(item.name, await pack(item, packed));
  await npmInstall(
    made,
    publicPackages.filter(isSelfContained).map(({ name }) => tarballs.get(name)!),
  );
  await unpackOthers(made, tarballs);
  const names = [...tarballs].map(([name, file]) => [name, path.basename(file)]);
  writeFileSync(path.join(made, "tarballs.json"), JSON.stringify(names));
  try {
    renameSync(made, folder);
  } catch (error) {
    // Another test file was faster.
    rmSync(made, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  // Earlier states of the packages.
  for (const name of readdirSync(cache)) {
    const isOlder = !name.startsWith("making-") && name !== path.basename(folder);
    if (isOlder) rmSync(path.join(cache, name), { recursive: true, force: true });
  }
  return folder;
}

/** Changes with every file that packing reads, with the versions of dependencies, and with this file. */
function fingerprint(): string {
  const hash = createHash("sha256");
  const add = (file: string): void => {
    hash.update(JSON.stringify(path.relative(root, file))).update(readFileSync(file));
  };
  add(import.meta.filename);
  for (const name of ["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json", "LICENSE"]) add(path.join(root, name));
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (["node_modules", "test", ".turbo"].includes(entry.name)) continue;
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) visit(file);
      else if (entry.isFile()) add(file);
    }
  };
  for (const { folder } of publicPackages) visit(folder);
  return hash.digest("hex").slice(0, 16);
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
