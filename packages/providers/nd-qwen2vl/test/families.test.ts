/** The builders of families with rules of their own, against the engines' builders, run on random prompts. */

import { RopeError } from "@ropewalk/core";
import { fixtures } from "@ropewalk/goldens";
import type { AnsweredPrompt, PromptsFixture } from "@ropewalk/goldens";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AUDIO,
  glmImagePositions,
  hunyuanVlPositions,
  hyV4VlPositions,
  IMAGE,
  isaacPositions,
  miniCpmVPositions,
  omniPositions,
  prunedVideoPositions,
  TEXT,
  VIDEO,
} from "../src/positions/index.ts";
import type { AxisPositions, CropSize, PatchGrid } from "../src/positions/index.ts";

const seed = Number(process.env["ROPEWALK_SEED"] ?? 20_261_128);
const runs = { seed, numRuns: 150 };

interface Answer {
  readonly positions: AxisPositions<Int32Array | Float32Array>;
  readonly deltas: readonly number[];
  readonly generated?: readonly AxisPositions[];
}
type Build = (prompt: AnsweredPrompt, settings: PromptsFixture["settings"]) => Answer;

const digits = (rows: readonly string[]): number[][] => rows.map((row) => Array.from(row, Number));
/** What the engine was given, as the builders take it. */
const given = ({ images, mask, modalities, videos }: AnsweredPrompt) => ({
  modalities: digits(modalities),
  ...(mask === undefined ? {} : { attentionMask: digits(mask) }),
  ...(images === undefined ? {} : { images: images as unknown as PatchGrid[] }),
  ...(videos === undefined ? {} : { videos: videos as unknown as PatchGrid[] }),
});

const marks = { imageStart: 1, imageEnd: 2, sliceStart: 3, sliceEnd: 4, newline: 5 };
const canvas: Build = (prompt) => {
  const { images, videos, ...rows } = given(prompt);
  return miniCpmVPositions({
    ...rows,
    ...(images === undefined ? {} : { images: images as unknown as CropSize[] }),
    ...(videos === undefined ? {} : { videos: videos as unknown as CropSize[] }),
    inputIds: prompt.markers!.map((row) => Array.from(row, (mark) => "<>()n".indexOf(mark) + 1)),
    tokens: marks,
    mergeSize: prompt.mergeSize as 2 | 4,
  });
};

/** The modalities before pruning: the engine's prompt has only the tokens that stay. */
function unpruned({ frames, kept = [], modalities, videos = [] }: AnsweredPrompt, merge: number): number[][] {
  const row = digits(modalities)[0]!;
  const cells = videos.map((grid) => (grid[1]! * grid[2]!) / merge ** 2);
  const whole: number[] = [];
  let video = 0;
  let frame = 0;
  row.forEach((kind, i) => {
    if (kind !== VIDEO) whole.push(kind);
    const starts = frames === undefined ? kind === VIDEO && row[i - 1] !== VIDEO : frames.includes(i);
    if (!starts) return;
    whole.push(...new Array<number>(frames === undefined ? kept[video]!.length : cells[video]!).fill(VIDEO));
    if (frames === undefined || ++frame === videos[video]![0]) {
      video++;
      frame = 0;
    }
  });
  return [whole];
}
const pruned =
  (family: "qwen2.5-vl" | "qwen3-vl"): Build =>
  (prompt, { mergeSize, tokensPerSecond }) => {
    const { attentionMask: _, ...rows } = given(prompt);
    const seconds = prompt.secondsPerGrid;
    return prunedVideoPositions({
      ...rows,
      family,
      modalities: unpruned(prompt, mergeSize!),
      kept: digits(prompt.kept!),
      ...(seconds === undefined ? {} : { secondsPerGrid: seconds, tokensPerSecond: tokensPerSecond! }),
    });
  };

const omni =
  (family: "qwen2.5-omni" | "qwen3-omni"): Build =>
  (prompt, { positionsPerSecond }) =>
    omniPositions({
      ...given(prompt),
      family,
      positionsPerSecond: positionsPerSecond!,
      audioInVideo: prompt.audioInVideo!,
      ...(prompt.secondsPerGrid === undefined ? {} : { secondsPerGrid: prompt.secondsPerGrid }),
    });

