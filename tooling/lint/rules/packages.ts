/**
 * The shape of what is published: manifests of all public packages, the anatomy of providers.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { isPublished, targetOf } from "@ropewalk/workspace";
import { keyOf, textOf, visit } from "../syntax.ts";
import { calls, loadedWith, published } from "../workspace.ts";
import type { Finding, Package, Workspace } from "../workspace.ts";

export function checkPackages({ root, packages }: Workspace): Finding[] {
  const products = packages.filter(isPublished);
  return [
    ...products.flatMap((item) => [...manifestOf(item), ...license(root, item), ...sourceLiteral(item)]),
    ...products
      .filter(({ kind }) => kind === "provider")
      .flatMap((item) => [...anatomy(root, item), ...pureFormula(item), ...sideEffect(item)]),
    ...privacy(packages),
  ];
}

/** The fields of a manifest that a user of the published package relies on. */
function manifestOf({ name, folder, manifest }: Package): Finding[] {
  const expected: [field: string, got: unknown, wanted: unknown][] = [
    ["license", manifest.license, "MIT"],
    ["type", manifest.type, "module"],
    ["engines.node", manifest.engines?.node, ">=20"],
    ["repository.directory", manifest.repository?.directory, folder],
    ["publishConfig.access", manifest.publishConfig?.access, "public"],
  ];
  const findings = expected
    .filter(([, got, wanted]) => got !== wanted)
    .map(([field, got, wanted]) => misfit(folder, field, wanted, got));
  if (typeof manifest.repository?.url !== "string") {
    findings.push(misfit(folder, "repository.url", "the repository's address", manifest.repository?.url));
  }
  if (typeof manifest.description !== "string" || manifest.description === "") {
    findings.push(misfit(folder, "description", "one sentence", manifest.description));
  }
  if (manifest.sideEffects === undefined) {
    findings.push(
      misfit(
        folder,
        "sideEffects",
        "false, or the files that register something: without it no bundler drops what is unused",
        undefined,
      ),
    );
  }
  if (!Array.isArray(manifest.files) || !manifest.files.includes("dist")) {
    findings.push(misfit(folder, "files", 'a list with "dist"', manifest.files));
  }
  for (const [entry, target] of Object.entries(manifest.exports ?? {})) {
    // Data has no types.
    if (entry.endsWith(".json")) continue;
    const { types, default: code } = targetOf(target);
    const valid =
      types !== undefined && types.replace(/\.d\.ts$/, ".js") === code && Object.keys(Object(target))[0] === "types";
    if (!valid) {
      findings.push(misfit(folder, `exports["${entry}"]`, "types first, then default, for the same module", target));
    }
  }
  if (manifest.exports === undefined && manifest.bin === undefined) {
    findings.push(misfit(folder, "exports", "the entries", undefined));
  }
  if (!/^(@ropewalk\/[a-z0-9-]+|(create-)?ropewalk)$/.test(name)) {
    findings.push(misfit(folder, "name", "@ropewalk/…", name));
  }
  return findings;
}

/** npm packs the license that lies in the package's folder; only pnpm takes the repository's. */
function license(root: string, { folder }: Package): Finding[] {
  const textIn = (where: string): string | undefined => {
    const file = path.join(root, where, "LICENSE");
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  };
  if (textIn(folder) === textIn("")) return [];
  return [{ rule: "license", file: `${folder}/LICENSE`, message: "is not a copy of the repository's LICENSE." }];
}

function misfit(folder: string, field: string, expected: unknown, got: unknown): Finding {
  return {
    rule: "manifest",
    file: `${folder}/package.json`,
    message: `"${field}": expected ${typeof expected === "string" ? expected : JSON.stringify(expected)}, got ${JSON.stringify(got)}.`,
  };
}

/** `source = "@ropewalk/yarn@1.2.0"` has to name the published version, because the registry compares it. */
function sourceLiteral(item: Package): Finding[] {
  const { name, folder, kind, manifest } = item;
  const expected = `${name}@${manifest.version}`;
  const file = `${folder}/src/index.ts`;
  const findings: Finding[] = [];
  let found = 0;
  for (const module of published(item)) {
    visit(module.program, (node) => {
      if ((node.type !== "PropertyDefinition" && node.type !== "Property") || keyOf(node.key) !== "source") return;
      const value = textOf(node.value?.type === "TSAsExpression" ? node.value.expression : node.value);
      if (value === undefined || !/^(@?[\w-]+\/)?[\w-]+@\d/.test(value)) return;
      // In other files the source of another package may be an example.
      if (module.file !== file && !value.startsWith(`${name}@`)) return;
      found++;
      if (module.file !== file) {
        findings.push({
          rule: "version-literal",
          file: module.file,
          line: module.lineOf(node),
          message: `the literal ${JSON.stringify(value)} is in ${module.file}: expected in ${file}, where tooling/release/sync-versions.ts keeps it up to date.`,
        });
      }
      if (value !== expected) {
        findings.push({
          rule: "version-literal",
          file: module.file,
          line: module.lineOf(node),
          message: `source: expected ${JSON.stringify(expected)} (package.json), got ${JSON.stringify(value)}. Run node tooling/release/sync-versions.ts.`,
        });
      }
    });
  }
  if (found === 0 && (kind === "provider" || kind === "backend")) {
    findings.push({
      rule: "version-literal",
      file,
      message: `no source literal: expected source = ${JSON.stringify(expected)}.`,
    });
  }
  return findings;
}

