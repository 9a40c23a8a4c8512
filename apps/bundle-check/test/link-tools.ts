/** Puts packages into a node_modules of a test, with their commands, as `npm install` would: without a network. */

import { existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync } from "node:fs";
import path from "node:path";
import { root } from "./packed.ts";

/** Where this workspace has the tools that new packages are built with. */
const sources = ["apps/bundle-check", "packages/create-ropewalk"].map((owner) =>
  path.join(root, owner, "node_modules"),
);

/** Links a package's folder into `modules`, and its commands into `modules/.bin`. */
export function linkPackage(modules: string, name: string, target: string): void {
  const folder = realpathSync(target);
  mkdirSync(path.dirname(path.join(modules, name)), { recursive: true });
  symlinkSync(folder, path.join(modules, name), "dir");
  linkCommands(modules, name, folder);
}

/** Links the commands of a package. They are executable: packing makes them so. */
export function linkCommands(modules: string, name: string, folder: string): void {
  const { bin } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as {
    bin?: string | Record<string, string>;
  };
  const commands = typeof bin === "string" ? { [path.posix.basename(name)]: bin } : (bin ?? {});
  for (const [command, file] of Object.entries(commands)) {
    mkdirSync(path.join(modules, ".bin"), { recursive: true });
    symlinkSync(path.join(folder, file), path.join(modules, ".bin", command));
  }
}

/** Links libraries of this workspace. */
export function linkTools(modules: string, names: readonly string[]): void {
  for (const name of names) {
    const target = sources.map((source) => path.join(source, name)).find((folder) => existsSync(folder));
    if (target === undefined) throw new Error(`${name} is a dependency of none of ${sources.join(", ")}`);
    linkPackage(modules, name, target);
  }
}
