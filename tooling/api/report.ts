/** The page with the exports of a package, `api.md` beside its package.json. */

import path from "node:path";
import { targetOf } from "@ropewalk/workspace";
import type { WorkspacePackage } from "@ropewalk/workspace";
import { Declarations } from "./declarations.ts";
import type { Resolved } from "./declarations.ts";

/** Every exported name with its full signature, sorted, entry by entry; comments left out. Needs the build. */
export function report(root: string, { name, folder, manifest }: WorkspacePackage): string {
  const declarations = new Declarations();
  const entries = Object.entries(manifest.exports ?? {}).flatMap(([entry, target]) => {
    const { types } = targetOf(target);
    return types === undefined ? [] : [{ title: path.posix.join(name, entry), file: path.join(root, folder, types) }];
  });
  const sections = entries.map((entry) => ({ ...entry, names: declarations.exportsOf(entry.file) }));
  // The place of each declaration on the page. Each stands there once: in the first entry that exports it, else in the
  // first entry that needs it.
  const places = new Map<string, string>();
  for (const { title, names } of sections) {
    for (const { target } of names) if (isOwn(target) && !places.has(keyOf(target))) places.set(keyOf(target), title);
  }
  const page = [
    `# ${name}\n\nWhat the package exports. Written by \`npm run api\` from the built declarations, without their comments.`,
    ...sections.map(({ title, file, names }) => {
      const here = names
        .map(({ target }) => target)
        .filter((target) => isOwn(target) && places.get(keyOf(target)) === title);
      const unnamed = reached(declarations, here, places);
      for (const target of unnamed) places.set(keyOf(target), title);
      return [
        `## ${title}`,
        block(names.flatMap((one) => lines(one, title, places))),
        unnamed.length === 0 ? "" : "Not exported, but part of what is:",
        block(unnamed.flatMap(({ texts }) => texts)),
        ...declarations.additions(file).map((text) => block([text])),
      ]
        .filter((part) => part !== "")
        .join("\n\n");
    }),
  ].join("\n\n");
  // The release writes versions. A new version does not change the exports.
  return `${page.replaceAll(`"${name}@${manifest.version}"`, `"${name}@…"`)}\n`;
}

/** An exported name: its declarations if they stand in this entry, else a reference to their place. */
function lines(
  { name, typeOnly, target }: ReturnType<Declarations["exportsOf"]>[number],
  title: string,
  places: ReadonlyMap<string, string>,
): readonly string[] {
  const place = isOwn(target) ? places.get(keyOf(target)) : target.specifier;
  const alias = target.name === name ? name : `${target.name} as ${name}`;
  const exports = `export ${typeOnly ? "type " : ""}{ ${alias} }`;
  if (!isOwn(target) || place !== title) return [`${exports} from "${place}";`];
  const isType = target.texts.every((text) => /^(interface|type) /.test(text));
  const isPlain = target.name === name && (isType || !typeOnly);
  return isPlain ? target.texts : [...target.texts, `${exports};`];
}

type Own = Exclude<Resolved, { readonly specifier: string }>;

const isOwn = (target: Resolved): target is Own => !("specifier" in target);
const byName = (a: Own, b: Own): number => (a.name < b.name ? -1 : 1);
const keyOf = ({ file, name }: Own): string => `${file} ${name}`;
const block = (texts: readonly string[]): string => (texts.length === 0 ? "" : `\`\`\`ts\n${texts.join("\n")}\n\`\`\``);

/** The package's own types that signatures use and that have no place yet, sorted. */
function reached(declarations: Declarations, from: readonly Resolved[], places: ReadonlyMap<string, string>): Own[] {
  const found = new Map<string, Own>();
  const waiting = [...from];
  for (let target = waiting.pop(); target !== undefined; target = waiting.pop()) {
    if (!isOwn(target)) continue;
    for (const use of target.uses) {
      const next = declarations.local(target.file, use);
      if (next === undefined || !isOwn(next) || places.has(keyOf(next)) || found.has(keyOf(next))) continue;
      found.set(keyOf(next), next);
      waiting.push(next);
    }
  }
  return [...found.values()].sort(byName);
}
