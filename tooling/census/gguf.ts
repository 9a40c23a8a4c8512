/**
 * Compares the ropes of GGUF headers with what llama.cpp's graphs rotate, layer by layer. The census ran libllama on
 * metadata alone, read the ROPE operators of its graph and turned unit vectors with them
 * (`python/census/llama_cpp.py`).
 */

import { readFileSync } from "node:fs";
import { RopeError, ropesFromGguf } from "ropewalk";
import type { GgufOptions, RotaryEmbedding } from "ropewalk";

type Json = Readonly<Record<string, unknown>>;

/** What an operator does to a head at position 1. */
interface Measured {
  readonly offset: number;
  readonly pairing: "half" | "adjacent";
  readonly amplitude: number;
  /** In radians, one for each pair. */
  readonly angles: readonly number[];
  /** The axis of each pair. Absent: one axis. */
  readonly axes?: readonly number[];
}

/** A ROPE operator: its parameters, of which only the width of a head is used here, and what it does. */
interface Operator {
  readonly width: number;
  readonly measured: Measured;
}

/** Numbers of operators; `null`: no rope; several: queries and keys have their own. */
type LayerResult = number | null | readonly number[];

export interface Probed {
  /** The key/values that concern the rope. */
  readonly metadata: Json;
  /** By case: the tensors of factors that the loader reads. */
  readonly tensors?: Readonly<Record<string, readonly (keyof NonNullable<GgufOptions["tensors"]>)[]>>;
  /** Other operators of the graph: indexers, compressors. */
  readonly other?: readonly string[];
  /** One result for all layers, one for each layer, or the reason why llama.cpp refuses the case. */
  readonly cases: Readonly<Record<string, LayerResult | readonly LayerResult[] | { readonly fails: string }>>;
}

interface Census {
  readonly source: { readonly package: string; readonly version: string };
  readonly tensors: Readonly<Record<string, readonly number[]>>;
  /** What each case changes; `null` takes a key out. */
  readonly cases: Readonly<Record<string, Json>>;
  readonly operators: readonly Operator[];
  readonly architectures: Readonly<Record<string, Probed | { readonly noRope: true } | { readonly notProbed: string }>>;
}

const url = new URL("results/llama.cpp.json", import.meta.url);
const census = JSON.parse(readFileSync(url, "utf8")) as Census;
export const architectures = Object.entries(census.architectures);
export const probed = architectures.filter((entry): entry is [string, Probed] => "cases" in entry[1]);

/** Headers that llama.cpp runs and that are refused here: the place of the issue, by case, with the reason. */
const refused: Readonly<Record<string, { readonly path: RegExp; readonly why: string }>> = {
  "rope pattern": { path: /\.attention\.rope_pattern$/, why: "a list of layers that only granite_swa's loader reads" },
  sections: { path: /\.rope\.dimension_sections$/, why: "sections in a model of one axis" },
  "four sections": { path: /\.rope\.dimension_sections$/, why: "sections in a model of one axis" },
  "one section": { path: /\.rope\.dimension_sections$/, why: "the same; or pairs of the first and fourth axis only" },
  "heads by layer": {
    path: /\.attention\.head_count(_kv)?$/,
    why: "layers without heads, in a graph that rotates them",
  },
  partial: { path: /\.rope\.dimension_sections$/, why: "more sections than pairs; llama.cpp leaves some out" },
};

const layerCount = 8;

/** The header of a case. Lists by layer are repeated or cut where the architecture has more or fewer layers. */
export function header(name: string, { metadata }: Probed, changes: Json): Json {
  const changed = Object.entries(changes).map(([key, value]) => [`${name}.${key}`, value] as const);
  const all = Object.entries({ ...metadata, ...Object.fromEntries(changed) }).filter(([, value]) => value !== null);
  const count = Object.fromEntries(all)[`${name}.block_count`] as number;
  return Object.fromEntries(
    all.map(([key, value]) => {
      const byLayer = Array.isArray(value) && key.includes(".attention.") && value.length === layerCount;
      return [key, byLayer ? Array.from({ length: count }, (_, layer) => value[layer % layerCount]) : value];
    }),
  );
}

export function isFailure(result: Probed["cases"][string]): result is { readonly fails: string } {
  return typeof result === "object" && result !== null && "fails" in result;
}

/** The operators of a layer. */
function operatorsOf(result: LayerResult | readonly LayerResult[], layer: number): readonly number[] {
  const each = Array.isArray(result) ? (result[layer] as LayerResult) : (result as LayerResult);
  if (each === null) return [];
  return typeof each === "number" ? [each] : each;
}

