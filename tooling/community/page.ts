/** docs/community.md, from community.json and the reports. */

import path from "node:path";
import { readJson, readListing } from "./listing.ts";
import type { Entry, Report } from "./listing.ts";

export const pageFile = "docs/community.md";

const head = `# Packages of others

Rope types and backends that somebody else publishes. They are listed by rule, not by recommendation: the package says by a keyword
what it is, and a report shows that it passed [the suite](../packages/conformance). Nobody here has read its code.

To be listed:

1. \`npm create ropewalk\` makes a package with the keyword \`ropewalk-provider\` or \`ropewalk-backend\`.
2. \`npx ropewalk conformance ./dist/index.js --report conformance-report.json\` passes on the published version.
3. Copy the report to \`docs/community/NAME.json\`, and add one line to \`community.json\`, in the order of names:
   \`{ "name": "rope-step", "kind": "provider", "description": "…", "report": "docs/community/rope-step.json" }\`
4. \`npm run community\` checks both and writes this page; a problem is printed with its cure. Open a pull request.

A new version needs a new report only to be shown here. Reports of versions of core or suite older than \`oldest\` in \`community.json\`
are taken out.
`;

/** The whole page. @throws Error if a file is no JSON; the check comes first. */
export function communityPage(root: string): string {
  const { packages } = readListing(root);
  const section = (title: string, kind: Entry["kind"], registers: string): string => {
    const own = packages.filter((entry) => entry.kind === kind);
    if (own.length === 0) return `## ${title}\n\nNone yet.\n`;
    const rows = own.map((entry) => row(root, entry));
    return `## ${title}\n\n| package | | ${registers} | report |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`;
  };
  return `${head}\n${section("Rope types", "provider", "types")}\n${section("Backends", "backend", "backends")}`;
}

function row(root: string, { name, kind, description, report: at }: Entry): string {
  const {
    package: subject,
    core,
    suite,
    counts,
    date,
    types,
    backends,
    laws,
  } = readJson(path.join(root, at)) as Report;
  const folder = path.posix.dirname(at);
  // An example lies in this repository; it is on no registry.
  const link = folder.startsWith("examples/") ? `../${folder}` : `https://www.npmjs.com/package/${name}`;
  const names =
    kind === "provider"
      ? types.flatMap((type) => [type.name, ...type.aliases]).map(code)
      : backends.map((backend) => `${code(backend.name)}${backend.bitExact ? ", bit for bit" : ""}`);
  const outside = laws.filter(({ group, status }) => group === "numbers" && status === "passed").length;
  // A backend has no frequencies of its own.
  const numbers =
    kind === "backend" ? "" : outside > 0 ? `, numbers from outside in ${outside} cases` : ", no numbers from outside";
  const passed = `[${counts.passed} passed](${path.posix.relative("docs", at)})${numbers}`;
  const versions = `core ${core.version}, suite ${suite.version}, ${date.slice(0, 10)}`;
  return `| [${name}](${link}) ${subject.version} | ${cell(description)} | ${names.join(", ")} | ${passed}; ${versions} |`;
}

const code = (text: string): string => `\`${text.replaceAll(/[`|]/g, "")}\``;

/** Text of somebody else in a table: nothing of it is markup. */
const cell = (text: string): string => text.replaceAll(/[\\`*_{}[\]<>#|]/g, (character) => `\\${character}`);
