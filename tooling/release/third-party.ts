/** The packages and the app of `examples`, as strangers would publish and install them. */

import { writeFileSync } from "node:fs";
import path from "node:path";
import { lastLines, run } from "./processes.ts";
import { install, privateCaches } from "./projects.ts";
import type { Registry } from "./registry.ts";
import type { Tool } from "./tools.ts";

const packages = ["ropewalk-provider-cope", "ropewalk-backend-trace"] as const;

/**
 * Publishes the two packages, and installs and tests the app that depends on them. Their own checks run in `npm test`
 * of the workspace.
 *
 * @param examples the folder, with ranges that the registry can serve.
 * @returns what was shown.
 * @throws Error with a program's output, if it fails or warns of peers.
 */
export async function thirdParties(examples: string, registry: Registry, npm: Tool, caches: string): Promise<string> {
  const env = { ...privateCaches(caches), NPM_CONFIG_PROVENANCE: "false" };
  const call = async (folder: string, ...args: readonly string[]): Promise<void> => {
    const { status, all } = await run(npm.command, [...npm.args, ...args], folder, env);
    if (status !== 0) throw new Error(`${folder}: npm ${args.join(" ")} ended with ${status}:\n${lastLines(all)}`);
  };
  const installed = async (name: string): Promise<string> => {
    const folder = path.join(examples, name);
    writeFileSync(path.join(folder, ".npmrc"), registry.npmrc);
    const { status, all, warnings } = await install("npm", npm, folder, caches, ["--ignore-scripts"]);
    if (status !== 0 || warnings.length > 0) throw new Error(`${name}: npm install:\n${lastLines(all)}`);
    return folder;
  };
  await Promise.all(
    packages.map(async (name) => {
      const folder = await installed(name);
      await call(folder, "run", "build", "--if-present");
      await call(folder, "publish", "--ignore-scripts");
    }),
  );
  await call(await installed("app"), "test");
  return `${packages.join(" and ")} published; an app with both passes its tests`;
}
