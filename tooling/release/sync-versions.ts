/**
 * Writes each package's version into its `source` literal, `"@ropewalk/yarn@1.2.0"`.
 *
 * The registry tells two registrations of one name apart by this text, so it must say what is published. A literal, not
 * an import of package.json: that would need an import attribute, which bundlers and browsers do not all read.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { publishedPackages } from "@ropewalk/workspace";

/** @returns the files that were changed. */
export function syncVersions(root: string): string[] {
  return publishedPackages(root).flatMap(({ name, folder, manifest: { version } }) => {
    const file = `${folder}/src/index.ts`;
    if (!existsSync(path.join(root, file))) return [];
    const before = readFileSync(path.join(root, file), "utf8");
    const escaped = name.replaceAll("/", String.raw`\/`);
    const after = before.replaceAll(
      new RegExp(String.raw`(\bsource\s*[=:]\s*")${escaped}@[^"]*(?=")`, "g"),
      `$1${name}@${version}`,
    );
    if (after === before) return [];
    writeFileSync(path.join(root, file), after);
    return [file];
  });
}

if (import.meta.main) {
  const root = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, "../.."));
  for (const file of syncVersions(root)) console.log(`${file}: version literal rewritten`);
}
