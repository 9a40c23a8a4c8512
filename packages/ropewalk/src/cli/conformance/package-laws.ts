/**
 * Laws about manifest and files of a package that registers rope types or backends. Each is a mistake that no test of
 * numbers finds and that users meet first.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ReportedLaw } from "./report.ts";
import type { Subject } from "./subject.ts";

/** What else the laws need to know about the package. */
export interface PackageFacts {
  /** `source` of each registered type and backend that belongs to the package. */
  readonly sources: readonly string[];
  /** Names that importing the entry `./formula` registers; `null` without such an entry. */
  readonly registeredByFormula: readonly string[] | null;
  /** Texts of the package's modules, by path. */
  readonly modules: ReadonlyMap<string, string>;
}

interface Problem {
  readonly what: string;
  readonly expected: string;
  readonly received: string;
}

interface PackageLaw {
  readonly law: string;
  readonly remedy: (subject: Subject) => string;
  /** A problem; `null` when the law holds; a text why it does not apply. */
  readonly check: (subject: Subject, facts: PackageFacts) => Problem | string | null;
}

const core = "@ropewalk/core";
const json = (value: unknown): string => (value === undefined ? "nothing" : JSON.stringify(value));
const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

/** The file that an entry stands for under conditions, in the order of the manifest, as Node and TypeScript read it. */
function target(entry: unknown, conditions: readonly string[]): string | undefined {
  if (typeof entry === "string") return entry;
  for (const [condition, inner] of Object.entries(record(entry))) {
    if (!conditions.includes(condition)) continue;
    const found = target(inner, conditions);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The entries of a manifest: `exports` as a map, or its sugar. */
function entriesOf({ manifest: { exports, main, types } }: Subject): Readonly<Record<string, unknown>> {
  if (exports === undefined) return main === undefined ? {} : { ".": { types, default: main } };
  const map = record(exports);
  return Object.keys(map).some((key) => key.startsWith(".")) ? map : { ".": exports };
}

const code = (entry: unknown): string | undefined => target(entry, ["import", "node", "module-sync", "default"]);

/** Whether a path of a manifest (`./dist/*.js`, `dist`, `*.css`) covers a file. */
function covers(pattern: string, file: string): boolean {
  const plain = pattern.replace(/^\.?\//, "").replace(/\/$/, "");
  const path = file.replace(/^\.\//, "");
  if (path === plain || path.startsWith(`${plain}/`) || plain === "") return true;
  if (!plain.includes("*")) return false;
  // A pattern without a folder means files of that name in any folder, as bundlers read it.
  return covered((plain.includes("/") ? plain : `**/${plain}`).split("/"), path.split("/"));
}

/** Whether the parts of a pattern cover a path, or a folder of it. */
function covered([first, ...rest]: readonly string[], path: readonly string[]): boolean {
  if (first === undefined) return true;
  if (first === "**") return [...path.keys(), path.length].some((from) => covered(rest, path.slice(from)));
  return path.length > 0 && fits(first, path[0]!) && covered(rest, path.slice(1));
}

/** Whether a name is that of a pattern, in which `*` stands for any characters. */
function fits(pattern: string, name: string): boolean {
  const [start = "", ...others] = pattern.split("*");
  if (others.length === 0) return name === start;
  if (!name.startsWith(start)) return false;
  const end = others.pop()!;
  let at = start.length;
  for (const part of others) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - end.length >= at && name.endsWith(end);
}

const packageLaws: readonly PackageLaw[] = [
  {
    law: "exports the module that was tested",
    remedy: ({ entry }) => `Write exports as { ".": { "types": "${declarationsOf(entry)}", "default": "${entry}" } }.`,
    check(subject) {
      const entries = Object.values(entriesOf(subject)).map(code);
      if (entries.some((file) => file !== undefined && covers(file, subject.entry))) return null;
      const expected = `an entry whose default is ${subject.entry}`;
      return { what: "exports in package.json", expected, received: json(subject.manifest.exports) };
    },
  },
  {
    law: "has types for every entry",
    remedy: ({ entry }) =>
      `Emit declarations (declaration: true, or a .d.ts by hand for JavaScript), and name them before the code: { "types": "${declarationsOf(entry)}", "default": "${entry}" }. TypeScript reads the first condition that fits.`,
    check(subject) {
      for (const [name, entry] of Object.entries(entriesOf(subject))) {
        const file = code(entry);
        if (file === undefined || !/\.m?js$/.test(file) || file.includes("*")) continue;
        const named = target(entry, ["types", "import", "node", "default"]) ?? file;
        const types = /\.d\.m?ts$/.test(named) ? named : undefined;
        // Without the condition, TypeScript looks beside the code.
        const beside = named === file && typeof entry === "string" ? declarationsOf(file) : undefined;
        const found = types ?? beside;
        if (found !== undefined && existsSync(join(subject.folder, found))) continue;
        return {
          what: `types of the entry "${name}"`,
          expected: `a condition "types" in front of the code, whose file exists`,
          received: found === undefined ? json(entry) : `${found}, which does not exist`,
        };
      }
      return null;
    },
  },
  {
    law: "keeps its registration when bundled, and nothing else",
    remedy: ({ entry }) =>
      `Write "sideEffects": ["${entry}"] (and the source of that file, if it is published). A bundler drops a registration in a file that is not listed; without the field, or with true, it drops nothing that is unused.`,
    check(subject) {
      const { sideEffects } = subject.manifest;
      const what = "sideEffects in package.json";
      const expected = `a list with ${subject.entry}, the file that registers`;
      const listed = Array.isArray(sideEffects) && sideEffects.some((item) => covers(String(item), subject.entry));
      return listed ? null : { what, expected, received: json(sideEffects) };
    },
  },
  {
    law: "has core as a peer, and no copy of it",
    remedy: () =>
      `Move ${core} from dependencies to peerDependencies (and devDependencies), and leave it out of the bundle (external). Two copies of core are two caches, and types of one are not types of the other.`,
    check({ manifest }, { modules }) {
      const expected = `${core} under peerDependencies alone`;
      for (const field of ["dependencies", "optionalDependencies"] as const) {
        const range = record(manifest[field])[core];
        if (range !== undefined) {
          return { what: `${field} in package.json`, expected, received: `${core}: ${json(range)}` };
        }
      }
      if (record(manifest.peerDependencies)[core] === undefined) {
        return { what: "peerDependencies in package.json", expected, received: json(manifest.peerDependencies) };
      }
      // The symbol that core keeps its registry under stands in core's code alone.
      const holder = [...modules].find(([, text]) => text.includes("ropewalk.registry.v1"));
      if (holder === undefined) return null;
      return { what: "modules of the package", expected: "an import of core", received: `core's code in ${holder[0]}` };
    },
  },
  {
    law: "names itself and its version as the source",
    remedy: ({ manifest: { name, version } }) =>
      `Write source = ${json(`${name}@${version}`)} as a literal, and change it with the version: the registry tells packages apart by it.`,
    check({ manifest: { name, version } }, { sources }) {
      const expected = `${name}@${version}`;
      const wrong = sources.find((source) => source !== expected);
      return wrong === undefined ? null : { what: "source", expected, received: wrong };
    },
  },
  {
    law: "registers nothing by its formula",
    remedy: () =>
      "Keep registerRopeType in the module of the main entry; let ./formula import types of core and values of @ropewalk/core/math only.",
    check(_, { registeredByFormula }) {
      if (registeredByFormula === null) return "the package has no entry ./formula";
      const what = "the registry after an import of ./formula";
      if (registeredByFormula.length === 0) return null;
      return { what, expected: "empty", received: registeredByFormula.join(", ") };
    },
  },
  {
    law: "publishes the module that was tested",
    remedy: ({ entry }) => `Write "files": [${json(entry.split("/")[1])}, …] in package.json.`,
    check({ manifest: { files }, entry }) {
      if (files === undefined) return null;
      if (Array.isArray(files) && files.some((item) => covers(String(item), entry))) return null;
      return { what: "files in package.json", expected: `a list that covers ${entry}`, received: json(files) };
    },
  },
];

const declarationsOf = (file: string): string => file.replace(/\.(m?)js$/, ".d.$1ts");

/** The file of the entry `./formula`; `undefined` without one. */
export const formulaEntry = (subject: Subject): string | undefined => {
  const file = code(entriesOf(subject)["./formula"]);
  return file === undefined ? undefined : join(subject.folder, file);
};

/** Checks the laws about a package. */
export function checkPackage(subject: Subject, facts: PackageFacts, seed: number): ReportedLaw[] {
  return packageLaws.map(({ law, remedy, check }) => {
    const named = { subject: null, group: "package", law, case: null, seed } as const;
    const result = check(subject, facts);
    if (result === null) return { ...named, status: "passed", reason: null, failure: null };
    if (typeof result === "string") return { ...named, status: "not applicable", reason: result, failure: null };
    return { ...named, status: "failed", reason: null, failure: { ...result, remedy: remedy(subject) } };
  });
}
