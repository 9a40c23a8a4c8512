/** The measurements of the demo: laws of rotation on random data, distances of float32 numbers, times. */

import { performance } from "node:perf_hooks";

/** The last `count` positions that the model admits. */
function tail({ positionLimit }, count) {
  return { start: positionLimit - count, count };
}

export function random(length) {
  // A fixed random sequence (mulberry32): every run prints the same.
  let state = 1;
  return Float32Array.from({ length }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
}

export function keepsNorm(rope) {
  const { headDim } = rope;
  const query = random(256 * headDim);
  const rotated = rope.apply({
    positions: tail(rope, 256),
    query,
    out: { query: new Float32Array(query.length) },
  }).query;
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
export function distanceOnly(rope) {
  const { headDim, positionLimit } = rope;
  const all = random(2 * 256 * headDim);
  const [query, key] = [
    Float64Array.from(all.subarray(0, 256 * headDim)),
    Float64Array.from(all.subarray(256 * headDim)),
  ];
  const scores = (shift) => {
    const rotate = (tensor, start) =>
      rope.apply({ positions: { start, count: 256 }, key: tensor, out: { key: new Float64Array(tensor.length) } }).key;
    const [q, k] = [rotate(query, shift + 17), rotate(key, shift)];
    return Float64Array.from(
      { length: 256 },
      (_, token) => dot(q, k, token, headDim) / Math.sqrt(dot(q, q, token, headDim) * dot(k, k, token, headDim)),
    );
  };
  const [near, far] = [scores(0), scores(positionLimit - 300)];
  return worst(near, (i) => Math.abs(near[i] - far[i]));
}

function dot(a, b, token, headDim) {
  let sum = 0;
  for (let i = token * headDim; i < (token + 1) * headDim; i++) sum += a[i] * b[i];
  return sum;
}

export function undoes(rope) {
  const original = random(256 * rope.headDim);
  const query = original.slice();
  rope.apply({ positions: tail(rope, 256), query });
  rope.invert({ positions: tail(rope, 256), query });
  return worst(original, (i) => Math.abs(query[i] - original[i]));
}

export function worst({ length }, error) {
  let largest = 0;
  for (let i = 0; i < length; i++) largest = Math.max(largest, error(i));
  return largest;
}

/** Steps between two float32 numbers. */
export function ulps(a, b) {
  const [first, second] = new Int32Array(Float32Array.of(a, b).buffer);
  return first === second ? 0 : Math.sign(a) === Math.sign(b) ? Math.abs(first - second) : Infinity;
}

export function median(task) {
  task();
  const times = Array.from({ length: 7 }, () => {
    const start = performance.now();
    task();
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[3];
}
