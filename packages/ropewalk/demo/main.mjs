/**
 * The main job on published configs: config.json in, ropes out, queries and keys rotated; then what came of it is
 * measured, against the laws of rotation and against numbers that Hugging Face transformers gave.
 */

import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { performance } from "node:perf_hooks";
import colours from "picocolors";
import { clearRopeCache, ropesFromConfig } from "ropewalk";

const models = [
  "mistralai--Mistral-7B-v0.1",
  "microsoft--phi-2",
  "Qwen--Qwen2.5-7B-Instruct-yarn",
  "openai--gpt-oss-20b",
  "deepseek-ai--DeepSeek-V3",
];

const { bold, cyan, dim, green } = colours.createColors(Boolean(process.stdout.isTTY) && !process.env.NO_COLOR);
const print = (...lines) => console.log(lines.join("\n"));
const title = (number, text) => print("", `${bold(cyan(number))}  ${bold(text)}`);

/** Columns padded to their widest cell: the first to the left, the others to the right. */
function table(header, rows) {
  const widths = header.map((_, i) => Math.max(...[header, ...rows].map((row) => row[i].length)));
  const line = (row) => `   ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("   ")}`;
  print(dim(line(header)), ...rows.map(line));
}

const goldens = new URL("../../../tooling/goldens/", import.meta.url);
const read = (path) => JSON.parse(readFileSync(new URL(path, goldens), "utf8"));
const loaded = models.map((id) => {
  const config = read(`models/${id}.json`);
  const load = (precision) => ropesFromConfig(config, { precision }).forLayer(0);
  return { name: id.split("--")[1], rope: load("float32"), exact: load("float64"), fixture: read(`fixtures/hf/${id}.json`) };
});

print(`${bold("ropewalk")} ${dim(`on Node ${process.versions.node}, ${cpus()[0]?.model ?? "an unknown processor"}`)}`);

title(1, "Five published config.json files, and the ropes that they ask for");
table(
  ["model", "rope", "elements rotated", "base", "positions", "cos and sin ×", "softmax ×", "pairs that never turn"],
  loaded.map(({ name, rope }) => {
    const { invFreq, attentionFactor, softmaxScaleFactor } = rope.frequencies();
    const slow = invFreq.filter((value) => (2 * Math.PI) / value > rope.positionLimit).length;
    const factor = (value) => (value === 1 ? "1" : value.toFixed(6));
    return [name, rope.ropeType, `${rope.rotaryDim} of ${rope.headDim}`, `${rope.base}`, `${rope.positionLimit}`, factor(attentionFactor), factor(softmaxScaleFactor), `${slow} of ${invFreq.length}`];
  }),
);

const shown = loaded[2];
title(2, `Frequencies of ${shown.name}, and why`);
const { pairs, rules } = shown.rope.explain();
table(
  ["pair", "radians per position", "positions in a turn", "the type's word for it"],
  [0, 16, 28, 36, 48, 63].map((i) => [`${i}`, pairs[i].invFreq.toExponential(9), pairs[i].wavelength.toPrecision(6), pairs[i].regime]),
);
for (const { name, value, rule, source } of rules.filter(({ name }) => ["correctionLow", "correctionHigh", "attentionFactor"].includes(name))) {
  print(`   ${name} = ${typeof value === "number" ? Number(value.toPrecision(9)) : value} ${dim(`${rule} (${source})`)}`);
}

title(3, `The same numbers as Hugging Face transformers ${loaded[0].fixture.source.version}, run for real`);
table(
  ["model", "frequencies differ by", "cos and sin by", "up to position"],
  loaded.map(({ name, rope, fixture: { ropes } }) => {
    const [golden] = ropes;
    const { invFreq } = rope.frequencies();
    const frequencies = worst(invFreq, (i) => ulps(invFreq[i], golden.invFreq[i]));
    const inside = golden.positions.map((position, row) => ({ position, row })).filter(({ position }) => position < rope.positionLimit);
    const { cos, sin } = rope.cosSin(inside.map(({ position }) => position));
    const width = rope.rotaryDim / 2;
    const tables = worst(inside, (at) => worst(golden.pairs, (i) => {
      const [row, pair] = [inside[at].row, golden.pairs[i]];
      return Math.max(Math.abs(cos[at * width + pair] - golden.cos[row][i]), Math.abs(sin[at * width + pair] - golden.sin[row][i]));
    }));
    return [name, `${frequencies} ulp`, tables.toExponential(1), `${inside.at(-1).position}`];
  }),
);

