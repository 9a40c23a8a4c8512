/**
 * Writes each package's version into its `source` literal, `"@ropewalk/yarn@1.2.0"`, and into what the manifests in
 * `examples` ask for.
 *
 * The registry tells two registrations of one name apart by this text, so it must say what is published. A literal, not
 * an import of package.json: that would need an import attribute, which bundlers and browsers do not all read.
 */

import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { publishedPackages } from "@ropewalk/workspace";

/** @returns the files that were changed. */
export function syncVersions(root: string): string[] {
  const packages = publishedPackages(root);
  const sources = packages.flatMap(({ name, folder, manifest: { version } }) => {
    const literal = new RegExp(String.raw`(\bsource\s*[=:]\s*")${escaped(name)}@[^"]*(?=")`, "g");
    return rewrite(root, `${folder}/src/index.ts`, (text) => text.replaceAll(literal, `$1${name}@${version}`));
  });
  // They are outside of the workspace, so changesets does not know them. Before the first release they name that.
  const released = packages.filter(({ manifest }) => manifest.version !== "0.0.0");
  const examples = globSync("examples/*/package.json", { cwd: root })
    .sort()
    .flatMap((file) =>
      rewrite(root, file.replaceAll("\\", "/"), (text) =>
        released.reduce(
          (changed, { name, manifest: { version } }) =>
            changed.replaceAll(new RegExp(`("${escaped(name)}": ")\\^[^"]*(?=")`, "g"), `$1^${version}`),
          text,
        ),
      ),
    );
  return [...sources, ...examples];
}

const escaped = (name: string): string => name.replaceAll("/", String.raw`\/`);

/** @returns the file, if it is there and changes. */
function rewrite(root: string, file: string, change: (text: string) => string): string[] {
  const place = path.join(root, file);
  if (!existsSync(place)) return [];
  const before = readFileSync(place, "utf8");
  const after = change(before);
  if (after === before) return [];
  writeFileSync(place, after);
  return [file];
}

if (import.meta.main) {
  const root = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, "../.."));
  for (const file of syncVersions(root)) console.log(`${file}: versions rewritten`);
}
