/** Prompts as people have them: packed, padded, continued, in chunks; and what is refused. */

import { RopeError } from "@ropewalk/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodePositions,
  gridPositions,
  IMAGE,
  maskedPositions,
  packedPositions,
  place,
  promptPositions,
  slicePositions,
  TEXT,
  VIDEO,
} from "../src/positions/index.ts";
import type { AxisPositions, PatchGrid, PromptOptions, PromptPositions, VideoTime } from "../src/positions/index.ts";

const seed = Number(process.env["ROPEWALK_SEED"] ?? 20_261_128);
const runs = { seed, numRuns: 200 };

/** `[axis][row][token]`. */
const nested = ({ data, shape }: AxisPositions): number[][][] =>
  Array.from({ length: shape[0]! }, (_, axis) =>
    Array.from({ length: shape[1]! }, (__, row) => {
      const from = (axis * shape[1]! + row) * shape[2]!;
      return [...data.subarray(from, from + shape[2]!)];
    }),
  );
const firstRow = (options: PromptOptions): number[][] =>
  nested(promptPositions(options).positions).map(([row]) => row!);
const times = (kind: number, count: number): number[] => new Array<number>(count).fill(kind);

describe("what people reported", () => {
  const sixteen = { modalities: [[0, 0, 0, ...times(2, 16), 0]], videos: [[16, 2, 2]], advance: "grid" } as const;
  const time = (seconds: number, options: Partial<VideoTime> = {}): number[] => {
    const rule = { tokensPerSecond: 2, secondsPerGrid: [seconds], ...options };
    return firstRow({ ...sixteen, time: rule })[0]!.map((position) => position - 3);
  };

  test("the time of a frame: transformers' float32 products, or vLLM's float64", () => {
    // transformers 5.24: trunc(fround(15 · fround(fround(2.1) · 2))) is 62. In float64, 15 · 4.2 is 63, and with the
    // float32 seconds, 2.099999904632568, it is 62.99999713897705.
    expect(time(2.1)[18]).toBe(62);
    expect(time(2.1, { precision: "float32" })[18]).toBe(62);
    expect(time(2.1, { precision: "float64" })[18]).toBe(62);
    // 0.08 in float32 is 0.07999999821186066. Doubled 25 times in float32: 4; in float64: 3.999999910593033.
    const long = { modalities: [times(2, 26)], videos: [[26, 2, 2]], advance: "grid" } as const;
    const last = (precision: "float32" | "float64"): number =>
      firstRow({ ...long, time: { tokensPerSecond: 2, secondsPerGrid: [0.08], precision } })[0]![25]!;
    expect([last("float32"), last("float64")]).toEqual([4, 3]);
  });

  const two = { modalities: [[...times(2, 4), 0, ...times(2, 4)]], advance: "grid" } as const;
  const videos: PatchGrid[] = [
    [4, 2, 2],
    [4, 2, 2],
  ];
  test.each<[string, unknown, string]>([
    ["one value for two videos", { tokensPerSecond: 2, secondsPerGrid: [2] }, "ROPE_SHAPE"],
    ["no values", { tokensPerSecond: 2 }, "ROPE_SHAPE"],
    ["no tokensPerSecond", { secondsPerGrid: [1, 1] }, "ROPE_SHAPE"],
    ["NaN", { tokensPerSecond: 2, secondsPerGrid: [NaN, 1] }, "ROPE_SHAPE"],
    ["zero", { tokensPerSecond: 2, secondsPerGrid: [0, 1] }, "ROPE_SHAPE"],
    ["text", { tokensPerSecond: 2, secondsPerGrid: ["1", 1] }, "ROPE_SHAPE"],
    ["null", { tokensPerSecond: 2, secondsPerGrid: null }, "ROPE_SHAPE"],
    ["a misspelt rule", "timestamp", "ROPE_SHAPE"],
    ["another word", "seconds", "ROPE_SHAPE"],
    ["a misspelt key", { tokensPerSecond: 2, secondPerGridTs: [1, 1] }, "ROPE_INVALID_PARAMETERS"],
    ["an unknown precision", { tokensPerSecond: 2, secondsPerGrid: [1, 1], precision: "float16" }, "ROPE_SHAPE"],
  ])("time refuses %s", (_, rule, code) => {
    const build = (): unknown => promptPositions({ ...two, videos, time: rule as VideoTime });
    expect(build).toThrow(expect.objectContaining({ code }));
  });
  test("a misspelt time names the nearest", () => {
    const build = (): unknown => promptPositions({ ...two, videos, time: "timestamp" as "timestamps" });
    expect(build).toThrow(/Did you mean "timestamps"/);
  });
  test.each(["secondPerGridTs", "pasts", "positionOffset"])("the unknown key %s", (key) => {
    const build = (): unknown => promptPositions({ ...two, videos, [key]: [1] });
    expect(build).toThrow(expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }));
  });

  test("a mask of bigints or booleans is the mask of numbers: left padding", () => {
    for (const mask of [[0, 0, 1, 1], [false, false, true, true], BigInt64Array.of(0n, 0n, 1n, 1n)]) {
      const options = { modalities: [[0, 0, 0, 0]], attentionMask: [mask], advance: "grid" } as const;
      expect(firstRow(options)).toEqual([0, 1, 2].map(() => [0, 0, 0, 1]));
      expect([...maskedPositions([mask]).data]).toEqual([0, 0, 0, 1]);
    }
  });

  test("segment ids restart positions, if the options say so", () => {
    const attentionMask = [[1, 1, 2, 2, 2, 0]];
    const options: PromptOptions = { modalities: [times(0, 6)], attentionMask, advance: "grid" };
    expect([...maskedPositions(attentionMask, { packed: true }).data]).toEqual([0, 1, 0, 1, 2, 0]);
    expect(firstRow({ ...options, packed: true })).toEqual([0, 1, 2].map(() => [0, 1, 0, 1, 2, 0]));
    expect(promptPositions({ ...options, packed: true }).deltas).toEqual([0, 0]);
    for (const build of [() => maskedPositions(attentionMask), () => promptPositions(options)]) {
      expect(build).toThrow(/packed: true/);
    }
  });

  test("two packed prompts with an image each", () => {
    const modalities = [[0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0]];
    const images: PatchGrid[] = [
      [1, 4, 4],
      [1, 4, 4],
    ];
    const expected = [
      [0, 1, 1, 1, 1, 3, 0, 1, 1, 1, 1, 3],
      [0, 1, 1, 2, 2, 3, 0, 1, 1, 2, 2, 3],
      [0, 1, 2, 1, 2, 3, 0, 1, 2, 1, 2, 3],
    ];
    const packing = { attentionMask: [[...times(1, 6), ...times(2, 6)]], packed: true };
    expect(firstRow({ modalities, images, advance: "grid", cuSeqlens: [[0, 6, 12]] })).toEqual(expected);
    expect(firstRow({ modalities, images, advance: "grid", ...packing })).toEqual(expected);
  });

  test("a second turn with an image, after a cache", () => {
    const turn = { modalities: [[0, 1, 1, 1, 1, 0]], images: [[1, 4, 4]], advance: "grid" } as const;
    const expected = [
      [57, 58, 58, 58, 58, 60],
      [57, 58, 58, 59, 59, 60],
      [57, 58, 59, 58, 59, 60],
    ];
    expect(firstRow({ ...turn, start: 57 })).toEqual(expected);
    expect(firstRow({ ...turn, start: [57] })).toEqual(expected);
    expect(firstRow({ ...turn, start: [[57, 57, 57n]] })).toEqual(expected);
    // 70 tokens with larger images stand before: their delta is −13. The next token is number 76, at position 61.
    const past = { tokens: 70, deltas: [-13] };
    expect(firstRow({ ...turn, past })).toEqual(expected);
    expect(promptPositions({ ...turn, past }).deltas).toEqual([-15]);
    expect([...decodePositions({ past: { tokens: 76, deltas: [-15] } }).data]).toEqual([61, 61, 61]);
    expect(firstRow({ ...turn, start: [[57, 0, 100]] }).map((row) => row[0])).toEqual([57, 0, 100]);
  });

  test("token types may be int64", () => {
    const modalities = [BigInt64Array.of(0n, 1n, 1n, 0n)];
    expect(firstRow({ modalities, images: [[1, 2, 4]], advance: "grid" })[2]).toEqual([0, 1, 2, 3]);
  });
});