const builders: Readonly<Record<string, Build>> = {
  qwen2_5_omni: omni("qwen2.5-omni"),
  qwen3_omni_moe: omni("qwen3-omni"),
  hunyuan_vl: (prompt) => hunyuanVlPositions({ ...given(prompt), axes: prompt.positions.length as 3 | 4 }),
  hy_v4_vl: (prompt) => hyV4VlPositions(given(prompt)),
  minicpmv4_7: canvas,
  glm_image: (prompt) =>
    glmImagePositions({ ...given(prompt), generated: prompt.generated as unknown as PatchGrid[][] }),
  "vllm-isaac": (prompt) => isaacPositions(given(prompt)),
  "vllm-evs-qwen2_5_vl": pruned("qwen2.5-vl"),
  "vllm-evs-qwen3_vl": pruned("qwen3-vl"),
};

const families = fixtures("positions/prompts").filter(({ family }) => Object.hasOwn(builders, family));

test("every builder has at least 30 prompts", () => {
  expect(families.map(({ family }) => family).sort()).toEqual(Object.keys(builders).sort());
  for (const { prompts } of families) expect(prompts.length).toBeGreaterThanOrEqual(30);
});

describe.each(families)("$entry of $source.engine $source.version", ({ family, prompts, settings }) => {
  test.each(prompts.map((prompt, i) => [i, prompt] as const))("prompt %i", (_, prompt) => {
    const { deltas, generated, positions } = builders[family]!(prompt, settings);
    // Padding has position 0 here; the engine writes 1 in some families, and attention never sees it.
    const real = prompt.mask?.map((row) => Array.from(row, (one) => one === "1"));
    const expected = prompt.positions.map((axis) =>
      axis.map((row, i) => row.map((position, token) => (real?.[i]?.[token] === false ? 0 : position))),
    );
    expect([...positions.data]).toEqual(expected.flat(2));
    expect(positions.shape).toEqual([expected.length, expected[0]!.length, expected[0]![0]!.length]);
    if (prompt.deltas !== undefined) expect(deltas).toEqual(prompt.deltas);
    generated?.forEach(({ data, shape }, row) => {
      // The engine repeats the last token in rows that draw less.
      const tokens = prompt.decoding!.map((axis) => axis[row]!);
      const padded = [0, 1, 2].map((axis) =>
        tokens[axis]!.map((_, t) => data[axis * shape[1]! + Math.min(t, shape[1]! - 1)]!),
      );
      expect(padded).toEqual(tokens);
    });
  });
});
describe("what people reported", () => {
  const times = (kind: number, count: number): number[] => new Array<number>(count).fill(kind);
  const axes = ({ data, shape }: AxisPositions<Int32Array | Float32Array>): number[][] =>
    Array.from({ length: shape[0]! }, (_, axis) => [...data.subarray(axis * shape[2]!, (axis + 1) * shape[2]!)]);

  test("Qwen2.5-Omni: a video with its sound", () => {
    // transformers: two frames of one token in the first two seconds, one in the next; 50 and 10 tokens of sound.
    const sound = [...times(VIDEO, 2), ...times(AUDIO, 50), VIDEO, ...times(AUDIO, 10)];
    const { deltas, positions } = omniPositions({
      family: "qwen2.5-omni",
      modalities: [[TEXT, TEXT, TEXT, ...sound, TEXT, TEXT, TEXT]],
      videos: [[3, 2, 2]],
      secondsPerGrid: [1],
      positionsPerSecond: 25,
      audioInVideo: true,
    });
    const first = Array.from({ length: 50 }, (_, k) => 2 + k);
    const second = Array.from({ length: 10 }, (_, k) => 52 + k);
    expect(axes(positions)[0]).toEqual([0, 1, 1, 2, 27, ...first, 52, ...second, 62, 62, 63]);
    expect(deltas).toEqual([-5]);
  });

  test("HunyuanVL: an image with its two marks, on four axes", () => {
    const { positions } = hunyuanVlPositions({ modalities: [[TEXT, ...times(IMAGE, 8), TEXT]], images: [[1, 4, 4]] });
    expect(axes(positions)).toEqual([
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      [0, 1, 0, 1, 2, 0, 1, 2, 8, 9],
      [0, 1, 0, 0, 0, 1, 1, 1, 8, 9],
      [0, 1, 0, 0, 0, 0, 0, 0, 8, 9],
    ]);
  });
});

