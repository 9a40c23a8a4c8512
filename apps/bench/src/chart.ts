/**
 * docs/speed.svg: lines of ratios over the number of tokens, both axes logarithmic; colours for light and dark pages.
 */

import { mainGroup } from "./speed-page.ts";
import type { Report } from "./report.ts";
import { rows } from "./rows.ts";
import type { Row } from "./rows.ts";

const SIZE = { width: 870, height: 440 };
const PLOT = { left: 60, right: 660, top: 64, bottom: 400 };
const LABEL_DISTANCE = 17;

interface Line {
  readonly row: Row;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export function chart(report: Report): string {
  const { yardstick, machine } = report;
  const { members, title } = mainGroup(report);
  const sizes = members.map(({ tokens }) => tokens);
  const series = rows.flatMap((row) => {
    const values = members.flatMap(({ tokens, results }) => {
      const ratio = results.find(({ name }) => name === row.name)?.timesFasterThan[yardstick];
      return ratio === undefined ? [] : [{ tokens, ratio }];
    });
    return values.length === 0 ? [] : [{ row, values }];
  });

  // The yardstick is the line at 1, so the axis always includes 1.
  const ratios = [1, ...series.flatMap(({ values }) => values.map(({ ratio }) => ratio))];
  const low = Math.floor(2 * Math.log10(Math.min(...ratios))) / 2;
  const high = Math.ceil(2 * Math.log10(Math.max(...ratios))) / 2;
  const x = scale(Math.log2(Math.min(...sizes)), Math.log2(Math.max(...sizes)), PLOT.left, PLOT.right);
  const y = scale(low, high, PLOT.bottom, PLOT.top);
  const lines: Line[] = series.map(({ row, values }) => ({
    row,
    points: values.map(({ tokens, ratio }) => ({ x: x(Math.log2(tokens)), y: y(Math.log10(ratio)) })),
  }));

  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" font-family="system-ui, sans-serif" font-size="13" role="img">
<title>Times as fast as ${escaped(yardstick)}, by the number of tokens</title>
<style>
${styles(lines)}
</style>
<rect class="page" width="${SIZE.width}" height="${SIZE.height}" rx="6"/>
<text class="ink" x="20" y="28" font-size="15" font-weight="600">Times as fast as ${escaped(yardstick)}, by the number of tokens</text>
<text class="faint" x="20" y="47">${escaped(title)}; ${escaped(machine.cpu)}</text>
${axes(sizes, x, { low, high }, y, yardstick)}
${lines.map(drawn).join("\n")}
${labels(lines)}
</svg>
`;
}

/** A linear map of `[from, to]` to `[start, end]`; a single value lies in the middle. */
function scale(from: number, to: number, start: number, end: number): (value: number) => number {
  return (value) => (from === to ? (start + end) / 2 : start + ((value - from) / (to - from)) * (end - start));
}

/** Without CSS variables, because some viewers of SVG do not support them. */
function styles(lines: readonly Line[]): string {
  const colours = (mode: 0 | 1): string =>
    lines
      .map(
        ({ row }, i) =>
          `.s${i} .line { stroke: ${row.colours[mode]} } .s${i} .dot, .s${i} .label { fill: ${row.colours[mode]} }`,
      )
      .join("\n");
  return `.page { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #59636e } .grid { stroke: #d9dde2 } .one { stroke: #1f2328 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round } .label { font-weight: 600 }
${colours(0)}
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } .ink { fill: #f0f6fc } .faint { fill: #9198a1 } .grid { stroke: #30363d } .one { stroke: #f0f6fc }
${colours(1)}
}`;
}

function axes(
  sizes: readonly number[],
  x: (value: number) => number,
  { low, high }: { low: number; high: number },
  y: (value: number) => number,
  yardstick: string,
): string {
  const parts: string[] = [];
  for (let decade = Math.ceil(low); decade <= high; decade++) {
    const at = y(decade).toFixed(1);
    parts.push(`<path class="${decade === 0 ? "one" : "grid"}" d="M${PLOT.left} ${at}H${PLOT.right}"/>`);
    parts.push(
      `<text class="faint" x="${PLOT.left - 8}" y="${at}" dy="4" text-anchor="end">${decade < 0 ? (10 ** decade).toFixed(-decade) : 10 ** decade}×</text>`,
    );
  }
  for (const tokens of sizes) {
    parts.push(
      `<text class="faint" x="${x(Math.log2(tokens)).toFixed(1)}" y="${PLOT.bottom + 22}" text-anchor="middle">${tokens}</text>`,
    );
  }
  parts.push(
    `<text class="ink" x="${PLOT.right - 4}" y="${(y(0) + 15).toFixed(1)}" font-size="12" text-anchor="end">${escaped(yardstick)}</text>`,
  );
  return parts.join("\n");
}

function drawn({ row, points }: Line, index: number): string {
  const path = points.map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const dots = points
    .map(({ x, y }) => `<circle class="dot" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3"/>`)
    .join("");
  return `<g class="s${index}"><path class="line"${row.dashes === undefined ? "" : ` stroke-dasharray="${row.dashes}"`} d="${path}"/>${dots}</g>`;
}

/** Names at the ends of the lines. They are moved apart downwards, and then upwards if they leave the plot. */
function labels(lines: readonly Line[]): string {
  const ends = lines
    .map(({ row, points }, index) => ({ label: row.short, index, end: points.at(-1)!, y: points.at(-1)!.y }))
    .sort((a, b) => a.y - b.y);
  for (let i = 1; i < ends.length; i++) ends[i]!.y = Math.max(ends[i]!.y, ends[i - 1]!.y + LABEL_DISTANCE);
  for (let i = ends.length - 1; i >= 0; i--) {
    ends[i]!.y = Math.min(ends[i]!.y, i === ends.length - 1 ? PLOT.bottom : ends[i + 1]!.y - LABEL_DISTANCE);
  }
  return ends
    .map(
      ({ label, index, end, y }) =>
        `<g class="s${index}"><path class="line" style="stroke-width:1" d="M${(end.x + 5).toFixed(1)} ${end.y.toFixed(1)}L${PLOT.right + 22} ${y.toFixed(1)}"/><text class="label" x="${PLOT.right + 27}" y="${y.toFixed(1)}" dy="4">${escaped(label)}</text></g>`,
    )
    .join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
