/**
 * The JSON header of a `.safetensors` file, read by the grammar of the format and not as any JSON: memory stays in
 * proportion to the tensors, and what another reader may understand otherwise is refused.
 *
 * Source: the format description of huggingface/safetensors.
 */

/** A tensor as the header describes it; `start` and `end` count from the first byte of the data. */
export interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

export interface ParsedHeader {
  readonly metadata: Readonly<Record<string, string>> | undefined;
  /** In the order of the file. */
  readonly tensors: ReadonlyMap<string, HeaderEntry>;
}

/** The largest models have 140 000 tensors in all their files together, and some 5000 in each. */
const mostTensors = 65_536;
const mostAxes = 64;

/** @param fail throws; its argument says what the file does. */
export function parseHeader(bytes: Uint8Array, fail: (what: string) => never): ParsedHeader {
  // No space and no byte order mark before it.
  if (bytes[0] !== open) fail("is not a .safetensors file: its header is not a JSON object");
  const json = new Reader(bytes, fail);
  const tensors = new Map<string, HeaderEntry>();
  let metadata: Record<string, string> | undefined;
  json.object((name) => {
    if (name === "__metadata__") {
      const entries = new Map<string, string>();
      json.object((key) => void entries.set(key, json.text()));
      metadata = Object.fromEntries(entries);
      return;
    }
    tensors.set(name, readEntry(name, json, fail));
    if (tensors.size > mostTensors) fail(`holds more than ${mostTensors} tensors`);
  });
  json.end();
  return { metadata, tensors };
}

function readEntry(name: string, json: Reader, fail: (what: string) => never): HeaderEntry {
  const where = (): string => `the tensor ${JSON.stringify(name)}`;
  let dtype: string | undefined;
  let shape: readonly number[] | undefined;
  let offsets: readonly number[] | undefined;
  json.object((key) => {
    if (key === "dtype") dtype = json.text();
    else if (key === "shape") shape = json.sizes(mostAxes);
    else if (key === "data_offsets") offsets = json.sizes(2);
    else fail(`describes ${where()} with ${JSON.stringify(key)}, which the format does not have`);
  });
  if (shape === undefined || offsets?.length !== 2) {
    return fail(`describes ${where()} without shape and data_offsets`);
  }
  if (dtype === undefined) return fail(`describes ${where()} without dtype`);
  return { dtype, shape, start: offsets[0]!, end: offsets[1]! };
}

const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const [open, close, openList, closeList] = [0x7b, 0x7d, 0x5b, 0x5d];
/** Space, tabulator, line feed, carriage return. */
const spaces: readonly number[] = [0x20, 0x09, 0x0a, 0x0d];

/** Reads the parts of JSON that the format uses, from the first byte to the last. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #fail: (what: string) => never;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #at = 0;

  constructor(bytes: Uint8Array, fail: (what: string) => never) {
    this.#bytes = bytes;
    this.#fail = fail;
  }

  /** An object; `read` reads the value of each key. */
  object(read: (key: string) => void): void {
    this.#expect(open);
    const seen = new Set<string>();
    if (this.#isNext(close)) return;
    do {
      const key = this.text();
      if (seen.has(key)) this.#fail(`has the key ${JSON.stringify(key)} twice in its header`);
      seen.add(key);
      this.#expect(colon);
      read(key);
    } while (this.#isNext(comma));
    this.#expect(close);
  }

  text(): string {
    this.#expect(quote);
    const start = this.#at;
    let isPlain = true;
    for (; this.#bytes[this.#at] !== quote; this.#at++) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) return this.#broken();
      if (byte < 0x20) return this.#broken();
      if (byte !== backslash) continue;
      isPlain = false;
      this.#at++;
    }
    const bytes = this.#bytes.subarray(start, this.#at++);
    try {
      const text = this.#decoder.decode(bytes);
      return isPlain ? text : (JSON.parse(`"${text}"`) as string);
    } catch {
      return this.#broken();
    }
  }

  /** A list of whole numbers. */
  sizes(most: number): number[] {
    this.#expect(openList);
    const sizes: number[] = [];
    if (this.#isNext(closeList)) return sizes;
    do {
      sizes.push(this.#size());
      if (sizes.length > most) this.#fail(`has a list of more than ${most} numbers in its header`);
    } while (this.#isNext(comma));
    this.#expect(closeList);
    return sizes;
  }

  /** Nothing but spaces follows. */
  end(): void {
    this.#skipSpaces();
    if (this.#at < this.#bytes.length) this.#broken();
  }

  #size(): number {
    this.#skipSpaces();
    const start = this.#at;
    let size = 0;
    for (let byte = this.#bytes[start]!; byte >= 0x30 && byte <= 0x39; byte = this.#bytes[++this.#at]!) {
      size = 10 * size + byte - 0x30;
    }
    const digits = this.#at - start;
    const isPadded = digits > 1 && this.#bytes[start] === 0x30;
    if (digits === 0 || isPadded || !Number.isSafeInteger(size)) this.#broken();
    return size;
  }

  #skipSpaces(): void {
    while (spaces.includes(this.#bytes[this.#at]!)) this.#at++;
  }

  #isNext(byte: number): boolean {
    this.#skipSpaces();
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at++;
    return true;
  }

  #expect(byte: number): void {
    if (!this.#isNext(byte)) this.#broken();
  }

  #broken(): never {
    return this.#fail(
      `is not a .safetensors file: its header is not a JSON object of tensors (byte ${8 + this.#at} does not fit)`,
    );
  }
}