test("an image at the start of what follows a cache has its mark one before it; at position 0 nothing is before", () => {
  const row = { inputIds: [[1, 8, 2]], modalities: [[TEXT, IMAGE, TEXT]], tokens: marks, images: [[4, 4]] } as const;
  const heights = (start: number): number[] => [
    ...miniCpmVPositions({ ...row, mergeSize: 4, start }).positions.data.slice(3, 6),
  ];
  expect([heights(0), heights(5)]).toEqual([
    [0, 0, 1],
    [4, 5, 6],
  ]);
});

test("what Omni's prompts must not say", () => {
  const rules = { family: "qwen2.5-omni", positionsPerSecond: 25 } as const;
  const one = { ...rules, videos: [[1, 2, 2]] as const, secondsPerGrid: [1] };
  const twoEach = (...media: number[]): number[][] => [[TEXT, TEXT, ...media, TEXT, TEXT]];
  const cases: [RegExp, () => unknown][] = [
    [/unless sound stands in a video/, () => omniPositions({ ...one, modalities: twoEach(VIDEO, AUDIO) })],
    [
      /unless sound stands in a video/,
      () => omniPositions({ ...rules, modalities: twoEach(IMAGE, AUDIO), images: [[1, 2, 2]] }),
    ],
    [/1 tokens, as the grid has/, () => omniPositions({ ...one, modalities: twoEach(VIDEO, VIDEO) })],
    [/sound in each video/, () => omniPositions({ ...one, modalities: twoEach(VIDEO), audioInVideo: true })],
    [
      /two tokens of text/,
      () => omniPositions({ ...one, modalities: [[TEXT, VIDEO, AUDIO, TEXT, TEXT]], audioInVideo: true }),
    ],
    [
      /two tokens of text/,
      () => omniPositions({ ...one, modalities: [[TEXT, TEXT, VIDEO, AUDIO, TEXT]], audioInVideo: true }),
    ],
    [
      /two tokens of text/,
      () => omniPositions({ ...one, modalities: [[TEXT, TEXT, VIDEO, AUDIO]], audioInVideo: true }),
    ],
    [/the seconds of 1 videos/, () => omniPositions({ ...one, secondsPerGrid: [], modalities: twoEach(VIDEO) })],
    [
      /"qwen2.5-omni" or "qwen3-omni"/,
      () => omniPositions({ ...one, family: "qwen3_omni" as never, modalities: [[TEXT]] }),
    ],
  ];
  for (const [message, build] of cases) expect(build).toThrow(message);
});

/** A part of a row: text, or one image, video, sound or video with its sound. */
interface Part {
  readonly kinds: readonly number[];
  readonly ids?: readonly number[];
  readonly images?: readonly number[][];
  readonly videos?: readonly number[][];
  readonly seconds?: readonly number[];
}
type Options = Record<string, unknown>;
interface Subject {
  readonly name: string;
  readonly build: (options: Options) => Answer;
  readonly media: fc.Arbitrary<Part>;
  readonly more?: (parts: readonly Part[], before: readonly Part[]) => Options;
}

const filled = <T>(value: T, count: number): T[] => new Array<T>(count).fill(value);
const text = (count: number): Part => ({ kinds: filled(TEXT, count), ids: filled(9, count) });
const side = fc.integer({ min: 1, max: 4 });
const sides = fc.tuple(side, side);
const seconds = fc.double({ min: 0.02, max: 3, noNaN: true });
const image = sides.map(([h, w]): Part => ({ kinds: filled(IMAGE, h * w), images: [[1, 2 * h, 2 * w]] }));
const video = fc
  .tuple(side, sides, seconds)
  .map(([t, [h, w], s]): Part => ({ kinds: filled(VIDEO, t * h * w), videos: [[t, 2 * h, 2 * w]], seconds: [s] }));
