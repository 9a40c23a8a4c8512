/** Answers of the ONNX operators. They take tables, so only the rotation is compared. */

import { bytes, fixtures } from "@ropewalk/goldens";
import type { OnnxFixture, OnnxRuntimeFixture } from "@ropewalk/goldens";
import { float32 } from "./vectors.ts";
import type { Rotation } from "./vectors.ts";

export function rotations(): Rotation[] {
  return (["onnx", "onnxruntime"] as const).flatMap((engine) =>
    fixtures(engine).map((answer) => ({
      engine,
      version: answer.source.version,
      name: answer.name,
      ...rotationOf(answer),
    })),
  );
}

/** Tables, and the row of each token. */
function rotationOf(answer: OnnxFixture | OnnxRuntimeFixture): Omit<Rotation, "engine" | "version" | "name"> {
  const { headDim, heads, rotaryDim, pairing, layout, input, output, cosCache, sinCache } = answer;
  const elements = input.shape.reduce((product, size) => product * size, 1);
  const batch = input.shape[0]!;
  const tokens = elements / batch / heads / headDim;
  const head = {
    headDim,
    rotaryDim,
    pairing,
    dtype: "dtype" in answer ? answer.dtype : "float32",
    headFirst: layout.startsWith("[batch, heads"),
    shape: [batch, tokens, heads, headDim],
    input: input.data,
    output: output.data,
  } as const;
  const rows = <Row>(row: (b: number, t: number) => Row): Row[][] =>
    Array.from({ length: batch }, (_, b) => Array.from({ length: tokens }, (__, t) => row(b, t)));
  if (!("axisOfPair" in answer) || answer.axisOfPair === undefined) {
    return { ...head, positions: rows(rowOf(answer, tokens)), cos: cosCache.data, sin: sinCache.data };
  }
  // Tables are gathered by the axis of each pair; after that, each token has its own row.
  const { axisOfPair } = answer;
  const positions = answer.positions as readonly (readonly (readonly number[])[])[];
  const width = rotaryDim / 2;
  const gather = ({ data }: { readonly data: string }): string => {
    const cache = new Float32Array(bytes(data).buffer);
    return float32(
      rows((b, t) => axisOfPair.map((axis, pair) => cache[positions[axis]![b]![t]! * width + pair]!)).flat(2),
    );
  };
  return { ...head, positions: rows((b, t) => b * tokens + t), cos: gather(cosCache), sin: gather(sinCache) };
}

/** The row of the tables for a token. */
function rowOf(
  { positions }: OnnxFixture | OnnxRuntimeFixture,
  tokens: number,
): (batch: number, token: number) => number {
  // Without positions, the tables have a row for each token. A single position is that of the first token.
  if (positions === null) return (b, t) => b * tokens + t;
  const [first] = positions;
  if (typeof first === "number") return (_, t) => first + t;
  const given = positions as readonly (readonly number[])[];
  return (b, t) => given[b]![t]!;
}
