/**
 * The licences of what the command lines bring along: `docs/licences.md`. Run it to write the page; a test compares.
 */

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";

/** Licences that ask for no more than to keep their text. */
export const allowedLicences: readonly string[] = [
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "MIT",
];

export interface Licensed {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
}

/** The packages with run-time dependencies of others: the command lines. */
const commands = ["ropewalk", "create-ropewalk"];

/** What `ropewalk` and `create-ropewalk` bring along when they are installed, of others' packages; sorted. */
export function licensedDependencies(root: string): Licensed[] {
  const filters = commands.flatMap((name) => ["--filter", name]);
  const pnpm = path.join(root, "node_modules/.bin/pnpm");
  const args = ["licenses", "list", "--prod", "--json", ...filters];
  const found = JSON.parse(execFileSync(pnpm, args, { cwd: root, encoding: "utf8" })) as Readonly<
    Record<string, readonly { readonly name: string; readonly versions: readonly string[] }[]>
  >;
  return Object.entries(found)
    .flatMap(([licence, packages]) =>
      packages.flatMap(({ name, versions }) => versions.map((version) => ({ name, version, licence }))),
    )
    .sort((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1));
}

/** Packages with a licence that is not allowed, with the cure. */
export function licenceProblems(packages: readonly Licensed[]): string[] {
  return packages
    .filter(({ licence }) => !allowedLicences.includes(licence))
    .map(
      ({ name, version, licence }) =>
        `${name}@${version} has the licence ${licence}: expected one of ${allowedLicences.join(", ")}. Use another package, or read that licence and add it to tooling/release/licences.ts.`,
    );
}

export function licencePage(packages: readonly Licensed[]): string {
  return `# Licences

\`ropewalk\` and \`create-ropewalk\`, the packages with a command line, bring these packages along. Core, the providers, the backends and
\`@ropewalk/config\` bring none. Written by \`npm run release:licences\`; a test compares.

| package | version | licence |
| --- | --- | --- |
${packages.map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`).join("\n")}
`;
}

if (import.meta.main) {
  const root = path.resolve(import.meta.dirname, "../..");
  const packages = licensedDependencies(root);
  for (const problem of licenceProblems(packages)) {
    console.error(problem);
    process.exitCode = 1;
  }
  writeFileSync(path.join(root, "docs/licences.md"), licencePage(packages));
}
