/** `ropewalk verify`: compares the installed packages with the answers of other engines. */

import { readFileSync } from "node:fs";
import Table from "cli-table3";
import { CliFailure } from "../failure.ts";
import { readJson } from "../files.ts";
import type { Palette } from "../plot.ts";
import { BANDS, measure, measureRotation } from "./measure.ts";
import type { Measured } from "./measure.ts";
import type { VectorFile } from "./vectors.ts";

/** Options as the command line gives them. */
export interface VerifyOptions {
  readonly json?: boolean;
  readonly vectors?: string;
}

/** All answers of one engine for one rope type. */
export interface VerifyRow {
  readonly ropeType: string;
  readonly engine: string;
  readonly version: string;
  /** The number of answers. */
  readonly vectors: number;
  readonly models: number;
  readonly frequencies: number | null;
  readonly tables: readonly (number | null)[];
  readonly rotated: number | null;
}

export interface VerifyReport {
  /** The last position of each column of `tables`. */
  readonly bands: readonly number[];
  readonly rows: readonly VerifyRow[];
  /** Settings that an engine reads otherwise. Parameters or a dialect express the same, and the numbers agree. */
  readonly otherwise: readonly { readonly engine: string; readonly name: string; readonly why: string }[];
  readonly unbuilt: VectorFile["unbuilt"];
  readonly mismatches: readonly { readonly engine: string; readonly name: string; readonly what: string }[];
}

/** The vectors of this package, or of a file. */
function readVectors(path: string | undefined): VectorFile {
  const value =
    path === undefined
      ? (JSON.parse(readFileSync(new URL("../../../vectors.json", import.meta.url), "utf8")) as unknown)
      : readJson(path);
  if ((value as Partial<VectorFile> | null)?.format !== 1) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${path} is not a file of vectors: expected "format": 1, as npm run parity writes it.`,
    );
  }
  return value as VectorFile;
}

/** Measures every vector. A vector whose rope cannot be built is a mismatch, not an error. */
export function verify(path?: string): VerifyReport {
  const file = readVectors(path);
  const groups = new Map<
    string,
    {
      head: Pick<VerifyRow, "ropeType" | "engine" | "version">;
      names: Set<string>;
      measured: Pick<Measured, "frequencies" | "tables" | "rotated">[];
    }
  >();
  const mismatches: { engine: string; name: string; what: string }[] = [];
  const otherwise: { engine: string; name: string; why: string }[] = [];
  const add = (
    engine: string,
    version: string,
    ropeType: string,
    name: string,
    measured: Pick<Measured, "frequencies" | "tables" | "rotated">,
  ): void => {
    const key = `${ropeType} ${engine}`;
    const group = groups.get(key) ?? { head: { ropeType, engine, version }, names: new Set(), measured: [] };
    group.names.add(name);
    group.measured.push(measured);
    groups.set(key, group);
  };
  const attempt = <T>(engine: string, name: string, task: () => T): T | undefined => {
    try {
      return task();
    } catch (error) {
      mismatches.push({ engine, name, what: (error as Error).message.replaceAll(/\s+/g, " ") });
      return undefined;
    }
  };

  for (const vector of file.vectors) {
    const { config, engine, name, version } = vector;
    const measured = attempt(engine, name, () => measure(vector, file));
    if (measured === undefined) continue;
    if (measured.mismatch !== null) mismatches.push({ engine, name, what: measured.mismatch });
    if (vector.otherwise !== undefined) otherwise.push({ engine, name, why: vector.otherwise });
    add(engine, version, measured.ropeType, config ?? name, measured);
  }
  for (const rotation of file.rotations) {
    const { engine, name, version } = rotation;
    const measured = attempt(engine, name, () => measureRotation(rotation));
    if (measured === undefined) continue;
    if (measured.mismatch !== null) mismatches.push({ engine, name, what: measured.mismatch });
    add(engine, version, "rotation with given tables", name, {
      frequencies: null,
      tables: BANDS.map(() => null),
      rotated: measured.rotated,
    });
  }

  const order = Object.keys(file.engines);
  const rows = [...groups.values()].map(({ head, names, measured }) => ({
    ...head,
    vectors: measured.length,
    models: names.size,
    frequencies: most(measured.map(({ frequencies }) => frequencies)),
    tables: BANDS.map((_, band) => most(measured.map(({ tables }) => tables[band] ?? null))),
    rotated: most(measured.map(({ rotated }) => rotated)),
  }));
  rows.sort((a, b) =>
    a.ropeType < b.ropeType ? -1 : a.ropeType > b.ropeType ? 1 : order.indexOf(a.engine) - order.indexOf(b.engine),
  );
  return { bands: BANDS, rows, otherwise, unbuilt: file.unbuilt, mismatches };
}

const most = (values: readonly (number | null)[]): number | null =>
  values.reduce<number | null>((largest, value) => (value === null ? largest : Math.max(largest ?? 0, value)), null);

/** A distance as text, with two digits. */
const scientific = (value: number | null): string => (value === null ? "" : value === 0 ? "0" : value.toExponential(1));

/** The report as text. */
export function verifyText({ bands, mismatches, rows }: VerifyReport, { bold, dim, green, red }: Palette): string {
  const table = new Table({
    head: ["rope type", "engine", "answers", "ulp", ...bands.map((end) => `≤ ${end}`), "rotated"].map((text) =>
      bold(text),
    ),
    colAligns: ["left", "left", ...Array.from({ length: bands.length + 3 }, () => "right" as const)],
    style: { head: [], border: [], "padding-left": 0, "padding-right": 1 },
    chars: {
      top: "",
      "top-mid": "",
      "top-left": "",
      "top-right": "",
      bottom: "",
      "bottom-mid": "",
      "bottom-left": "",
      "bottom-right": "",
      left: "",
      "left-mid": "",
      mid: "",
      "mid-mid": "",
      right: "",
      "right-mid": "",
      middle: " ",
    },
  });
  for (const { engine, frequencies, ropeType, rotated, tables, vectors, version } of rows) {
    table.push([
      ropeType,
      `${engine} ${version.replace(/^ggml /, "").split(" ", 1)[0]}`,
      `${vectors}`,
      frequencies === null ? "" : String(Number(frequencies.toFixed(1))),
      ...tables.map(scientific),
      scientific(rotated),
    ]);
  }
  const count = rows.reduce((sum, { vectors }) => sum + vectors, 0);
  const verdict =
    mismatches.length === 0
      ? `${green("✓")} All ${count} answers agree.`
      : mismatches.map(({ engine, name, what }) => `${red("✗")} ${engine}, ${name}: ${what}`).join("\n");
  return [
    ...table
      .toString()
      .split("\n")
      .map((line) => line.trimEnd()),
    "",
    dim(
      "ulp: largest distance of a frequency, in float32 ulp (engine “truth”: of float64). Then the largest difference of cos and",
    ),
    dim("sin at positions up to …, and of a rotated element as a share of its pair's length."),
    verdict,
  ].join("\n");
}
