/** README's table and docs/speed.md. */

import { at, costLines, duration, groupsOf, sourcesOf } from "./report.ts";
import type { Group, Race, Report } from "./report.ts";
import { rows } from "./rows.ts";

const MARKERS = { start: "<!-- bench:start -->", end: "<!-- bench:end -->" };

/** `readme` with a new table. */
export function withTable(readme: string, report: Report): string {
  const start = readme.indexOf(MARKERS.start);
  const end = readme.indexOf(MARKERS.end);
  if (start < 0 || end < start) {
    throw new Error(
      `README.md: expected ${MARKERS.start} and, after it, ${MARKERS.end}; write both where the table of speeds belongs.`,
    );
  }
  return `${readme.slice(0, start + MARKERS.start.length)}\n${shortTable(report)}\n${readme.slice(end)}`;
}

/** The races that README and the chart show. */
export function mainGroup({ races }: Report): Group {
  const groups = groupsOf(races);
  const main =
    groups.find(
      ({ members: [first] }) => first!.dtype === "float32" && first!.pairing === "half" && first!.cold !== true,
    ) ?? groups[0];
  if (main === undefined) throw new Error("The report has no races.");
  return main;
}

function shortTable(report: Report): string {
  const { machine, yardstick } = report;
  const { members } = mainGroup(report);
  const { dtype, pairing, queryHeads, keyHeads, headDim } = members[0]!;
  return `Rotating ${queryHeads} query and ${keyHeads} key heads of ${headDim}, ${dtype}, pairing ${pairing}: times as fast as ${yardstick}
(native \`RotaryEmbedding\`), medians of alternating laps. ${machine.cores} cores, ${machine.cpu}, ${machine.date.slice(0, 10)}; [all tables](docs/speed.md).

${table(
  members,
  rows.map(({ name, label }) => [
    label,
    ...members.map(({ results }) =>
      at(results, name, ({ timesFasterThan }) => significant(timesFasterThan[yardstick])),
    ),
  ]),
)}
`;
}

export function page(report: Report): string {
  const { machine, yardstick, limit, races, costs } = report;
  const rounds = races.flatMap(({ results }) => results.map(({ rounds }) => rounds));
  return `# Speed

Written by \`npm run bench:report\` from [speed.json](speed.json), which \`npm run bench -- --json FILE\` wrote; a test fails
when this page is not what the command writes. What is timed, and what each contestant does, stands in
[apps/bench](../apps/bench).

| | |
| --- | --- |
| date | ${machine.date.slice(0, 10)} |
| processor | ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGigabytes} GiB |
| system | ${machine.system} |
| Node | ${machine.node}, V8 ${machine.v8} |
| load before | ${machine.load} |
| contestants | ${sourcesOf(races).join(", ")} |
| rounds of laps | ${Math.min(...rounds)} to ${Math.max(...rounds)} |

![Times as fast as ${yardstick}, by the number of tokens](speed.svg)
${groupsOf(races)
  .map((group) => groupSection(group, yardstick, limit))
  .join("")}
## Beside rotation

${costLines(costs)
  .map((line) => `- ${line}`)
  .join("\n")}
`;
}

function groupSection({ title, members, names }: Group, yardstick: string, limit: string): string {
  const ratios = (to: string): string =>
    table(
      members,
      names.map((name) => [
        name,
        ...members.map(({ results }) => at(results, name, ({ timesFasterThan }) => significant(timesFasterThan[to]))),
      ]),
    );
  const times = table(
    members,
    names.map((name) => [name, ...members.map(({ results }) => at(results, name, ({ median }) => duration(median)))]),
  );
  return `
## ${title}

Times as fast as ${yardstick}, one round's lap against the same round's:

${ratios(yardstick)}

Times as fast as ${limit}:

${ratios(limit)}

Median time of a call:

${times}
`;
}

/** A Markdown table with a column for each race. */
function table(members: readonly Race[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    row(["tokens", ...members.map(({ tokens }) => String(tokens))]),
    row(["---", ...members.map(() => "---:")]),
    ...lines.map(row),
  ].join("\n");
}

/** Two digits: measurements on one computer are not more precise. */
function significant(value: number | undefined): string {
  if (value === undefined) return "–";
  return value < 10 ? value.toPrecision(2) : String(Math.round(value));
}
