import { getRope } from "@ropewalk/core";
import type { RopeRequest } from "@ropewalk/core";
import { bytes, fixtures } from "@ropewalk/goldens";

const float = new Float32Array(1);
const word = new Int32Array(float.buffer);

/** How many float32 lie between two numbers, counted across zero. */
export function ulps(a: number, b: number): number {
  const place = (value: number): number => {
    float[0] = value;
    return word[0]! < 0 ? -(word[0]! & 0x7fffffff) : word[0]!;
  };
  return Math.abs(place(a) - place(b));
}

/** Where the rope of a truth fixture, with precision float64, lies further from the truth than design and rounding allow. */
export function truthErrors(name: string): string[] {
  const fixture = fixtures("truth").find((candidate) => candidate.name === name)!;
  const { length = 1, ...request } = fixture.request;
  const rope = getRope({ ...request, precision: "float64" } as unknown as RopeRequest);
  const errors: string[] = [];
  const { attentionFactor, invFreq } = rope.frequencies(length);
  // Both are the nearest float64 of some 30 correct digits.
  if (attentionFactor !== Number(fixture.attentionFactor)) errors.push(`attentionFactor ${attentionFactor}`);
  for (const [i, expected] of fixture.invFreqHigh.entries()) if (invFreq[i] !== expected) errors.push(`invFreq ${i}: ${invFreq[i]} instead of ${expected}`);

  const at = (position: number, pair: number, expected: readonly [number, number]): void => {
    const { cos, sin } = rope.cosSin([position], { length });
    // A float32 ulp is what float64 promises.
    for (const [what, got, wanted] of [["cos", cos[pair], expected[0]], ["sin", sin[pair], expected[1]]] as const) {
      if (ulps(got as number, wanted) > 1) errors.push(`${what} of pair ${pair} at ${position}: ${got} instead of ${wanted}`);
    }
  };
  const [cos, sin] = [fixture.cosFloat32, fixture.sinFloat32].map((data) => new Float32Array(bytes(data).buffer as ArrayBuffer));
  for (const [row, position] of fixture.positions.entries()) {
    if (position >= rope.positionLimit) continue;
    for (const [column, pair] of fixture.pairs.entries()) {
      const i = row * fixture.pairs.length + column;
      at(position, pair, [cos![i]!, sin![i]!]);
    }
  }
  for (const { cosFloat32, pair, position, sinFloat32 } of fixture.nearZero) if (position < rope.positionLimit) at(position, pair, [cosFloat32, sinFloat32]);
  return errors;
}
