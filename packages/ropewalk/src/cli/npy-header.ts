/**
 * The header of an `.npy` file: a Python dict literal, read by its grammar.
 *
 *     header = "{" entry ("," entry)* [","] "}" space*
 *     entry  = key ":" value     (descr, fortran_order and shape, each once, in any order)
 *
 * Anything else that Python's `literal_eval` would take, NumPy does not write; it is refused.
 *
 * Source: NumPy Enhancement Proposal 1; `numpy.lib.format` 2.3.
 */

/** What a header says. */
export interface NpyHeader {
  readonly descr: string;
  readonly isFortranOrder: boolean;
  readonly shape: readonly number[];
}

/** NumPy arrays have at most 64 axes. */
const mostAxes = 64;

/** @param fail throws; its argument says what the file does. */
export function parseNpyHeader(text: string, fail: (what: string) => never): NpyHeader {
  const literal = new Literal(text, fail);
  let descr: string | undefined;
  let isFortranOrder: boolean | undefined;
  let shape: readonly number[] | undefined;
  literal.entries((key) => {
    if (key === "descr") {
      if (literal.isNext("[")) fail("holds records, not a plain array of numbers");
      descr = literal.text();
    } else if (key === "fortran_order") isFortranOrder = literal.boolean();
    else if (key === "shape") shape = literal.sizes();
    else fail(`has the key ${JSON.stringify(key)} in its header; known are descr, fortran_order and shape`);
  });
  if (descr === undefined || isFortranOrder === undefined || shape === undefined) {
    return fail("has a header without descr, fortran_order and shape");
  }
  return { descr, isFortranOrder, shape };
}

const isDigit = (character: string | undefined): boolean =>
  character !== undefined && character >= "0" && character <= "9";

/** Reads the parts of a literal from the first character to the last. */
class Literal {
  readonly #text: string;
  readonly #fail: (what: string) => never;
  #at = 0;

  constructor(text: string, fail: (what: string) => never) {
    this.#text = text;
    this.#fail = fail;
  }

  /** A dict, and nothing after it; `read` reads the value of each key. */
  entries(read: (key: string) => void): void {
    const seen = new Set<string>();
    this.#expect("{");
    while (!this.#take("}")) {
      const key = this.text();
      if (seen.has(key)) this.#fail(`has the key ${JSON.stringify(key)} twice in its header`);
      seen.add(key);
      this.#expect(":");
      read(key);
      if (this.#take(",")) continue;
      this.#expect("}");
      break;
    }
    this.#skipSpaces();
    if (this.#at < this.#text.length) this.#broken();
  }

  isNext(character: string): boolean {
    this.#skipSpaces();
    return this.#text[this.#at] === character;
  }

  /** A string in either quotes, without escapes. */
  text(): string {
    const quote = this.isNext('"') ? '"' : "'";
    this.#expect(quote);
    const end = this.#text.indexOf(quote, this.#at);
    if (end < 0) return this.#broken();
    const text = this.#text.slice(this.#at, end);
    if (text.includes("\\") || text.includes("\n")) this.#broken();
    this.#at = end + 1;
    return text;
  }

  boolean(): boolean {
    this.#skipSpaces();
    for (const [word, value] of [
      ["True", true],
      ["False", false],
    ] as const) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    return this.#broken();
  }

  /** A tuple of sizes: `()`, `(3,)`, `(2, 3)`. One size needs its comma, as in Python. */
  sizes(): number[] {
    const sizes: number[] = [];
    this.#expect("(");
    while (!this.#take(")")) {
      sizes.push(this.#size());
      if (sizes.length > mostAxes) this.#fail(`has more than ${mostAxes} axes`);
      if (this.#take(",")) continue;
      if (sizes.length === 1) this.#broken();
      this.#expect(")");
      break;
    }
    return sizes;
  }

  #size(): number {
    this.#skipSpaces();
    const start = this.#at;
    let size = 0;
    for (; isDigit(this.#text[this.#at]); this.#at++) size = 10 * size + Number(this.#text[this.#at]);
    const isPadded = this.#at - start > 1 && this.#text[start] === "0";
    if (this.#at === start || isPadded || !Number.isSafeInteger(size)) this.#broken();
    // Python 2 wrote 3L.
    if (this.#text[this.#at] === "L") this.#at++;
    return size;
  }

  #take(character: string): boolean {
    if (!this.isNext(character)) return false;
    this.#at++;
    return true;
  }

  #expect(character: string): void {
    if (!this.#take(character)) this.#broken();
  }

  #skipSpaces(): void {
    while (this.#text[this.#at] === " " || this.#text[this.#at] === "\n") this.#at++;
  }

  #broken(): never {
    return this.#fail(
      `has a header that is no dict of descr, fortran_order and shape as NumPy writes it (character ${this.#at} does not fit)`,
    );
  }
}
