/**
 * The demo reads published configs, builds their ropes and rotates queries and keys. Then it measures the results
 * against the laws of rotation and against the numbers of Hugging Face transformers.
 */

import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import colours from "picocolors";
import { clearRopeCache, getRopeUntyped, ropesFromConfig } from "ropewalk";
import { distanceOnly, keepsNorm, median, random, ulps, undoes, worst } from "./measure.mjs";

const models = [
  "mistralai--Mistral-7B-v0.1",
  "microsoft--phi-2",
  "Qwen--Qwen2.5-7B-Instruct-yarn",
  "meta-llama--Llama-3.1-8B",
  "openai--gpt-oss-20b",
  "deepseek-ai--DeepSeek-V3",
];

const { bold, cyan, dim, green, red } = colours.createColors(Boolean(process.stdout.isTTY) && !process.env.NO_COLOR);
const print = (...lines) => console.log(lines.join("\n"));
const title = (number, text) => print("", `${bold(cyan(number))}  ${bold(text)}`);

/** Pads columns to their widest cell. The first column is aligned left, the others right. */
function table(header, rows) {
  const widths = header.map((_, i) => Math.max(...[header, ...rows].map((row) => row[i].length)));
  const line = (row) =>
    `   ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("   ")}`;
  print(dim(line(header)), ...rows.map(line));
}

/** Measurements above their limit. The demo prints them at its end and fails. */
const short = [];
function limited(value, limit, what) {
  if (!(value <= limit)) short.push(`${what}: ${value}, expected at most ${limit}`);
  return value;
}

const goldens = new URL("../../../tooling/goldens/", import.meta.url);
const read = (path) => JSON.parse(readFileSync(new URL(path, goldens), "utf8"));
const loaded = models.map((id) => {
  const config = read(`models/${id}.json`);
  const load = (precision) => ropesFromConfig(config, { precision }).forLayer(0);
  return {
    name: id.split("--")[1],
    rope: load("float32"),
    exact: load("float64"),
    fixture: read(`fixtures/hf/${id}.json`),
  };
});

print(`${bold("ropewalk")} ${dim(`on Node ${process.versions.node}, ${cpus()[0]?.model ?? "an unknown processor"}`)}`);

title(1, "Six published config.json files, and the ropes that they ask for (slower: pairs that never complete a turn)");
table(
  ["model", "rope", "rotated", "base", "positions", "cos, sin ×", "softmax ×", "pairs slower"],
  loaded.map(({ name, rope }) => {
    const { invFreq, attentionFactor, softmaxScaleFactor } = rope.frequencies();
    const slow = invFreq.filter((value) => (2 * Math.PI) / value > rope.positionLimit).length;
    const factor = (value) => (value === 1 ? "1" : value.toFixed(6));
    return [
      name,
      rope.ropeType,
      `${rope.rotaryDim} of ${rope.headDim}`,
      `${rope.base}`,
      `${rope.positionLimit}`,
      factor(attentionFactor),
      factor(softmaxScaleFactor),
      `${slow} of ${invFreq.length}`,
    ];
  }),
);

const shown = loaded[2];
title(2, `Frequencies of ${shown.name}, and why`);
const { pairs, rules } = shown.rope.explain();
table(
  ["pair", "radians per position", "positions in a turn", "the type's word for it"],
  [0, 16, 28, 36, 48, 63].map((i) => [
    `${i}`,
    pairs[i].invFreq.toExponential(9),
    pairs[i].wavelength.toPrecision(6),
    pairs[i].regime,
  ]),
);
for (const { name, value, rule } of rules.filter((one) =>
  ["correctionLow", "correctionHigh", "attentionFactor"].includes(one.name),
)) {
  print(`   ${name} = ${typeof value === "number" ? Number(value.toPrecision(9)) : value} ${dim(rule)}`);
}

title(3, `The same numbers as Hugging Face transformers ${loaded[0].fixture.source.version}, run for real`);
table(
  ["model", "frequencies differ by", "cos and sin by", "up to position"],
  loaded.map(({ name, rope, fixture: { ropes } }) => {
    const [golden] = ropes;
    const { invFreq } = rope.frequencies();
    const frequencies = worst(invFreq, (i) => ulps(invFreq[i], golden.invFreq[i]));
    const inside = golden.positions
      .map((position, row) => ({ position, row }))
      .filter(({ position }) => position < rope.positionLimit);
    const { cos, sin } = rope.cosSin(inside.map(({ position }) => position));
    const width = rope.rotaryDim / 2;
    const tables = worst(inside, (at) =>
      worst(golden.pairs, (i) => {
        const [row, pair] = [inside[at].row, golden.pairs[i]];
        return Math.max(
          Math.abs(cos[at * width + pair] - golden.cos[row][i]),
          Math.abs(sin[at * width + pair] - golden.sin[row][i]),
        );
      }),
    );
    limited(frequencies, 2, `frequencies of ${name} in ulp`);
    return [name, `${frequencies} ulp`, tables.toExponential(1), `${inside.at(-1).position}`];
  }),
);

print(dim("   A frequency one ulp away turns by position × ulp more: for gpt-oss's pair 6, 131071 × 2^-27 = 1e-3."));

title(4, "Laws, measured on 256 tokens of random data at the end of the context (largest error, relative to |q| |k|)");
table(
  ["model", "length kept", "q·k by distance only", "with exact angles", "invert undoes"],
  loaded.map(({ name, rope, exact }) => {
    const errors = [
      limited(keepsNorm(rope), 1e-6, `length under ${name}`),
      distanceOnly(rope),
      limited(distanceOnly(exact), 1e-14, `q·k under ${name}`),
      limited(undoes(rope), 1e-5, `invert of ${name}`),
    ];
    return [name, ...errors.map((error) => error.toExponential(1))];
  }),
);
print(
  dim(
    '   Engines round position × frequency to float32, and so does ropewalk by default. precision: "float64" does not.',
  ),
);

title(5, "Speed: 4096 tokens, 32 query and 8 key heads of 128, float32, in place");
const [mistral] = loaded;
const [query, key] = [random(4096 * 32 * 128), random(4096 * 8 * 128)];
const copy = new Float32Array(query.length + key.length);
const positions = { start: 0, count: 4096 };
const { backend } = mistral.rope;
const rotation = median(() => mistral.rope.apply({ positions, query, key }));
const inJavaScript = getRopeUntyped(mistral.rope.spec, { backend: "js" });
const slower = backend === "js" ? rotation : median(() => inJavaScript.apply({ positions, query, key }));
const copying = median(() => {
  copy.set(query);
  copy.set(key, query.length);
});
const shownConfig = read(`models/${models[2]}.json`);
const loading = median(() => (clearRopeCache(), ropesFromConfig(shownConfig)));
print(
  `   ropesFromConfig  ${loading.toFixed(2)} ms`,
  `   apply            ${rotation.toFixed(1)} ms on the backend ${bold(backend)}, ${((rotation * 1e6) / (4096 * 40 * 64)).toFixed(2)} ns a pair (copying the same bytes: ${copying.toFixed(1)} ms)`,
  `   the same in js   ${slower.toFixed(1)} ms, the same bits ${dim('getRope(request, { backend: "js" }), or ROPEWALK_BACKEND=js')}`,
  "",
);
if (short.length === 0) {
  print(`${green("✓")} All hold. Your own model: ${bold("npm run --silent ropewalk -- inspect path/to/config.json")}`);
} else {
  print(...short.map((line) => `${red("✗")} ${line}`));
  process.exitCode = 1;
}
