/** Reads built declarations (`dist/*.d.ts`): finds the text that declares an exported name. */

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { visit } from "@ropewalk/lint/syntax";
import { parseSync } from "oxc-parser";
import type { Node, Program, Statement } from "oxc-parser";

/** Where a name comes from. */
interface Origin {
  readonly specifier: string;
  readonly name: string;
}

/** An exported name: whether only its type is exported, and the local name or where it comes from. */
interface Exported {
  readonly typeOnly: boolean;
  readonly target: string | Origin;
}

/** A name of a file: its own declarations, more than one for overloads, or another package's name. */
export type Resolved =
  | {
      readonly file: string;
      readonly name: string;
      readonly texts: readonly string[];
      readonly uses: ReadonlySet<string>;
    }
  | Origin;

interface Declared {
  readonly texts: string[];
  readonly uses: Set<string>;
}

interface Module {
  readonly declared: ReadonlyMap<string, Declared>;
  readonly imported: ReadonlyMap<string, Origin>;
  readonly exported: ReadonlyMap<string, Exported>;
  /** `declare module "…"` blocks, with which the package extends another package. */
  readonly additions: readonly string[];
  /** Files of the package that it imports or exports from. */
  readonly siblings: readonly string[];
}

/** The declarations of a package; each file is read once. */
export class Declarations {
  readonly #modules = new Map<string, Module>();

