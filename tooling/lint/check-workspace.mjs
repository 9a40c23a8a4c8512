/** `npm run lint`, second half: prints what breaks the rules of this workspace, and fails if anything does. */

import path from "node:path";
import { fileURLToPath } from "node:url";
import { checkCore } from "./rules/core.mjs";
import { checkDependencies } from "./rules/dependencies.mjs";
import { checkPackages } from "./rules/packages.mjs";
import { checkRepository } from "./rules/repository.mjs";
import { readWorkspace } from "./workspace.mjs";

/** @import { Finding } from "./workspace.mjs" */

/**
 * All findings under a root.
 * @returns {Finding[]}
 */
export function checkWorkspace(/** @type {string} */ root) {
  const workspace = readWorkspace(root);
  return [
    ...checkDependencies(workspace),
    ...checkCore(workspace),
    ...checkPackages(workspace),
    ...checkRepository(root),
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, "../.."));
  const findings = checkWorkspace(root);
  for (const { rule, file, line, message } of findings) {
    console.error(`${file}${line === undefined ? "" : `:${line}`}\n  ${rule}: ${message}`);
  }
  console.log(
    findings.length === 0
      ? "The workspace keeps its rules."
      : `${findings.length} finding${findings.length === 1 ? "" : "s"}.`,
  );
  process.exitCode = findings.length === 0 ? 0 : 1;
}
