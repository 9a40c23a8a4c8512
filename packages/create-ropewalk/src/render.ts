/** The files of a new package, from templates and answers. Nothing is read or written here. */

import type { Answers } from "./answers.ts";
import { requireAnswers } from "./answers.ts";
import { firstVersion, newManifest } from "./manifest.ts";
import type { Versions } from "./manifest.ts";

/** Texts by path, with slashes. */
export type Files = ReadonlyMap<string, string>;

/** Words of a template that are replaced. `__Name__` and `__name__` stand in identifiers, the others anywhere. */
export interface Words {
  /** The package's name. */
  readonly package: string;
  readonly version: string;
  /** The name of the rope type or backend. */
  readonly type: string;
  readonly description: string;
  readonly author: string;
  readonly year: string;
}

/**
 * The files of a new package.
 *
 * @param templates the files below `templates`: a folder for each kind, each language, and each kind in each language.
 * @param year of the copyright.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for wrong answers, with every mistake.
 */
export function packageFiles(templates: Files, answers: Answers, versions: Versions, year: number): Files {
  const { kind, language, name, type, description, author, workflow } = requireAnswers({ ...answers });
  const short = language === "typescript" ? "ts" : "js";
  const words = { package: name, version: firstVersion, type, description, author, year: String(year) };
  const folders = ["common", `common-${short}`, kind, `${kind}-${short}`, ...(workflow ? ["workflow"] : [])];
  const files = new Map([["package.json", `${JSON.stringify(newManifest(answers, versions), null, 2)}\n`]]);
  for (const folder of folders) {
    for (const [file, text] of templates) {
      if (!file.startsWith(`${folder}/`)) continue;
      files.set(placeOf(file.slice(folder.length + 1)), fill(text, words));
    }
  }
  return files;
}

/** A template with its words. */
export function fill(template: string, words: Words): string {
  const camel = words.type.replaceAll(/[_-](\w)/g, (_, letter: string) => letter.toUpperCase());
  return template
    .replaceAll("__name__", camel)
    .replaceAll("__Name__", `${camel.charAt(0).toUpperCase()}${camel.slice(1)}`)
    .replaceAll(/@@(\w+?)@@/g, (_, word: keyof Words) => words[word]);
}

/** npm does not pack every file whose name begins with a dot, so templates write `_gitignore`. */
function placeOf(file: string): string {
  return file.replace(/^_/, ".");
}
