/**
 * Goldens as answers: one form for all engines.
 *
 * Nothing here computes a number of a rope. Answers are copied. Requests are written in ropewalk's vocabulary, with
 * every parameter that the engine's own reading needs.
 */

import { bytes, fixtures } from "@ropewalk/goldens";
import type { EngineRotation } from "@ropewalk/goldens";
import { asked, readings, reasonAgainst, tower } from "./requests.ts";
import { float32, float64 } from "./vectors.ts";
import type { Head, Positions, Turned, Unbuilt, Vector } from "./vectors.ts";

type Table = readonly ArrayLike<number>[];

/** The answer of an engine for one rope; tables are `[token][pair]`, amplitude included. */
export interface Answer {
  readonly head: Head;
  readonly ropeType?: string;
  readonly positions: Positions;
  readonly pairs: readonly number[];
  readonly cos: Table;
  readonly sin: Table;
  readonly rotated?: readonly Turned[];
}

/** All answers with tables of cos and sin, and the answers that are not compared. */
export function answers(): { readonly answers: readonly Answer[]; readonly unbuilt: readonly Unbuilt[] } {
  const unbuilt: Unbuilt[] = [];
  return {
    answers: [
      ...transformers(unbuilt),
      ...truth(),
      ...(["vllm", "sglang", "mlx", "ggml"] as const).flatMap((engine) => serving(engine, unbuilt)),
      ...diffusers(unbuilt),
      ...towers(unbuilt),
      ...llamaCpp(),
    ],
    unbuilt,
  };
}

function transformers(unbuilt: Unbuilt[]): Answer[] {
  const found: Answer[] = [];
  for (const { source, model, ropes } of fixtures("hf")) {
    for (const rope of ropes) {
      const name = rope.layerType === null ? model : `${model}, ${rope.layerType}`;
      const reason = reasonAgainst("hf", model);
      if (reason !== undefined) {
        unbuilt.push({ engine: "hf", name, reason });
        continue;
      }
      const head: Head = {
        engine: "hf",
        version: source.version,
        name,
        config: model,
        layerType: rope.layerType,
        ...(rope.length === null ? {} : { length: rope.length }),
        invFreq: float32(rope.invFreq),
        attentionFactor: rope.attentionFactor,
        softmaxScaleFactor: rope.softmaxScaleFactor,
        ...(rope.axisOfPair === undefined ? {} : { axes: rope.axisOfPair }),
      };
      const rotated = rope.rotated?.flatMap(({ dtype, positions, outputPairing, query, key }) =>
        [key, query].map((tensor) => ({ dtype, positions, outputPairing, ...tensor })),
      );
      const { ropeType, positions, pairs, cos, sin, grid } = rope;
      // A record of several axes has a row of text, all axes equal, and a grid where they differ.
      if (rope.axisOfElement === undefined) {
        found.push({ head, ropeType, positions, pairs, cos, sin, ...(rotated === undefined ? {} : { rotated }) });
      } else {
        unbuilt.push({
          engine: "hf",
          name,
          reason:
            "the two elements of one pair follow different axes, which is no rotation; with equal axes it is an ordinary rope",
        });
      }
      if (grid?.pairs !== undefined) {
        const { positions: onGrid, pairs: sampled, cos: gridCos, sin: gridSin } = grid;
        found.push({
          head: { ...head, name: `${name}, grid` },
          positions: onGrid,
          pairs: sampled,
          cos: gridCos,
          sin: gridSin,
        });
      }
    }
  }
  return found;
}

function truth(): Answer[] {
  return fixtures("truth").map(
    ({
      source,
      name,
      request: { length, ...request },
      positions,
      pairs,
      cosFloat32,
      sinFloat32,
      invFreqHigh,
      ...factors
    }) => ({
      head: {
        engine: "truth",
        version: source.version,
        name,
        request: { ...request, ...asked({ engine: "truth", request, length }), precision: "float64" },
        ...(length === undefined ? {} : { length }),
        invFreq: float64(invFreqHigh),
        attentionFactor: Number(factors.attentionFactor),
        softmaxScaleFactor: Number(factors.softmaxScaleFactor),
      },
      positions,
      pairs,
      cos: rowsOf(cosFloat32, pairs.length),
      sin: rowsOf(sinFloat32, pairs.length),
    }),
  );
}

function serving(engine: "vllm" | "sglang" | "mlx" | "ggml", unbuilt: Unbuilt[]): Answer[] {
  const found: Answer[] = [];
  for (const answer of fixtures(engine)) {
    const { name, source } = answer;
    const reason = reasonAgainst(engine, name, answer.request.parameters.ropeType);
    if (reason !== undefined || !("cos" in answer)) {
      unbuilt.push({ engine, name, reason: reason ?? "no table" });
      continue;
    }
    const { length, positions, pairs, cos, sin, axisOfPair, attentionFactor, softmaxScaleFactor } = answer;
    const { pairing, dialect: _, ...request } = answer.request;
    const reciprocals = answer.invFreqReciprocals?.map((value) => (value === null ? 0 : Math.fround(1 / value)));
    const invFreq = answer.invFreq ?? reciprocals;
    found.push({
      head: {
        engine,
        version: source.version,
        name,
        request: { ...request, pairing, ...asked({ ...answer, engine }) },
        ...(length === undefined ? {} : { length }),
        ...(invFreq === undefined ? {} : { invFreq: float32(invFreq) }),
        ...(attentionFactor === undefined ? {} : { attentionFactor }),
        // In mlx-lm it belongs to DeepSeek's attention class and does not depend on the rope.
        ...(softmaxScaleFactor === undefined || request.parameters.ropeType !== "deepseek_yarn"
          ? {}
          : { softmaxScaleFactor }),
        ...("inverse" in answer ? { turnsBack: true } : {}),
        ...(axisOfPair === undefined ? {} : { axes: axisOfPair }),
        ...(answer.equivalent === undefined ? {} : { otherwise: answer.note ?? "see the request" }),
      },
      positions,
      pairs,
      cos,
      sin,
      ...(answer.rotated === undefined ? {} : { rotated: atTokens(answer.rotated, positions) }),
    });
  }
  return found;
}

