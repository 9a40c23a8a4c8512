/** A backend changes only the place of the rotation: the rest of the rope and the numbers stay the same. */

import { equal, fail, isFar, sameBits, sameData } from "./assert.ts";
import type { Law } from "./law.ts";
import { share } from "./numbers.ts";
import { drawnSpots } from "./test-positions.ts";
import { contiguous, elementTypes, place, randomValues, sizeOf, stridedLayouts } from "./tensors.ts";
import type { Placed, Shape } from "./tensors.ts";

const likeness: Law = {
  group: "backend",
  name: "is the same rope under another name",
  async run(kit) {
    const name = kit.target.backend!.name;
    for (const { label, request } of kit.variants()) {
      const js = kit.js(request);
      const rope = await kit.rope(request);
      equal(js.backend, "js", `backend of the rope before to(${JSON.stringify(name)}), ${label}`);
      if ("backend" in rope) equal((rope as { backend: unknown }).backend, name, `backend, ${label}`);
      sameData(rope.spec, js.spec, `spec, ${label}`);
      sameData(rope.capabilities, js.capabilities, `capabilities, ${label}`);
      equal(rope.positionLimit, js.positionLimit, `positionLimit, ${label}`);
      sameData(Array.from(rope.frequencies().invFreq), Array.from(js.frequencies().invFreq), `frequencies, ${label}`);
    }
  },
};

const equality: Law = {
  group: "backend",
  name: "equals JavaScript in every layout and element type",
  async run(kit) {
    for (const { label, request } of kit.variants()) {
      const js = kit.js(request);
      const rope = await kit.rope(request);
      const methods = rope.capabilities.isRotation ? (["apply", "invert", "adjoint"] as const) : (["apply"] as const);
      // 131 tokens: no vector width and no number of threads divides it.
      for (const [tested, layouts] of [
        [drawnSpots(rope, undefined, 131, 1), [contiguous]],
        [drawnSpots(rope, 3, 7, 0), [contiguous, ...stridedLayouts]],
      ] as const) {
        for (const dtype of elementTypes) {
          for (const layout of layouts) {
            const shape: Shape = [tested.batch ?? 1, tested.tokens, 3, rope.spec.headDim];
            const values = randomValues(kit.random(`${label} ${dtype}`), dtype, sizeOf(shape));
            for (const method of methods) {
              const [expected, got] = [
                place(dtype, shape, values, { layout }),
                place(dtype, shape, values, { layout }),
              ];
              js[method]({ positions: tested.positions, key: expected.tensor });
              await rope[method]({ positions: tested.positions, key: got.tensor });
              same(got, expected, `${method} of ${dtype}, ${layout.name}, ${tested.tokens} tokens, ${label}`);
            }
          }
        }
      }
    }

    function same(got: Placed, expected: Placed, what: string): void {
      if (kit.bitExact) return sameBits(got.words, expected.words, what);
      const [a, b] = [got.values(), expected.values()];
      const rope = kit.js();
      // Elements are below 2√2 times the amplitude or its inverse. The tables are equal, so only roundings differ.
      const tolerance = 4 * Math.max(rope.attentionFactor, 1 / rope.attentionFactor) * share(rope, got.dtype, 0);
      a.forEach((value, i) => {
        if (isFar(value, b[i]!, tolerance)) fail(`${what}, element ${i}`, `${b[i]} ± ${tolerance}`, value);
      });
      sameBits(got.gaps(), expected.gaps(), `${what}, elements in between`);
    }
  },
};

export const backendLaws: readonly Law[] = [likeness, equality];
