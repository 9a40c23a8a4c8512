/** `ropewalk apply`: rotates queries and keys of `.npy` and `.safetensors` files. */

import { basename, join, resolve } from "node:path";
import { ropesFromConfig } from "../index.ts";
import type { ElementType, Precision, RotaryEmbedding, TensorView } from "../index.ts";
import { readPositions, wholeNumber } from "./arguments.ts";
import type { GivenPositions } from "./arguments.ts";
import { CliFailure } from "./failure.ts";
import { readJson, withFile } from "./files.ts";
import { readNpy } from "./npy.ts";
import { preparePlaces, writeAll, writeResults } from "./results/write.ts";
import type { Places, Result } from "./results/write.ts";
import { readSafetensors, safetensorsParts } from "./safetensors.ts";
import type { DescribedTensor, StoredTensor } from "./stored-tensor.ts";

/** Options as the command line gives them. */
export interface ApplyOptions {
  readonly query?: string;
  readonly key?: string;
  readonly positions: string;
  readonly out: string;
  readonly layout: "token-first" | "head-first";
  readonly operation: "apply" | "invert" | "adjoint";
  readonly precision: Precision;
  readonly layer?: string;
  readonly layerType?: string;
  readonly length?: string;
  readonly maxPosition?: string;
  readonly family?: string;
  readonly part: "text" | "vision" | "audio";
  readonly force?: boolean;
}

type Role = "query" | "key";

