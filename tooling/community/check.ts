/**
 * The rule of docs/community.md: a package is listed if its keyword says what it is, and its report shows that it
 * passed the suite. Needs no network.
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { SPECIFICATION_VERSION } from "@ropewalk/core";
import { listingFile, listingText, manifestBeside, readJson, readListing, reportFile } from "./listing.ts";
import type { Entry, Listing, Report } from "./listing.ts";

/** Something in community.json or in a report that is not as the rule says. */
export interface Problem {
  /** The entry or file. */
  readonly place: string;
  readonly what: string;
  readonly expected: string;
  readonly received: string;
  readonly remedy: string;
}

const schema = fileURLToPath(import.meta.resolve("@ropewalk/conformance/report.schema.json"));
const validateReport = new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile(
  JSON.parse(readFileSync(schema, "utf8")) as object,
);

const show = (value: unknown): string => {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
};

/** What an author runs to make a new report. */
const again = (name: string): string =>
  `Build, run npx ropewalk conformance ./dist/index.js --report conformance-report.json, and attach that file as docs/community/${name.replace(/^@/, "").replace("/", "-")}.json.`;

/** Every problem of the listing and of its reports. */
export function checkCommunity(root: string): Problem[] {
  let listing: Listing;
  try {
    listing = readListing(root);
  } catch (error) {
    const received = (error as Error).message;
    const remedy = "Correct the line of the entry.";
    return [{ place: listingFile, what: "the file", expected: "JSON", received, remedy }];
  }
  const shape = shapeProblems(listing);
  if (shape.length > 0) return shape;
  return [
    ...orderProblems(listing, listingText(root)),
    ...listing.packages.flatMap((entry) => entryProblems(root, entry, listing.oldest)),
  ];
}

/** A problem as one sentence with its remedy. */
export function problemText({ place, what, expected, received, remedy }: Problem): string {
  return `${place}: ${what}: expected ${expected}, got ${received}. ${remedy}`;
}

const form = '{ "name", "kind", "description", "report" }';
const keys = ["name", "kind", "description", "report"];
const isLine = (value: unknown): boolean =>
  typeof value === "string" && value.trim() === value && value !== "" && !/[\p{Cc}\u2028\u2029|]/u.test(value);
/** A name as npm takes it for new packages, outside of this project's own. */
const isName = (value: unknown): boolean =>
  typeof value === "string" &&
  value.length <= 214 &&
  /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/.test(value) &&
  !/^(?:@ropewalk\/|(?:create-)?ropewalk$)/.test(value);
const isVersion = (value: unknown): boolean => typeof value === "string" && versionPattern.test(value);
const versionPattern = /^(\d+)\.(\d+)\.(\d+)(-[\w.-]+)?(?:\+[\w.-]+)?$/;

function shapeProblems(listing: Listing): Problem[] {
  const problems: Problem[] = [];
  const expect = (place: string, holds: boolean, what: string, expected: string, received: unknown, remedy: string) => {
    if (!holds) problems.push({ place, what, expected, received: show(received), remedy });
  };
  const { oldest, packages, ...rest } = Object(listing) as Partial<Listing>;
  const unknown = Object.keys(rest);
  expect(listingFile, unknown.length === 0, "keys", "oldest and packages", unknown, "Take the others out.");
  for (const part of ["core", "suite"] as const) {
    const version = oldest?.[part];
    expect(listingFile, isVersion(version), `oldest.${part}`, "a version", version, "Write it as 1.2.3.");
  }
  if (!Array.isArray(packages)) {
    expect(listingFile, false, "packages", `a list of ${form}`, packages, "Write packages as a list.");
    return problems;
  }
  (packages as readonly Partial<Entry>[]).forEach((entry, i) => {
    const place = `${listingFile}, packages[${i}]`;
    const { name, kind, description, report, ...others } = Object(entry) as Partial<Entry>;
    const more = Object.keys(others);
    expect(place, more.length === 0, "keys", form, more, `Write the entry with ${keys.join(", ")} alone.`);
    expect(place, isName(name), "name", "a package's name on npm", name, "Write the name of its package.json.");
    const isKind = kind === "provider" || kind === "backend";
    expect(place, isKind, "kind", '"provider" or "backend"', kind, "Write what the package registers.");
    const line = "one line of text without |";
    expect(place, isLine(description), "description", line, description, "Say in one sentence what it is for.");
    expect(place, typeof report === "string", "report", "a path in this repository", report, again(String(name)));
  });
  return problems;
}

/** Sorted, without duplicates, and a line for each entry, so that two additions meet no conflict. */
function orderProblems({ packages }: Listing, text: string): Problem[] {
  const place = listingFile;
  const problems: Problem[] = [];
  for (const [i, { name }] of packages.entries()) {
    const before = packages[i - 1]?.name;
    if (before === name) {
      const remedy = "Keep one entry, with the newest report.";
      problems.push({ place, what: `entries of ${name}`, expected: "one", received: "two", remedy });
    } else if (before !== undefined && before > name) {
      const remedy = `Move the line of ${name} to its place by the alphabet.`;
      problems.push({
        place,
        what: "order",
        expected: "entries sorted by name",
        received: `${before}, ${name}`,
        remedy,
      });
    }
    const lines = text.split("\n").map((line) => line.trim().replace(/,$/, ""));
    const own = lines.some((line) => line.startsWith("{") && line.endsWith("}") && line.includes(`"name": "${name}"`));
    if (!own) {
      const remedy = 'Write { "name": …, "kind": …, "description": …, "report": … } in one line.';
      problems.push({
        place,
        what: `the entry of ${name}`,
        expected: "a line of its own",
        received: "several",
        remedy,
      });
    }
  }
  return problems;
}

