/**
 * The workspace as the rules see it: packages, their modules, what each module imports.
 *
 * Everything is read under a given root, so that a test can check a tree with a planted violation. Modules are parsed,
 * not searched, so a name in a comment is not an import.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { workspacePackages } from "@ropewalk/workspace";
import type { WorkspacePackage } from "@ropewalk/workspace";
import { parseSync } from "oxc-parser";
import type { CallExpression, Node, Program } from "oxc-parser";
import { propertiesOf, textOf, visit } from "./syntax.ts";

export interface Finding {
  readonly rule: string;
  readonly file: string;
  readonly line?: number | undefined;
  readonly message: string;
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
  readonly typeOnly: boolean;
  readonly form: "import" | "export" | "export *" | "dynamic";
}

/** A comment with the numbers of its lines. */
export interface SourceComment {
  readonly line: number;
  readonly lines: readonly string[];
}

export interface Module {
  readonly file: string;
  readonly program: Program;
  readonly imports: readonly Import[];
  readonly errors: readonly string[];
  readonly comments: readonly SourceComment[];
  lineOf(node: Node): number;
}

export interface Package extends WorkspacePackage {
  readonly modules: readonly Module[];
}

export interface Workspace {
  readonly root: string;
  readonly packages: readonly Package[];
}

// `assembly` holds AssemblyScript: TypeScript by name only.
const skipped = new Set(["node_modules", "dist", "coverage", "assembly"]);
const isSource = /\.[cm]?[jt]sx?$/;

export function readWorkspace(root: string): Workspace {
  const packages = workspacePackages(root).map((item) => ({
    ...item,
    modules: sourceFiles(root, item.folder).map((file) => readModule(root, file)),
  }));
  return { root, packages };
}

/** Source files of a package, without built or installed files and without nested packages (fixtures). */
function sourceFiles(root: string, folder: string): string[] {
  const files: string[] = [];
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const file = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      const nested = existsSync(path.join(root, file, "package.json"));
      if (!skipped.has(entry.name) && !entry.name.startsWith(".") && !nested) files.push(...sourceFiles(root, file));
    } else if (isSource.test(entry.name)) files.push(file);
  }
  return files.sort();
}

function readModule(root: string, file: string): Module {
  const source = readFileSync(path.join(root, file), "utf8");
  const { program, errors, comments: parsed } = parseSync(file, source);
  const lineOf = ({ start }: { readonly start: number }): number => source.slice(0, start).split("\n").length;
  const sourceLines = source.split("\n");
  const comments = parsed.map((comment) => {
    const line = lineOf(comment);
    return { line, lines: sourceLines.slice(line - 1, line + comment.value.split("\n").length - 1) };
  });
  const imports: Import[] = [];
  visit(program, (node) => {
    switch (node.type) {
      case "ImportDeclaration":
        imports.push({
          specifier: node.source.value,
          line: lineOf(node),
          typeOnly: node.importKind === "type",
          form: "import",
        });
        break;
      case "ExportNamedDeclaration":
      case "ExportAllDeclaration": {
        if (node.source === null) break;
        const isStar = node.type === "ExportAllDeclaration" && node.exported === null;
        const typeOnly = node.exportKind === "type";
        imports.push({
          specifier: node.source.value,
          line: lineOf(node),
          typeOnly,
          form: isStar ? "export *" : "export",
        });
        break;
      }
      case "ImportExpression":
      case "TSImportType": {
        const specifier = node.source.type === "Literal" ? node.source.value : undefined;
        if (typeof specifier !== "string") break;
        imports.push({ specifier, line: lineOf(node), typeOnly: node.type === "TSImportType", form: "dynamic" });
      }
    }
  });
  return { file, program, imports, errors: errors.map(({ message }) => message), comments, lineOf };
}

/** The calls of a function by its plain name, decorators included. */
export function calls(program: Program, name: string): CallExpression[] {
  const found: CallExpression[] = [];
  visit(program, (node) => {
    if (node.type === "CallExpression" && node.callee.type === "Identifier" && node.callee.name === name) {
      found.push(node);
    }
  });
  return found;
}

/** Names and aliases of the rope types that a package registers. */
export function registeredTypes(item: Package): string[] {
  return published(item).flatMap(({ program }) =>
    calls(program, "registerRopeType").flatMap(({ arguments: [type, options] }) => {
      const aliases = propertiesOf(options).get("aliases");
      // A list of names, or an object whose keys are names.
      const names = aliases?.type === "ArrayExpression" ? aliases.elements.map(textOf) : propertiesOf(aliases).keys();
      return [textOf(type), ...names].filter((name) => name !== undefined);
    }),
  );
}

/** The modules of a package that are published. */
export function published({ folder, modules }: Package): Module[] {
  return modules.filter(({ file }) => file.startsWith(`${folder}/src/`));
}

/** The file that a relative specifier names. */
export function resolveRelative(from: string, specifier: string): string {
  return path.posix.join(path.posix.dirname(from), specifier);
}

/** The modules that load when `entry` is imported, itself included; types are erased and load nothing. */
export function loadedWith({ modules }: Package, entry: string): Module[] {
  const byFile = new Map(modules.map((module) => [module.file, module]));
  const reached = new Set<Module>();
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
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith(".") || specifier.startsWith("/") || specifier.startsWith("node:")) return undefined;
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : parts[0];
}