/** A tensor of a file, and how to write it back. */
interface Source {
  readonly role: Role;
  readonly path: string;
  /** The name inside a `.safetensors` file. */
  readonly name: string | undefined;
  readonly tensor: StoredTensor;
  readonly npyHeader?: Uint8Array;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/**
 * Rotates the tensors and writes the results. If anything is wrong, nothing is written.
 *
 * @returns a line of text for each written tensor, after lines about an earlier run that was stopped.
 */
export async function apply(config: string, options: ApplyOptions): Promise<string[]> {
  const { operation, layout, out } = options;
  const rope = chooseRope(config, options);
  const given = readPositions(options.positions);
  const sources = (["query", "key"] as const).flatMap((role) => {
    const at = options[role];
    if (at === undefined) return [];
    return [
      readSource(role, at, (path, described) => void placement({ role, path, ...described }, layout, rope, given)),
    ];
  });
  if (sources.length === 0) throw new CliFailure("USAGE", "there is nothing to rotate: give --query, --key, or both.");
  const results = resultsOf(sources, out);
  const places: Places = {
    folder: out,
    names: results.map(({ name }) => name),
    replace: options.force === true,
    inputs: [config, ...sources.map(({ path }) => path), ...(given.path === undefined ? [] : [given.path])],
  };
  const told = preparePlaces(places);

  const tensors = Object.fromEntries(sources.map((source) => [source.role, view(source, layout, rope, given)]));
  const length = options.length === undefined ? undefined : wholeNumber("--length", options.length, 1);
  rope[operation]({ ...tensors, positions: given.positions, length });
  await writeResults(places, results, true);

  const written = sources.map(({ role, path, name, tensor }) => {
    const target = join(out, basename(path));
    return `${role} [${tensor.shape.join(", ")}] ${tensor.dtype} → ${target}${name === undefined ? "" : `#${name}`}`;
  });
  return [...told, ...written];
}

/** The only rope of a config, or the rope of the layer that the options name. */
function chooseRope(
  config: string,
  { family, layer, layerType, maxPosition, part, precision }: ApplyOptions,
): RotaryEmbedding {
  const ropes = ropesFromConfig(readJson(config), {
    precision,
    family,
    part,
    ...(maxPosition === undefined ? {} : { maxPosition: wholeNumber("--max-position", maxPosition, 1) }),
  });
  if (layer !== undefined && layerType !== undefined) {
    throw new CliFailure("USAGE", "--layer and --layer-type both say which rope; give one of them.");
  }
  const types = [...ropes.byLayerType.keys()].map(String);
  let rope: RotaryEmbedding | null | undefined;
  if (layer !== undefined) rope = ropes.forLayer(wholeNumber("--layer", layer, 0));
  else if (layerType !== undefined) {
    rope = ropes.byLayerType.get(layerType);
    if (rope === undefined) {
      throw new CliFailure(
        "USAGE",
        `${config} has no layer type ${JSON.stringify(layerType)}; it has ${types.join(", ")}.`,
      );
    }
  } else {
    const distinct = new Set([...ropes.byLayerType.values()].filter((candidate) => candidate !== null));
    if (distinct.size > 1) {
      throw new CliFailure(
        "USAGE",
        `${config} has several ropes (${types.join(", ")}); say which with --layer or --layer-type.`,
      );
    }
    [rope] = distinct;
  }
  if (rope == null) {
    throw new CliFailure(
      "USAGE",
      `${layer === undefined ? "" : `layer ${layer} of `}${layerType === undefined ? "" : `the layer type ${layerType} of `}${config} has no rope: there is nothing to rotate.`,
    );
  }
  return rope;
}

/** Reads `q.npy`, `qk.safetensors` (the tensor named by its role) or `qk.safetensors#name`. */
function readSource(role: Role, at: string, check: (path: string, described: DescribedTensor) => void): Source {
  const { path, name = role } = safetensorsPlace(at) ?? {};
  if (path !== undefined) {
    return withFile(path, (file) => {
      const { metadata, tensor } = readSafetensors(file);
      return { role, path, name, tensor: tensor(name, (described) => check(path, described)), metadata };
    });
  }
  if (!at.endsWith(".npy")) {
    throw new CliFailure(
      "USAGE",
      `--${role} ${at}: expected a .npy file, or a .safetensors file with #name of the tensor.`,
    );
  }
  const { header, ...tensor } = withFile(at, (file) => readNpy(file, (described) => check(at, described)));
  return { role, path: at, name: undefined, tensor, npyHeader: header };
}

/** The file and the name in it, of a `.safetensors` file. */
function safetensorsPlace(at: string): { readonly path: string; readonly name?: string } | undefined {
  const extension = ".safetensors";
  if (at.endsWith(extension)) return { path: at };
  const end = at.lastIndexOf(`${extension}#`) + extension.length;
  const name = at.slice(end + 1);
  return end < extension.length || name === "" ? undefined : { path: at.slice(0, end), name };
}

/** The tensor in core's form. Errors use the words of the command line. */
function view(source: Source, ...how: readonly [ApplyOptions["layout"], RotaryEmbedding, GivenPositions]): TensorView {
  const { role, path, tensor } = source;
  const { data, dtype } = tensor;
  return { data: data as Float32Array, dtype: dtype as ElementType, ...placement({ role, path, ...tensor }, ...how) };
}

/** How a tensor of a file lies in memory; seen before its elements are read. */
function placement(
  { role, path, dtype, shape }: Pick<Source, "role" | "path"> & DescribedTensor,
  layout: ApplyOptions["layout"],
  { headDim }: RotaryEmbedding,
  { tokens }: GivenPositions,
): Logical {
  if (!["float64", "float32", "float16", "bfloat16"].includes(dtype)) {
    throw new CliFailure(
      "FILE_FORMAT",
      `--${role} ${path} holds ${dtype}; expected float64, float32, float16 or bfloat16.`,
    );
  }
  const fits = {
    "token-first": logical(shape, "token-first", headDim),
    "head-first": logical(shape, "head-first", headDim),
  };
  const isRight = (candidate: Logical | undefined): boolean =>
    candidate?.shape.at(-1) === headDim && candidate.shape.at(-3) === tokens;
  const chosen = fits[layout];
  if (!isRight(chosen)) {
    const other = layout === "token-first" ? "head-first" : "token-first";
    const order =
      layout === "token-first"
        ? `[batch, tokens, heads, headDim], [tokens, heads, headDim] or [tokens, heads × headDim]`
        : `[batch, heads, tokens, headDim] or [heads, tokens, headDim]`;
    const hint = isRight(fits[other]) ? ` With --layout ${other} it would fit.` : "";
    throw new CliFailure(
      "FILE_FORMAT",
      `--${role} ${path} has the shape [${shape.join(", ")}], expected ${order} with ${tokens} tokens (as many as positions) and headDim ${headDim}.${hint}`,
    );
  }
  return chosen!;
}

type Logical = Required<Pick<TensorView, "shape" | "strides">>;

/** The shape as `[batch?, tokens, heads, headDim]`, with its strides in the file. */
function logical(shape: readonly number[], layout: ApplyOptions["layout"], headDim: number): Logical | undefined {
  const [d = 0, b = 0, a = 0, batch] = shape.toReversed();
  if (layout === "token-first" && shape.length === 2) {
    return d % headDim === 0 ? { shape: [b, d / headDim, headDim], strides: [d, headDim, 1] } : undefined;
  }
  if (shape.length !== 3 && shape.length !== 4) return undefined;
  const own =
    layout === "token-first"
      ? { shape: [a, b, d], strides: [b * d, d, 1] }
      : { shape: [b, a, d], strides: [d, b * d, 1] };
  return batch === undefined ? own : { shape: [batch, ...own.shape], strides: [a * b * d, ...own.strides] };
}

/** Each result has the name of its input. A `.safetensors` file holds only its rotated tensors. */
function resultsOf(sources: readonly Source[], out: string): Result[] {
  const byName = new Map<string, Source[]>();
  for (const source of sources) {
    const name = basename(source.path);
    byName.set(name, [...(byName.get(name) ?? []), source]);
  }
  return [...byName].map(([name, group]): Result => {
    const [first, second] = group as [Source, Source?];
    if (second !== undefined && resolve(first.path) !== resolve(second.path)) {
      throw new CliFailure(
        "OUTPUT",
        `query and key would both be written to ${join(out, name)}; rename one of the files.`,
      );
    }
    if (second !== undefined && first.name === second.name) {
      throw new CliFailure("USAGE", `--query and --key are the same tensor of ${first.path}.`);
    }
    return {
      name,
      write: async (handle) => {
        let at = 0;
        for (const part of partsOf(group)) {
          await writeAll(handle, part, at);
          at += part.length;
        }
      },
    };
  });
}

function partsOf(group: readonly Source[]): Uint8Array[] {
  const { metadata, npyHeader, tensor } = group[0]!;
  if (npyHeader !== undefined) return [npyHeader, new Uint8Array(tensor.data.buffer)];
  return safetensorsParts(Object.fromEntries(group.map((source) => [source.name!, source.tensor])), metadata);
}