const sound = fc.integer({ min: 1, max: 9 }).map((count): Part => ({ kinds: filled(AUDIO, count) }));
const soundInVideo = fc
  .tuple(video, fc.array(fc.constantFrom(AUDIO, VIDEO), { minLength: 8, maxLength: 8 }))
  .map(([part, order]): Part => {
    let left = part.kinds.length - 1;
    const mixed = order.flatMap((kind) => (kind === AUDIO || left-- <= 0 ? [AUDIO] : [VIDEO]));
    return { ...part, kinds: [VIDEO, AUDIO, ...mixed, ...filled(VIDEO, Math.max(left, 0))] };
  });
const rowsOf = (extra: number) =>
  sides.map(([h, w]): Part => ({ kinds: filled(IMAGE, h * (w + 1) + extra), images: [[1, 2 * h, 2 * w]] }));
const blocks = fc
  .tuple(side, sides)
  .map(([t, [h, w]]): Part => ({ kinds: filled(VIDEO, t * h * (w + 1)), videos: [[t, 2 * h, 2 * w]] }));
const crops = fc
  .tuple(sides, fc.constantFrom([0, 0], [1, 2], [2, 1], [2, 2]), sides)
  .map(([[h, w], [lines = 0, perLine = 0], [high, wide]]): Part => {
    const crop = (count: number, start: number, end: number): [number, number][] => [
      [TEXT, start],
      ...filled<[number, number]>([IMAGE, 8], count),
      [TEXT, end],
    ];
    const line = Array.from({ length: perLine }, () => crop(high * wide, 3, 4)).flat();
    const slices = Array.from({ length: lines }, (_, k) => (k === 0 ? line : [[TEXT, 5] as [number, number], ...line]));
    const tokens = [...crop(h * w, 1, 2), ...slices.flat()];
    return {
      kinds: tokens.map(([kind]) => kind),
      ids: tokens.map(([, id]) => id),
      images: [[4 * h, 4 * w], ...filled([4 * high, 4 * wide], lines * perLine)],
    };
  });

const omniOf = (family: "qwen2.5-omni" | "qwen3-omni", audioInVideo: boolean): Subject => ({
  name: `${family}${audioInVideo ? ", sound in videos" : ""}`,
  build: (options) => omniPositions({ family, positionsPerSecond: 13, audioInVideo, ...options } as never),
  media: fc.oneof(image, sound, audioInVideo ? soundInVideo : video),
  more: (parts) => ({ secondsPerGrid: parts.flatMap((part) => part.seconds ?? []) }),
});
const subjects: readonly Subject[] = [
  omniOf("qwen2.5-omni", false),
  omniOf("qwen2.5-omni", true),
  omniOf("qwen3-omni", false),
  omniOf("qwen3-omni", true),
  {
    name: "hunyuan_vl",
    build: (options) => hunyuanVlPositions(options as never),
    media: fc.oneof(rowsOf(0), rowsOf(2)),
    more: (_, before) => ({ firstImage: before.filter(({ images }) => images !== undefined).length }),
  },
  {
    name: "hy_v4_vl",
    build: (options) => hyV4VlPositions(options as never),
    media: fc.oneof(rowsOf(0), blocks),
  },
  { name: "isaac", build: (options) => isaacPositions(options as never), media: image },
  {
    name: "minicpmv4_7",
    build: (options) => miniCpmVPositions({ tokens: marks, mergeSize: 4, ...options } as never),
    media: crops,
    more: (parts) => ({ inputIds: [parts.flatMap(({ ids, kinds }) => ids ?? kinds)] }),
  },
  {
    name: "glm_image",
    build: (options) => glmImagePositions({ generated: [[[1, 1, 2]]], ...options } as never),
    media: sides.map(([h, w]): Part => ({ kinds: filled(IMAGE, h * w), images: [[1, h, w]] })),
  },
  {
    name: "pruned",
    build: (options) => prunedVideoPositions({ family: "qwen2.5-vl", tokensPerSecond: 2, ...options } as never),
    media: fc.oneof(image, video),
    more: (parts) => ({
      secondsPerGrid: parts.flatMap((part) => part.seconds ?? []),
      kept: parts.filter(({ videos }) => videos !== undefined).map(({ kinds }) => filled(1, kinds.length)),
    }),
  },
];

