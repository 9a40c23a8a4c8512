/**
 * The pass from projection to cache against transformers' own attention modules, in JavaScript and WebAssembly: norms,
 * rotation, factors of queries, packed projections.
 */

import "@ropewalk/wasm-backend";
import { expect, test } from "vitest";
import { bytes, fixtures } from "@ropewalk/goldens";
import type { PassFixture } from "@ropewalk/goldens";
import { ropesFromConfig } from "ropewalk";
import type { CacheView, PassArguments, RmsNorm, RotaryEmbedding } from "ropewalk";

const floats = ({ data }: { readonly data: string }): Float32Array => new Float32Array(bytes(data).buffer);
const names = ["query", "key", "value"] as const;

/** Views of a packed projection: all queries, then keys, then values (Phi 3), or one of each for a head (GPT-NeoX). */
function packedViews({ model, projections, query, key, headDim }: PassFixture): Record<string, CacheView> {
  const data = floats(projections.packed!);
  const [tokens, width] = projections.packed!.shape as [number, number];
  const counts = { query: query.shape[1]!, key: key.shape[1]!, value: key.shape[1]! };
  const isByHead = model === "GPTNeoXForCausalLM";
  let offset = 0;
  return Object.fromEntries(
    names.map((name) => {
      const start = offset;
      offset += isByHead ? headDim : counts[name] * headDim;
      const shape = [tokens, counts[name], headDim];
      return [name, { data, shape, strides: [width, isByHead ? 3 * headDim : headDim, 1], offset: start }];
    }),
  );
}

function callOf(fixture: PassFixture, rope: RotaryEmbedding): PassArguments {
  const { projections, norms, positions } = fixture;
  const norm: Record<string, RmsNorm> = {};
  for (const [name, { weight, weightOffset, ...settings }] of Object.entries(norms)) {
    norm[name] = { ...settings, ...(weight && { weight: Float32Array.from(weight), weightOffset }) };
  }
  const out = Object.fromEntries(
    names.map((name) => [name, new Float32Array(fixture[name].shape.reduce((a, b) => a * b))]),
  );
  const tensors =
    projections.packed === undefined
      ? Object.fromEntries(names.map((name) => [name, floats(projections[name]!)]))
      : packedViews(fixture);
  const queryScale = rope.at([...positions]).queryScale !== null;
  return { ...tensors, norm, out, ...(queryScale && { queryScale }) };
}

const all = fixtures("pass");
test.each(all.map((fixture) => [fixture.model, fixture] as const))("%s", (_, fixture) => {
  const js = ropesFromConfig(fixture.config).forLayer(0)!;
  const results: Float32Array[][] = [];
  for (const rope of [js, js.to("wasm")]) {
    const call = callOf(fixture, rope);
    rope.apply({ positions: [...fixture.positions], ...call });
    const out = call.out as Record<(typeof names)[number], Float32Array>;
    results.push(names.map((name) => out[name]));
    for (const name of names) {
      const expected = floats(fixture[name]);
      const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      expected.forEach((x, i) => {
        // float32 with another order of sums: some ulp of the sum, of cos and sin, and of products near the largest.
        expect(Math.abs(out[name][i]! - x), `${rope.backend}, ${name}[${i}]`).toBeLessThan(largest * 2 ** -20);
      });
    }
  }
  expect(results[1]).toEqual(results[0]);
});

test("the families differ in what they do", () => {
  const settings = all.flatMap(({ norms }) => Object.values(norms));
  expect(all.length).toBe(10);
  expect(new Set(settings.map(({ over, when, weightOffset }) => `${over} ${when} ${weightOffset}`))).toEqual(
    new Set(["head before 0", "head before 1", "heads before 0", "head after 0"]),
  );
});
