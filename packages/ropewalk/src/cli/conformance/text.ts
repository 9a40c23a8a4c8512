/** The report of `ropewalk conformance` as text: a row for each law, and below a failed one what to do. */

import type { Palette } from "../plot.ts";
import { printable } from "../text.ts";
import type { ConformanceReport, ReportedLaw, Weight } from "./report.ts";

/** Failures of one law that are shown; the report file has all of them. */
const SHOWN = 2;
/** Characters of a value that are shown. */
const LONGEST = 240;

/** The report as text. `command` is what repeats it. */
export function conformanceText(report: ConformanceReport, command: string, palette: Palette): string {
  const { bold, cyan, dim, green, red } = palette;
  const { core, counts, laws, package: subject, suite, types, weight } = report;
  const sections: string[] = [];
  for (const [name, own] of groupBy(laws, ({ subject: of }) => of)) {
    const type = types.find((item) => item.name === name);
    const cases = type === undefined ? "" : dim(`  cases ${type.cases}`);
    const rows = [...groupBy(own, ({ law }) => law).values()].flatMap((results) => rowsOf(results, palette));
    sections.push([`${bold(plain(name ?? "package"))}${cases}`, ...rows].join("\n"));
  }
  const failed = counts.failed === 0 ? green("0 failed") : red(`${counts.failed} failed`);
  const sum = `${counts.passed} passed, ${failed}, ${counts.notApplicable} not applicable`;
  const again = counts.failed === 0 ? [] : [`repeat it with: ${plain(command)} --seed ${report.seed}`];
  return [
    `${bold(cyan(`${plain(subject.name)} ${plain(subject.version)}`))}  core ${core.version}, suite ${suite.version}, seed ${report.seed}`,
    ...sections,
    [`${bold(sum)}`, ...again, dim(weightText(weight))].join("\n"),
    "",
  ].join("\n\n");
}

function rowsOf(results: readonly ReportedLaw[], { dim, green, red, yellow }: Palette): string[] {
  const { law } = results[0]!;
  const failed = results.filter(({ failure }) => failure !== null);
  const passed = results.filter(({ status }) => status === "passed").length;
  const tested = passed + failed.length;
  const count = results[0]!.case === null ? "" : dim(`  ${passed} of ${tested}`);
  if (tested === 0) return [`  ${yellow("–")} ${law}  ${dim(`not applicable: ${plain(results[0]!.reason ?? "")}`)}`];
  if (failed.length === 0) return [`  ${green("✓")} ${law}${count}`];
  const more = failed.length - SHOWN;
  return [
    `  ${red("✗")} ${law}${count}`,
    ...failed
      .slice(0, SHOWN)
      .flatMap(({ failure, case: of, seed }) => [
        `      ${plain(failure!.what)}`,
        `        expected  ${plain(failure!.expected)}`,
        `        got       ${plain(failure!.received)}`,
        ...(of === null ? [] : [`        ${dim(`case ${JSON.stringify(plain(of))}, seed ${seed}`)}`]),
      ]),
    ...(more > 0 ? [`      ${dim(`and ${more} more`)}`] : []),
    `      ${green("→")} ${plain(failed[0]!.failure!.remedy)}`,
  ];
}

function weightText({ brotliBytes, bytes, measured, minifiedBrotliBytes, minifiedBytes, minifier }: Weight): string {
  const sizes =
    minifiedBytes === null
      ? `${bytes} bytes, ${brotliBytes} in brotli`
      : `${minifiedBytes} bytes minified by ${minifier}, ${minifiedBrotliBytes} in brotli (${bytes} as published)`;
  return `weight: ${sizes}: ${measured}`;
}

/** Foreign text on one line, without characters that a terminal obeys. */
function plain(text: string): string {
  const line = text
    .split("\n", 16)
    .map((part) => part.trim())
    .join(" ");
  return printable(line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line);
}

function groupBy<T, K>(items: readonly T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const own = groups.get(key(item));
    if (own === undefined) groups.set(key(item), [item]);
    else own.push(item);
  }
  return groups;
}
