/**
 * Writes float32 keys into the slots of a cache in head-first layout: rotated, rounded and placed in one pass, compared
 * with rotating in place and then copying the rows.
 */

import { getRope } from "@ropewalk/core";
import "@ropewalk/default";
import { createArena } from "@ropewalk/wasm-backend";
import { median } from "./median.ts";

export interface FusedWrite {
  readonly tokens: number;
  /** The element type of the cache; keys are float32. */
  readonly dtype: "float32" | "float16" | "bfloat16";
  readonly fusedMicroseconds: number;
  readonly rotateThenCopyMicroseconds: number;
  readonly timesFaster: number;
}

const HEADS = 8;
const HEAD_DIM = 128;
/** Tokens that the cache has room for. */
const ROOM = 4096;

export function fusedWrites(rounds: number): FusedWrite[] {
  return [1, 128, 2048].flatMap((tokens) =>
    (["float32", "float16", "bfloat16"] as const).map((dtype) => fusedWrite(tokens, dtype, rounds)),
  );
}

function fusedWrite(tokens: number, dtype: FusedWrite["dtype"], rounds: number): FusedWrite {
  const arena = createArena({ bytes: HEADS * HEAD_DIM * 4 * (ROOM + 2 * tokens) + 4096 });
  const keys = arena.float32([tokens, HEADS, HEAD_DIM]);
  const packed = dtype === "float32" ? keys : arena[dtype]([tokens, HEADS, HEAD_DIM]);
  const cache = arena[dtype]([HEADS, ROOM, HEAD_DIM]);
  const first = 77;
  const slots = {
    data: cache.data,
    dtype,
    shape: [tokens, HEADS, HEAD_DIM],
    strides: [HEAD_DIM, ROOM * HEAD_DIM, 1],
    offset: first * HEAD_DIM,
  };
  const step = getRope({ headDim: HEAD_DIM, base: 500_000, maxPosition: 131072, parameters: { ropeType: "default" } })
    .to("wasm", { arena })
    .at({ start: first, count: tokens });
  const start = Float32Array.from(keys.data, (_, i) => Math.sin(i));

  const fused = (): void => void step.apply({ key: keys, out: { key: slots } });
  const separate = (): void => {
    step.apply(packed === keys ? { key: keys } : { key: keys, out: { key: packed } });
    for (let token = 0; token < tokens; token++) {
      for (let head = 0; head < HEADS; head++) {
        const row = (token * HEADS + head) * HEAD_DIM;
        cache.data.set(packed.data.subarray(row, row + HEAD_DIM), (head * ROOM + first + token) * HEAD_DIM);
      }
    }
  };

  keys.data.set(start);
  fused();
  const result = cache.data.slice();
  cache.data.fill(0);
  separate();
  if (!result.every((value, i) => value === cache.data[i])) {
    throw new Error(`rotating into a ${dtype} cache differs from rotating and copying`);
  }

  const calls = Math.max(1, Math.ceil(2000 / tokens));
  const times: Record<"fused" | "separate", number[]> = { fused: [], separate: [] };
  for (let round = 0; round < 3 * rounds; round++) {
    keys.data.set(start);
    for (const [name, run] of [
      ["fused", fused],
      ["separate", separate],
    ] as const) {
      const begin = performance.now();
      for (let call = 0; call < calls; call++) run();
      times[name].push(((performance.now() - begin) * 1000) / calls);
    }
  }
  return {
    tokens,
    dtype,
    fusedMicroseconds: median(times.fused),
    rotateThenCopyMicroseconds: median(times.separate),
    timesFaster: median(times.fused.map((time, round) => times.separate[round]! / time)),
  };
}