title(4, "Laws, measured on 256 tokens of random data at the end of the context (largest error, relative to |q| |k|)");
table(
  ["model", "length kept", "q·k depends on the distance only:", "with exact angles", "invert undoes"],
  loaded.map(({ name, rope, exact }) => [name, ...[keepsNorm(rope), distanceOnly(rope), distanceOnly(exact), undoes(rope)].map((error) => error.toExponential(1))]),
);
print(dim("   Engines round position × frequency to float32, and so does ropewalk by default. precision: \"float64\" does not."));

title(5, "Speed: 4096 tokens, 32 query and 8 key heads of 128, float32, in place");
const { rope } = loaded[0];
const [query, key] = [random(4096 * 32 * 128), random(4096 * 8 * 128)];
const copy = new Float32Array(query.length + key.length);
const positions = { start: 0, count: 4096 };
const rotation = median(() => rope.apply({ positions, query, key }));
const copying = median(() => {
  copy.set(query);
  copy.set(key, query.length);
});
const config = read(`models/${models[2]}.json`);
const first = median(() => (clearRopeCache(), ropesFromConfig(config)));
print(
  `   ropesFromConfig  ${first.toFixed(2)} ms`,
  `   apply            ${rotation.toFixed(1)} ms, ${((rotation * 1e6) / (4096 * 40 * 64)).toFixed(2)} ns a pair (copying the same bytes: ${copying.toFixed(1)} ms)`,
  "",
  `${green("✓")} Next: ${bold("npm run --silent ropewalk -- inspect path/to/config.json")}`,
);

/** Tokens at the end of what the model admits. */
function tail({ positionLimit }, count) {
  return { start: positionLimit - count, count };
}

function random(length) {
  // A fixed sequence (mulberry32), so that two runs print the same.
  let state = 1;
  return Float32Array.from({ length }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
}

function keepsNorm(rope) {
  const { headDim } = rope;
  const query = random(256 * headDim);
  const rotated = rope.apply({ positions: tail(rope, 256), query, out: { query: new Float32Array(query.length) } }).query;
  const { attentionFactor } = rope.frequencies();
  // The amplitude acts on the rotated elements only.
  const scale = (element) => (element < rope.rotaryDim ? attentionFactor : 1);
  return worst({ length: 256 }, (token) => {
    let [before, after] = [0, 0];
    for (let i = 0; i < headDim; i++) {
      before += (query[token * headDim + i] * scale(i)) ** 2;
      after += rotated[token * headDim + i] ** 2;
    }
    return Math.abs(Math.sqrt(after / before) - 1);
  });
}

/** How much ⟨R(m + s) q, R(n + s) k⟩ differs between s = 0 and s at the end of the context. */
function distanceOnly(rope) {
  const { headDim, positionLimit } = rope;
  const all = random(2 * 256 * headDim);
  const [query, key] = [Float64Array.from(all.subarray(0, 256 * headDim)), Float64Array.from(all.subarray(256 * headDim))];
  const scores = (shift) => {
    const rotate = (tensor, start) => rope.apply({ positions: { start, count: 256 }, key: tensor, out: { key: new Float64Array(tensor.length) } }).key;
    const [q, k] = [rotate(query, shift + 17), rotate(key, shift)];
    return Float64Array.from({ length: 256 }, (_, token) => dot(q, k, token, headDim) / Math.sqrt(dot(q, q, token, headDim) * dot(k, k, token, headDim)));
  };
  const [near, far] = [scores(0), scores(positionLimit - 300)];
  return worst(near, (i) => Math.abs(near[i] - far[i]));
}

function dot(a, b, token, headDim) {
  let sum = 0;
  for (let i = token * headDim; i < (token + 1) * headDim; i++) sum += a[i] * b[i];
  return sum;
}

function undoes(rope) {
  const original = random(256 * rope.headDim);
  const query = original.slice();
  rope.apply({ positions: tail(rope, 256), query });
  rope.invert({ positions: tail(rope, 256), query });
  return worst(original, (i) => Math.abs(query[i] - original[i]));
}

function worst({ length }, error) {
  let largest = 0;
  for (let i = 0; i < length; i++) largest = Math.max(largest, error(i));
  return largest;
}

/** Steps between two float32 numbers. */
function ulps(a, b) {
  const [first, second] = new Int32Array(Float32Array.of(a, b).buffer);
  return first === second ? 0 : Math.sign(a) === Math.sign(b) ? Math.abs(first - second) : Infinity;
}

function median(task) {
  task();
  const times = Array.from({ length: 7 }, () => {
    const start = performance.now();
    task();
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[3];
}
