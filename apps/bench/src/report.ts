/** The outcome as data and as text. */

import type { Computer } from "./machine.ts";
import type { Result } from "./race.ts";
import type { Costs } from "./tables.ts";
import type { ElementType, Pairing } from "./workload.ts";

/** One workload, with the results of all contestants. */
export interface Race {
  readonly dtype: ElementType;
  readonly pairing: Pairing;
  readonly tokens: number;
  readonly queryHeads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  /** Whether the caches were swept before each call. Absent: calls back to back. */
  readonly cold?: boolean;
  readonly results: readonly Result[];
}

/** The contents of a `--json` file. */
export interface Report {
  /** Changes when a field changes its meaning. */
  readonly version: 1;
  readonly machine: Computer;
  /** The contestant that ratios are computed to; `limit` is the second one. */
  readonly yardstick: string;
  readonly limit: string;
  readonly races: readonly Race[];
  readonly costs: Costs;
}

/** Lines of text: a table of ratios and times for each element type and pairing, then the costs beside rotation. */
export function textOf({ machine, yardstick, limit, races, costs }: Report): string {
  const lines = [
    `${machine.date}  ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGigabytes} GiB  ${machine.system}  node ${machine.node}, V8 ${machine.v8}`,
    sourcesOf(races).join(" · "),
  ];
  for (const { title, members, names } of groupsOf(races)) {
    const cells = (cell: (result: Result) => string): string[][] => [
      ["tokens", ...members.map(({ tokens }) => String(tokens))],
      ...names.map((name) => [name, ...members.map(({ results }) => at(results, name, cell))]),
    ];
    lines.push("", title);
    lines.push("", `times as fast as ${yardstick}`, ...aligned(cells((result) => ratio(result, yardstick))));
    lines.push("", `times as fast as ${limit}`, ...aligned(cells((result) => ratio(result, limit))));
    lines.push("", "median time", ...aligned(cells(({ median }) => duration(median))));
  }
  lines.push("", ...costLines(costs));
  return lines.join("\n");
}

/** Races of one element type and pairing, by their number of tokens: a table. */
export interface Group {
  readonly title: string;
  readonly members: readonly Race[];
  /** The names of all contestants in these races. */
  readonly names: readonly string[];
}

export function groupsOf(races: readonly Race[]): Group[] {
  const keyOf = ({ dtype, pairing, cold }: Race): string => `${dtype}, ${pairing}${cold ? ", cold" : ""}`;
  return [...new Set(races.map(keyOf))].map((key) => {
    const members = races.filter((race) => keyOf(race) === key);
    const { queryHeads, keyHeads, headDim } = members[0]!;
    return {
      title: `${key}: ${queryHeads} query + ${keyHeads} key heads of ${headDim}`,
      members,
      names: [...new Set(members.flatMap(({ results }) => results.map(({ name }) => name)))],
    };
  });
}

/** The software of all contestants, with versions. */
export function sourcesOf(races: readonly Race[]): string[] {
  return [...new Set(races.flatMap(({ results }) => results.map(({ source }) => source)))];
}

/** A line for each cost. */
export function costLines({ tables, getRope, memory, fusedWrites }: Costs): string[] {
  return [
    ...tables.ways.map(
      ({ name, arrays, milliseconds, timesFasterThanPlainLoop, differentValues }) =>
        `cos and sin, ${tables.rows} × ${tables.pairs}, ${arrays} arrays, ${name}: ${milliseconds.toFixed(1)} ms, ${timesFasterThanPlainLoop.toFixed(2)} times as fast as the plain loop, ${differentValues} values differ`,
    ),
    `getRope: hit ${getRope.hitMicroseconds.toFixed(2)} µs, miss ${getRope.missMicroseconds.toFixed(1)} µs`,
    `memory of a rope: ${memory.oneTokenKilobytes} kB after one token at position ${memory.positions - 1}, ${memory.allTokensKilobytes} kB after a token at each of the ${memory.positions}`,
    ...fusedWrites.map(
      ({ tokens, dtype, fusedMicroseconds, rotateThenCopyMicroseconds, timesFaster }) =>
        `float32 keys into a ${dtype} cache, ${tokens} tokens: in one pass ${fusedMicroseconds.toFixed(1)} µs, rotated, then copied ${rotateThenCopyMicroseconds.toFixed(1)} µs: ${timesFaster.toFixed(2)} times as fast`,
    ),
  ];
}

/** Lines of text about the checks, without times, because the times of a smoke test mean nothing. */
export function checksOf({ races }: Report): string {
  const lines = races.flatMap(({ dtype, pairing, tokens, cold, results }) =>
    results.map(({ name, check }) => [
      `${name}:`,
      dtype,
      cold ? `${pairing}, cold` : pairing,
      `${tokens} tokens,`,
      `error ${check.error.toExponential(1)} of ${check.tolerance.toExponential(1)}`,
    ]),
  );
  return [...aligned(lines), `${lines.length} results checked`].join("\n");
}

/** The cell of a contestant; a dash if it is not in this race. */
export function at(results: readonly Result[], name: string, cell: (result: Result) => string): string {
  const result = results.find((one) => one.name === name);
  return result === undefined ? "–" : cell(result);
}

function ratio({ timesFasterThan }: Result, name: string): string {
  const value = timesFasterThan[name];
  return value === undefined ? "–" : value.toFixed(value < 10 ? 2 : 1);
}

export function duration(microseconds: number): string {
  return microseconds < 1000 ? `${microseconds.toFixed(1)} µs` : `${(microseconds / 1000).toFixed(2)} ms`;
}

/** Aligns columns: the first to the left, numbers to the right. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map(
    (row) =>
      `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]! + 2))).join("")}`,
  );
}