/** A part of a prompt: text, an image or a video, in merged patches. */
interface Part {
  readonly kind: number;
  readonly grid: readonly [number, number, number];
  readonly seconds: number;
}
const side = fc.integer({ min: 1, max: 3 });
const partOf = (kinds: readonly number[]): fc.Arbitrary<Part> =>
  fc.record({
    kind: fc.constantFrom(...kinds),
    grid: fc.tuple(side, side, side),
    seconds: fc.double({ min: 0.04, max: 4, noNaN: true }),
  });
const promptOf = (kinds: readonly number[], minLength = 0): fc.Arbitrary<Part[]> =>
  fc.array(partOf(kinds), { maxLength: 6, minLength });
const frames = ({ kind, grid }: Part): number => (kind === VIDEO ? grid[0] : 1);
const tokensOf = (parts: readonly Part[]): number[] =>
  parts.flatMap((part) =>
    times(part.kind, part.kind === TEXT ? part.grid[0] : frames(part) * part.grid[1] * part.grid[2]),
  );

/** The options of a batch of prompts that are rows of their own, as long as the longest. */
interface Rule {
  readonly advance: "max" | "grid";
  readonly precision: "float32" | "float64";
}
const rules = fc.record<Rule>({
  advance: fc.constantFrom("max", "grid"),
  precision: fc.constantFrom("float32", "float64"),
});
function optionsOf(
  prompts: readonly (readonly Part[])[],
  rows: readonly (readonly number[])[],
  rule: Rule,
): PromptOptions {
  const grids = (kind: number): Part[] => prompts.flat().filter((part) => part.kind === kind);
  const patches = (part: Part): PatchGrid => [frames(part), part.grid[1] * 2, part.grid[2] * 2];
  return {
    modalities: rows,
    images: grids(IMAGE).map(patches),
    videos: grids(VIDEO).map(patches),
    time: {
      tokensPerSecond: 2,
      secondsPerGrid: grids(VIDEO).map(({ seconds }) => seconds),
      precision: rule.precision,
    },
    advance: rule.advance,
  };
}
const alone = (parts: readonly Part[], rule: Rule): PromptPositions =>
  promptPositions(optionsOf([parts], [tokensOf(parts)], rule));

