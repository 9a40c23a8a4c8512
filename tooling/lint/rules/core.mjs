/**
 * Core does not know its guests: no rope type's and no device's name in its code. What differs between types is a
 * property that a provider declares. Comments may name engines and types: they say where a rule comes from.
 */

import path from "node:path";
import { calls, published, visit } from "../workspace.mjs";

/** @import { Finding, Workspace } from "../workspace.mjs" */

/** Devices that no registered backend may have named yet. */
const devices = ["wasm", "webassembly", "webgpu", "webgl", "wgsl", "gpu", "cuda"];

/** Type names that are words of the language too: only a string that is exactly the name counts. */
const ordinary = new Set(["default", "linear", "dynamic", "given", "proportional"]);

/** @returns {Finding[]} */
export function checkCore(/** @type {Workspace} */ workspace) {
  const core = workspace.packages.find(({ kind }) => kind === "core");
  if (core === undefined) return [];
  const names = guestNames(workspace);
  /** @type {Finding[]} */
  const findings = [];
  for (const { file, program, lineOf } of published(core)) {
    visit(program, (node) => {
      const text =
        node.type === "Literal"
          ? node.value
          : node.type === "TemplateElement"
            ? node.value.cooked
            : node.type === "Identifier" || node.type === "PrivateIdentifier"
              ? node.name
              : undefined;
      if (typeof text !== "string") return;
      const isName = node.type === "Identifier" || node.type === "PrivateIdentifier";
      const guest = names.find((name) => (ordinary.has(name) ? !isName && text === name : mentions(text, name)));
      if (guest === undefined) return;
      findings.push({
        rule: "core-names-no-guest",
        file,
        line: lineOf(node.start),
        message: `core names "${guest}" (${isName ? `the identifier ${text}` : `the text ${JSON.stringify(text)}`}): expected no rope type's and no device's name. Make the difference a property that providers or backends declare.`,
      });
    });
  }
  return findings;
}

/** Names and aliases that packages register, and devices. */
export function guestNames(/** @type {Workspace} */ { packages }) {
  const names = new Set(devices);
  for (const item of packages) {
    if (item.kind === "backend") names.add(path.posix.basename(item.folder));
    if (item.kind !== "provider" && item.kind !== "backend") continue;
    for (const { program } of published(item)) {
      for (const {
        arguments: [name, options],
      } of calls(program, "registerRopeType")) {
        if (typeof name?.value === "string") names.add(name.value);
        for (const alias of aliases(options)) names.add(alias);
      }
    }
  }
  // Longer names first: "webgpu" says more than "gpu".
  return [...names].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
}

/** The aliases in the options of a registration: a list of names, or an object whose keys are names. */
function aliases(/** @type {any} */ options) {
  const value = options?.properties?.find((/** @type {any} */ property) => property.key?.name === "aliases")?.value;
  const names =
    value?.type === "ArrayExpression"
      ? value.elements.map((/** @type {any} */ item) => item?.value)
      : (value?.properties ?? []).map((/** @type {any} */ { key }) => key?.name ?? key?.value);
  return names.filter((/** @type {unknown} */ name) => typeof name === "string");
}

/** Whether consecutive words of `text` spell `name`, however either is written: `deepseek_yarn`, `DeepseekYarn`. */
function mentions(/** @type {string} */ text, /** @type {string} */ name) {
  const wanted = name.replaceAll(/[^a-z0-9]/gi, "").toLowerCase();
  const words = (text.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g) ?? []).map((word) => word.toLowerCase());
  return words.some((_, first) =>
    words.some((__, last) => last >= first && words.slice(first, last + 1).join("") === wanted),
  );
}
