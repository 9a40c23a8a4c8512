/**
 * Core must not name a rope type or a device in its code. A difference between types is a property that a provider
 * declares. Comments may name engines and types, as sources of rules.
 */

import path from "node:path";
import { textOf, visit } from "../syntax.ts";
import { published, registeredTypes } from "../workspace.ts";
import type { Finding, Workspace } from "../workspace.ts";

/** Names of devices, in addition to those of registered backends. */
const devices = ["wasm", "webassembly", "webgpu", "webgl", "wgsl", "gpu", "cuda"];

/** Names of types that are also English words: only a string that equals the name counts. */
const ordinary = new Set(["default", "linear", "dynamic", "given", "proportional"]);

export function checkCore(workspace: Workspace): Finding[] {
  const core = workspace.packages.find(({ kind }) => kind === "core");
  if (core === undefined) return [];
  const names = guestNames(workspace);
  const findings: Finding[] = [];
  for (const { file, program, lineOf } of published(core)) {
    visit(program, (node) => {
      const isName = node.type === "Identifier" || node.type === "PrivateIdentifier";
      const text = isName ? node.name : node.type === "TemplateElement" ? node.value.cooked : textOf(node);
      if (typeof text !== "string") return;
      const guest = names.find((name) => (ordinary.has(name) ? !isName && text === name : mentions(text, name)));
      if (guest === undefined) return;
      findings.push({
        rule: "core-names-no-guest",
        file,
        line: lineOf(node),
        message: `core names "${guest}" (${isName ? `the identifier ${text}` : `the text ${JSON.stringify(text)}`}): expected no rope type's and no device's name. Make the difference a property that providers or backends declare.`,
      });
    });
  }
  return findings;
}

/** Names and aliases that packages register, and devices. */
export function guestNames({ packages }: Workspace): string[] {
  const names = new Set(devices);
  for (const item of packages) {
    if (item.kind === "backend") names.add(path.posix.basename(item.folder));
    if (item.kind !== "provider" && item.kind !== "backend") continue;
    for (const name of registeredTypes(item)) names.add(name);
  }
  // Longer names first: "webgpu" says more than "gpu".
  return [...names].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
}

/** Whether consecutive words of `text` spell `name`, however either is written: `deepseek_yarn`, `DeepseekYarn`. */
function mentions(text: string, name: string): boolean {
  const wanted = name.replaceAll(/[^a-z0-9]/gi, "").toLowerCase();
  const words = (text.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g) ?? []).map((word) => word.toLowerCase());
  return words.some((_, first) =>
    words.some((__, last) => last >= first && words.slice(first, last + 1).join("") === wanted),
  );
}