const anything = [TEXT, IMAGE, VIDEO];

test("law: packed prompts are what each is alone", () => {
  fc.assert(
    fc.property(fc.array(promptOf(anything), { minLength: 1, maxLength: 4 }), rules, (prompts, rule) => {
      const lone = prompts.map((parts) => alone(parts, rule));
      const tokens = prompts.map(tokensOf);
      const bounds = [0, ...tokens.map((_, i) => tokens.slice(0, i + 1).flat().length)];
      const options = optionsOf(prompts, [tokens.flat()], rule);
      const expected = [0, 1, 2].map((axis) => lone.flatMap(({ positions }) => nested(positions)[axis]![0]!));
      const packed = promptPositions({ ...options, cuSeqlens: [bounds] });
      expect(nested(packed.positions).map(([row]) => row)).toEqual(expected);
      expect(packed.deltas).toEqual(lone.map(({ deltas }) => deltas[0]));
      const ids = tokens.flatMap(({ length }, i) => times(i + 1, length));
      const numbered = promptPositions({ ...options, attentionMask: [ids], packed: true });
      expect(numbered.positions).toEqual(packed.positions);
      expect(numbered.deltas).toEqual(packed.deltas.filter((_, i) => tokens[i]!.length > 0));
    }),
    runs,
  );
});

/** Padding before and between tokens, given as the number of pads before each token. */
const gaps = fc.array(fc.nat(2), { maxLength: 40 });

