import { describe, expect, test } from "vitest";
import { getRope } from "@ropewalk/core";
import type { Pairing } from "@ropewalk/core";
import { blockCount, canonicalPairing, pairElements } from "@ropewalk/core/math";
import { testRegistry } from "./providers.ts";
import { pairsOf } from "./reference.ts";

const registry = testRegistry();

describe.each<[string, Pairing, Pairing, number]>([
  ["half", "half", "half", 1],
  ["adjacent", "adjacent", "adjacent", 6],
  ["1 block, which is half", { blocks: 1 }, "half", 1],
  ["2 blocks", { blocks: 2 }, { blocks: 2 }, 2],
  ["3 blocks", { blocks: 3 }, { blocks: 3 }, 3],
  ["6 blocks of two elements, which is adjacent", { blocks: 6 }, "adjacent", 6],
])("%s, of 12 elements", (_, pairing, canonical, blocks) => {
  test("is one idea under several names", () => {
    expect(blockCount(pairing, 12)).toBe(blocks);
    expect(canonicalPairing(pairing, 12)).toEqual(canonical);
    expect(
      getRope({ headDim: 12, pairing, parameters: { ropeType: "plain" } }, { registry: testRegistry() }).pairing,
    ).toEqual(canonical);
  });

  test("its pairs, spelled out", () => {
    const { first, distance } = pairElements(pairing, 12);
    expect(Array.from(first, (x) => [x, x + distance])).toEqual(pairsOf(pairing, 12));
  });
});

test("one pair is half and adjacent at once", () => {
  const ropes = (["half", "adjacent", { blocks: 1 }] as const).map((pairing) =>
    getRope({ headDim: 2, pairing, parameters: { ropeType: "plain" } }, { registry }),
  );
  expect(new Set(ropes).size).toBe(1);
});

test("a type may say its models' pairing; a request may say another", () => {
  const provider = {
    ...registry.get("plain")!.provider,
    source: "adjacent@1",
    defaults: { pairing: "adjacent" as const },
  };
  const parameters = { ropeType: "plain" } as const;
  expect(getRope({ headDim: 12, parameters }, { provider }).pairing).toBe("adjacent");
  expect(getRope({ headDim: 12, pairing: "half", parameters }, { provider }).pairing).toBe("half");
});
