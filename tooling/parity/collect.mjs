/**
 * Goldens as vectors: one form for the answers of all engines, which `ropewalk verify` reads.
 *
 * Nothing here computes a number of a rope. What an engine answered is copied; what it was asked is said in the words of
 * ropewalk, with every parameter that makes the engine's own reading explicit.
 */

import { fixtures, models } from "@ropewalk/goldens";
import { engines } from "./engines.mjs";
import { asked, readings, unbuilt } from "./requests.mjs";

const configs = new Map(models().map(({ id, config }) => [id, config]));

const base64 = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength).toString("base64");
const float32 = (values) => base64(Float32Array.from(values));
const typed = (text) => new Float32Array(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);
/** Packed float32 as rows of so many. */
const rowsOf = (text, width) => {
  const values = typed(text);
  return Array.from({ length: values.length / width }, (_, row) => values.subarray(row * width, (row + 1) * width));
};
const float64 = (values) => base64(Float64Array.from(values));

/**
 * What is kept of an answer. Whole: everything. Else, so that a package can carry it: all frequencies and factors, of
 * positions beyond 0 and of pairs an even choice with the first and the last, and one head of one token of one rotated
 * tensor for each type and engine.
 */
export function collect({ whole = true } = {}) {
  const vectors = [];
  const left = [];
  const rotatedOnce = new Set();
  const keep = (count, most, first = 0) => {
    if (whole || count - first <= most) return Array.from({ length: count }, (_, i) => i);
    return Array.from({ length: most }, (_, i) => first + Math.round((i * (count - 1 - first)) / (most - 1)));
  };

  const add = (answer, head) => {
    const multi = Array.isArray(answer.positions[0]);
    const tokens = multi ? answer.positions[0].length : answer.positions.length;
    const rows = keep(tokens, 4, 1);
    const columns = keep(answer.pairs.length, multi ? 6 : 4);
    const pick = (table) => float32(rows.flatMap((row) => columns.map((column) => table[row][column])));
    const key = `${head.engine} ${answer.ropeType ?? head.request?.parameters.ropeType}`;
    const rotated = whole
      ? answer.rotated
      : rotatedOnce.has(key)
        ? undefined
        : answer.rotated?.slice(0, 1).map(oneHead);
    if (rotated?.length > 0) rotatedOnce.add(key);
    vectors.push({
      ...head,
      positions: multi
        ? answer.positions.map((axis) => rows.map((row) => axis[row]))
        : rows.map((row) => answer.positions[row]),
      pairs: columns.map((column) => answer.pairs[column]),
      cos: pick(answer.cos),
      sin: pick(answer.sin),
      ...(rotated === undefined || rotated.length === 0 ? {} : { rotated }),
    });
  };
  const all = (count) => Array.from({ length: count }, (_, i) => i);

  for (const { source, model, ropes } of fixtures("hf")) {
    for (const rope of ropes) {
      const name = rope.layerType === null ? model : `${model}, ${rope.layerType}`;
      const { reason } = unbuilt("hf", model) ?? {};
      if (reason !== undefined) {
        left.push({ engine: "hf", name, reason });
        continue;
      }
      const head = {
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
      const turned = rope.rotated?.flatMap(({ dtype, positions, outputPairing, query, key }) =>
        [{ ...query }, { ...key }]
          .slice(whole ? 0 : 1)
          .map((tensor) => ({ dtype, positions, outputPairing, ...tensor })),
      );
      const { grid } = rope;
      // A record of several axes has a row of text, all axes equal, and a grid where they differ.
      if (rope.axisOfElement === undefined) add({ ...rope, rotated: turned }, head);
      else {
        left.push({
          engine: "hf",
          name,
          reason:
            "the two elements of one pair follow different axes, which is no rotation; with equal axes it is an ordinary rope",
        });
      }
      if (grid?.pairs !== undefined) add({ ...grid, rotated: undefined }, { ...head, name: `${name}, grid` });
    }
  }

  for (const truth of fixtures("truth")) {
    const { length, ...request } = truth.request;
    add(
      {
        positions: truth.positions,
        pairs: truth.pairs,
        cos: rowsOf(truth.cosFloat32, truth.pairs.length),
        sin: rowsOf(truth.sinFloat32, truth.pairs.length),
      },
      {
        engine: "truth",
        version: truth.source.version,
        name: truth.name,
        request: { ...request, ...asked({ engine: "truth", name: truth.name, request, length }), precision: "float64" },
        ...(length === undefined ? {} : { length }),
        invFreq: float64(truth.invFreqHigh),
        attentionFactor: Number(truth.attentionFactor),
        softmaxScaleFactor: Number(truth.softmaxScaleFactor),
      },
    );
  }

  for (const engine of ["vllm", "sglang", "mlx", "ggml"]) {
    for (const answer of fixtures(engine)) {
      const { name, source } = answer;
      const { reason } = unbuilt(engine, name, answer) ?? {};
      if (reason !== undefined || !("cos" in answer)) {
        left.push({ engine, name, reason: reason ?? "no table" });
        continue;
      }
      const { pairing, dialect: _, ...request } = answer.request;
      const reciprocals = answer.invFreqReciprocals?.map((value) => (value === null ? 0 : Math.fround(1 / value)));
      const invFreq = answer.invFreq ?? reciprocals;
      add(
        // Tokens of a rotation are indices; verify wants positions.
        {
          ...answer,
          rotated: answer.rotated?.map(({ tokens, ...tensor }) => ({
            ...tensor,
            positions: Array.isArray(answer.positions[0])
              ? answer.positions.map((axis) => tokens.map((token) => axis[token]))
              : tokens.map((token) => answer.positions[token]),
          })),
        },
        {
          engine,
          version: source.version,
          name,
          request: { ...request, pairing, ...asked({ engine, ...answer }) },
          ...(answer.length === undefined ? {} : { length: answer.length }),
          ...(invFreq === undefined ? {} : { invFreq: float32(invFreq) }),
          ...(answer.attentionFactor === undefined ? {} : { attentionFactor: answer.attentionFactor }),
          // mlx-lm's is of DeepSeek's attention class, whatever rope it was asked with.
          ...(answer.softmaxScaleFactor === undefined || request.parameters.ropeType !== "deepseek_yarn"
            ? {}
            : { softmaxScaleFactor: answer.softmaxScaleFactor }),
          ...("inverse" in answer ? { turnsBack: true } : {}),
          ...(answer.axisOfPair === undefined ? {} : { axes: answer.axisOfPair }),
          ...(answer.equivalent === undefined ? {} : { otherwise: answer.note ?? "see the request" }),
        },
      );
    }
  }

  for (const answer of fixtures("ndrope")) {
    if (answer.kind !== "rotation") continue;
    const { request, name, source } = answer;
    for (const turned of answer.rotated) {
      // Strided ones are cases of the tensor, not of the rope: a test of @ropewalk/nd-qwen2vl has them.
      if (!whole && answer.input.length > 3000) continue;
      if (
        turned.dtype !== "float32" ||
        answer.offset !== 0 ||
        answer.shape[1] * answer.shape[2] !== answer.strides[0]
      ) {
        continue;
      }
      vectors.push({
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
        positions: [...answer.positions],
        pairs: [],
        cos: "",
        sin: "",
        rotated: [
          {
            dtype: turned.dtype,
            positions: [...answer.positions],
            outputPairing: turned.pairing,
            headFirst: true,
            shape: answer.shape,
            input: answer.input,
            output: turned.output,
          },
        ],
      });
    }
  }

  for (const answer of fixtures("diffusers")) {
    const { name, source } = answer;
    const { reason } = unbuilt("diffusers", name, answer) ?? {};
    if (reason !== undefined) {
      left.push({ engine: "diffusers", name, reason });
      continue;
    }
    const [, pairs] = answer.shape;
    const bases = Array.isArray(answer.base) ? answer.base : undefined;
    add(
      {
        positions: answer.positions,
        pairs: all(pairs),
        cos: rowsOf(answer.cos, pairs),
        sin: rowsOf(answer.sin, pairs),
        rotated: answer.rotated.map(({ tokens: rows, ...tensor }) => ({
          ...tensor,
          positions: answer.positions.map((axis) => rows.map((row) => axis[row])),
        })),
      },
      {
        engine: "diffusers",
        version: source.version,
        name,
        request: {
          headDim: answer.headDim,
          rotaryDim: answer.rotaryDim,
          ...(bases === undefined ? { base: answer.base } : {}),
          pairing: answer.pairing === "half within each axis" ? { blocks: answer.sections.length } : answer.pairing,
          parameters: {
            ropeType: "nd",
            sections: answer.sections,
            fractional: true,
            ...(bases === undefined ? {} : { bases }),
          },
        },
        axes: answer.axisOfPair,
      },
    );
  }

  for (const answer of fixtures("vision")) {
    const { model, source } = answer;
    const { reason } = unbuilt("vision", model, answer) ?? {};
    if (reason !== undefined) {
      left.push({ engine: "hf", name: `${model}, vision tower`, reason });
      continue;
    }
    const { query, key } = answer.rotated;
    add(
      {
        positions: answer.positions,
        pairs: all(answer.rotaryDim / 2),
        cos: answer.cos,
        sin: answer.sin,
        rotated: [query, key].map((tensor) => ({
          dtype: "float32",
          positions: answer.positions,
          outputPairing: answer.pairing,
          ...tensor,
        })),
      },
      {
        engine: "hf",
        version: source.version,
        name: `${model}, vision tower`,
        request: {
          headDim: answer.headDim,
          rotaryDim: answer.rotaryDim,
          pairing: answer.pairing,
          base: 10000,
          ...asked({ engine: "vision", name: model, ...answer }),
        },
        ...(answer.axisOfPair === undefined ? {} : { axes: answer.axisOfPair }),
      },
    );
  }

  for (const { name, model, n_ctx: length, source, ropes } of fixtures("llama.cpp")) {
    // What turns the cache when it is shifted has no table in the fixture.
    for (const rope of ropes.filter(({ shift }) => !shift)) {
      const layer = Number(/\d+$/.exec(rope.tensors[0])[0]);
      const otherwise = readings["llama.cpp"][model];
      add(rope, {
        engine: "llama.cpp",
        version: source.version,
        name: `${name}, layer ${layer}`,
        config: model,
        dialect: "llama.cpp",
        layer,
        length,
        ...(otherwise === undefined ? {} : { otherwise }),
      });
    }
  }

  const rotations = [];
  for (const engine of ["onnx", "onnxruntime"]) {
    for (const answer of whole ? fixtures(engine) : []) {
      rotations.push({ engine, version: answer.source.version, name: answer.name, ...rotationOf(answer) });
    }
  }

  const named = new Set(vectors.flatMap(({ config }) => (config === undefined ? [] : [config])));
  return {
    format: 1,
    engines,
    configs: Object.fromEntries([...named].map((id) => [id, configs.get(id)])),
    vectors,
    rotations,
    unbuilt: left,
  };
}

/** The last token's first head of a tensor. */
function oneHead({ dtype, input, output, positions, shape, ...rest }) {
  const [tokens, heads, headDim] = shape;
  const bytes = headDim * (dtype === "float32" ? 4 : 2);
  const start = (tokens - 1) * heads * bytes;
  const cut = (text) =>
    Buffer.from(text, "base64")
      .subarray(start, start + bytes)
      .toString("base64");
  const last = Array.isArray(positions[0]) ? positions.map((axis) => [axis.at(-1)]) : [positions.at(-1)];
  return { ...rest, dtype, positions: last, shape: [1, 1, headDim], input: cut(input), output: cut(output) };
}

/** Of an ONNX operator: tables, and the row of each token. */
function rotationOf({
  axisOfPair,
  cosCache,
  dtype = "float32",
  headDim,
  heads,
  input,
  layout,
  output,
  pairing,
  positions,
  rotaryDim,
  sinCache,
}) {
  const headFirst = layout.startsWith("[batch, heads");
  const elements = input.shape.reduce((product, size) => product * size, 1);
  const batch = input.shape[0];
  const tokens = elements / batch / heads / headDim;
  const head = {
    headDim,
    rotaryDim,
    pairing,
    dtype,
    headFirst,
    shape: [batch, tokens, heads, headDim],
    input: input.data,
    output: output.data,
  };
  const rows = (row) => Array.from({ length: batch }, (_, b) => Array.from({ length: tokens }, (__, t) => row(b, t)));
  if (axisOfPair === undefined) {
    // Without positions the tables have a row for each token; one position is that of the first token.
    const given =
      positions === null
        ? rows((b, t) => b * tokens + t)
        : typeof positions[0] === "number"
          ? rows((_, t) => positions[0] + t)
          : positions;
    return { ...head, positions: given, cos: cosCache.data, sin: sinCache.data };
  }
  const width = rotaryDim / 2;
  const gather = ({ data }) => {
    const cache = typed(data);
    return float32(rows((b, t) => axisOfPair.map((axis, pair) => cache[positions[axis][b][t] * width + pair])).flat(2));
  };
  return { ...head, positions: rows((b, t) => b * tokens + t), cos: gather(cosCache), sin: gather(sinCache) };
}
