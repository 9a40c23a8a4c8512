/**
 * JSON of files that anybody may have written: as Python writes it, checked before it is parsed.
 *
 * A parser makes many bytes of memory of one byte of text (`[` is 50), and some of the code that reads the result goes
 * down with it. So the text is counted first: its bytes, its values, and how deep they lie. Real configs stay far below
 * each limit (docs/limits.md).
 */

import { randomUUID } from "node:crypto";
import { CliFailure } from "./failure.ts";

/** The index of a model of 10^12 parameters has 13 MB. */
export const largestJson = 25_000_000;
/** That index has 140 000 values; a config with the names of 21 000 classes has 44 000. */
const mostValues = 262_144;
const deepest = 200;

/**
 * The value of a JSON text in UTF-8. Also accepts `Infinity` and `NaN`, which Python's `json` writes and published
 * configs contain (`time_step_limit` of Mamba hybrids). NaN stays NaN; code that needs a number refuses it.
 *
 * @param path for messages.
 * @throws CliFailure if it is no JSON, or beyond a limit.
 */
export function parseJson(bytes: Uint8Array, path: string): unknown {
  const tokens = numbersOfPython(bytes, path);
  try {
    const decoder = new TextDecoder();
    if (tokens.length === 0) return JSON.parse(decoder.decode(bytes));
    // The JSON number 1e999 is read as Infinity; no JSON number is read as NaN.
    const mark = randomUUID();
    let end = 0;
    const parts = tokens.flatMap(({ at, name }) => {
      const before = decoder.decode(bytes.subarray(end, at));
      end = at + name.length;
      return [before, name === "NaN" ? `"${mark}"` : "1e999"];
    });
    const standard = parts.join("") + decoder.decode(bytes.subarray(end));
    return JSON.parse(standard, (_, value: unknown) => (value === mark ? Number.NaN : value));
  } catch (error) {
    throw new CliFailure("FILE_FORMAT", `${path} is not JSON: ${(error as Error).message.replaceAll(/\s+/g, " ")}.`);
  }
}

interface Token {
  readonly at: number;
  readonly name: "Infinity" | "NaN";
}

const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const [open, close, openList, closeList] = [0x7b, 0x7d, 0x5b, 0x5d];

/** Counts a text in one pass. @returns the places outside of strings where Python writes what JSON does not have. */
function numbersOfPython(bytes: Uint8Array, path: string): Token[] {
  const tokens: Token[] = [];
  let values = 1;
  let depth = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === quote) {
      for (i++; i < bytes.length && bytes[i] !== quote; i++) if (bytes[i] === backslash) i++;
    } else if (byte === comma) values++;
    else if (byte === open || byte === openList) {
      values++;
      depth++;
      if (depth > deepest) {
        throw new CliFailure(
          "FILE_FORMAT",
          `${path} holds more than ${deepest} levels of lists and objects in each other.`,
        );
      }
    } else if (byte === close || byte === closeList) depth--;
    else if (byte === 0x4e || byte === 0x49) {
      const name = byte === 0x4e ? "NaN" : "Infinity";
      if (!isAt(bytes, i, name)) continue;
      tokens.push({ at: i, name });
      i += name.length - 1;
    }
    if (values > mostValues) {
      throw new CliFailure("FILE_FORMAT", `${path} holds more than ${mostValues} values; no config is so large.`);
    }
  }
  return tokens;
}

/** Whether a word stands at a place as a value: by itself, and not as a key. */
function isAt(bytes: Uint8Array, at: number, word: string): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word.charCodeAt(i)) return false;
  let end = at + word.length;
  const isAlone = [bytes[at - 1], bytes[end]].every(
    (beside) => beside === undefined || !/[\w$]/.test(String.fromCharCode(beside)),
  );
  while (bytes[end]! <= 0x20) end++;
  return isAlone && bytes[end] !== colon;
}
