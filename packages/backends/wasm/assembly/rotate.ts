/**
 * Rotates the heads of some tokens, of any element types.
 *
 * All pointers are bytes, all strides bytes. cos and sin lie as `[tokens, pairs]` in the compute type: float64 for
 * float64, else float32. Source and target may be the same memory.
 */

import { narrowBrain, narrowHalf, widenBrain, widenHalf } from "./sixteen-bit";
import { spread, turnNeighboursOfHead, turnOneHead, turnTwoHeads } from "./turn";

/** Element types; `typeNumber` in `src/kernel.ts` has the same numbers. */
const FLOAT32 = 0;
const FLOAT16 = 1;
const BFLOAT16 = 2;
const FLOAT64 = 3;

/**
 * Pairs of a block lie `width` apart, neighbours have `width` 1: `x' = x c − y s`, `y' = y c + x s`.
 *
 * @param types source's plus four times target's; float64 only to float64.
 * @param scratch room for `4 · 2 · blocks · width` float32: cos and sin spread for neighbours, two heads on their way.
 */
export function rotate(
  types: i32,
  source: usize, sourceToken: isize, sourceHead: isize,
  target: usize, targetToken: isize, targetHead: isize,
  cos: usize, sin: usize, scratch: usize,
  tokens: i32, heads: i32, blocks: i32, width: i32,
): void {
  const sourceType = types & 3;
  const targetType = types >> 2;
  const inPlace = source == target && sourceToken == targetToken && sourceHead == targetHead;
  // Each loop is compiled twice: in place the distance to the target is the constant 0.
  if (sourceType == FLOAT64) {
    if (inPlace) rotateBlocks<f64>(source, sourceToken, sourceHead, 0, 0, 0, cos, sin, tokens, heads, blocks, width);
    else rotateBlocks<f64>(source, sourceToken, sourceHead, target - source, targetToken - sourceToken, targetHead - sourceHead, cos, sin, tokens, heads, blocks, width);
  } else if (sourceType != FLOAT32 || targetType != FLOAT32) {
    rotateStaged(sourceType, targetType, source, sourceToken, sourceHead, target, targetToken, targetHead, cos, sin, scratch, tokens, heads, blocks, width);
  } else if (width == 1) {
    if (inPlace) rotateNeighbours(source, sourceToken, sourceHead, 0, 0, 0, cos, sin, scratch, tokens, heads, blocks);
    else rotateNeighbours(source, sourceToken, sourceHead, target - source, targetToken - sourceToken, targetHead - sourceHead, cos, sin, scratch, tokens, heads, blocks);
  } else if (inPlace) {
    rotateBlocks<f32>(source, sourceToken, sourceHead, 0, 0, 0, cos, sin, tokens, heads, blocks, width);
  } else {
    rotateBlocks<f32>(source, sourceToken, sourceHead, target - source, targetToken - sourceToken, targetHead - sourceHead, cos, sin, tokens, heads, blocks, width);
  }
}

// @ts-ignore: decorator
@inline function rotateBlocks<T extends number>(
  source: usize, sourceToken: isize, sourceHead: isize,
  move: usize, moveToken: isize, moveHead: isize,
  cos: usize, sin: usize,
  tokens: i32, heads: i32, blocks: i32, width: i32,
): void {
  const bytes = <usize>width * sizeof<T>();
  const row = <usize>blocks * bytes;
  for (let t = 0; t < tokens; t++) {
    let x = source;
    let m = move;
    for (let h = 1; h < heads; h += 2) {
      turnTwoHeads<T>(x, x + sourceHead, m, m + moveHead, cos, sin, blocks, bytes);
      x += sourceHead << 1;
      m += moveHead << 1;
    }
    if (heads & 1) turnOneHead<T>(x, m, cos, sin, blocks, bytes);
    source += sourceToken;
    move += moveToken;
    cos += row;
    sin += row;
  }
}

// @ts-ignore: decorator
@inline function rotateNeighbours(
  source: usize, sourceToken: isize, sourceHead: isize,
  move: usize, moveToken: isize, moveHead: isize,
  cos: usize, sin: usize, wide: usize,
  tokens: i32, heads: i32, pairs: i32,
): void {
  const row = <usize>pairs << 2;
  for (let t = 0; t < tokens; t++) {
    spread(cos, sin, row, wide);
    // One head after the other: two at a time save loads, but main memory then delivers at a third of its speed.
    for (let h = 0; h < heads; h++) turnNeighboursOfHead(source + <usize>h * sourceHead, move + <usize>h * moveHead, wide, row << 1);
    source += sourceToken;
    move += moveToken;
    cos += row;
    sin += row;
  }
}

/** Where one side or both have 16-bit elements: two heads at a time pass through `scratch` as float32. */
function rotateStaged(
  sourceType: i32, targetType: i32,
  source: usize, sourceToken: isize, sourceHead: isize,
  target: usize, targetToken: isize, targetHead: isize,
  cos: usize, sin: usize, scratch: usize,
  tokens: i32, heads: i32, blocks: i32, width: i32,
): void {
  const bytes = <usize>width << 2;
  const row = <usize>blocks * bytes;
  const head = row << 1;
  const room = scratch + (head << 1);
  for (let t = 0; t < tokens; t++) {
    if (width == 1) spread(cos, sin, row, scratch);
    for (let h = 0; h < heads; h += 2) {
      const isPair = h + 1 < heads;
      const from = source + <usize>h * sourceHead;
      const to = target + <usize>h * targetHead;
      let x = from;
      let p = from + sourceHead;
      if (sourceType != FLOAT32) {
        x = room;
        p = room + head;
        widen(sourceType, from, x, head >> 2);
        if (isPair) widen(sourceType, from + sourceHead, p, head >> 2);
      }
      const u = targetType == FLOAT32 ? to : room;
      const v = targetType == FLOAT32 ? to + targetHead : room + head;
      if (width == 1) {
        turnNeighboursOfHead(x, u - x, scratch, head);
        if (isPair) turnNeighboursOfHead(p, v - p, scratch, head);
      } else if (isPair) turnTwoHeads<f32>(x, p, u - x, v - p, cos, sin, blocks, bytes);
      else turnOneHead<f32>(x, u - x, cos, sin, blocks, bytes);
      if (targetType != FLOAT32) {
        narrow(targetType, u, to, head >> 2);
        if (isPair) narrow(targetType, v, to + targetHead, head >> 2);
      }
    }
    source += sourceToken;
    target += targetToken;
    cos += row;
    sin += row;
  }
}

// @ts-ignore: decorator
@inline function widen(type: i32, source: usize, target: usize, count: usize): void {
  if (type == FLOAT16) widenHalf(source, target, count);
  else widenBrain(source, target, count);
}

// @ts-ignore: decorator
@inline function narrow(type: i32, source: usize, target: usize, count: usize): void {
  if (type == BFLOAT16) narrowBrain(source, target, count);
  else narrowHalf(source, target, count);
}
