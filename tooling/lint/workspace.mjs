/**
 * The workspace as the rules see it: packages, their modules, what each module imports.
 *
 * Everything is read under a given root, so that a test can point the rules at a tree with a planted violation.
 * Modules are parsed, not searched: a name in a comment is no import.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseSync } from "oxc-parser";

/**
 * @typedef {{ rule: string, file: string, line?: number | undefined, message: string }} Finding
 * @typedef {{ specifier: string, line: number, typeOnly: boolean, form: "import" | "export" | "export *" | "dynamic" }} Import
 * @typedef {{ file: string, source: string, program: any, imports: Import[], errors: string[], lineOf: (offset: number) => number }} Module
 * @typedef {"core" | "config" | "conformance" | "command" | "provider" | "backend" | "library" | "app" | "tooling"} Kind
 * @typedef {{ name: string, folder: string, kind: Kind, manifest: any, modules: Module[] }} Package
 * @typedef {{ root: string, packages: Package[] }} Workspace
 */

// `assembly` holds AssemblyScript: TypeScript by name only.
const skipped = new Set(["node_modules", "dist", "coverage", "assembly"]);
const isSource = /\.[cm]?[jt]sx?$/;

/** Folders of packages, with what lies in them. */
const kindOfGroup = {
  "packages/providers": "provider",
  "packages/backends": "backend",
  apps: "app",
  tooling: "tooling",
};
const kindOfName = { core: "core", config: "config", conformance: "conformance", ropewalk: "command" };

/** @returns {Workspace} */
export function readWorkspace(/** @type {string} */ root) {
  /** @type {Package[]} */
  const packages = [];
  for (const group of ["packages", ...Object.keys(kindOfGroup)]) {
    const parent = path.join(root, group);
    if (!existsSync(parent)) continue;
    for (const name of readdirSync(parent).sort()) {
      const folder = `${group}/${name}`;
      const file = path.join(root, folder, "package.json");
      if (!existsSync(file)) continue;
      const manifest = JSON.parse(readFileSync(file, "utf8"));
      const modules = sourceFiles(root, folder).map((source) => readModule(root, source));
      packages.push({ name: manifest.name, folder, kind: kindOf(group, name), manifest, modules });
    }
  }
  return { root, packages };
}

/** Source files of a package, without what is built or installed, and without packages of its own (fixtures, templates). */
function sourceFiles(/** @type {string} */ root, /** @type {string} */ folder) {
  /** @type {string[]} */
  const files = [];
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const file = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      const nested = existsSync(path.join(root, file, "package.json"));
      if (!skipped.has(entry.name) && !entry.name.startsWith(".") && !nested) files.push(...sourceFiles(root, file));
    } else if (isSource.test(entry.name)) files.push(file);
  }
  return files.sort();
}

/**
 * What a package is: the folder says it, and below `packages` itself the name of the few that are one of a kind.
 * @returns {Kind}
 */
function kindOf(/** @type {string} */ group, /** @type {string} */ name) {
  if (group !== "packages") return /** @type {Record<string, Kind>} */ (kindOfGroup)[group] ?? "tooling";
  return /** @type {Record<string, Kind>} */ (kindOfName)[name] ?? "library";
}

/** @returns {Module} */
function readModule(/** @type {string} */ root, /** @type {string} */ file) {
  const source = readFileSync(path.join(root, file), "utf8");
  const { program, errors } = parseSync(file, source);
  const lineOf = (/** @type {number} */ offset) => source.slice(0, offset).split("\n").length;
  /** @type {Import[]} */
  const imports = [];
  visit(program, (node) => {
    const value = node.source?.value;
    if (typeof value !== "string") return;
    const line = lineOf(node.start);
    const typeOnly = node.importKind === "type" || node.exportKind === "type" || node.type === "TSImportType";
    if (node.type === "ImportDeclaration") imports.push({ specifier: value, line, typeOnly, form: "import" });
    else if (node.type === "ExportNamedDeclaration") imports.push({ specifier: value, line, typeOnly, form: "export" });
    else if (node.type === "ExportAllDeclaration") {
      imports.push({ specifier: value, line, typeOnly, form: node.exported === null ? "export *" : "export" });
    } else if (node.type === "ImportExpression" || node.type === "TSImportType") {
      imports.push({ specifier: value, line, typeOnly, form: "dynamic" });
    }
  });
  return { file, source, program, imports, errors: errors.map(({ message }) => message), lineOf };
}

/** Calls `see` with every node of a syntax tree. */
export function visit(/** @type {any} */ node, /** @type {(node: any) => void} */ see) {
  if (Array.isArray(node)) for (const item of node) visit(item, see);
  else if (typeof node === "object" && node !== null) {
    if (typeof node.type === "string") see(node);
    for (const key of Object.keys(node)) if (typeof node[key] === "object") visit(node[key], see);
  }
}

/** The calls of a function by its plain name, decorators included. */
export function calls(/** @type {any} */ program, /** @type {string} */ name) {
  /** @type {any[]} */
  const found = [];
  visit(program, (node) => {
    if (node.type === "CallExpression" && node.callee.type === "Identifier" && node.callee.name === name) {
      found.push(node);
    }
  });
  return found;
}

/** The modules of a package that are published. */
export function published(/** @type {Package} */ { folder, modules }) {
  return modules.filter(({ file }) => file.startsWith(`${folder}/src/`));
}

/** The file that a relative specifier names. */
export function resolveRelative(/** @type {string} */ from, /** @type {string} */ specifier) {
  return path.posix.join(path.posix.dirname(from), specifier);
}

/**
 * The modules that load when `entry` is imported, itself included; types are erased and load nothing.
 * @returns {Module[]}
 */
export function loadedWith(/** @type {Package} */ { modules }, /** @type {string} */ entry) {
  const byFile = new Map(modules.map((module) => [module.file, module]));
  /** @type {Set<Module>} */
  const reached = new Set();
  const waiting = [entry];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const module = byFile.get(file);
    if (module === undefined || reached.has(module)) continue;
    reached.add(module);
    for (const { specifier, typeOnly } of module.imports) {
      if (!typeOnly && specifier.startsWith(".")) waiting.push(resolveRelative(file, specifier));
    }
  }
  return [...reached];
}

/** `@ropewalk/yarn/formula` → `@ropewalk/yarn`; undefined for relative specifiers and built-ins. */
export function packageOf(/** @type {string} */ specifier) {
  if (specifier.startsWith(".") || specifier.startsWith("/") || specifier.startsWith("node:")) return undefined;
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : parts[0];
}
