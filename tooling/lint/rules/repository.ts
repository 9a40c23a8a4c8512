/**
 * Tracked files must not hold paths of one computer or addresses of package registries.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import type { Finding } from "../workspace.ts";

const forbidden = [
  { what: "a path of one machine", pattern: /(?<![\w.$}~-])\/(?:work|home|root|Users|mnt)\/[\w.-]+/ },
  { what: "a path of one machine", pattern: /\b[A-Z]:\\\\?Users\\/ },
  {
    what: "a registry's address",
    pattern:
      /\b(?:registry\.(?:npmjs|yarnpkg)\.\w+|npm\.pkg\.github\.com|registry\.npmmirror\.com|index\.crates\.io|files\.pythonhosted\.org)\b/,
  },
  { what: "a registry's address", pattern: /\btarball:\s*https?:/ },
  { what: "a registry setting", pattern: /^\s*(?:@[\w-]+:)?registry\s*=\s*https?:/m },
];

export function checkRepository(root: string): Finding[] {
  const findings: Finding[] = [];
  for (const file of trackedFiles(root)) {
    const bytes = readFileSync(path.join(root, file));
    if (bytes.subarray(0, 8000).includes(0)) continue;
    const text = bytes.toString("utf8");
    for (const { what, pattern } of forbidden) {
      const match = pattern.exec(text);
      if (match === null) continue;
      findings.push({
        rule: "machine-traces",
        file,
        line: text.slice(0, match.index).split("\n").length,
        message: `holds ${what}, ${JSON.stringify(match[0].trim())}: expected nothing that only one machine understands.`,
      });
    }
  }
  return findings;
}

/** Tracked and untracked files that git does not ignore; in an unpacked archive, all files. */
function trackedFiles(root: string): string[] {
  const list = existsSync(path.join(root, ".git"))
    ? execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
        cwd: root,
        encoding: "utf8",
        maxBuffer: 2 ** 28,
      }).split("\0")
    : readdirSync(root, { recursive: true, encoding: "utf8" }).filter(
        (file) => !/(^|[/\\])(node_modules|dist)([/\\]|$)/.test(file),
      );
  return [...new Set(list)].filter(
    (file) => file !== "" && existsSync(path.join(root, file)) && statSync(path.join(root, file)).isFile(),
  );
}
