/** The listing of this repository is sound and its page in step; each planted fault is found, and its cure named. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { checkCommunity, compareVersions, problemText } from "../check.ts";
import type { Entry, Report } from "../listing.ts";
import { communityPage, pageFile } from "../page.ts";

const root = path.join(import.meta.dirname, "../../..");

test("every listed package keeps the rule, and docs/community.md is what npm run community writes", () => {
  expect(checkCommunity(root).map(problemText)).toEqual([]);
  expect(readFileSync(path.join(root, pageFile), "utf8")).toBe(communityPage(root));
});

const law = (subject: string | null, group: string, status = "passed"): object => ({
  subject,
  group,
  law: `a law of ${group}`,
  case: null,
  status,
  seed: 1,
  reason: status === "not applicable" ? "none" : null,
  failure: status === "failed" ? { what: "x", expected: "y", received: "z", remedy: "change x" } : null,
});

const provided = ["registration", "parameters", "numbers", "tables", "rotation", "memory"];
const turned = ["rotation", "memory", "backend"];

/** A sound report, as the command writes them. */
function report(name: string, kind: Entry["kind"]): Report {
  const isProvider = kind === "provider";
  const capabilities = {
    isRotation: true,
    canShift: true,
    dependsOnLength: false,
    fractionalPositions: false,
    axisCount: 1,
  };
  const source = `${name}@1.2.0`;
  const laws = [
    law(null, "package"),
    ...(isProvider ? provided : turned).map((group) => law(isProvider ? "step" : "npu", group)),
  ];
  return {
    format: "ropewalk-conformance-report",
    formatVersion: 1,
    date: "2026-11-28T10:00:00.000Z",
    package: { name, version: "1.2.0", keywords: ["rope", `ropewalk-${kind}`], module: "./dist/index.js" },
    core: { version: "0.2.0", specificationVersion: 1 },
    suite: { name: "@ropewalk/conformance", version: "0.2.1" },
    engine: "node 24.0.0",
    seed: 1,
    passed: true,
    counts: { passed: laws.length, failed: 0, notApplicable: 0 },
    types: isProvider
      ? [{ name: "step", aliases: ["stairs"], source, capabilities, parameters: ["factor"], cases: "given" }]
      : [],
    backends: isProvider ? [] : [{ name: "npu", source, bitExact: true }],
    weight: {
      measured: "all",
      modules: 1,
      bytes: 1,
      brotliBytes: 1,
      minifiedBytes: null,
      minifiedBrotliBytes: null,
      minifier: null,
    },
    laws,
  } as unknown as Report;
}

interface Place {
  packages: Entry[];
  oldest: { core: string; suite: string };
  /** Files by path; reports of the entries are among them. */
  files: Record<string, unknown>;
  /** The text of community.json, if it is not the entries. */
  text?: string;
}

const entry = (name: string, kind: Entry["kind"]): Entry => ({
  name,
  kind,
  description: `What ${name} is for.`,
  report: `docs/community/${name}.json`,
});

/** Two packages of others: one of a stranger, one that lies here as an example. */
const sound = (): Place => ({
  oldest: { core: "0.1.0", suite: "0.2.0" },
  packages: [
    { ...entry("rope-npu", "backend"), report: "examples/rope-npu/conformance-report.json" },
    entry("rope-step", "provider"),
  ],
  files: {
    "docs/community/rope-step.json": report("rope-step", "provider"),
    "examples/rope-npu/conformance-report.json": report("rope-npu", "backend"),
    "examples/rope-npu/package.json": { name: "rope-npu", version: "1.2.0", keywords: ["ropewalk-backend"] },
  },
});

