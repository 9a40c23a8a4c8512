/** Rules for single statements that oxlint does not have. */

import type { Node } from "oxc-parser";
import { keyOf, textOf, visit } from "../syntax.ts";
import { published, registeredTypes } from "../workspace.ts";
import type { Finding, Module, Package, Workspace } from "../workspace.ts";

export function checkCode(workspace: Workspace): Finding[] {
  const modules = workspace.packages.flatMap((item) => item.modules);
  return [
    ...modules.flatMap(pathnames),
    ...modules.flatMap(instanceofRopeError),
    ...modules.flatMap(wideComments),
    ...snakeCase(workspace),
  ];
}

/**
 * `new URL("x", import.meta.url).pathname` is not a path: it has `%20` for a space, `%C3%BC` for an umlaut, `/C:` for a
 * drive. The code does not always show which URLs are files, so `pathname` is allowed only on `location` and on a URL
 * that is written with http.
 */
function pathnames({ file, program, lineOf }: Module): Finding[] {
  const findings: Finding[] = [];
  const report = (node: Node): void => {
    findings.push({
      rule: "url-pathname",
      file,
      line: lineOf(node),
      message: "takes the pathname of a URL: expected fileURLToPath(url), which also finds a path with a space in it.",
    });
  };
  visit(program, (node, parent) => {
    if (node.type === "MemberExpression" && keyOf(node.property) === "pathname" && !isOnTheWeb(node.object)) {
      report(node);
    }
    if (node.type === "ObjectPattern" && parent?.type === "VariableDeclarator" && !isOnTheWeb(parent.init)) {
      for (const property of node.properties) {
        if (property.type === "Property" && keyOf(property.key) === "pathname") report(property);
      }
    }
  });
  return findings;
}

/** `location`, `window.location`, `new URL(…, "http://localhost")`. */
function isOnTheWeb(node: Node | null): boolean {
  if (node?.type === "Identifier") return node.name === "location";
  if (node?.type === "MemberExpression") return keyOf(node.property) === "location";
  return node?.type === "NewExpression" && node.arguments.some((value) => /^https?:/.test(textOf(value) ?? ""));
}

/** Two copies of core have two classes of this name; `RopeError.is` knows the errors of both. */
function instanceofRopeError({ file, program, lineOf }: Module): Finding[] {
  const findings: Finding[] = [];
  visit(program, (node) => {
    if (node.type !== "BinaryExpression" || node.operator !== "instanceof") return;
    const { right } = node;
    const name = right.type === "MemberExpression" ? keyOf(right.property) : keyOf(right);
    if (name !== "RopeError") return;
    findings.push({
      rule: "rope-error-is",
      file,
      line: lineOf(node),
      message:
        "instanceof RopeError: expected RopeError.is(error), which also knows the errors of another copy of core.",
    });
  });
  return findings;
}

const COLUMNS = 120;

/** oxfmt breaks code at 120 columns, but no comment. Orders to oxlint and lines of one word have no place to break. */
function wideComments({ file, comments }: Module): Finding[] {
  return comments.flatMap(({ line, lines }) =>
    lines.flatMap((text, index): Finding[] => {
      // What stands behind code on its line is oxfmt's.
      const words = /^\s*(?:\/\/|\/\*+|\*)\s(?!oxlint-)(.*)$/.exec(text)?.[1]?.trim() ?? "";
      const width = [...text].length;
      if (width <= COLUMNS || !words.includes(" ")) return [];
      const message = `a comment of ${width} columns: expected at most ${COLUMNS}, as in code. Break the line.`;
      return [{ rule: "comment-width", file, line: line + index, message }];
    }),
  );
}

/** Files with snake_case words of other formats: the start of a path, and the meaning of the words. */
const otherFormats: Readonly<Record<string, string>> = {
  "packages/backends/webgpu/src/": "names in WGSL, and the uniforms that are filled by these names",
  "packages/ropewalk/src/cli/files.ts": "node_modules",
  "packages/ropewalk/src/cli/gguf.ts": "names of tensors in GGUF files",
  "packages/ropewalk/src/cli/npy-header.ts": "fortran_order in the header of npy",
  "packages/ropewalk/src/cli/permute/": "names of tensors and modules, and weight_map in the index of shards",
  "packages/ropewalk/src/cli/lint.ts":
    "keys that the command removes or adds in a copy of the config, to find the cause of a difference",
  "packages/ropewalk/src/cli/safetensors": "data_offsets in the header of safetensors",
};

/** Element types, whose names are the same everywhere. */
const elementTypes: ReadonlySet<string> = new Set(["float8_e4m3"]);

/** One word: `rope_theta`, `llama.rope.freq_base`. */
const snake = /^[a-z][a-z0-9]*(?:\.[a-z0-9]+)*(?:_[a-z0-9]+)+(?:[._][a-z0-9]+)*$/;

/**
 * Only config reads the keys of config.json and GGUF, so each spelling is known in one place.
 *
 * Published code has no other reason for snake_case. So the rule refuses all names, keys and one-word strings in
 * snake_case. Exceptions: names and aliases of registered rope types, element types, and the files of other formats
 * above. Sentences, regular expressions and comments may name a key, because they explain it to a reader.
 */
function snakeCase({ packages }: Workspace): Finding[] {
  const types = new Set(packages.flatMap(registeredTypes));
  const products = packages.filter(({ folder, kind }) => folder.startsWith("packages/") && kind !== "config");
  return products.flatMap((item: Package) =>
    published(item)
      .filter(({ file }) => !Object.keys(otherFormats).some((start) => file.startsWith(start)))
      .flatMap(({ file, program, lineOf }) => {
        const findings: Finding[] = [];
        visit(program, (node) => {
          const text = wordOf(node);
          if (text === undefined || !snake.test(text) || types.has(text) || elementTypes.has(text)) return;
          findings.push({
            rule: "snake-case-only-in-config",
            file,
            line: lineOf(node),
            message: `names ${text}: expected camelCase, and keys of config.json and GGUF in packages/config alone. Ask @ropewalk/config for what the key says; words of another format are listed in tooling/lint/rules/code.ts.`,
          });
        });
        return findings;
      }),
  );
}

/** A name or a whole string. */
function wordOf(node: Node): string | undefined {
  if (node.type === "PrivateIdentifier") return node.name;
  if (node.type === "TemplateLiteral") return node.expressions.length === 0 ? node.quasis[0]?.value.raw : undefined;
  return keyOf(node);
}
