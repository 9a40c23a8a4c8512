/**
 * A software bill of materials for each published package, in CycloneDX 1.6, by `pnpm sbom`. The release workflow
 * attaches them: `node tooling/release/sbom.ts FOLDER`.
 */

import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { publishedPackages } from "@ropewalk/workspace";
import type { WorkspacePackage } from "@ropewalk/workspace";
import { runWell } from "./processes.ts";

/** Writes one file for each published package, and checks it. @returns their paths. */
export async function writeSboms(root: string, folder: string): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const packages = publishedPackages(root);
  const format = ["--sbom-format", "cyclonedx", "--sbom-spec-version", "1.6", "--prod", "--split"];
  const filters = packages.flatMap(({ name }) => ["--filter", name]);
  const pnpm = path.join(root, "node_modules/.bin/pnpm");
  await runWell(pnpm, ["sbom", ...format, ...filters, "--out", path.join(folder, "%s-%v.cdx.json")], root);
  return packages.map((item) => {
    const file = `${item.name.replace("@", "").replace("/", "-")}-${item.manifest.version}.cdx.json`;
    const problems = sbomProblems(JSON.parse(readFileSync(path.join(folder, file), "utf8")), item);
    if (problems.length > 0) throw new Error(`${file}: ${problems.join("; ")}. See pnpm sbom --help.`);
    return path.join(folder, file);
  });
}

interface Component {
  readonly name?: string;
  readonly group?: string;
  readonly version?: string;
  readonly purl?: string;
  readonly licenses?: readonly unknown[];
}

/** The fields of CycloneDX that its readers need. */
interface Bom {
  readonly bomFormat?: string;
  readonly specVersion?: string;
  readonly metadata?: { readonly component?: Component };
  readonly components?: readonly Component[];
  readonly dependencies?: readonly { readonly ref?: string }[];
}

/** What is wrong with a bill: of whom it is, what it lists, and whether each entry can be looked up. */
export function sbomProblems(bom: Bom, { name, manifest }: Pick<WorkspacePackage, "name" | "manifest">): string[] {
  const problems: string[] = [];
  if (bom.bomFormat !== "CycloneDX") problems.push(`bomFormat: expected CycloneDX, got ${bom.bomFormat}`);
  if (bom.specVersion !== "1.6") problems.push(`specVersion: expected 1.6, got ${bom.specVersion}`);
  const purl = `pkg:npm/${name.replace("@", "%40")}@${manifest.version}`;
  const of = bom.metadata?.component?.purl;
  if (of !== purl) problems.push(`metadata.component.purl: expected ${purl}, got ${of}`);
  const components = bom.components ?? [];
  const names = components.map((item) => (item.group === undefined ? item.name : `${item.group}/${item.name}`));
  for (const dependency of Object.keys(manifest.dependencies ?? {})) {
    if (!names.includes(dependency)) problems.push(`components: ${dependency} is missing`);
  }
  for (const [index, { purl: id, licenses = [] }] of components.entries()) {
    if (!/^pkg:npm\/.+@\d/.test(id ?? "")) problems.push(`components: ${names[index]} has no purl`);
    if (licenses.length === 0) problems.push(`components: ${names[index]} has no licence`);
  }
  const kept = new Set(bom.dependencies?.map(({ ref }) => ref));
  for (const { purl: id } of components) if (!kept.has(id)) problems.push(`dependencies: ${id} is missing`);
  return problems;
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error("expected the folder to write to: node tooling/release/sbom.ts FOLDER");
  const files = await writeSboms(path.resolve(import.meta.dirname, "../.."), path.resolve(folder));
  console.log(`${files.length} bills of materials in ${folder}`);
}