test("law: padding anywhere changes no position of a real token, whatever the mask is made of", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(promptOf(anything), gaps), { minLength: 1, maxLength: 3 }), rules, (rows, rule) => {
      const prompts = rows.map(([parts]) => parts);
      const masks = rows.map(([parts, pads]) => tokensOf(parts).flatMap((_, i) => [...times(0, pads[i] ?? 0), 1]));
      const width = Math.max(...masks.map(({ length }) => length));
      for (const mask of masks) mask.push(...times(0, width - mask.length));
      const padded = masks.map((mask, row) => {
        const tokens = tokensOf(prompts[row]!);
        // What the token type of padding says does not matter.
        return mask.map((real) => (real === 1 ? tokens.shift()! : IMAGE));
      });
      const build = (attentionMask: NonNullable<PromptOptions["attentionMask"]>): PromptPositions =>
        promptPositions({ ...optionsOf(prompts, padded, rule), attentionMask });
      const { positions, deltas } = build(masks);
      nested(positions).forEach((list, axis) => {
        list.forEach((row, i) => {
          const real = nested(alone(prompts[i]!, rule).positions)[axis]![0]!;
          expect(row.filter((_, token) => masks[i]![token] === 1)).toEqual(real);
          expect(row.every((position, token) => masks[i]![token] === 1 || position === 0)).toBe(true);
        });
      });
      expect(deltas).toEqual(prompts.map((parts) => alone(parts, rule).deltas[0]));
      for (const form of [
        masks.map((mask) => mask.map((real) => real === 1)),
        masks.map((mask) => BigInt64Array.from(mask, BigInt)),
        masks.map((mask) => Uint8Array.from(mask)),
      ]) {
        expect(build(form)).toEqual({ positions, deltas });
        expect(maskedPositions(form)).toEqual(maskedPositions(masks));
      }
    }),
    runs,
  );
});

// Where text goes on at max(height, width), the tokens of a video may stand beyond what follows. Then a cache does not
// say where its text ended, so a conversation is split only between turns without videos.
test.each([
  ["max", anything],
  ["grid", [TEXT, IMAGE]],
] as const)("law: a turn after a cache is that turn of the whole conversation (%s)", (advance, kinds) => {
  const turns = fc.array(fc.array(promptOf(kinds, 1), { minLength: 2, maxLength: 2 }), { minLength: 2, maxLength: 3 });
  fc.assert(
    fc.property(turns, fc.nat(3), ([before = [], after = []], answer) => {
      const rule = { advance, precision: "float32" } as const;
      const rows = before.map((parts, row) => [...parts, ...text(answer), ...after[row]!]);
      const widths = (list: readonly (readonly Part[])[]): number[] => list.map((parts) => tokensOf(parts).length);
      const batch = (list: readonly (readonly Part[])[]): PromptOptions => {
        const width = Math.max(...widths(list));
        const padding = widths(list).map((length) => width - length);
        return {
          ...optionsOf(
            list,
            list.map((parts, row) => [...tokensOf(parts), ...times(0, padding[row]!)]),
            rule,
          ),
          attentionMask: list.map((parts, row) => [...tokensOf(parts).map(() => 1), ...times(0, padding[row]!)]),
        };
      };
      const first = promptPositions(batch(before));
      const past = { tokens: widths(before).map((length) => length + answer), deltas: first.deltas };
      const second = promptPositions({ ...batch(after), past });
      const whole = promptPositions(batch(rows));
      expect(second.deltas).toEqual(whole.deltas);
      const decoded = decodePositions({ past: { tokens: widths(before), deltas: first.deltas }, count: answer });
      nested(whole.positions).forEach((list, axis) => {
        list.forEach((row, i) => {
          const [a, b] = [widths(before)[i]!, widths(after)[i]!];
          expect(row.slice(0, a)).toEqual(nested(first.positions)[axis]![i]!.slice(0, a));
          expect(row.slice(a, a + answer)).toEqual(nested(decoded)[axis]![i]);
          expect(row.slice(a + answer, a + answer + b)).toEqual(nested(second.positions)[axis]![i]!.slice(0, b));
        });
      });
    }),
    runs,
  );
});
const text = (count: number): Part[] => times(TEXT, count).map((kind) => ({ kind, grid: [1, 1, 1], seconds: 1 }));

test("law: the chunks of a prompt, one after the other, are its positions", () => {
  fc.assert(
    fc.property(promptOf(anything), rules, fc.integer({ min: 1, max: 9 }), (parts, rule, chunk) => {
      const { positions } = alone(parts, rule);
      const tokens = positions.shape[2]!;
      const joined: number[][] = [[], [], []];
      for (let begin = 0; begin < tokens; begin += chunk) {
        const slice = slicePositions(positions, begin, Math.min(begin + chunk, tokens));
        nested(slice).forEach(([row], axis) => joined[axis]!.push(...row!));
      }
      expect(joined).toEqual(nested(positions).map(([row]) => row));
    }),
    runs,
  );
});

