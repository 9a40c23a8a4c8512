/** Damaged files: bytes flipped, cut, repeated and swapped; numbers and words that mean something put in. */

import type { Random } from "./random.ts";
import { configs, gguf, npy, safetensors } from "./seeds.ts";
import type { Format } from "./seeds.ts";

/** Text that the formats, their readers, JavaScript or a terminal may take as more than text. */
const words = [
  '"__proto__"',
  '"constructor"',
  '"toString"',
  "null",
  "true",
  "NaN",
  "-Infinity",
  "5e-324",
  "1e308",
  "1e999",
  "-1",
  "0",
  "0.5",
  "9007199254740993",
  "99999999999999999999999",
  "[]",
  "{}",
  "[[[[[[[[",
  '""',
  '"\\u0000"',
  '"\\u001b[2J\\u009b"',
  "\u001b]0;x\u0007",
  "\n",
  "\uFEFF",
  "F64",
  "F99",
  "<f8",
  "True",
  "(3,)",
  "rope_theta",
  "rope_type",
  "yarn",
  "weight",
  "q_proj",
  "..",
  "/",
  "a".repeat(5000),
  " ".repeat(5000),
  '\\"'.repeat(2000),
  "[".repeat(3000),
];

const numbers = [0n, 1n, 255n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 40n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

const whole: Readonly<Record<Exclude<Format, "json">, () => Buffer>> = { safetensors, npy, gguf };

/** A damaged file of a format. */
export function damaged(format: Format, random: Random): Buffer {
  let bytes = format === "json" ? Buffer.from(JSON.stringify(changed(random.pick(configs), random))) : whole[format]();
  if (format === "safetensors" && random.below(2) === 0) bytes = withHeader(bytes, random);
  for (let i = random.below(4) + (format === "json" ? 0 : 1); i > 0; i--) bytes = once(bytes, random);
  return bytes;
}

/** A header whose JSON is changed, with the length that belongs to it. */
function withHeader(bytes: Buffer, random: Random): Buffer {
  const end = 8 + Number(bytes.readBigUInt64LE(0));
  const header = Buffer.from(JSON.stringify(changed(JSON.parse(bytes.toString("utf8", 8, end)) as object, random)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, bytes.subarray(end)]);
}

function once(bytes: Buffer, random: Random): Buffer {
  const [at, to] = [random.below(bytes.length + 1), random.below(bytes.length + 1)];
  const [start, end] = [Math.min(at, to), Math.max(at, to)];
  const copy = Buffer.from(bytes);
  switch (random.below(8)) {
    case 0:
      if (copy.length > 0) copy[at % copy.length]! ^= 1 << random.below(8);
      return copy;
    case 1:
      return copy.subarray(0, at);
    case 2:
      return Buffer.concat([copy.subarray(0, start), copy.subarray(end)]);
    case 3:
      return Buffer.concat([copy.subarray(0, end), copy.subarray(start)]);
    case 4: {
      const word = Buffer.from(random.pick(words));
      return Buffer.concat([copy.subarray(0, at), word, copy.subarray(at)]);
    }
    case 5: {
      const word = Buffer.from(random.pick(words));
      return Buffer.concat([copy.subarray(0, at), word, copy.subarray(Math.min(copy.length, at + word.length))]);
    }
    case 6:
      if (copy.length >= at + 8) copy.writeBigUInt64LE(random.pick(numbers), at);
      return copy;
    default:
      return Buffer.concat([
        copy.subarray(0, at),
        Buffer.alloc(random.below(64), random.below(256)),
        copy.subarray(at),
      ]);
  }
}

const values: readonly unknown[] = [
  null,
  true,
  "",
  "x",
  "yarn",
  "default",
  "__proto__",
  "\u001b[2J\u009b\n",
  0,
  -1,
  0.5,
  1,
  3,
  1e308,
  5e-324,
  2 ** 31,
  2 ** 53,
  1e15,
  [],
  {},
  [null],
  [1, 1],
  [[1], 2],
  { rope_type: "yarn" },
  "y".repeat(10_000),
  Array.from({ length: 5000 }, (_, i) => i),
  Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`rope_${i}`, i])),
];

/** A copy with one to three places changed: another value, no value, another key. */
function changed(value: object, random: Random): object {
  const copy = structuredClone(value);
  for (let i = 1 + random.below(3); i > 0; i--) {
    let holder = copy as Record<string, unknown>;
    for (;;) {
      const keys = Object.keys(holder);
      const key = keys.length === 0 ? "x" : random.pick(keys);
      const inner = holder[key];
      if (typeof inner === "object" && inner !== null && random.below(2) === 0) {
        holder = inner as Record<string, unknown>;
        continue;
      }
      const kind = random.below(4);
      const other = random.pick([
        ...keys,
        "rope_scaling",
        "rope_theta",
        "partial_rotary_factor",
        "dtype",
        "shape",
        "x",
      ]);
      if (kind === 0) delete holder[key];
      else if (kind === 1) holder[other] = structuredClone(inner);
      else holder[kind === 2 ? key : other] = structuredClone(random.pick(values));
      break;
    }
  }
  return copy;
}