/** The files and entries that every provider has. All providers have the same layout. */
function anatomy(root: string, { folder, manifest }: Package): Finding[] {
  const rule = "provider-anatomy";
  const findings: Finding[] = [];
  for (const file of ["src/index.ts", "src/formula.ts", "README.md", "tsconfig.json", "tsconfig.test.json"]) {
    if (!existsSync(path.join(root, folder, file))) {
      findings.push({
        rule,
        file: `${folder}/${file}`,
        message: "is missing: every provider has it (docs/add-a-provider.md).",
      });
    }
  }
  const tests = path.join(root, folder, "test");
  if (!existsSync(tests) || !readdirSync(tests).some((file) => file.endsWith(".test.ts"))) {
    findings.push({
      rule,
      file: `${folder}/test`,
      message: "holds no *.test.ts: expected golden values and the laws that are special to the type.",
    });
  }
  const entries = { ".": "index", "./formula": "formula" };
  for (const [entry, module] of Object.entries(entries)) {
    const wanted = { types: `./dist/${module}.d.ts`, default: `./dist/${module}.js` };
    if (JSON.stringify(manifest.exports?.[entry]) !== JSON.stringify(wanted)) {
      findings.push({
        rule,
        file: `${folder}/package.json`,
        message: `exports["${entry}"]: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(manifest.exports?.[entry])}.`,
      });
    }
  }
  const listed = JSON.stringify(manifest.sideEffects);
  if (listed !== '["./dist/index.js","./src/index.ts"]') {
    findings.push({
      rule,
      file: `${folder}/package.json`,
      message: `"sideEffects": expected exactly ["./dist/index.js", "./src/index.ts"], got ${listed}. Bundlers drop a registration that is not listed, and keep what is.`,
    });
  }
  return findings;
}

/** The modules that `./formula` loads must not register anything or use the registry. */
function pureFormula(item: Package): Finding[] {
  const entry = `${item.folder}/src/formula.ts`;
  const registry = new Set([
    "registerRopeType",
    "unregisterRopeType",
    "registerBackend",
    "createRegistry",
    "defaultRegistry",
    "listRopeTypes",
    "getRope",
    "getRopeUntyped",
  ]);
  const findings: Finding[] = [];
  for (const { file, imports, program, lineOf } of loadedWith(item, entry)) {
    if (file === `${item.folder}/src/index.ts`) {
      findings.push({
        rule: "pure-formula",
        file: entry,
        message: `loads ${file}, which registers the type: expected the arrow the other way.`,
      });
    }
    for (const { specifier, typeOnly, line } of imports) {
      if (specifier === "@ropewalk/core" && !typeOnly) {
        findings.push({
          rule: "pure-formula",
          file,
          line,
          message:
            'imports values from "@ropewalk/core": expected "import type" from there, and values from "@ropewalk/core/math", which knows no registry.',
        });
      }
    }
    visit(program, (node) => {
      if (node.type === "Identifier" && registry.has(node.name)) {
        findings.push({
          rule: "pure-formula",
          file,
          line: lineOf(node),
          message: `names ${node.name}: expected a formula that knows no registry. Registering belongs to src/index.ts.`,
        });
      }
    });
  }
  return findings;
}

/** Only the file that `sideEffects` lists registers a type. */
function sideEffect(item: Package): Finding[] {
  const index = `${item.folder}/src/index.ts`;
  const registering = published(item).filter(({ program }) => calls(program, "registerRopeType").length > 0);
  const findings: Finding[] = registering
    .filter(({ file }) => file !== index)
    .map(({ file }) => ({
      rule: "one-side-effect",
      file,
      message: `registers a type: expected in ${index}, the only file that "sideEffects" lists; bundlers drop this one.`,
    }));
  if (!registering.some(({ file }) => file === index)) {
    findings.push({
      rule: "one-side-effect",
      file: index,
      message: "registers no type: expected @registerRopeType on the provider class.",
    });
  }
  return findings;
}

/** Packages that are not for users must be private, so that they cannot be published by accident. */
function privacy(packages: readonly Package[]): Finding[] {
  return packages
    .filter(({ folder, manifest }) => !folder.startsWith("packages/") && manifest.private !== true)
    .map(({ folder }) => ({
      rule: "private",
      file: `${folder}/package.json`,
      message: '"private": expected true; only packages/* are published.',
    }));
}