/** In what a rope differs from an operator; `null`: in nothing. */
function difference(rope: RotaryEmbedding, { width, measured }: Operator): string | null {
  const { offset, pairing, amplitude, angles, axes } = measured;
  const pairs = angles.length;
  if (rope.rotaryDim !== 2 * pairs) return `rotates ${rope.rotaryDim} elements, not ${2 * pairs}`;
  // In latent attention the slice is the whole head here, wherever the graph keeps it.
  const isSlice = rope.headDim === rope.rotaryDim && offset + 2 * pairs === width;
  if (!isSlice && (rope.headDim !== width || rope.rotaryOffset !== offset)) {
    return `element ${rope.rotaryOffset} of ${rope.headDim}, not ${offset} of ${width}`;
  }
  if (rope.pairing !== pairing) return `pairing ${JSON.stringify(rope.pairing)}, not ${pairing}`;
  const { invFreq, attentionFactor, axes: mine } = rope.frequencies();
  // float32 numbers of the file and of a quotient of logarithms.
  if (Math.abs(attentionFactor / amplitude - 1) > 1e-6) return `amplitude ${attentionFactor}, not ${amplitude}`;
  const expected = axes ?? angles.map(() => 0);
  if (mine.join() !== expected.join()) return `axes ${mine.join()}, not ${expected.join()}`;
  // The operator multiplies its angle up from pair to pair: two roundings to float32 for each. The sine has one more.
  const off = angles.findIndex((angle, pair) => Math.abs(invFreq[pair]! / angle - 1) > 2 ** -24 * (8 + 4 * pair));
  return off === -1 ? null : `pair ${off} turns by ${invFreq[off]}, not ${angles[off]}`;
}

/** Every layer of every case: `"case, layers 0,3: …"`; and how many cases are equal. */
export function compareArchitecture(
  name: string,
  architecture: Probed,
): { readonly different: string[]; readonly equal: number } {
  const different: string[] = [];
  let equal = 0;
  for (const [label, changes] of Object.entries(census.cases)) {
    const result = architecture.cases[label]!;
    if (isFailure(result)) continue;
    const metadata = header(name, architecture, changes);
    const tensors = Object.fromEntries((architecture.tensors?.[label] ?? []).map((key) => [key, census.tensors[key]!]));
    let forLayer: (layer: number) => RotaryEmbedding | null;
    try {
      ({ forLayer } = ropesFromGguf(metadata, { tensors }));
    } catch (error) {
      if (!RopeError.is(error)) throw error;
      const { path } = refused[label] ?? {};
      if (error.code !== "ROPE_CONFIG" || path === undefined || !error.issues.every((issue) => path.test(issue.path))) {
        const issues = error.issues.map((issue) => `${issue.path}: ${issue.expected} | ${issue.received}`);
        different.push(`${label}: refused (${issues.join("; ") || error.message})`);
      }
      continue;
    }
    const layersOf = new Map<string, number[]>();
    for (let layer = 0; layer < (metadata[`${name}.block_count`] as number); layer++) {
      const rope = forLayer(layer);
      const operators = operatorsOf(result, layer);
      const found =
        rope === null || operators.length === 0
          ? rope === null && operators.length === 0
            ? []
            : [rope === null ? "no rope, but the graph rotates" : "a rope, but the graph does not rotate"]
          : operators.flatMap((number) => difference(rope, census.operators[number]!) ?? []);
      for (const text of found) layersOf.set(text, [...(layersOf.get(text) ?? []), layer]);
    }
    if (layersOf.size === 0) equal++;
    different.push(...Array.from(layersOf, ([text, layers]) => `${label}, layers ${layers.join()}: ${text}`));
  }
  return { different, equal };
}

/** Counts for the page. */
export function ggufCounts(): {
  readonly engine: string;
  readonly equal: number;
  readonly refused: number;
  readonly different: readonly string[];
  readonly noRope: readonly string[];
  readonly notProbed: ReadonlyMap<string, string>;
  readonly names: readonly string[];
} {
  const results = probed.map(([name, architecture]) => ({ name, ...compareArchitecture(name, architecture) }));
  const equal = results.reduce((sum, result) => sum + result.equal, 0);
  const ran = probed.flatMap(([, { cases }]) => Object.values(cases).filter((result) => !isFailure(result)));
  const different = results.flatMap(({ name, different: found }) => found.map((text) => `${name} ${text}`));
  return {
    engine: `llama.cpp of ${census.source.package}`,
    equal,
    refused: ran.length - equal - different.length,
    different,
    noRope: architectures.flatMap(([name, result]) => ("noRope" in result ? [name] : [])),
    notProbed: new Map(
      architectures.flatMap(([name, result]) => ("notProbed" in result ? [[name, result.notProbed] as const] : [])),
    ),
    names: probed.map(([name]) => name),
  };
}
