/**
 * Turns `@example` blocks of doc comments into modules that can be compiled and run.
 *
 * A block may leave out imports and input arrays; both are put before it. A comment after a statement states the value
 * of the statement, and is checked.
 */

import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { Declarations } from "@ropewalk/api/declarations";
import { targetOf } from "@ropewalk/workspace";
import { parseSync } from "oxc-parser";
import type { Statement } from "oxc-parser";
import type { PublicPackage } from "./packed.ts";

export interface Example {
  /** Its place: file and line. */
  readonly place: string;
  readonly package: string;
  readonly text: string;
}

/** The tags that end a block; an example may hold decorators. */
const tags = /^@(?:deprecated|example|param|remarks|returns|see|template|throws)\b/m;

/** The examples in the comments of a source text, with the line of each. */
export function examplesIn(source: string, file = "source.ts"): { readonly line: number; readonly text: string }[] {
  return parseSync(file, source).comments.flatMap(({ type, start, value }) => {
    if (type !== "Block" || !value.startsWith("*")) return [];
    const comment = value.replaceAll(/^[ \t]*\*[ \t]?/gm, "");
    const blocks = [...comment.matchAll(/^@example\b/gm)];
    return blocks.map(({ index }) => {
      const rest = comment.slice(index + "@example".length);
      const text = rest.slice(0, tags.exec(rest)?.index).replaceAll(/^```\w*$/gm, "");
      const line = (source.slice(0, start) + comment.slice(0, index)).split("\n").length;
      return { line, text: text.trim() };
    });
  });
}

/** All examples of a package's published source, and how often the tag is written there. */
export function examplesOf({ name, folder }: PublicPackage): {
  readonly examples: Example[];
  readonly written: number;
} {
  const files = readdirSync(path.join(folder, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .sort();
  const sources = files.map((file) => ({ file, source: readFileSync(path.join(folder, "src", file), "utf8") }));
  return {
    examples: sources.flatMap(({ file, source }) =>
      examplesIn(source, file).map(({ line, text }) => ({ place: `${name} src/${file}:${line}`, package: name, text })),
    ),
    written: sources.reduce((sum, { source }) => sum + source.split("@example").length - 1, 0),
  };
}

/** The input arrays of examples: 16 tokens of one head of 128. */
const given: Readonly<Record<string, string>> = {
  query: "const query = Float32Array.from({ length: 16 * 128 }, (_, i) => Math.sin(i));",
  key: "const key = Float32Array.from({ length: 16 * 128 }, (_, i) => Math.cos(i));",
  text: `const text = '{ "model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "max_position_embeddings": 8192 }';`,
};

/** The code that replaces the dots in an example of a provider. */
const hinted =
  'implements RopeProvider<YarnParameters> { specificationVersion = 1 as const; source = "rope-hinted@1.0.0"; parameters = yarnParameters; frequencies = yarnFrequencies; }';

/** An example as a module, with missing imports, input arrays, and checks of its comments. */
export function moduleOf(example: Example, exporters: ReadonlyMap<string, string>): string {
  const text = example.text.replaceAll("implements RopeProvider<YarnParameters> { … }", hinted);
  const { program, comments, errors } = parseSync("example.ts", text);
  if (errors.length > 0) throw new Error(`${example.place} does not parse: ${errors[0]!.message}`);
  const own = new Set(program.body.flatMap(declared));
  const wanted = [...new Set(text.match(/\b[A-Za-z]\w*\b/g))].filter((word) => !own.has(word));
  const prelude = [
    'import { check } from "./check.ts";',
    ...wanted.flatMap((word) =>
      exporters.has(word) ? [`import { ${word} } from ${JSON.stringify(exporters.get(word))};`] : [],
    ),
    ...wanted.flatMap((word) => given[word] ?? []),
  ];
  let [body, at] = ["", 0];
  for (const { type, start, end, value } of comments) {
    const statement = program.body.find((node) => node.end <= start && /^[ \t;]*$/.test(text.slice(node.end, start)));
    const isBehindCode = /\S/.test(text.slice(text.lastIndexOf("\n", start) + 1, start));
    if (type !== "Line" || !isBehindCode) continue;
    if (statement === undefined) {
      throw new Error(`${example.place}: expected a comment behind a whole statement, got one within: ${value.trim()}`);
    }
    const said = `${JSON.stringify(value.trim())}, ${JSON.stringify(example.place)});`;
    if (statement.type === "ExpressionStatement") {
      const { expression } = statement;
      body += `${text.slice(at, statement.start)}check(${text.slice(expression.start, expression.end)}, ${said}`;
    } else body += `${text.slice(at, start)}\ncheck(${declared(statement).at(-1)}, ${said}`;
    at = end;
  }
  return `${prelude.join("\n")}\n${body}${text.slice(at)}\nexport {};\n`;
}

/** The names that a statement of a module declares. */
function declared(node: Statement): string[] {
  switch (node.type) {
    case "ImportDeclaration":
      return node.specifiers.map(({ local }) => local.name);
    case "ExportNamedDeclaration":
      return node.declaration === null ? [] : declared(node.declaration);
    case "VariableDeclaration":
      return node.declarations.flatMap(({ id }) => (id.type === "Identifier" ? [id.name] : []));
    case "ClassDeclaration":
    case "FunctionDeclaration":
      return node.id === null ? [] : [node.id.name];
    default:
      return [];
  }
}

/**
 * The entry for each name that an example does not import: first of its own package, then of core, then of others; an
 * entry that registers nothing before one that registers a type.
 */
export function exportersFor(own: string, packages: readonly PublicPackage[]): Map<string, string> {
  const declarations = new Declarations();
  const rank = (name: string, entry: string): number =>
    (name === own ? 0 : name === "@ropewalk/core" ? 2 : 4) + (entry === "." ? 1 : 0);
  const entries = packages.flatMap(({ name, folder, manifest }) =>
    Object.entries(manifest.exports ?? {}).flatMap(([entry, target]) => {
      const { types } = targetOf(target);
      return types === undefined
        ? []
        : [{ entry: path.posix.join(name, entry), file: path.join(folder, types), rank: rank(name, entry) }];
    }),
  );
  const exporters = new Map<string, string>();
  for (const { entry, file } of entries.sort((a, b) => a.rank - b.rank)) {
    for (const { name } of declarations.exportsOf(file)) if (!exporters.has(name)) exporters.set(name, entry);
  }
  return exporters;
}

/**
 * The file `check.ts` beside the modules. It compares a value with a comment; the name of the class and brackets are
 * optional.
 */
export const check = `export function check(value: unknown, said: string, place: string): void {
  const isList = Array.isArray(value) || ArrayBuffer.isView(value);
  const inside = isList ? Array.from(value as ArrayLike<unknown>).join(", ") : String(value);
  const forms = isList ? [inside, \`[\${inside}]\`, \`\${value.constructor.name} [\${inside}]\`] : [inside, JSON.stringify(value)];
  if (forms.includes(said.replaceAll(/\\s+/g, " "))) return;
  throw new Error(\`\${place}: the comment says \${said}, and the example gives \${forms.at(-1)}\`);
}
`;
