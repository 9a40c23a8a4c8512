/** The second half of `npm run lint`: prints violations of the workspace's rules, and fails if there are any. */

import path from "node:path";
import { checkCode } from "./rules/code.ts";
import { checkCore } from "./rules/core.ts";
import { checkDependencies } from "./rules/dependencies.ts";
import { checkPackages } from "./rules/packages.ts";
import { checkRegularExpressions } from "./rules/regular-expressions.ts";
import { checkRepository } from "./rules/repository.ts";
import { readWorkspace } from "./workspace.ts";
import type { Finding } from "./workspace.ts";

/** All findings under a root. */
export function checkWorkspace(root: string): Finding[] {
  const workspace = readWorkspace(root);
  return [
    ...checkDependencies(workspace),
    ...checkCode(workspace),
    ...checkRegularExpressions(workspace),
    ...checkCore(workspace),
    ...checkPackages(workspace),
    ...checkRepository(root),
  ];
}

if (import.meta.main) {
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