/** The crate ndrope states no tables; its tensors are compared as they are. */
export function ndrope(): Vector[] {
  return fixtures("ndrope").flatMap((answer) => {
    if (answer.kind !== "rotation") return [];
    const { request, name, source, shape, strides, offset, positions, input } = answer;
    // Strided tensors are cases of the tensor, not of the rope: a test of @ropewalk/nd-qwen2vl has them.
    if (offset !== 0 || shape[1]! * shape[2]! !== strides[0]) return [];
    return answer.rotated
      .filter(({ dtype }) => dtype === "float32")
      .map((turned) => ({
        engine: "ndrope",
        version: source.version,
        name: `${name}, ${turned.function}`,
        request: {
          headDim: request.headDim,
          rotaryDim: request.rotaryDim,
          base: request.base,
          pairing: turned.pairing,
          parameters: { ...request.parameters, denominator: "largest" },
        },
        positions,
        pairs: [],
        cos: "",
        sin: "",
        rotated: [
          {
            dtype: "float32",
            positions,
            outputPairing: turned.pairing,
            headFirst: true,
            shape,
            input,
            output: turned.output,
          },
        ],
      }));
  });
}

function diffusers(unbuilt: Unbuilt[]): Answer[] {
  const found: Answer[] = [];
  for (const answer of fixtures("diffusers")) {
    const { name, source, headDim, rotaryDim, sections, base, axisOfPair, positions } = answer;
    const reason = reasonAgainst("diffusers", name);
    if (reason !== undefined) {
      unbuilt.push({ engine: "diffusers", name, reason });
      continue;
    }
    const pairs = answer.shape[1]!;
    const own = typeof base === "number" ? { base } : {};
    found.push({
      head: {
        engine: "diffusers",
        version: source.version,
        name,
        request: {
          headDim,
          rotaryDim,
          ...own,
          fractionalPositions: true,
          pairing: answer.pairing === "half within each axis" ? { blocks: sections.length } : answer.pairing,
          parameters: {
            ropeType: "nd",
            sections,
            ...(typeof base === "number" ? {} : { bases: base }),
          },
        },
        axes: axisOfPair,
      },
      positions,
      pairs: upTo(pairs),
      cos: rowsOf(answer.cos, pairs),
      sin: rowsOf(answer.sin, pairs),
      rotated: atTokens(answer.rotated, positions),
    });
  }
  return found;
}

/** Vision towers of transformers. */
function towers(unbuilt: Unbuilt[]): Answer[] {
  const found: Answer[] = [];
  for (const answer of fixtures("vision")) {
    const { model, source, headDim, rotaryDim, pairing, positions, axisOfPair, cos, sin } = answer;
    const name = `${model}, vision tower`;
    const reason = reasonAgainst("vision", model);
    if (reason !== undefined || positions === undefined || axisOfPair === undefined) {
      unbuilt.push({ engine: "hf", name, reason: reason ?? "no positions" });
      continue;
    }
    const { query, key } = answer.rotated;
    found.push({
      head: {
        engine: "hf",
        version: source.version,
        name,
        request: { headDim, rotaryDim, pairing, base: 10000, ...tower(model, axisOfPair) },
        axes: axisOfPair,
      },
      positions,
      pairs: upTo(rotaryDim / 2),
      cos,
      sin,
      rotated: [query, key].map((tensor) => ({ dtype: "float32", positions, outputPairing: pairing, ...tensor })),
    });
  }
  return found;
}

function llamaCpp(): Answer[] {
  return fixtures("llama.cpp").flatMap(({ name, model, n_ctx: length, source, ropes }) =>
    ropes.flatMap((rope) => {
      // The operator that shifts the cache has no table in the fixture.
      if (rope.shift === true) return [];
      const layer = Number(/\d+$/.exec(rope.tensors[0]!)![0]);
      const otherwise = readings["llama.cpp"][model];
      const { positions, pairs, cos, sin } = rope;
      return {
        head: {
          engine: "llama.cpp",
          version: source.version,
          name: `${name}, layer ${layer}`,
          config: model,
          dialect: "llama.cpp",
          layer,
          length,
          ...(otherwise === undefined ? {} : { otherwise }),
        },
        positions,
        pairs,
        cos,
        sin,
      };
    }),
  );
}

/** Replaces the tokens that a tensor of a fixture names with their positions. */
function atTokens(rotated: readonly EngineRotation[], positions: Positions): Turned[] {
  const at = (axis: readonly number[], tokens: readonly number[]): number[] => tokens.map((token) => axis[token]!);
  return rotated.map(({ tokens, ...tensor }) => ({
    ...tensor,
    positions: hasAxes(positions) ? positions.map((axis) => at(axis, tokens)) : at(positions, tokens),
  }));
}

export function hasAxes(positions: Positions): positions is readonly (readonly number[])[] {
  return Array.isArray(positions[0]);
}

/** Packed float32 as rows of so many. */
function rowsOf(text: string, width: number): Float32Array[] {
  const values = new Float32Array(bytes(text).buffer);
  return upTo(values.length / width).map((row) => values.subarray(row * width, (row + 1) * width));
}

/** 0, 1, … below a number. */
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