/** Writes a repository with a listing. @returns its folder. */
function placeOf(change: (place: Place) => void = () => {}): string {
  const place = sound();
  change(place);
  const folder = mkdtempSync(path.join(tmpdir(), "community ü "));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const lines = place.packages.map((item) => `    ${JSON.stringify(item).replaceAll('":', '": ')}`);
  const text = `{\n  "oldest": ${JSON.stringify(place.oldest)},\n  "packages": [\n${lines.join(",\n")}\n  ]\n}\n`;
  for (const [file, content] of Object.entries({ "community.json": place.text ?? text, ...place.files })) {
    mkdirSync(path.join(folder, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(folder, file), typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

const problemsOf = (change: (place: Place) => void): string[] => checkCommunity(placeOf(change)).map(problemText);

/** The stranger's report with a change. */
const reported =
  (change: (report: any) => void) =>
  ({ files }: Place): void =>
    change(files["docs/community/rope-step.json"]);

test("sound entries have no problem, an empty list has none, and the page shows what the reports say", () => {
  expect(problemsOf(() => {})).toEqual([]);
  expect(problemsOf((place) => void (place.packages = []))).toEqual([]);
  const page = communityPage(placeOf());
  expect(page).toContain(
    "| [rope-step](https://www.npmjs.com/package/rope-step) 1.2.0 | What rope-step is for. | `step`, `stairs` | [7 passed](community/rope-step.json), numbers from outside in 1 cases; core 0.2.0, suite 0.2.1, 2026-11-28 |",
  );
  expect(page).toContain("| [rope-npu](../examples/rope-npu) 1.2.0 | What rope-npu is for. | `npu`, bit for bit |");
  expect(communityPage(placeOf((place) => void (place.packages = [])))).toContain("## Rope types\n\nNone yet.");
  // Text of others is no markup.
  const odd = placeOf(({ packages }) => Object.assign(packages[1]!, { description: "![x](http://y) <script> `a`" }));
  expect(communityPage(odd)).toContain("!\\[x\\](http://y) \\<script\\> \\`a\\`");
});

const change = (wrong: object) => (place: Place) => void Object.assign(place.packages[1]!, wrong);

test.each<[string, (place: Place) => void, RegExp]>([
  ["no JSON", (place) => void (place.text = "{"), /community\.json: the file: expected JSON/],
  [
    "another form",
    (place) => void (place.text = '{ "packages": {}, "more": 1 }'),
    /keys: expected oldest and packages/,
  ],
  ["oldest that is no version", (place) => void (place.oldest.core = "1"), /oldest\.core: expected a version, got "1"/],
  [
    "an unknown key",
    change({ url: "x" }),
    /packages\[1\]: keys: expected .*, got \["url"\]\. Write the entry with name/,
  ],
  ["a name that npm refuses", change({ name: "Rope Step" }), /name: expected a package's name on npm/],
  ["a name of this project", change({ name: "@ropewalk/step" }), /name: expected a package's name on npm/],
  ["another kind", change({ kind: "type" }), /kind: expected "provider" or "backend", got "type"/],
  ["no description", change({ description: "" }), /description: expected one line of text/],
  ["a description of two lines", change({ description: "a\nb" }), /description: .* Say in one sentence/],
  ["no report", change({ report: undefined }), /report: expected a path .* npx ropewalk conformance .* attach/],
  ["a report that is not there", change({ report: "docs/x.json" }), /report: expected a file of this repository, got/],
  ["a report outside", change({ report: "../../etc/hosts" }), /report: expected a file of this repository/],
  ["a report by URL", change({ report: "https://x.org/r.json" }), /report: expected a file of this repository/],
  [
    "a wrong order",
    ({ packages }) => void packages.reverse(),
    /order: expected entries sorted by name, got rope-step, rope-npu\. Move the line of rope-npu/,
  ],
  ["a duplicate", ({ packages }) => void packages.push(packages[1]!), /entries of rope-step: expected one, got two/],
  [
    "an entry of several lines",
    (place) => void (place.text = JSON.stringify({ oldest: place.oldest, packages: place.packages }, null, 2)),
    /the entry of rope-npu: expected a line of its own, got several\. Write \{ "name"/,
  ],
  [
    "a report that is no JSON",
    ({ files }) => void (files["docs/community/rope-step.json"] = "{"),
    /rope-step\.json: the file: expected JSON, got .* attach that file as docs\/community\/rope-step\.json/,
  ],
  [
    "a report of another form",
    reported((it) => delete it.weight),
    /the report: expected what packages\/conformance\/report\.schema\.json says, got the whole must have required property 'weight'/,
  ],
  [
    "a report of another package",
    reported((it) => void (it.package.name = "rope-stairs")),
    /package\.name: expected "rope-step", got "rope-stairs"/,
  ],
  [
    "a report without the keyword",
    reported((it) => void (it.package.keywords = ["rope"])),
    /keywords of package\.json: expected a list with "ropewalk-provider", got \["rope"\]\. Add "ropewalk-provider" to "keywords"/,
  ],
  [
    "a report that says no keywords",
    reported((it) => void delete it.package.keywords),
    /keywords of package\.json: expected a list with "ropewalk-provider", got nothing/,
  ],
  [
    "a manifest without the keyword",
    ({ files }) => void Object.assign(files["examples/rope-npu/package.json"] as object, { keywords: [] }),
    /keywords of package\.json: expected a list with "ropewalk-backend", got \[\]/,
  ],
  [
    "a manifest of another version",
    ({ files }) => void Object.assign(files["examples/rope-npu/package.json"] as object, { version: "1.3.0" }),
    /package\.version: expected "1\.3\.0" of the package\.json beside it, got "1\.2\.0"\. Build, run npx ropewalk/,
  ],
  [
    "a law that failed",
    reported((it) => {
      it.laws.push(law("step", "rotation", "failed"));
      Object.assign(it, { passed: false, counts: { ...it.counts, failed: 1 } });
    }),
    /laws that fail: expected none, got \["a law of rotation"\]\. Correct what the report says/,
  ],
  [
    "a failure that the report denies",
    reported((it) => void it.laws.push(law("step", "rotation", "failed"))),
    /laws that fail: expected none/,
  ],
  [
    "laws taken out",
    reported((it) => void it.laws.splice(4)),
    /laws of step: expected all of .*, got "no tables, rotation, memory"/,
  ],
  ["no laws of the package", reported((it) => void it.laws.shift()), /laws of the package: expected some/],
  ["counts that are wrong", reported((it) => void (it.counts.passed = 99)), /counts: expected \{"passed":7/],
  [
    "an old core",
    reported((it) => void (it.core.version = "0.1.0-beta.1")),
    /version of core: expected 0\.1\.0 or newer, got "0\.1\.0-beta\.1"\. Install the newest ropewalk/,
  ],
  ["an old suite", reported((it) => void (it.suite.version = "0.1.9")), /version of suite: expected 0\.2\.0 or newer/],
  [
    "another contract",
    reported((it) => void (it.core.specificationVersion = 9)),
    /core\.specificationVersion: expected 1 or 0, got 9/,
  ],
  [
    "a backend that is called a provider",
    ({ packages }) => void Object.assign(packages[0]!, { kind: "provider" }),
    /what it registers: expected a rope type, got \[\]\. Write "kind": "backend"/,
  ],
])("%s is found, and the cure named", (_name, planted, sentence) => {
  const problems = problemsOf(planted);
  expect(problems.join("\n")).toMatch(sentence);
});

test("versions are compared as numbers, and a suffix is older", () => {
  const order = ["0.9.9", "0.10.0-rc.1", "0.10.0", "1.0.0", "1.0.10"];
  expect(order.toReversed().sort(compareVersions)).toEqual(order);
});
