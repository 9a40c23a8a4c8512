/** The published packages of a workspace, from their manifests. */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";

/**
 * @typedef {{ name: string, version: string, folder: string }} PublicPackage
 */

/** @returns {PublicPackage[]} */
export function publicPackages(/** @type {string} */ root) {
  return ["packages", "packages/backends", "packages/providers"]
    .filter((parent) => existsSync(path.join(root, parent)))
    .flatMap((parent) =>
      readdirSync(path.join(root, parent))
        .sort()
        .map((name) => `${parent}/${name}`),
    )
    .filter((folder) => existsSync(path.join(root, folder, "package.json")))
    .map((folder) => ({ folder, ...JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8")) }))
    .filter((manifest) => manifest.private !== true)
    .map(({ name, version, folder }) => ({ name, version, folder }));
}