/** Media with text before, between and after; the text is long enough to cut. */
const partsOf = ({ media }: Subject): fc.Arbitrary<Part[]> =>
  fc.array(media, { minLength: 1, maxLength: 4 }).map((list) => [text(6), ...list.flatMap((part) => [part, text(6)])]);

function optionsOf({ more }: Subject, parts: readonly Part[], before: readonly Part[] = []): Options {
  const images = parts.flatMap((part) => part.images ?? []);
  const videos = parts.flatMap((part) => part.videos ?? []);
  return {
    modalities: [parts.flatMap(({ kinds }) => kinds)],
    ...(images.length === 0 ? {} : { images }),
    ...(videos.length === 0 ? {} : { videos }),
    ...more?.(parts, before),
  };
}

const refused = (build: () => unknown): boolean => {
  try {
    build();
    return false;
  } catch (error) {
    expect(RopeError.is(error), `${error as Error}`).toBe(true);
    return true;
  }
};

const columns = ({ positions: { data, shape } }: Answer): number[][] =>
  Array.from({ length: shape[2]! }, (_, token) =>
    Array.from({ length: shape[0]! }, (__, axis) => data[axis * shape[2]! + token]!),
  );

const same = (name: string, received: readonly number[][], expected: readonly number[][]): void => {
  if (!name.startsWith("qwen3-omni")) return expect(received).toEqual(expected);
  // A sum of float32 rounds by 3e-5 at most below 1024; a prompt in parts has others, and fewer than 30.
  expect(received.map(({ length }) => length)).toEqual(expected.map(({ length }) => length));
  const off = received.flat().map((position, i) => Math.abs(position - expected.flat()[i]!));
  expect(Math.max(...off)).toBeLessThan(1e-3);
};

// Rows of these two are one prompt, whole.
const wholeOnly = ["glm_image", "pruned"];

describe.each(subjects.filter(({ name }) => !wholeOnly.includes(name)))("$name in parts", (subject) => {
  const { build, name } = subject;
  test("a prompt in two parts, after a cache and packed, is the prompt", () => {
    fc.assert(
      fc.property(partsOf(subject), fc.nat(), (parts, at) => {
        const cut = 2 * (at % (parts.length / 2 + 0.5));
        const before = [...parts.slice(0, cut), text(3)];
        const after = [text(3), ...parts.slice(cut + 1)];
        const whole = build(optionsOf(subject, parts));
        const first = build(optionsOf(subject, before));
        const past = { tokens: first.positions.shape[2]!, deltas: first.deltas };
        // Deltas count from the largest position. After a video whose frames go on longer than its sound, Omni's text
        // stays behind it, so decoding does not go on where text would.
        fc.pre(columns(first).at(-1)![0]! + 1 === past.tokens + past.deltas[0]!);
        const second = build({ ...optionsOf(subject, after, before), past });
        same(name, [...columns(first), ...columns(second)], columns(whole));
        same(name, [[...second.deltas]], [[...whole.deltas]]);

        const both = [...before, ...after];
        const length = past.tokens;
        const packed = build({
          ...optionsOf(subject, both),
          cuSeqlens: [[0, length, length + second.positions.shape[2]!]],
        });
        const alone = build(optionsOf(subject, after, before));
        expect(columns(packed)).toEqual([...columns(first), ...columns(alone)]);
        expect(packed.deltas).toEqual([...first.deltas, ...alone.deltas]);
      }),
      runs,
    );
  });
});

