/** The entries of a new provider in files outside of its folder. docs/add-a-provider.md lists them. */

import { fill } from "create-ropewalk";
import type { NewProvider } from "./provider.ts";

/** A file outside of the provider's folder, and its text with the entry. */
export interface Entry {
  readonly file: string;
  readonly edit: (text: string) => string;
}

export function entries({ folder, type, engines }: NewProvider): Entry[] {
  const name = `@ropewalk/${folder}`;
  const parameters = fill("__Name__Parameters", {
    type,
    package: name,
    version: "",
    description: "",
    author: "",
    year: "",
  });
  const key = /^\w+$/.test(type) ? type : JSON.stringify(type);
  return [
    {
      file: "packages/config/src/facts/rope-types.ts",
      edit: (text) =>
        before(
          text,
          "  // Sections and order come from several keys",
          `  ${key}: { package: "${name}", parameters: ["factor"] },\n`,
        ),
    },
    ...engines.map((engine) => ({
      file: "packages/config/src/facts/dialects.ts",
      edit: (text: string) => inList(text, `  name: "${engine}",`, "  ropeTypes: [", type),
    })),
    // Only a config that some engine reads has keys.
    ...(engines.length === 0
      ? []
      : [
          {
            file: "packages/config/src/facts/keys.ts",
            edit: (text: string) => inList(text, '      key: "factor",', "      ropeTypes: [", type),
          },
        ]),
    { file: "packages/config/test/helpers.ts", edit: (text) => sorted(text, `import "${name}";`) },
    { file: "packages/config/package.json", edit: dependency("devDependencies", name) },
    {
      file: "packages/ropewalk/src/index.ts",
      edit: (text) => sorted(sorted(text, `import "${name}";`), `export type { ${parameters} } from "${name}";`),
    },
    { file: "packages/ropewalk/package.json", edit: dependency("dependencies", name) },
    {
      file: "packages/create-ropewalk/src/taken-names.ts",
      edit: (text) => sorted(text, `    "${type}",`),
    },
    {
      file: "tooling/parity/types.ts",
      edit: (text) => {
        const row = `  { names: "\`${type}\`", here: "\`${name}\`" },\n`;
        return before(text, '  { names: "LTX"', row);
      },
    },
    {
      file: "README.md",
      edit: (text) => before(text, " | rope types of one axis", `, [\`${folder}\`](packages/providers/${folder})`),
    },
  ];
}

/** The entry for the changelogs. */
export function changeset({ folder, type }: NewProvider): { readonly file: string; readonly text: string } {
  const bumps = [
    `"@ropewalk/${folder}": minor`,
    '"@ropewalk/config": minor',
    '"ropewalk": minor',
    '"create-ropewalk": patch',
  ];
  return {
    file: `.changeset/${folder}-first.md`,
    text: `---\n${bumps.join("\n")}\n---\n\nAdded the rope type \`${type}\`.\n`,
  };
}

/** A type whose name is a word that core's code uses in its ordinary sense. */
export function ordinaryWord(text: string, type: string): string {
  return before(text, "]);\n\nexport function checkCore", `, ${JSON.stringify(type)}`);
}

/** Adds a word at the end of the first list of a field behind a place that is there exactly once. */
function inList(text: string, place: string, field: string, word: string): string {
  const start = text.indexOf(`${place}\n`);
  if (start === -1 || start !== text.lastIndexOf(`${place}\n`)) {
    const places = [...text.matchAll(/^ {2}name: ("[^"]+"),$/gm)].map(([, name]) => name);
    throw new Error(`expected ${place.trim()} once${places.length === 0 ? "" : `, or one of ${places.join(", ")}`}`);
  }
  const list = text.indexOf(field, start);
  const end = text.indexOf("]", list);
  const held = text.slice(0, end).trimEnd();
  return `${held}${held.endsWith(",") ? "" : ","} ${JSON.stringify(word)}${text.slice(end)}`;
}

/** Inserts before a place that is there exactly once. */
function before(text: string, place: string, insertion: string): string {
  const parts = text.split(place);
  if (parts.length !== 2) throw new Error(`expected ${JSON.stringify(place)} once, got ${parts.length - 1} times`);
  return parts.join(insertion + place);
}

/** Inserts a line among lines of the same form, in the order of the packages or words that they name. */
function sorted(text: string, line: string): string {
  const formOf = (other: string): string => other.replaceAll(/"[^"]*"|\{[^}]*\}/g, "").trimEnd();
  const keyOf = (other: string): string => /"([^"]*)"[^"]*$/.exec(other)?.[1] ?? "";
  const ours = (other: string): boolean =>
    formOf(other) === formOf(line) && keyOf(other).startsWith("@ropewalk/") === keyOf(line).startsWith("@ropewalk/");
  const lines = text.split("\n");
  // The first run of such lines; core and config are no providers.
  const first = lines.findIndex((other) => ours(other) && !/"@ropewalk\/(?:core|config)"/.test(other));
  if (first === -1) throw new Error(`expected lines like ${line.trim()}, got none`);
  let place = first;
  while (ours(lines[place] ?? "") && keyOf(lines[place]!) < keyOf(line)) place++;
  return lines.toSpliced(place, 0, line).join("\n");
}

function dependency(field: "dependencies" | "devDependencies", name: string): (text: string) => string {
  return (text) => {
    const manifest = JSON.parse(text) as Record<string, Record<string, string>>;
    const all = Object.entries({ ...manifest[field], [name]: "workspace:^" });
    manifest[field] = Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)));
    return `${JSON.stringify(manifest, null, 2)}\n`;
  };
}