  /** The exports of a file, sorted by name. */
  exportsOf(file: string): { readonly name: string; readonly typeOnly: boolean; readonly target: Resolved }[] {
    return [...this.#read(file).exported]
      .map(([name, { typeOnly }]) => ({ name, typeOnly, target: this.#exported(file, name) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The declaration of a name that a file uses; undefined for names of the language and type parameters. */
  local(file: string, name: string): Resolved | undefined {
    const { declared, imported } = this.#read(file);
    const own = declared.get(name);
    if (own !== undefined) return { file, name, ...own };
    const origin = imported.get(name);
    return origin === undefined ? undefined : this.#follow(file, origin);
  }

  /** The `declare module` blocks of a file and of the files that it imports from. */
  additions(file: string): string[] {
    const reached = new Set<string>([file]);
    for (const one of reached) for (const sibling of this.#read(one).siblings) reached.add(sibling);
    return [...reached].flatMap((one) => this.#read(one).additions);
  }

  #exported(file: string, name: string): Resolved {
    const target = this.#read(file).exported.get(name)?.target;
    const found = typeof target === "object" ? this.#follow(file, target) : this.local(file, target ?? name);
    if (found === undefined) throw new Error(`${file} exports no ${name}`);
    return found;
  }

  #follow(file: string, origin: Origin): Resolved {
    return origin.specifier.startsWith(".") ? this.#exported(besides(file, origin.specifier), origin.name) : origin;
  }

  #read(file: string): Module {
    const known = this.#modules.get(file);
    if (known !== undefined) return known;
    const module = read(file);
    this.#modules.set(file, module);
    return module;
  }
}

/** The declarations of a module that another one names: `./rope.ts` or `./rope.js` → `rope.d.ts`. */
function besides(file: string, specifier: string): string {
  return path.join(path.dirname(file), specifier.replace(/\.[jt]s$/, ".d.ts"));
}

function read(file: string): Module {
  if (!existsSync(file)) throw new Error(`${file} does not exist: the package is not built. Run npm run build.`);
  const source = readFileSync(file, "utf8");
  const { program, comments, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file} does not parse: ${errors[0]!.message}`);
  const declared = new Map<string, Declared>();
  const imported = new Map<string, Origin>();
  const exported = new Map<string, Exported>();
  const additions: string[] = [];

  const without = [...comments, ...privates(program)].sort((a, b) => a.start - b.start);
  const text = (node: Node): string => textOf(source, node, without);
  const declare = (name: string, node: Node, words: string): void => {
    const entry = declared.get(name) ?? { texts: [], uses: new Set() };
    entry.texts.push(words);
    for (const use of typesIn(node)) entry.uses.add(use);
    declared.set(name, entry);
  };
  const declareAll = (node: Statement, isExported: boolean): void => {
    for (const [name, words] of declarationsOf(node, text)) {
      declare(name, node, words);
      if (isExported) exported.set(name, { typeOnly: false, target: name });
    }
  };

  for (const node of program.body) {
    if (node.type === "ImportDeclaration") {
      for (const specifier of node.specifiers) {
        const name = specifier.type === "ImportSpecifier" ? nameOf(specifier.imported) : "*";
        imported.set(specifier.local.name, { specifier: node.source.value, name });
      }
    } else if (node.type === "ExportNamedDeclaration") {
      if (node.declaration !== null) declareAll(node.declaration, true);
      for (const { local, exported: name, exportKind } of node.specifiers) {
        exported.set(nameOf(name), {
          typeOnly: node.exportKind === "type" || exportKind === "type",
          target: node.source === null ? nameOf(local) : { specifier: node.source.value, name: nameOf(local) },
        });
      }
    } else if (node.type === "TSModuleDeclaration" && node.id.type === "Literal") additions.push(text(node));
    else if (node.type === "ExportAllDeclaration" || node.type === "ExportDefaultDeclaration") {
      throw new Error(`${file}: expected exports by name, got ${source.slice(node.start, node.end)}`);
    } else declareAll(node, false);
  }
  const targets = [...imported.values(), ...[...exported.values()].map(({ target }) => target)];
  const siblings = targets
    .filter((target) => typeof target === "object" && target.specifier.startsWith("."))
    .map((target) => besides(file, (target as Origin).specifier));
  return { declared, imported, exported, additions, siblings };
}

/** The names that a statement declares, each with its text. */
function declarationsOf(node: Statement, text: (node: Node) => string): [name: string, text: string][] {
  switch (node.type) {
    case "VariableDeclaration":
      return node.declarations.flatMap((one) =>
        one.id.type === "Identifier" ? [[one.id.name, `${node.kind} ${text(one)};`]] : [],
      );
    case "FunctionDeclaration":
    case "TSDeclareFunction":
    case "ClassDeclaration":
    case "TSInterfaceDeclaration":
    case "TSTypeAliasDeclaration":
      return node.id === null ? [] : [[node.id.name, text(node).replace(/^declare /, "")]];
    default:
      return [];
  }
}

/** The names used as types in a declaration. A reader has to look them up to understand it. */
function typesIn(declaration: Node): Set<string> {
  const names = new Set<string>();
  const first = (node: Node): void => {
    if (node.type === "Identifier") names.add(node.name);
    else if (node.type === "TSQualifiedName") first(node.left);
  };
  visit(declaration, (node) => {
    if (node.type === "TSTypeReference") first(node.typeName);
    else if (node.type === "TSTypeQuery") first(node.exprName);
    else if (node.type === "TSInterfaceHeritage" || node.type === "TSClassImplements") first(node.expression);
    else if (node.type === "ClassDeclaration" && node.superClass !== null) first(node.superClass);
  });
  return names;
}

/** Private members. */
function privates(program: Program): { readonly start: number; readonly end: number }[] {
  const found: Node[] = [];
  visit(program, (node) => {
    const isMember = node.type === "PropertyDefinition" || node.type === "MethodDefinition";
    if (isMember && (node.key.type === "PrivateIdentifier" || node.accessibility === "private")) found.push(node);
  });
  return found;
}

/** The text of a node without some of its parts, and without lines that become empty. */
function textOf(
  source: string,
  node: Node,
  without: readonly { readonly start: number; readonly end: number }[],
): string {
  let [result, at] = ["", node.start];
  for (const { start, end } of without.filter((part) => part.start >= node.start && part.end <= node.end)) {
    result += source.slice(at, start);
    at = end;
  }
  return (result + source.slice(at, node.end))
    .split("\n")
    .map((line) => line.trimEnd().replace(/^( {4})+/, (indent) => "  ".repeat(indent.length / 4)))
    .filter((line) => line !== "")
    .join("\n");
}

function nameOf(node: Node): string {
  if (node.type === "Identifier") return node.name;
  if (node.type === "Literal" && typeof node.value === "string") return node.value;
  throw new Error(`expected a name, got a node of type ${node.type}`);
}
