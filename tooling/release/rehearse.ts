/**
 * `npm run release:rehearse`: releases the pending changes, and later changes of core, into a registry on this
 * computer, and shows that users' projects keep working or are refused with words. The workspace and its git are not
 * touched.
 *
 * `--short` leaves out package managers other than npm, runtimes other than the oldest and the workspace's Node, and
 * what needs the outside. docs/releasing.md says what each proof is about.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { contractVersion, corePeerRange, publishedPackages } from "@ropewalk/workspace";
import { commit, copyWhole, draggedAlong, release, releaseOf, setVersions, temporaryFolder, withCopy } from "./copy.ts";
import type { Bump, Release } from "./copy.ts";
import { licenceProblems, licensedDependencies } from "./licences.ts";
import { contractProblem, packedProblems } from "./packed.ts";
import type { PackedManifest } from "./packed.ts";
import { lastLines, run, runWell } from "./processes.ts";
import { expectRefusal, expectRight, install, installedVersion, newProject, withPlugAndPlay } from "./projects.ts";
import type { Manager, Ranges } from "./projects.ts";
import { Proofs } from "./proofs.ts";
import { startRegistry } from "./registry.ts";
import type { Registry } from "./registry.ts";
import { writeSboms } from "./sbom.ts";
import { thirdParties } from "./third-party.ts";
import { findBun, findDeno, findNode, findNpm, findPnpm, findYarn, isMissing } from "./tools.ts";
import type { Missing, Tool } from "./tools.ts";

const core = "@ropewalk/core";
const yarn = "@ropewalk/yarn";

function table(title: string, releases: readonly Release[]): string {
  const moved = releases.filter(({ bump }) => bump !== "none");
  const width = Math.max(0, ...moved.map(({ name }) => name.length));
  const rows = moved.map(({ name, from, to, bump }) => `  ${name.padEnd(width)}  ${from} → ${to}  ${bump}`);
  return [title, ...(rows.length === 0 ? ["  nothing"] : rows), ""].join("\n");
}

/** Shows what entries release: in a copy of manifests alone. */
async function rehearseVersions(root: string, proofs: Proofs): Promise<void> {
  await proofs.prove("a minor of core bumps no package by more than a patch", () => {
    let dragged: Release[] = [];
    withCopy(root, (copy) => {
      console.log(table("The pending entries release:", release(copy)));
      const atZero = releaseOf(copy, core, "minor");
      console.log(table("After that, a minor change of core alone releases:", atZero));
      setVersions(copy, "1.0.0");
      const atOne = releaseOf(copy, core, "minor");
      console.log(table("The same from 1.0.0 on:", atOne));
      dragged = [...draggedAlong(atZero), ...draggedAlong(atOne)];
    });
    if (dragged.length === 0) return "at 0.x and from 1.0.0 on";
    const names = dragged.map(({ name, bump }) => `${name} (${bump})`).join(", ");
    throw new Error(`It bumps ${names}. Give them the range of docs/decisions/0030-peer-ranges.md.`);
  });
}

/** A copy of the workspace, and the registry that it publishes to. */
class Rehearsal {
  readonly copy: string;
  readonly folder: string;
  readonly proofs: Proofs;
  readonly registry: Registry;
  readonly #caches: string;
  readonly #root: string;
  #projects = 0;

  constructor(root: string, folder: string, copy: string, registry: Registry, proofs: Proofs) {
    this.#root = root;
    this.folder = folder;
    this.copy = copy;
    this.registry = registry;
    this.proofs = proofs;
    this.#caches = path.join(folder, "caches");
  }

  versionOf(name: string): string {
    return publishedPackages(this.copy).find((item) => item.name === name)?.manifest.version ?? "";
  }

  /** Changes a file of the copy. */
  edit(file: string, from: string | RegExp, to: string): void {
    const place = path.join(this.copy, file);
    const before = readFileSync(place, "utf8");
    const after = before.replace(from, to);
    if (after === before) throw new Error(`${file} has no ${from}: bring tooling/release/rehearse.ts in step with it.`);
    writeFileSync(place, after);
  }

