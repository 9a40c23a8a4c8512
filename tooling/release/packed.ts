/** What a packed manifest must say: that of the tarball, as users get it. */

import { corePeerRange } from "@ropewalk/workspace";
import type { Kind, Manifest } from "@ropewalk/workspace";

/** A manifest in a tarball. */
export interface PackedManifest extends Manifest {
  readonly scripts?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly bundleDependencies?: unknown;
  readonly bundledDependencies?: unknown;
}

const core = "@ropewalk/core";

/**
 * What is wrong with a packed manifest, with the cure of each.
 *
 * @param contract the version of core's contract that the package is written for.
 * @param published the names of all packages of this repository.
 * @param hasChangelog whether the package's folder has a changelog with this version.
 */
export function packedProblems(
  manifest: PackedManifest,
  kind: Kind,
  contract: number,
  published: ReadonlySet<string>,
  hasChangelog: boolean,
): string[] {
  const { name, dependencies = {}, peerDependencies = {}, scripts = {} } = manifest;
  const problems: string[] = [];
  const say = (what: string, cure: string): void => void problems.push(`${name}: ${what}. ${cure}`);

  if (kind !== "command") {
    // What one package may use of another is checked by `npm run lint`; here it is that all is ours.
    for (const dependency of Object.keys(dependencies)) {
      if (dependency === core) {
        say(`"dependencies" holds ${core}`, "Make it a peer: a copy of its own has a cache of its own.");
      } else if (!published.has(dependency)) {
        say(
          `"dependencies" holds ${dependency}`,
          "Only the command lines have run-time dependencies: write what is needed.",
        );
      }
    }
    if (kind === "core" && Object.keys({ ...dependencies, ...peerDependencies }).length > 0) {
      say("core depends on other packages", "Core imports nothing.");
    }
    if (manifest.optionalDependencies !== undefined) {
      say('it has "optionalDependencies"', "A package that may be missing is a peer that the user installs.");
    }
  }
  for (const field of ["bundleDependencies", "bundledDependencies"] as const) {
    if (manifest[field] !== undefined) say(`it has "${field}"`, "A bundled copy is seen by no audit: depend on it.");
  }
  for (const script of ["preinstall", "install", "postinstall", "prepare"]) {
    if (scripts[script] !== undefined) {
      say(`it runs "${script}" on users' computers`, "Do it in the build, before it is packed.");
    }
  }
  for (const [dependency, range] of Object.entries({ ...dependencies, ...peerDependencies })) {
    if (/^(workspace|catalog|file|link):/.test(range)) {
      say(`${dependency} is "${range}"`, "Pack with pnpm, which writes versions for them.");
    }
  }
  const range = peerDependencies[core];
  if (kind !== "core" && kind !== "command") {
    const lowest = /^>=(\d+\.\d+\.\d+) /.exec(range ?? "")?.[1];
    const wanted = corePeerRange(contract, lowest ?? "x.y.z").replace("workspace:", "");
    if (range !== wanted) {
      say(
        `its range of ${core} is ${JSON.stringify(range)}, expected ${wanted}`,
        "A narrower range shuts out a core that accepts the package, a wider one lets in a core that refuses it.",
      );
    }
  }
  if (!hasChangelog) {
    const cure = 'Set "changelog" in .changeset/config.json, and write versions with npm run version-packages.';
    say(`its CHANGELOG.md has no entry for ${manifest.version}`, cure);
  }
  return problems;
}

/** Why core may not be released with a contract; `undefined` if it may. Ranges of peers rest on this rule. */
export function contractProblem(contract: number, core: string): string | undefined {
  const major = Number(core.split(".")[0]);
  if (contract <= Math.max(1, major)) return undefined;
  return `core ${core} has contract ${contract}: a new contract is a major of core and never ahead of its version. Add an entry with "@ropewalk/core": major, and see docs/decisions/0030-peer-ranges.md.`;
}
