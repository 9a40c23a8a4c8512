/**
 * Plots the wavelengths of a rope against the context length, as lines of text.
 *
 * A pair whose wavelength is longer than the context never completes a turn. Context extension changes these pairs, so
 * the plot shows them.
 */

/** The part of `rope.explain().pairs` that is drawn. */
export interface PlottedPair {
  readonly pair: number;
  /** Positions in one full turn; infinite if the pair is not rotated. */
  readonly wavelength: number;
  /** The regime of the pair, or `""`. */
  readonly regime: string;
}

/** Functions that colour text. They return it unchanged if the output is not a terminal. */
export interface Palette {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly cyan: (text: string) => string;
  readonly red: (text: string) => string;
}

/** The number of positions that wavelengths are compared with. */
export interface PlotContext {
  /** The meaning of `positions`. */
  readonly word: "context" | "length";
  readonly positions: number;
}

export interface PlotOptions {
  /** `null` if the config does not state it. */
  readonly context: PlotContext | null;
  /** Columns of the drawing itself. */
  readonly width: number;
  readonly palette: Palette;
}

/** The largest number of lines. Neighbouring pairs share a line. */
const MOST_LINES = 16;

/** One line for each group of neighbouring pairs, fastest first, with a logarithmic axis below. */
export function plotWavelengths(pairs: readonly PlottedPair[], { context, width, palette }: PlotOptions): string[] {
  const groups = groupPairs(pairs);
  const finite = pairs.map(({ wavelength }) => wavelength).filter(Number.isFinite);
  const extremes = [...finite, ...(context === null ? [] : [context.positions])];
  const low = Math.floor(Math.log10(Math.min(...extremes, 1e3)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...extremes, 1))));
  const column = (value: number): number =>
    Math.min(width - 1, Math.max(0, Math.round(((Math.log10(value) - low) / (high - low)) * (width - 1))));
  const mark = context === null ? -1 : column(context.positions);

  const labels = groups.map(({ first, last }) =>
    first.pair === last.pair ? `${first.pair}` : `${first.pair}–${last.pair}`,
  );
  const spans = groups.map(({ first, last }) => {
    if (!Number.isFinite(first.wavelength)) return "not rotated";
    return first.pair === last.pair
      ? short(first.wavelength)
      : `${short(first.wavelength)} – ${short(last.wavelength)}`;
  });
  const regimes = groups.map(({ first }) => first.regime);
  const pad = (texts: readonly string[], title: string): number =>
    Math.max(title.length, ...texts.map((text) => text.length));
  const widths = [pad(labels, "pairs"), pad(spans, "wavelength"), pad(regimes, "")] as const;
  const left = (a: string, b: string, c: string): string =>
    `${a.padEnd(widths[0])}  ${b.padEnd(widths[1])}  ${widths[2] === 0 ? "" : `${c.padEnd(widths[2])}  `}`;

  const lines = groups.map(({ first, last }, index) => {
    const shown = Number.isFinite(first.wavelength)
      ? { from: column(first.wavelength), to: column(last.wavelength) }
      : { from: -1, to: -2 };
    const [from, to] = [Math.min(shown.from, shown.to), Math.max(shown.from, shown.to)];
    let drawing = "";
    for (let i = 0; i < width; i++) {
      const covered = shown.from >= 0 && i >= from && i <= to;
      if (covered) drawing += (mark >= 0 && i > mark ? palette.yellow : palette.green)("━");
      else drawing += i === mark ? palette.cyan("│") : " ";
    }
    return `${left(labels[index]!, spans[index]!, regimes[index]!)}${drawing}`.trimEnd();
  });

  const empty = left("", "", "");
  const heading = left("pairs", "wavelength", "");
  const [ticks, numbers] = axis(low, high, width, column);
  const label = context === null ? "" : `${context.word} ${context.positions}`;
  const markLine =
    mark < 0 ? [] : [empty + " ".repeat(Math.max(0, Math.min(mark, width - label.length))) + palette.cyan(label)];
  const [firstMark = ""] = markLine;
  return [
    palette.dim(heading) + firstMark.slice(heading.length),
    ...lines,
    empty + palette.dim(ticks),
    empty + palette.dim(numbers),
  ];
}

interface Group {
  readonly first: PlottedPair;
  readonly last: PlottedPair;
}

/** Runs of pairs of one regime, cut so that together they take at most {@link MOST_LINES} lines, if possible. */
function groupPairs(pairs: readonly PlottedPair[]): Group[] {
  const runs: PlottedPair[][] = [];
  for (const pair of pairs) {
    const run = runs.at(-1);
    const continues =
      run?.[0]?.regime === pair.regime && Number.isFinite(run[0].wavelength) === Number.isFinite(pair.wavelength);
    if (continues) run.push(pair);
    else runs.push([pair]);
  }
  for (let size = 1; ; size++) {
    const lines = runs.reduce(
      (sum, run) => sum + (Number.isFinite(run[0]!.wavelength) ? Math.ceil(run.length / size) : 1),
      0,
    );
    if (lines > MOST_LINES && size < pairs.length) continue;
    return runs.flatMap((run) => {
      const step = Number.isFinite(run[0]!.wavelength) ? size : run.length;
      return Array.from({ length: Math.ceil(run.length / step) }, (_, i) => {
        const part = run.slice(i * step, (i + 1) * step);
        return { first: part[0]!, last: part.at(-1)! };
      });
    });
  }
}

/** Ticks at powers of ten, and their numbers if there is room. */
function axis(low: number, high: number, width: number, column: (value: number) => number): [string, string] {
  const ticks = Array.from({ length: width }, () => "─");
  let numbers = "";
  for (let exponent = low; exponent <= high; exponent++) {
    const at = column(10 ** exponent);
    ticks[at] = "┴";
    const text = power(exponent);
    const start = Math.max(0, Math.min(at, width - text.length));
    if (numbers === "" || start > numbers.length) numbers = numbers.padEnd(start) + text;
  }
  return [ticks.join(""), numbers];
}

const power = (exponent: number): string =>
  exponent < 0 || exponent > 14
    ? `1e${exponent}`
    : `1${"0".repeat(exponent % 3)}${["", "k", "M", "G", "T"][Math.floor(exponent / 3)]}`;

/** Three significant digits, with a unit letter for thousands. */
export function short(value: number): string {
  if (value >= 1e15 || value < 1e-3) return value.toPrecision(3);
  const unit = value < 999.5 ? 0 : Math.min(4, Math.floor(Math.log10(value * (1 + 5e-4)) / 3));
  return `${Number((value / 1000 ** unit).toPrecision(3))}${["", "k", "M", "G", "T"][unit]}`;
}
