/** The text that `ropewalk inspect` prints of one file. */

import Table from "cli-table3";
import type { ModelRopes, RotaryEmbedding } from "../index.ts";
import type { Palette } from "./plot.ts";
import { plotWavelengths } from "./plot.ts";

export interface ReportOptions {
  readonly palette: Palette;
  /** Columns of the terminal. */
  readonly columns: number;
  /** The current length, for types whose frequencies depend on it. */
  readonly length: number | undefined;
}

/** Ropes of one config by layer type: the rule behind each number, a plot of wavelengths, and what was not read. */
export function reportText(file: string, { byLayerType, notes }: ModelRopes, options: ReportOptions): string {
  const { palette } = options;
  const sections = [...byLayerType].map(([layerType, rope]) => {
    const layers = layerType === null ? "all layers" : `layers of type ${layerType}`;
    return rope === null ? `${palette.bold(layers)}: no rope` : ropeText(layers, rope, options);
  });
  if (notes.length > 0) {
    const lines = notes.map(({ path, message }) => `  ${palette.yellow("•")} ${path === "" ? "" : `${palette.bold(path)}: `}${message}`);
    sections.push([palette.bold("notes on the config"), ...lines].join("\n"));
  }
  return `${palette.bold(palette.cyan(file))}\n\n${sections.join("\n\n")}\n`;
}

function ropeText(layers: string, rope: RotaryEmbedding, { palette, columns, length }: ReportOptions): string {
  const { rules, pairs } = rope.explain(length);
  const context = rope.maxPosition === null ? null : rope.positionLimit;
  const turning = pairs.filter(({ wavelength }) => wavelength <= (context ?? Infinity)).length;
  const plot = plotWavelengths(pairs, { context, width: Math.max(24, Math.min(64, columns - 46)), palette });
  return [
    `${palette.bold(layers)}: ${palette.green(rope.ropeType)}`,
    rulesTable(rules, columns, palette),
    "",
    ...plot,
    context === null
      ? "The config does not say how many positions the model admits."
      : `${turning} of ${pairs.length} pairs complete a turn within ${context} positions${turning === pairs.length ? "" : "; the others (right of the bar) never do"}.`,
  ].join("\n");
}

function rulesTable(rules: readonly { readonly name: string; readonly value: unknown; readonly rule: string; readonly source?: string }[], columns: number, palette: Palette): string {
  const values = rules.map(({ value }) => (typeof value === "number" ? String(Number(value.toPrecision(12))) : String(value)));
  const widest = (texts: readonly string[]): number => Math.max(...texts.map((text) => text.length)) + 2;
  const [first, second] = [widest(rules.map(({ name }) => name)), widest(values)];
  const table = new Table({
    colWidths: [first, second, Math.max(30, columns - first - second - 4)],
    wordWrap: true,
    style: { head: [], border: palette.dim("x") === "x" ? [] : ["gray"] },
    chars: { top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "", left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "", middle: " " },
  });
  rules.forEach(({ name, rule, source }, i) => table.push([name, palette.bold(values[i]!), palette.dim(source === undefined ? rule : `${rule} (${source})`)]));
  return table.toString().replaceAll(/ +$/gm, "");
}
