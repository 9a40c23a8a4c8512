/** Adds a provider to a workspace: its folder, and its entries elsewhere. */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { answerIssue } from "create-ropewalk";
import { checkWorkspace } from "@ropewalk/lint";
import { changeset, entries, ordinaryWord } from "./entries.ts";
import { providerFiles } from "./provider.ts";
import type { NewProvider } from "./provider.ts";

const wordList = "tooling/lint/rules/core.ts";

/**
 * Writes everything that follows from the names, or nothing.
 *
 * @returns the files that were written.
 */
export function addProvider(root: string, provider: NewProvider): string[] {
  const { folder, type, description } = provider;
  if (!/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(folder)) {
    throw new Error(
      `the folder ${JSON.stringify(folder)}: expected small letters, digits and -, such as dynamic-alpha`,
    );
  }
  for (const [question, value] of [
    ["type", type],
    ["description", description],
  ] as const) {
    const issue = answerIssue(question, value, "provider");
    if (issue !== undefined) throw new Error(`the ${question}: expected ${issue.expected}, got ${issue.received}`);
  }
  const home = `packages/providers/${folder}`;
  if (existsSync(path.join(root, home))) throw new Error(`${home} is there already: expected a new name`);

  const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
  // Every text is made before the first is written.
  const changes = new Map<string, string>();
  for (const [file, text] of providerFiles(root, provider)) changes.set(`${home}/${file}`, text);
  for (const { file, edit } of entries(provider)) {
    try {
      changes.set(file, edit(changes.get(file) ?? read(file)));
    } catch (error) {
      throw new Error(`${file}: ${(error as Error).message}. Nothing was written.`, { cause: error });
    }
  }
  const note = changeset(provider);
  changes.set(note.file, note.text);
  write(root, changes);

  const isWordOfCore = checkWorkspace(root).some(({ rule }) => rule === "core-names-no-guest");
  if (isWordOfCore) write(root, new Map([[wordList, ordinaryWord(read(wordList), type)]]));
  return [...changes.keys(), ...(isWordOfCore ? [wordList] : [])];
}

/** Writes all files; after a failure the files are as before. */
function write(root: string, changes: ReadonlyMap<string, string>): void {
  const done: (() => void)[] = [];
  try {
    for (const [file, text] of changes) {
      const place = path.join(root, file);
      const old = existsSync(place) ? readFileSync(place) : undefined;
      const made = mkdirSync(path.dirname(place), { recursive: true });
      done.push(() => {
        if (old !== undefined) writeFileSync(place, old);
        else rmSync(made ?? place, { recursive: true, force: true });
      });
      writeFileSync(place, text);
    }
  } catch (error) {
    for (const undo of done.reverse()) undo();
    throw error;
  }
}