test("law: a prompt goes on from any place between two parts, with the largest position + 1 as its start", () => {
  fc.assert(
    fc.property(promptOf([TEXT, IMAGE]), promptOf([TEXT, IMAGE], 1), rules, (before, after, rule) => {
      const { data, shape } = alone(before, rule).positions;
      const next = Math.max(-1, ...data.subarray(0, shape[2]), ...data.subarray(shape[2])) + 1;
      const rest = promptPositions({ ...optionsOf([after], [tokensOf(after)], rule), start: next });
      const whole = nested(alone([...before, ...after], rule).positions);
      expect(nested(rest.positions).map(([row]) => row)).toEqual(whole.map(([row]) => row!.slice(shape[2])));
      expect(rest.deltas[0]! - next).toBe(alone(after, rule).deltas[0]);
    }),
    runs,
  );
});

test("each sequence has its own start and its own past", () => {
  const options = { modalities: [times(0, 5)], cuSeqlens: [[0, 2, 5]], advance: "max" } as const;
  expect(firstRow({ ...options, start: [10, 20] })[0]).toEqual([10, 11, 20, 21, 22]);
  expect(firstRow({ ...options, past: { tokens: [10, 20], deltas: [-3, 5] } })[1]).toEqual([7, 8, 25, 26, 27]);
  const ids = [[1, 1, 0, 2]];
  expect([...maskedPositions(ids, { packed: true, past: [10n, 20] }).data]).toEqual([10, 11, 0, 20]);
  expect(decodePositions({ past: { tokens: [4, 7], deltas: [-1, 2] }, count: 2, axes: 4 })).toEqual({
    data: Int32Array.of(3, 4, 9, 10, 3, 4, 9, 10, 3, 4, 9, 10, 3, 4, 9, 10),
    shape: [4, 2, 2],
  });
});

test("law: a mask takes 0, 1, false, true, 0n and 1n, and segment ids only where they are asked for", () => {
  const good = new Set<unknown>([0, 1, false, true, 0n, 1n]);
  const value = fc.oneof(
    fc.constantFrom<unknown>(
      0,
      1,
      false,
      true,
      0n,
      1n,
      -1,
      2,
      0.5,
      NaN,
      -0.5,
      -Infinity,
      Infinity,
      -1n,
      2n,
      null,
      "",
      "1",
    ),
    fc.constantFrom<unknown>(undefined, {}, [], [1], "true", 1e-9, 2 ** 31, 2 ** 53),
    fc.double(),
    fc.anything(),
  );
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), fc.boolean(), (mask, packed) => {
      const attentionMask = [mask as number[]];
      const options: PromptOptions = { modalities: [times(0, mask.length)], attentionMask, packed, advance: "max" };
      const id = (one: unknown): boolean =>
        (typeof one === "number" || typeof one === "bigint") &&
        one >= 0 &&
        one < 2 ** 31 &&
        Number.isInteger(Number(one));
      const valid = mask.every((one) => good.has(one) || (packed && id(one)));
      for (const build of [() => maskedPositions(attentionMask, { packed }), () => promptPositions(options)]) {
        let error: unknown;
        try {
          build();
        } catch (thrown) {
          error = thrown;
        }
        // Segments that do not stand side by side are refused as well.
        if (!valid || error !== undefined) expect(RopeError.is(error) && error.code).toBe("ROPE_SHAPE");
        if (valid && !packed) expect(error).toBe(undefined);
      }
    }),
    { ...runs, numRuns: 1000 },
  );
});

