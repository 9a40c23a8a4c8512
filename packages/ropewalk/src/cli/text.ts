/** Text that others wrote, made fit for a terminal: names of files and tensors, keys and values of configs. */

/**
 * What a terminal or a reader may take as more than a character: controls (C0, DEL and C1, with ESC and newlines), line
 * and paragraph separators, marks that turn the direction of text, halves of pairs of surrogates.
 */
const harmful = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/gu;
/** Of these, what `JSON.stringify` leaves as it is. */
const harmfulInJson = /[\u007F-\u009F\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** The longest own message has some 500 characters. Of a longer text, the ends are shown. */
const longest = 1000;
const shownEnd = 250;

/** One text on one line, escaped and cut. Every command prints foreign text through this function or a caller of it. */
export function printable(text: string): string {
  return cut(text).replace(harmful, escaped);
}

/** A report with every text in it made {@link printable}, keys too. */
export function printableReport<T>(report: T): T {
  return mapTexts(report) as T;
}

function mapTexts(value: unknown): unknown {
  if (typeof value === "string") return printable(value);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map(mapTexts);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [printable(key), mapTexts(item)]));
}

/** JSON on one line, which a terminal can show too. The value is the same. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(
    harmfulInJson,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Text of several lines and in colours, as reports have. A last guard: what else a terminal obeys is escaped. */
export function printableLines(text: string): string {
  return text.replace(harmful, (found, at: number) =>
    found === "\n" || (found === "\u001B" && isColour(text.slice(at + 1, at + 9))) ? found : escaped(found),
  );
}

/** Whether a sequence of this tool's colours follows: `[`, digits, `m`. */
const isColour = (text: string): boolean => /^\[\d{1,3}m/.test(text);

function cut(text: string): string {
  if (text.length <= longest) return text;
  const left = text.length - longest;
  return `${text.slice(0, longest - shownEnd)} … (${left} characters) … ${text.slice(-shownEnd)}`;
}

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(character: string): string {
  const code = character.codePointAt(0)!.toString(16);
  return short[character] ?? (code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u{${code}}`);
}
