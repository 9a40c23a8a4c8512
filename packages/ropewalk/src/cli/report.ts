/** The text that `ropewalk inspect` prints for one file. */

import Table from "cli-table3";
import type { ConfigNote, ModelRopes, RopeRule, RotaryEmbedding } from "../index.ts";
import type { Palette, PlotContext, PlottedPair } from "./plot.ts";
import { plotWavelengths } from "./plot.ts";
import { mergedRules } from "./rules.ts";
import { printable, printableReport } from "./text.ts";

export interface ReportOptions {
  readonly palette: Palette;
  /** Columns of the terminal. */
  readonly columns: number;
  /** The current length, for types whose frequencies depend on it. */
  readonly length: number | undefined;
}

/** The ropes of one config by layer type: the rule behind each number, a plot of wavelengths, and the notes. */
export function reportText(file: string, { byLayerType, rules, notes }: ModelRopes, options: ReportOptions): string {
  const { palette } = options;
  const groups = [...grouped(byLayerType)];
  const sections = groups.slice(0, mostRopes).map(([rope, layerTypes]) => {
    const layers = layersText(layerTypes, byLayerType.size);
    const read = layerTypes.flatMap((layerType) => rules.get(layerType) ?? []);
    return rope === null ? `${palette.bold(layers)}: no rope` : ropeText(layers, rope, read, options);
  });
  if (groups.length > mostRopes) sections.push(`… ${groups.length - mostRopes} more ropes: --json lists them all.`);
  const lines = (severity: ConfigNote["severity"], mark: string): string[] =>
    printableReport(notes).flatMap(({ path, message, severity: own }) =>
      own === severity ? [`  ${mark} ${path === "" ? "" : `${palette.bold(path)}: `}${message}`] : [],
    );
  const warnings = lines("warning", palette.red("!"));
  const remarks = lines("info", palette.yellow("•"));
  // Above everything else: the ropes may be wrong.
  if (warnings.length > 0) sections.unshift([palette.bold(palette.red("warnings")), ...warnings].join("\n"));
  if (remarks.length > 0) sections.push([palette.bold("notes on the config"), ...remarks].join("\n"));
  return `${palette.bold(palette.cyan(printable(file)))}\n\n${sections.join("\n\n")}\n`;
}

/** Ropes that are printed. */
const mostRopes = 32;

/** Layer types by their rope, so that a shared rope is described once. */
function grouped(byLayerType: ModelRopes["byLayerType"]): Map<RotaryEmbedding | null, (string | null)[]> {
  const groups = new Map<RotaryEmbedding | null, (string | null)[]>();
  for (const [layerType, rope] of byLayerType) {
    const group = groups.get(rope);
    if (group === undefined) groups.set(rope, [layerType]);
    else group.push(layerType);
  }
  return groups;
}

const mostNames = 16;

function layersText(layerTypes: readonly (string | null)[], all: number): string {
  if (layerTypes.includes(null)) return all === 1 ? "all layers" : "all other layers";
  const more = layerTypes.length > mostNames ? ` and ${layerTypes.length - mostNames} more` : "";
  return `layers of type ${layerTypes.slice(0, mostNames).join(" and ")}${more}`;
}

function ropeText(
  layers: string,
  rope: RotaryEmbedding,
  read: readonly RopeRule[],
  { palette, columns, length }: ReportOptions,
): string {
  const { rules, pairs } = rope.explain(length);
  const context = contextOf(rope, length);
  const plot = plotWavelengths(pairs, { context, width: Math.max(24, Math.min(64, columns - 46)), palette });
  return [
    `${palette.bold(layers)}: ${palette.green(rope.ropeType)}`,
    rulesTable(printableReport(mergedRules(read, rules)), columns, palette),
    "",
    ...plot,
    summary(pairs, context),
  ].join("\n");
}

/** The length that wavelengths are compared with: the option `--length`, else the length that the model admits. */
function contextOf({ maxPosition, positionLimit }: RotaryEmbedding, length: number | undefined): PlotContext | null {
  if (length !== undefined) return { word: "length", positions: length };
  if (maxPosition === null) return null;
  // A type without an upper length is limited by float32's integers only. That is no useful context.
  return { word: "context", positions: positionLimit > 2 ** 24 ? maxPosition : positionLimit };
}

function summary(pairs: readonly PlottedPair[], context: PlotContext | null): string {
  const rotated = pairs.filter(({ wavelength }) => Number.isFinite(wavelength));
  const still = pairs.length - rotated.length;
  const rest = still === 0 ? "" : ` ${still} pairs are not rotated.`;
  if (context === null) return `The config does not say how many positions the model admits.${rest}`;
  const turning = rotated.filter(({ wavelength }) => wavelength <= context.positions).length;
  const slow = turning === rotated.length ? "" : "; the others (right of the bar) never do";
  return `${turning} of ${rotated.length} ${still === 0 ? "" : "rotated "}pairs complete a turn within ${context.positions} positions${slow}.${rest}`;
}

function rulesTable(rules: readonly RopeRule[], columns: number, palette: Palette): string {
  const values = rules.map(({ value }) =>
    typeof value === "number" ? String(Number(value.toPrecision(12))) : String(value),
  );
  const widest = (texts: readonly string[]): number => Math.max(...texts.map((text) => text.length)) + 2;
  const [first, second] = [widest(rules.map(({ name }) => name)), Math.min(widest(values), 30)];
  const table = new Table({
    colWidths: [first, second, Math.max(30, columns - first - second - 4)],
    wordWrap: true,
    style: { head: [], border: palette.dim("x") === "x" ? [] : ["gray"] },
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
  rules.forEach(({ name, rule, source }, i) =>
    table.push([name, palette.bold(values[i]!), palette.dim(source === undefined ? rule : `${rule} (${source})`)]),
  );
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}