const image = { modalities: [[0, 1, 0]], images: [[1, 2, 2]], advance: "max" } as const;
const seconds = { tokensPerSecond: 2, secondsPerGrid: [] };
const cache = { tokens: 1, deltas: [0] };
/** Every object of options, each with a call that takes it. */
const objects: Readonly<Record<string, readonly [object, (object: never) => unknown]>> = {
  promptPositions: [image, promptPositions],
  time: [seconds, (time: VideoTime) => promptPositions({ ...image, time })],
  past: [cache, (past: never) => promptPositions({ ...image, past })],
  "past of decodePositions": [cache, (past: never) => decodePositions({ past })],
  decodePositions: [{ past: cache }, decodePositions],
  maskedPositions: [{ fill: 1 }, (options: never) => maskedPositions([[1]], options)],
  place: [{ axes: 2 }, (options: never) => place([{ text: 1 }], options)],
  text: [{ text: 1 }, (segment: never) => place([segment], { axes: 2 })],
  grid: [{ grid: [1, 2], advance: "max" }, (segment: never) => place([segment], { axes: 2 })],
  offsets: [{ offsets: [[1], [2]], advance: "max" }, (segment: never) => place([segment], { axes: 2 })],
  slicePositions: [gridPositions([2, 2]), (positions: never) => slicePositions(positions, 0, 1)],
};
test.each(Object.entries(objects))("law: any unknown key of %s is an error", (_, [object, call]) => {
  call(object as never);
  const known = ["images", "videos", "attentionMask", "packed", "cuSeqlens", "start", "past", "mergeSize", "time"];
  const more = [
    "precision",
    "count",
    "axes",
    "dtype",
    "fill",
    "origin",
    "advance",
    "text",
    "grid",
    "offsets",
    "modalities",
  ];
  const key = fc
    .string({ minLength: 1 })
    .filter((name) => ![...known, ...more, "__proto__"].includes(name) && !Object.hasOwn(object, name));
  fc.assert(
    fc.property(key, fc.anything(), (name, value) => {
      expect(() => call({ ...object, [name]: value } as never)).toThrow(
        expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }),
      );
    }),
    { ...runs, numRuns: 50 },
  );
});

const full: PromptOptions = {
  modalities: [[0, 1, 0, 2, 2, 0]],
  images: [[1, 2, 2]],
  videos: [[2, 2, 2]],
  attentionMask: [[1, 1, 1, 1, 1, 1]],
  packed: false,
  cuSeqlens: [[0, 3, 6]],
  mergeSize: 2,
  time: { tokensPerSecond: 2, secondsPerGrid: [1], precision: "float32" },
  advance: "max",
};
const givens: Readonly<Record<string, readonly [object, readonly string[], (options: never) => unknown]>> = {
  promptPositions: [full, [...Object.keys(full), "start", "past"], promptPositions],
  time: [full.time as VideoTime, Object.keys(full.time!), (time: never) => promptPositions({ ...full, time })],
  past: [cache, ["tokens", "deltas"], (past: never) => promptPositions({ ...image, past })],
  maskedPositions: [{}, ["fill", "past", "packed"], (options: never) => maskedPositions([[1, 0]], options)],
  decodePositions: [cache, ["tokens", "deltas"], (past: never) => decodePositions({ past })],
  slicePositions: [gridPositions([2, 2]), ["data", "shape"], (positions: never) => slicePositions(positions, 0, 1)],
};
test.each(Object.entries(givens))("law: any value for any key of %s gives an answer or a RopeError", (_, given) => {
  const [object, keys, call] = given;
  call(object as never);
  const values = fc.oneof(
    fc.anything({ withBigInt: true, withTypedArray: true, withSparseArray: true, withNullPrototype: true }),
    fc.array(
      fc.oneof(fc.integer({ min: -2, max: 9 }), fc.array(fc.oneof(fc.integer({ min: -2, max: 9 }), fc.anything()))),
    ),
  );
  fc.assert(
    fc.property(fc.constantFrom(...keys), values, (key, value) => {
      let error: unknown;
      try {
        call({ ...object, [key]: value } as never);
      } catch (thrown) {
        error = thrown;
      }
      expect(error === undefined || RopeError.is(error), `${key}: ${error as Error}`).toBe(true);
    }),
    { ...runs, numRuns: 1000 },
  );
});