describe.each(subjects)("$name", (subject) => {
  const { build } = subject;

  test("an unknown key is refused, and so is a misspelt one", () => {
    fc.assert(
      fc.property(partsOf(subject), fc.string({ minLength: 1, maxLength: 12 }), (parts, key) => {
        const options = optionsOf(subject, parts);
        for (const unknown of [`${key} `, "image", "attention_mask", "pastTokens"]) {
          expect(() => build({ ...options, [unknown]: 1 })).toThrow(
            expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }),
          );
        }
      }),
      { ...runs, numRuns: 30 },
    );
  });

  test("a token too few or too many, a grid too few or too many is refused", () => {
    fc.assert(
      fc.property(partsOf(subject), fc.nat(), fc.constantFrom(-1, 1), fc.boolean(), (parts, at, change, ofGrids) => {
        const place = 1 + 2 * (at % ((parts.length - 1) / 2));
        const part = parts[place]!;
        const list = part.images ?? part.videos;
        if (list === undefined) return; // sound has no grid that could contradict its tokens
        const options = optionsOf(subject, parts);
        if (ofGrids) {
          const key = part.images === undefined ? "videos" : "images";
          const grids = options[key] as number[][];
          const changed = change < 0 ? grids.slice(1) : [...grids, grids[0]!];
          expect(refused(() => build({ ...options, [key]: changed }))).toBe(true);
          return;
        }
        // A run of the grid's own kind, one token longer or shorter.
        const own = part.images === undefined ? VIDEO : IMAGE;
        const run = part.kinds.indexOf(own);
        const kinds = [...part.kinds];
        const ids = [...(part.ids ?? part.kinds)];
        kinds.splice(run, change < 0 ? 1 : 0, ...(change < 0 ? [] : [own]));
        ids.splice(run, change < 0 ? 1 : 0, ...(change < 0 ? [] : [8]));
        const lying = parts.map((one, i) => (i === place ? { ...one, kinds, ids } : one));
        // HunyuanVL takes an image with or without its two marks, so a run of two more is no lie; one more is.
        expect(refused(() => build({ ...optionsOf(subject, lying), ...keptOf(options) }))).toBe(true);
      }),
      runs,
    );
  });

  test("a value of another form is refused, never misread", () => {
    const values = [null, NaN, -1, 0.5, "1", {}, [], [null], [[null]], [["1"]], [[NaN]], () => 1, Symbol("one")];
    fc.assert(
      fc.property(partsOf(subject), (parts) => {
        const options = optionsOf(subject, parts);
        for (const key of Object.keys(options)) {
          for (const value of values) {
            // A batch of no rows has an answer.
            if (key === "modalities" && Array.isArray(value) && value.length === 0) continue;
            if (refused(() => build({ ...options, [key]: value }))) continue;
            // What is taken leaves the answer as it was.
            expect(columns(build({ ...options, [key]: value })), `${key}: ${String(value)}`).toEqual(
              columns(build(options)),
            );
          }
        }
      }),
      { ...runs, numRuns: 20 },
    );
  });
});

/** What was said of the tokens that stay, whatever the prompt says. */
const keptOf = ({ kept }: Options): Options => (kept === undefined ? {} : { kept });

test("padding on either side leaves the positions of real tokens as they are", () => {
  fc.assert(
    fc.property(partsOf(subjects[3]!), fc.nat(5), fc.nat(5), (parts, left, right) => {
      const options = optionsOf(subjects[3]!, parts);
      const row = (options["modalities"] as number[][])[0]!;
      const plain = subjects[3]!.build(options);
      const modalities = [[...filled(TEXT, left), ...row, ...filled(TEXT, right)]];
      const attentionMask = [[...filled(0, left), ...filled(1, row.length), ...filled(0, right)]];
      const { deltas, positions } = subjects[3]!.build({ ...options, modalities, attentionMask });
      const tokens = positions.shape[2]!;
      for (let axis = 0; axis < 3; axis++) {
        const from = axis * tokens + left;
        const ours = positions.data.subarray(from, from + row.length);
        expect([...ours]).toEqual([...plain.positions.data.subarray(axis * row.length, (axis + 1) * row.length)]);
      }
      expect(deltas).toEqual(plain.deltas);
    }),
    runs,
  );
});