  /** Installs what builds and publishes, from pnpm's store where it has it. Later changes of versions do not matter. */
  async installDependencies(): Promise<void> {
    const filters = ["--filter", "ropewalk-workspace", "--filter", "./packages/**"];
    const args = [...filters, "install", "--frozen-lockfile", "--prefer-offline"];
    await runWell(path.join(this.#root, "node_modules/.bin/pnpm"), args, this.copy, process.env);
    writeFileSync(path.join(this.copy, ".npmrc"), this.registry.npmrc);
    // pnpm would install again before it runs anything, since versions have changed.
    const settings = path.join(this.copy, "pnpm-workspace.yaml");
    writeFileSync(settings, `${readFileSync(settings, "utf8")}\nverifyDepsBeforeRun: false\n`);
  }

  /** Builds packages, each after those that it needs. */
  async build(...names: readonly string[]): Promise<void> {
    const filters = names.flatMap((name) => ["--filter", name]);
    await runWell(path.join(this.copy, "node_modules/.bin/pnpm"), [...filters, "run", "build"], this.copy);
  }

  /** Publishes every package whose version the registry does not have. */
  async publish(): Promise<void> {
    commit(this.copy);
    const bin = path.join(this.copy, "node_modules/.bin");
    const env = { PATH: `${bin}${path.delimiter}${process.env["PATH"]}`, NPM_CONFIG_PROVENANCE: "false" };
    const { status, all } = await run(path.join(bin, "changeset"), ["publish"], this.copy, env);
    if (status !== 0) throw new Error(`changeset publish ended with ${status}:\n${lastLines(all, 40)}`);
  }

  /** Releases, builds and publishes a change of one package, without others that it bumps. @returns its version. */
  async releaseOne(name: string, bump: Exclude<Bump, "none">): Promise<string> {
    releaseOf(this.copy, name, bump);
    await this.build(name);
    const args = ["--filter", name, "publish", "--no-git-checks", "--no-provenance"];
    await runWell(path.join(this.copy, "node_modules/.bin/pnpm"), args, this.copy);
    return this.versionOf(name);
  }

  project(dependencies: Ranges): string {
    const folder = path.join(this.folder, "projects", String(this.#projects++));
    newProject(folder, this.registry, dependencies);
    return folder;
  }

  get caches(): string {
    return this.#caches;
  }

  /** Runs the user's programs. */
  right(runtime: Tool, folder: string, file: Parameters<typeof expectRight>[3] = "main.mjs"): Promise<object> {
    return expectRight(runtime, folder, this.#caches, file);
  }
}

/** What is needed of the outside. */
interface Tools {
  readonly managers: ReadonlyMap<Manager, Tool | Missing>;
  readonly runtimes: readonly (Tool | Missing)[];
  /** This Node, to run what does not depend on the runtime. */
  readonly node: Tool;
}

async function findTools(root: string, folder: string, isShort: boolean): Promise<Tools> {
  const node = { title: `Node ${process.versions.node}`, command: process.execPath, args: [] };
  const npm = await findNpm(folder);
  if (isShort) return { managers: new Map([["npm", npm]]), runtimes: [await findNode(20, folder), node], node };
  const [node20, node22, bun, deno, classic, berry, pnpm] = await Promise.all([
    findNode(20, folder),
    findNode(22, folder),
    findBun(folder),
    findDeno(folder),
    findYarn("classic", folder),
    findYarn("berry", folder),
    findPnpm(root, folder),
  ]);
  return {
    managers: new Map<Manager, Tool | Missing>([
      ["npm", npm],
      ["pnpm", pnpm],
      ["yarn 1", classic],
      ["yarn", berry],
      ["bun", bun],
    ]),
    runtimes: [node20, node22, node, bun, deno],
    node,
  };
}

/** The first release: what is in the tarballs, and what users get. */
async function firstRelease(it: Rehearsal, { managers, runtimes }: Tools): Promise<void> {
  const { proofs, copy } = it;
  const packages = publishedPackages(copy);
  const contract = contractVersion(copy);
  await proofs.prove("every packed manifest keeps the rules, every package has its changelog", async () => {
    const published = new Set(packages.map(({ name }) => name));
    const problems = [contractProblem(contract, it.versionOf(core))].filter((problem) => problem !== undefined);
    for (const { name, folder, kind, manifest } of packages) {
      const tarball = path.join(it.folder, "registry/storage", name, `${path.basename(name)}-${manifest.version}.tgz`);
      const packed = JSON.parse(
        await runWell("tar", ["xzOf", tarball, "package/package.json"], copy),
      ) as PackedManifest;
      const changelog = path.join(copy, folder, "CHANGELOG.md");
      const isLogged = existsSync(changelog) && readFileSync(changelog, "utf8").includes(`\n## ${manifest.version}\n`);
      problems.push(...packedProblems(packed, kind, contract, published, isLogged));
    }
    if (problems.length > 0) throw new Error(problems.join("\n"));
    return `${packages.length} tarballs`;
  });
  await proofs.prove("a bill of materials for every package", async () => {
    return `${(await writeSboms(copy, path.join(it.folder, "sbom"))).length} in CycloneDX 1.6`;
  });
  await forEach(managers, async (manager, tool) => {
    const title = `${tool.title}: only core and yarn`;
    if (isMissing(tool)) {
      proofs.leaveOut(title, tool.reason);
      return;
    }
    const project = it.project({ [core]: it.versionOf(core), [yarn]: it.versionOf(yarn) });
    const isInstalled = await proofs.prove(`${title}, installed`, async () => {
      await installCleanly(it, manager, tool, project);
      const ours = readdirSync(path.join(project, "node_modules/@ropewalk")).sort();
      if (ours.join(",") !== "core,yarn") throw new Error(`expected core and yarn, got ${ours.join(", ")}`);
      return `${core} ${it.versionOf(core)}, ${yarn} ${it.versionOf(yarn)}, no warning`;
    });
    for (const runtime of runtimes) {
      const on = `${title}, on ${runtime.title}`;
      if (isMissing(runtime)) proofs.leaveOut(on, runtime.reason);
      else if (!isInstalled) proofs.leaveOut(on, "it is not installed, see above");
      else await proofs.prove(on, async () => (await it.right(runtime, project), "the numbers of YaRN"));
    }
  });
  const berry = managers.get("yarn");
  if (berry !== undefined && !isMissing(berry)) await plugAndPlay(it, berry);
}

/** The way in which yarn 4 installs by default, which only Node runs. */
async function plugAndPlay(it: Rehearsal, berry: Tool): Promise<void> {
  const title = `${berry.title} by Plug'n'Play: only core and yarn, on Node ${process.versions.node}`;
  await it.proofs.prove(title, async () => {
    const project = it.project({ [core]: it.versionOf(core), [yarn]: it.versionOf(yarn) });
    withPlugAndPlay(project);
    await installCleanly(it, "yarn", berry, project);
    if (installedVersion(project, core) !== "nothing") throw new Error("expected no node_modules");
    await it.right({ ...berry, args: [...berry.args, "node"] }, project);
    return "the numbers of YaRN";
  });
}

/** Does the same with every package manager, side by side: each has a project of its own. */
async function forEach(
  managers: Tools["managers"],
  action: (manager: Manager, tool: Tool | Missing) => Promise<void>,
): Promise<void> {
  await Promise.all([...managers].map(([manager, tool]) => action(manager, tool)));
}

/** @throws Error if the package manager fails, or warns of peers. */
async function installCleanly(it: Rehearsal, manager: Manager, tool: Tool, project: string): Promise<void> {
  const { status, all, warnings } = await install(manager, tool, project, it.caches);
  if (status !== 0) throw new Error(`${tool.title} ended with ${status}:\n${lastLines(all)}`);
  if (warnings.length > 0) throw new Error(`${tool.title} warns:\n${warnings.join("\n")}`);
}

/** Shows that a published provider works with a newer core, under every package manager. */
async function keepsWorking(it: Rehearsal, tools: Tools, what: string, newer: string, older: string): Promise<void> {
  await forEach(tools.managers, async (manager, tool) => {
    const title = `${what}: the old provider works (${isMissing(tool) ? tool.title : manager})`;
    if (isMissing(tool)) {
      it.proofs.leaveOut(title, tool.reason);
      return;
    }
    await it.proofs.prove(title, async () => {
      const project = it.project({ [core]: newer, [yarn]: older });
      await installCleanly(it, manager, tool, project);
      const got = installedVersion(project, core);
      if (got !== newer) throw new Error(`expected core ${newer}, got ${got}`);
      await it.right(tools.node, project);
      return `core ${newer}, yarn ${older}, no warning`;
    });
  });
}

/** Shows that two versions that do not fit are refused: at the installation, and where that is forced, by core. */
async function areRefused(
  it: Rehearsal,
  tools: Tools,
  what: string,
  [coreVersion, yarnVersion]: readonly [string, string],
  outdated: "core" | "other",
  versions: readonly string[],
): Promise<void> {
  const dependencies = { [core]: coreVersion, [yarn]: yarnVersion };
  await forEach(tools.managers, async (manager, tool) => {
    const title = `${what} (${isMissing(tool) ? tool.title : manager})`;
    if (isMissing(tool)) {
      it.proofs.leaveOut(title, tool.reason);
      return;
    }
    await it.proofs.prove(title, async () => {
      const project = it.project(dependencies);
      const first = await install(manager, tool, project, it.caches);
      let word = first.status !== 0 ? "refuses" : first.warnings.length > 0 ? "warns" : "is silent";
      if (manager === "npm") {
        if (first.status === 0 || !first.all.includes("ERESOLVE")) {
          throw new Error(`expected ERESOLVE, got:\n${first.all}`);
        }
        word = "refuses (ERESOLVE)";
        rmSync(path.join(project, "node_modules"), { recursive: true, force: true });
        const forced = await install(manager, tool, project, it.caches, ["--legacy-peer-deps"]);
        if (forced.status !== 0) throw new Error(lastLines(forced.all));
      }
      const { message } = await expectRefusal(tools.node, project, it.caches, "main.mjs", outdated, versions);
      return `${manager} ${word}; ROPE_SPEC_VERSION\n${message}`;
    });
  });
}

/** A project whose core is `ours`, with a package that brings a core and a provider of its own. */
async function withSecondCopy(it: Rehearsal, npm: Tool, ours: string, theirs: Ranges): Promise<string> {
  const holder = it.project({ holder: "0.0.0" });
  const manifest = { name: "holder", version: "1.0.0", type: "module", exports: "./index.js", dependencies: theirs };
  writeFileSync(path.join(holder, "package.json"), JSON.stringify(manifest));
  writeFileSync(path.join(holder, "index.js"), `import "${yarn}";\nexport * as core from "${core}";\n`);
  const project = it.project({ [core]: ours, holder: `file:${holder}` });
  const { status, all } = await install("npm", npm, project, it.caches, ["--install-links"]);
  if (status !== 0) throw new Error(lastLines(all));
  return project;
}

/** Later releases of core, and what becomes of providers published before. */
async function laterReleases(it: Rehearsal, tools: Tools, isShort: boolean): Promise<void> {
  const { proofs } = it;
  const npm = tools.managers.get("npm") as Tool;
  const provider = it.versionOf(yarn);
  const first = it.versionOf(core);
  const contract = contractVersion(it.copy);
  const contractFile = "packages/core/src/provider.ts";
  const setContract = (version: number): void =>
    it.edit(contractFile, /(SPECIFICATION_VERSION =) \d+/, `$1 ${version}`);

  if (!isShort) {
    const patch = await it.releaseOne(core, "patch");
    await keepsWorking(it, tools, "a patch of core", patch, provider);
  }
  it.edit("packages/core/src/index.ts", /$/, '\nexport const rehearsed: string = "a feature";\n');
  const minor = await it.releaseOne(core, "minor");
  await keepsWorking(it, tools, "a minor of core", minor, provider);

  await proofs.prove("two copies of core share one registry", async () => {
    const project = await withSecondCopy(it, npm, minor, { [core]: first, [yarn]: provider });
    await it.right(tools.node, project, "holder.mjs");
    return `core ${minor} finds what core ${first} has registered`;
  });

  // A contract is never ahead of core's major version, so the next one comes with the next major but one.
  let before = minor;
  do before = await it.releaseOne(core, "major");
  while (Number(before.split(".")[0]) < contract);
  if (!isShort) await keepsWorking(it, tools, `core ${before}, of the same contract`, before, provider);
  setContract(contract + 1);
  const next = await it.releaseOne(core, "major");
  await keepsWorking(it, tools, `core ${next}, contract ${contract + 1}`, next, provider);

  it.edit("packages/providers/yarn/src/index.ts", /(specificationVersion =) \d+/, `$1 ${contract + 1}`);
  const peer = /"@ropewalk\/core": "workspace:>=[^"]*"/;
  it.edit("packages/providers/yarn/package.json", peer, `"${core}": "${corePeerRange(contract + 1, next)}"`);
  const newProvider = await it.releaseOne(yarn, "major");
  await keepsWorking(it, tools, `yarn ${newProvider}, contract ${contract + 1}`, next, newProvider);
  const both = [`expected ${contract}`, `got ${contract + 1}`];
  await areRefused(it, tools, "a downgrade: a new provider on an old core", [before, newProvider], "core", both);
  await proofs.prove("a downgrade: the rope of a new core, read from a file by an old one", async () => {
    const newer = it.project({ [core]: next, [yarn]: newProvider });
    const older = it.project({ [core]: before, [yarn]: provider });
    for (const project of [newer, older]) await installCleanly(it, "npm", npm, project);
    writeFileSync(path.join(older, "spec.json"), JSON.stringify(await it.right(tools.node, newer)));
    return (await expectRefusal(tools.node, older, it.caches, "spec.mjs", "core", both)).message;
  });
  await proofs.prove("a downgrade: a new provider with a new core of its own, beside an old core", async () => {
    const project = await withSecondCopy(it, npm, before, { [core]: next, [yarn]: newProvider });
    return (await expectRefusal(tools.node, project, it.caches, "holder.mjs", "core", both)).message;
  });

  setContract(contract + 2);
  const afterNext = await it.releaseOne(core, "major");
  const supported = [`expected ${contract + 1} or ${contract + 2}`, `got ${contract}`];
  const title = `core ${afterNext}, contract ${contract + 2}, refuses the old provider`;
  await areRefused(it, tools, title, [afterNext, provider], "other", supported);
  await proofs.prove(`core ${afterNext} refuses what an old copy of core has registered`, async () => {
    const project = await withSecondCopy(it, npm, afterNext, { [core]: first, [yarn]: provider });
    return (await expectRefusal(tools.node, project, it.caches, "holder.mjs", "other", supported)).message;
  });
}

/** What the outside says of the packages that are used here. It may be out of reach: that is printed. */
async function supplyChain(root: string, proofs: Proofs): Promise<void> {
  await proofs.prove("licences of what the command lines bring along", () => {
    const packages = licensedDependencies(root);
    const problems = licenceProblems(packages);
    if (problems.length > 0) throw new Error(problems.join("\n"));
    return `${packages.length} packages, listed in docs/licences.md`;
  });
  const audit = "pnpm audit";
  const args = ["audit", "--json"];
  const { status, out, all } = await run(path.join(root, "node_modules/.bin/pnpm"), args, root, process.env, 60);
  const counts = /"vulnerabilities":\s*(\{[^}]*\})/.exec(out)?.[1]?.replaceAll(/\s+/g, " ");
  if (counts === undefined) {
    proofs.leaveOut(audit, `the registry gives no advisories: ${all.trim().replaceAll(/\s+/g, " ")}`);
    return;
  }
  await proofs.prove(audit, () => {
    if (status !== 0) throw new Error(`${counts}. Run pnpm audit, and raise what it names.`);
    return counts;
  });
}

async function rehearse(root: string, isShort: boolean): Promise<Proofs> {
  const proofs = new Proofs();
  await rehearseVersions(root, proofs);
  const folder = temporaryFolder();
  // Also when it is stopped by hand.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  let registry: Registry | undefined;
  try {
    const copy = path.join(folder, "workspace");
    const served = path.join(folder, "registry");
    const tools = path.join(folder, "tools");
    for (const place of [copy, served, tools]) mkdirSync(place);
    copyWhole(root, copy);
    const uplink = execFileSync("npm", ["config", "get", "registry"], { cwd: root, encoding: "utf8" }).trim();
    const found = findTools(root, tools, isShort);
    registry = await startRegistry(served, uplink);
    const it = new Rehearsal(root, folder, copy, registry, proofs);
    const isPublished = await proofs.prove("all packages are built and published", async () => {
      await it.installDependencies();
      release(copy);
      const names = publishedPackages(copy).map(({ name }) => name);
      await it.build(...names);
      await it.publish();
      return `${names.length} packages into a registry on 127.0.0.1`;
    });
    const usable = await found;
    if (isPublished) {
      await firstRelease(it, usable);
      if (!isShort) {
        const npm = usable.managers.get("npm") as Tool;
        await proofs.prove("packages by others are published, and installed beside ours", () =>
          thirdParties(path.join(copy, "examples"), it.registry, npm, it.caches),
        );
      }
      await proofs.prove("later releases of core are published", async () => {
        await laterReleases(it, usable, isShort);
        return "patch, minor, major, two new contracts";
      });
    }
    if (!isShort) {
      await supplyChain(root, proofs);
      await proofs.prove("every entry compiles under TypeScript 5.2 to 7", async () => {
        await runWell(path.join(root, "node_modules/.bin/pnpm"), ["run", "build"], root);
        const printed = await runWell(process.execPath, ["apps/bundle-check/proofs.ts", "types"], root);
        return printed.trimEnd().split("\n").at(-1) ?? "";
      });
    }
    if (!existsSync(folder)) {
      await proofs.prove("the rehearsal's folder stays until its end", () => {
        throw new Error(
          `${folder} was removed while it ran, and the cause is not known: what failed above says nothing. Run it again.`,
        );
      });
    }
  } finally {
    await registry?.stop();
  }
  return proofs;
}

if (import.meta.main) {
  const unknown = process.argv.slice(2).filter((argument) => argument !== "--short");
  if (unknown.length > 0) throw new Error(`expected --short or nothing, got ${unknown.join(" ")}`);
  const proofs = await rehearse(path.resolve(import.meta.dirname, "../.."), process.argv.includes("--short"));
  console.log(proofs.table());
  process.exitCode = proofs.count("FAILED") === 0 ? 0 : 1;
}