/** Laws of these groups are in every report of the kind. */
const groups = {
  provider: ["registration", "parameters", "numbers", "tables", "rotation", "memory"],
  backend: ["rotation", "memory", "backend"],
} as const;

function entryProblems(root: string, entry: Entry, oldest: Listing["oldest"]): Problem[] {
  const { name, kind } = entry;
  const place = `${listingFile}, ${name}`;
  const file = reportFile(root, entry.report);
  if (file === undefined) {
    const expected = "a file of this repository";
    return [{ place, what: "report", expected, received: show(entry.report), remedy: again(name) }];
  }
  const at = entry.report;
  let content: unknown;
  let manifest: Readonly<Record<string, unknown>> | undefined;
  try {
    content = readJson(file);
    manifest = manifestBeside(file);
  } catch (error) {
    const received = (error as Error).message;
    return [{ place: at, what: "the file", expected: "JSON", received, remedy: again(name) }];
  }
  if (!validateReport(content)) {
    const [first] = validateReport.errors ?? [];
    const received = `${first?.instancePath || "the whole"} ${first?.message ?? ""} (${validateReport.errors?.length ?? 0} in all)`;
    const expected = "what packages/conformance/report.schema.json says";
    return [{ place: at, what: "the report", expected, received, remedy: again(name) }];
  }
  const report = content as Report;
  const problems: Problem[] = [];
  const expect = (holds: boolean, what: string, expected: string, received: unknown, remedy = again(name)): void => {
    if (!holds) problems.push({ place: at, what, expected, received: show(received), remedy });
  };

  const { package: subject, core, suite, counts, laws } = report;
  expect(subject.name === name, "package.name", show(name), subject.name);
  if (manifest !== undefined) {
    const { name: ownName, version } = manifest;
    expect(subject.name === ownName, "package.name", `${show(ownName)} of the package.json beside it`, subject.name);
    expect(
      subject.version === version,
      "package.version",
      `${show(version)} of the package.json beside it`,
      subject.version,
    );
  }
  const keyword = `ropewalk-${kind}`;
  const held = [manifest?.["keywords"], subject.keywords].filter((list) => list !== undefined);
  const hasKeyword = held.length > 0 && held.every((list) => Array.isArray(list) && list.includes(keyword));
  expect(
    hasKeyword,
    "keywords of package.json",
    `a list with ${show(keyword)}`,
    held[0],
    `Add ${show(keyword)} to "keywords" in the package's package.json. ${again(name)}`,
  );

  const registered = kind === "provider" ? report.types : report.backends;
  const what = kind === "provider" ? "a rope type" : "a backend";
  const other = kind === "provider" ? "backend" : "provider";
  expect(registered.length > 0, "what it registers", what, [], `Write "kind": "${other}" if that is what it is.`);
  for (const item of registered) {
    const own = laws.filter(({ subject: of }) => of === item.name).map(({ group }) => group);
    const missing = groups[kind].filter((group) => !own.includes(group));
    expect(
      missing.length === 0,
      `laws of ${item.name}`,
      `all of ${groups[kind].join(", ")}`,
      `no ${missing.join(", ")}`,
    );
  }
  expect(
    laws.some(({ group }) => group === "package"),
    "laws of the package",
    "some",
    "none",
  );

  const failed = laws.filter(({ status }) => status === "failed");
  const remedy = `Correct what the report says, then make a new one. ${again(name)}`;
  expect(
    report.passed && failed.length === 0,
    "laws that fail",
    "none",
    failed.map(({ law }) => law),
    remedy,
  );
  const count = (status: string): number => laws.filter((item) => item.status === status).length;
  const counted = { passed: count("passed"), failed: failed.length, notApplicable: count("not applicable") };
  const agree = (Object.keys(counted) as (keyof typeof counted)[]).every((key) => counts[key] === counted[key]);
  expect(agree, "counts", show(counted), counts);

  for (const [part, version] of [
    ["core", core.version],
    ["suite", suite.version],
  ] as const) {
    const least = oldest[part];
    const isNew = isVersion(version) && compareVersions(version, least) >= 0;
    const upgrade = `Install the newest ropewalk and @ropewalk/core. ${again(name)}`;
    expect(isNew, `version of ${part}`, `${least} or newer`, version, upgrade);
  }
  const contract = core.specificationVersion;
  const isKnown = contract === SPECIFICATION_VERSION || contract === SPECIFICATION_VERSION - 1;
  const versions = `${SPECIFICATION_VERSION} or ${SPECIFICATION_VERSION - 1}`;
  expect(isKnown, "core.specificationVersion", versions, contract, `Write for the newest core. ${again(name)}`);
  return problems;
}

/** Below 0 if `a` is older. A version with a suffix is older than the one without. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [versionPattern.exec(a), versionPattern.exec(b)];
  if (left === null || right === null) throw new Error(`expected versions, got ${a} and ${b}`);
  for (const part of [1, 2, 3]) {
    const difference = Number(left[part]) - Number(right[part]);
    if (difference !== 0) return difference;
  }
  return (left[4] === undefined ? 1 : 0) - (right[4] === undefined ? 1 : 0);
}