const three = { modalities: [[0, 0, 0]], advance: "max" } as const;
test.each<[string, Partial<Record<keyof PromptOptions, unknown>>]>([
  [
    "cuSeqlens for another number of rows",
    {
      cuSeqlens: [
        [0, 3],
        [0, 3],
      ],
    },
  ],
  ["cuSeqlens that end early", { cuSeqlens: [[0, 2]] }],
  ["cuSeqlens that begin late", { cuSeqlens: [[1, 3]] }],
  ["cuSeqlens that fall", { cuSeqlens: [[0, 2, 1, 3]] }],
  ["cuSeqlens of one number", { cuSeqlens: [[0]] }],
  ["cuSeqlens in one flat list", { cuSeqlens: [0, 3] }],
  ["half a token in cuSeqlens", { cuSeqlens: [[0, 1.5, 3]] }],
  ["packed of no mask", { packed: true }],
  ["packed that is no boolean", { packed: 1, attentionMask: [[1, 1, 1]] }],
  ["both forms of packing", { packed: true, attentionMask: [[1, 1, 2]], cuSeqlens: [[0, 2, 3]] }],
  ["a segment in two parts", { packed: true, attentionMask: [[1, 2, 1]] }],
  ["both start and past", { start: 1, past: cache }],
  ["a start of no number", { start: NaN }],
  ["a negative start", { start: -1 }],
  ["half a start", { start: 0.5 }],
  ["a start of text", { start: "57" }],
  ["a start that is null", { start: null }],
  ["starts for other rows", { start: [1, 2] }],
  ["starts for other axes", { start: [[1, 2]] }],
  ["a start beyond 32 bits", { start: 2 ** 31 }],
  ["a start whose prompt goes beyond 32 bits", { start: 2 ** 31 - 2 }],
  ["half a delta", { past: { tokens: 1, deltas: [0.5] } }],
  ["deltas for other rows", { past: { tokens: 1, deltas: [0, 0] } }],
  ["one number as deltas", { past: { tokens: 1, deltas: 0 } }],
  ["a past without deltas", { past: { tokens: 1 } }],
  ["a past without tokens", { past: { deltas: [0] } }],
  ["fewer tokens than nothing", { past: { tokens: -1, deltas: [0] } }],
  ["a past that starts below 0", { past: { tokens: 1, deltas: [-2] } }],
])("promptPositions refuses %s", (_, options) => {
  const build = (): unknown => promptPositions({ ...three, ...options } as PromptOptions);
  expect(build).toThrow(expect.objectContaining({ code: "ROPE_SHAPE" }));
});
test("a list of holes that is longer than any prompt is refused, not read", () => {
  const holes = new Array<never>(2 ** 32 - 1);
  expect(() => promptPositions({ modalities: [holes], advance: "max" })).toThrow(RopeError);
  expect(() => promptPositions({ modalities: holes, advance: "max" })).toThrow(RopeError);
});

test("promptPositions refuses a past that is no object", () => {
  for (const past of [null, 57]) {
    expect(() => promptPositions({ ...three, past: past as never })).toThrow(
      expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }),
    );
  }
});

test.each<[string, () => unknown]>([
  ["tokens that are not there", () => slicePositions(gridPositions([2, 2]), 0, 5)],
  ["tokens backwards", () => slicePositions(gridPositions([2, 2]), 2, 1)],
  ["half a token", () => slicePositions(gridPositions([2, 2]), 0.5, 1)],
  ["no data", () => slicePositions({ shape: [1, 1] } as never, 0, 1)],
  ["a list", () => slicePositions(packedPositions([2]) as never, 0, 1)],
  ["another shape", () => slicePositions({ data: Int32Array.of(1), shape: [2, 1] }, 0, 1)],
  ["no shape", () => slicePositions({ data: Int32Array.of(1), shape: [] }, 0, 1)],
  ["fewer decoded tokens than none", () => decodePositions({ past: cache, count: -1 })],
  ["no axes", () => decodePositions({ past: cache, axes: 0 })],
  ["null as count", () => decodePositions({ past: cache, count: null as never })],
  ["a decoded token beyond 32 bits", () => decodePositions({ past: { tokens: 2 ** 31, deltas: [0] } })],
])("slices and decoding refuse %s", (_, build) => {
  let error: unknown;
  try {
    build();
  } catch (thrown) {
    error = thrown;
  }
  expect(RopeError.is(error), `${error as Error}`).toBe(true);
});
