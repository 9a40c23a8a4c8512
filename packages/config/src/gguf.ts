/**
 * GGUF metadata in, ropes out: the key/values of a file's header, and its tensors about rope, read as llama.cpp's loader and
 * graph read them.
 *
 * A file holds what the converter made of a config: llama3, the proportional type and Hunyuan's alpha are no longer types
 * there but factors of single pairs (`rope_freqs.weight`) or another base. Factors divide frequencies, which is what a list
 * of the type `longrope` does; with a fixed selection and a given amplitude it does nothing else.
 *
 * Source: llama.cpp as of llama-cpp-python 0.3.36, `load_hparams`, `llama_context` and `ggml_rope_ext`.
 */

import { defaultRegistry, RopeError } from "@ropewalk/core";
import type { Pairing, Precision, RopeRegistry, RopeRule, UntypedRopeRequest } from "@ropewalk/core";
import { yarnMagnitude } from "./amplitude.ts";
import { axisOfEachPair } from "./axes.ts";
import { Fields, isObject } from "./fields.ts";
import type { JsonObject } from "./fields.ts";
import { architectureOf } from "./gguf-architectures.ts";
import type { GgufArchitecture } from "./gguf-architectures.ts";
import { largestHead } from "./geometry.ts";
import { mostLayers, withoutRope } from "./layers.ts";
import { checkGgufOptions } from "./options.ts";
import type { Explained } from "./reading.ts";
import { Report, show } from "./report.ts";
import { layerTypeOf, ruleOf } from "./requests.ts";
import type { LayerRopeRequest, RopeRequests } from "./requests.ts";
import { buildRopes } from "./ropes.ts";
import type { ModelRopes } from "./ropes.ts";

/** The tensors of a GGUF file that belong to its rope: float32 values, one for each pair. Read only, and not kept. */
export interface GgufRopeTensors {
  readonly "rope_freqs.weight"?: ArrayLike<number> | undefined;
  readonly "rope_factors_long.weight"?: ArrayLike<number> | undefined;
  readonly "rope_factors_short.weight"?: ArrayLike<number> | undefined;
}

/** Overrides of what the file says, and what of it lies outside the key/values. */
export interface GgufOptions {
  readonly tensors?: GgufRopeTensors | undefined;
  readonly registry?: RopeRegistry | undefined;
  readonly precision?: Precision | undefined;
  /** `null`: no limit but that of exact positions. */
  readonly maxPosition?: number | null | undefined;
  /** Which two elements of the file's weights form a pair. */
  readonly pairing?: Pairing | undefined;
  /** The size of the context (`n_ctx`), which chooses between two lists of factors. Absent: the length that the file promises. */
  readonly capacity?: number | undefined;
}

/**
 * The ropes that a GGUF file describes, as llama.cpp turns them.
 *
 * @param metadata the file's key/values (`general.architecture`, `llama.rope.freq_base`, …); numbers may be bigints.
 * @throws RopeError as {@link ropesFromConfig}.
 */
export function ropesFromGguf(metadata: unknown, options: GgufOptions = {}): ModelRopes {
  return buildRopes(ropeRequestsFromGguf(metadata, options), options.registry ?? defaultRegistry);
}

/** The same as plain data, with the rule behind each number; needs no provider. */
export function ropeRequestsFromGguf(metadata: unknown, options: GgufOptions = {}): RopeRequests {
  checkGgufOptions(options);
  if (!isObject(metadata)) {
    throw new RopeError("ROPE_CONFIG", {
      what: "GGUF metadata are not an object",
      expected: "the key/values of a GGUF file's header",
      received: show(metadata),
    });
  }
  const report = new Report();
  const name = Object.hasOwn(metadata, "general.architecture") ? metadata["general.architecture"] : undefined;
  if (typeof name !== "string" || name === "") {
    report.issue(
      "general.architecture",
      "the name of an architecture",
      show(name),
      "Is this the header of a language model?",
    );
    report.throwIfBroken();
  }
  const file = new GgufFile(name as string, metadata, options, report);
  const requests = file.requests();
  report.throwIfBroken();
  return requests;
}

/** One header while it is read. */
class GgufFile {
  readonly #name: string;
  readonly #facts: GgufArchitecture;
  readonly #fields: Fields;
  readonly #options: GgufOptions;
  readonly #report: Report;

  constructor(name: string, metadata: JsonObject, options: GgufOptions, report: Report) {
    this.#name = name;
    this.#options = options;
    this.#report = report;
    const mine = Object.keys(metadata).filter((key) => key.startsWith(`${name}.`));
    this.#fields = new Fields(
      [{ path: "", level: 0, record: Object.fromEntries(mine.map((key) => [key, plain(metadata[key])])) }],
      report,
    );
    const facts = architectureOf(name);
    if (facts?.ropeless === true) {
      report.issue("general.architecture", "a model with rotary position embedding", show(name));
    }
    if (facts === undefined && options.pairing === undefined) {
      report.issue(
        "general.architecture",
        "an architecture whose pairing is known",
        show(name),
        'Say in the options which elements form a pair: pairing "adjacent" (NORM) or "half" (NEOX).',
      );
    }
    this.#facts = facts ?? { pairing: "half" };
  }

  requests(): RopeRequests {
    const count = this.#layerCount();
    const isSliding = this.#slidingLayers(count);
    const skips = this.#skippedLayers();
    const { without } = this.#facts;
    const full = this.#entry(false);
    const sliding = isSliding === undefined ? undefined : this.#entry(true);
    const same = sliding === undefined || JSON.stringify(sliding.request) === JSON.stringify(full.request);
    const withoutOnFull = without === "full" && sliding !== undefined;

    const [fullKey, slidingKey] = same && !withoutOnFull ? [null, null] : ["full_attention", "sliding_attention"];
    const ropeOf = (layer: number): string | null =>
      skips(layer) ? withoutRope : isSliding?.(layer) === true ? slidingKey : fullKey;
    const byLayerType = new Map<string | null, LayerRopeRequest>();
    const set = (key: string | null, entry: LayerRopeRequest): unknown =>
      byLayerType.set(key, Object.freeze({ ...entry, layerType: key }));
    set(fullKey, withoutOnFull ? unrotated(fullKey) : full);
    if (slidingKey !== null && sliding !== undefined) set(slidingKey, sliding);
    if (count !== null && Array.from({ length: count }, (_, layer) => skips(layer)).includes(true)) {
      set(withoutRope, unrotated(withoutRope));
    }
    for (const { key, path, value } of this.#fields.unread()) {
      if (/\.rope\./.test(key)) {
        this.#report.note("unused", path, `llama.cpp's loader of ${this.#name} does not read ${key} = ${show(value)}.`);
      }
    }
    return Object.freeze({
      modelType: this.#name,
      byLayerType,
      layerCount: count,
      layerTypeOf: (layer: number) => layerTypeOf(layer, { count, ropeOf }),
      notes: Object.freeze(this.#report.notes),
    });
  }

  #key(key: string): string {
    return `${this.#name}.${key}`;
  }

  #number(key: string): Explained<number> | undefined {
    const found = this.#fields.number(this.#key(key));
    return found && { value: found.value, rule: found.path };
  }

  #size(key: string): Explained<number> | undefined {
    const found = this.#fields.size(this.#key(key));
    return found && { value: found.value, rule: found.path };
  }

  #layerCount(): number | null {
    const count = this.#size("block_count")?.value ?? null;
    if (count === null || count <= mostLayers) return count;
    this.#report.issue(this.#key("block_count"), `at most ${mostLayers} layers`, `${count}`);
    return null;
  }

  #hasWindow(): boolean {
    return (this.#number("attention.sliding_window")?.value ?? 0) > 0;
  }

  /** Which layers are of sliding attention with a rope of their own; `undefined`: none. */
  #slidingLayers(count: number | null): ((layer: number) => boolean) | undefined {
    const { sliding } = this.#facts;
    if (sliding === undefined || (sliding.onlyWithWindow === true && !this.#hasWindow())) return undefined;
    const key = this.#key("attention.sliding_window_pattern");
    const list = this.#fields.first(key)?.value;
    if (Array.isArray(list)) {
      if (count !== null && list.length < count) {
        this.#report.issue(key, `${count} entries, one for each layer`, `${list.length}`);
      }
      return (layer) => list[layer] === true || list[layer] === 1;
    }
    const interval = typeof list === "number" ? list : sliding.interval;
    if (interval === null) {
      this.#report.issue(key, "a list of the layers with sliding attention", show(list));
      return undefined;
    }
    const full = sliding.fullAt === "first" ? 0 : interval - 1;
    return (layer) => interval === 0 || layer % interval !== full;
  }

  #skippedLayers(): (layer: number) => boolean {
    const { without } = this.#facts;
    if (typeof without !== "object") return () => false;
    const window = this.#number("attention.sliding_window")?.value;
    if (
      without.unlessWindow !== undefined &&
      (window === 0 || (window === undefined && without.unlessWindow === "absent"))
    ) {
      return () => false;
    }
    const chosen = without.at === "first" ? 0 : without.interval - 1;
    return (layer) => layer % without.interval === chosen;
  }

  /** Elements of a head, and how many of them are rotated. */
  #sizes(sliding: boolean): { readonly headDim: Explained<number>; readonly rotaryDim: Explained<number> } | undefined {
    const width = this.#size("embedding_length");
    const heads = this.#fields.first(this.#key("attention.head_count"))?.value;
    const count = Array.isArray(heads)
      ? (heads as readonly unknown[]).find((value) => typeof value === "number" && value > 0)
      : heads;
    const implied =
      width !== undefined && typeof count === "number" && count > 0
        ? { value: width.value / count, rule: `embedding_length / attention.head_count = ${width.value} / ${count}` }
        : undefined;
    const key =
      (sliding ? this.#size("attention.key_length_swa") : undefined) ?? this.#size("attention.key_length") ?? implied;
    const stated = (sliding ? this.#size("rope.dimension_count_swa") : undefined) ?? this.#size("rope.dimension_count");
    const headDim =
      this.#facts.latent === true && stated !== undefined
        ? { ...stated, rule: `${stated.rule}: the slice of a head that latent attention rotates` }
        : (key ?? stated);
    if (headDim === undefined || !Number.isInteger(headDim.value) || headDim.value > largestHead) {
      this.#report.issue(
        this.#key("attention.key_length"),
        `the elements of a head, an integer up to ${largestHead}`,
        headDim?.rule ?? "nothing",
        "Or give embedding_length and attention.head_count.",
      );
      return undefined;
    }
    const rotaryDim = stated ?? { value: headDim.value, rule: "all of the head" };
    if (rotaryDim.value % 2 === 0 && rotaryDim.value <= headDim.value) return { headDim, rotaryDim };
    this.#report.issue(
      this.#key("rope.dimension_count"),
      `an even number up to ${headDim.value} (${headDim.rule})`,
      `${rotaryDim.value} (${rotaryDim.rule})`,
    );
    return undefined;
  }

  #entry(sliding: boolean): LayerRopeRequest {
    const { pairing: own, sliding: layers } = this.#facts;
    const sizes = this.#sizes(sliding);
    const full = this.#number("rope.freq_base") ?? {
      value: 10_000,
      rule: "llama.cpp's default; rope.freq_base is not in the file",
    };
    const base = sliding
      ? (this.#number("rope.freq_base_swa") ??
        (layers?.base === "same"
          ? full
          : { value: 10_000, rule: "llama.cpp's default; rope.freq_base_swa is not in the file" }))
      : full;
    const promised = this.#size("context_length");
    if (sizes === undefined) return unrotated(null);
    const { headDim, rotaryDim } = sizes;
    const sections = this.#sections(rotaryDim.value / 2);
    const scaled = this.#parameters(sliding, rotaryDim.value / 2, promised);
    const pairing: Explained<Pairing> =
      this.#options.pairing !== undefined
        ? { value: this.#options.pairing, rule: "given by the caller" }
        : {
            value: sections === undefined ? own : "half",
            rule: `how llama.cpp's graph of ${this.#name} turns the file's weights`,
            source: "llama_model_rope_type",
          };
    const limit: Explained<number | null> =
      this.#options.maxPosition !== undefined
        ? { value: this.#options.maxPosition, rule: "given by the caller" }
        : (promised ?? { value: null, rule: "not in the file" });
    const axes = sections && axisOfEachPair({ ...sections.value, spare: "own" });
    const isMrope =
      sections !== undefined &&
      scaled["ropeType"]!.value === "default" &&
      !axes!.includes(sections.value.sections.length);
    const parameters = Object.freeze(
      isMrope
        ? { ropeType: "mrope", ...sections.value }
        : {
            ...Object.fromEntries(Object.entries(scaled).map(([key, { value }]) => [key, value])),
            ropeType: scaled["ropeType"]!.value as string,
          },
    );
    const { precision } = this.#options;
    const request: UntypedRopeRequest = Object.freeze({
      headDim: headDim.value,
      rotaryDim: rotaryDim.value,
      base: base.value,
      maxPosition: limit.value,
      pairing: pairing.value,
      ...(axes === undefined || isMrope ? {} : { axes }),
      ...(precision === undefined ? {} : { precision }),
      parameters,
    });
    const { ropeType, ...numbers } = scaled;
    const rules: RopeRule[] = [
      ruleOf("dialect", { value: "llama.cpp", rule: "read as llama.cpp's loader does" }),
      ruleOf("ropeType", { ...ropeType!, value: parameters.ropeType }),
      ruleOf("headDim", headDim),
      ruleOf("rotaryDim", rotaryDim),
      ruleOf("base", base),
      ruleOf("maxPosition", limit),
      ruleOf("pairing", pairing),
      ...(sections === undefined
        ? []
        : [
            ruleOf("sections", { ...sections, value: sections.value.sections }),
            ruleOf("order", { ...sections, value: sections.value.order }),
          ]),
      ...Object.entries(numbers).map(([key, found]) => ruleOf(`parameters.${key}`, found)),
    ];
    return Object.freeze({ layerType: null, request, rules: Object.freeze(rules) });
  }

  #sections(
    pairs: number,
  ): Explained<{ readonly sections: readonly number[]; readonly order: "sectioned" | "cyclic" }> | undefined {
    const key = this.#key("rope.dimension_sections");
    const list = this.#facts.axes === undefined ? undefined : this.#fields.list(key)?.value;
    if (list === undefined) return undefined;
    const sizes = list.filter((size): size is number => Number.isSafeInteger(size) && (size as number) >= 0);
    while (sizes.length > 1 && sizes.at(-1) === 0) sizes.pop();
    const sum = sizes.reduce((total, size) => total + size, 0);
    if (sum === 0 && sizes.length > 0) return undefined;
    if (sizes.length === 0 || sum !== pairs) {
      this.#report.issue(
        key,
        `integers that add up to rotaryDim / 2 = ${pairs}`,
        list.slice(0, 8).map(show).join(" + "),
      );
      return undefined;
    }
    return { value: { sections: sizes, order: this.#facts.axes! }, rule: key };
  }

  /** A tensor as a list of numbers. */
  #tensor(name: keyof GgufRopeTensors, pairs: number): number[] | undefined {
    const values = this.#options.tensors?.[name];
    if (values === undefined) return undefined;
    const length = Array.isArray(values) || ArrayBuffer.isView(values) ? values.length : 0;
    const list = length >= pairs && length <= largestHead ? Array.from(values).slice(0, pairs) : [];
    if (
      list.length === pairs &&
      pairs > 0 &&
      list.every((value) => typeof value === "number" && Number.isFinite(value) && value > 0)
    ) {
      return list;
    }
    this.#report.issue(name, `${pairs} numbers > 0, one for each pair`, `${length} values`);
    return undefined;
  }

  /** The type and its parameters. */
  #parameters(
    sliding: boolean,
    pairs: number,
    promised: Explained<number> | undefined,
  ): Record<string, Explained<unknown>> {
    const { factorsOnFullOnly, sliding: layers } = this.#facts;
    const plainSliding = sliding && layers?.scaled === false;
    const key = this.#key("rope.scaling.type");
    const stated = this.#fields.first(key);
    const kind = stated?.value ?? "linear";
    if (kind !== "none" && kind !== "linear" && kind !== "yarn" && kind !== "longrope") {
      this.#report.issue(key, "none, linear, yarn or longrope", show(kind));
    }
    const scale = this.#number("rope.scaling.factor") ?? this.#number("rope.scale_linear");
    const one: Explained<number> = { value: 1, rule: "no rope.scaling.factor in the file" };
    const factor =
      scale === undefined || scale.value === 0
        ? one
        : kind === "none"
          ? { value: 1, rule: `rope.scaling.type none: ${scale.rule} does not count` }
          : plainSliding
            ? { value: 1, rule: "layers of sliding attention are not scaled" }
            : scale;
    const amplitude = this.#number("rope.scaling.attn_factor");
    const original = this.#size("rope.scaling.original_context_length") ?? promised;
    if (kind === "yarn" && !plainSliding) return this.#yarn(factor, original, amplitude);

    const factors = sliding && factorsOnFullOnly === true ? undefined : this.#tensor("rope_freqs.weight", pairs);
    const long = this.#tensor("rope_factors_long.weight", pairs);
    const short = this.#tensor("rope_factors_short.weight", pairs);
    const times = (list: readonly number[]): number[] =>
      factor.value === 1 ? [...list] : list.map((value) => value * factor.value);
    const attentionFactor = amplitude ?? { value: 1, rule: "no rope.scaling.attn_factor in the file" };
    if (factors === undefined && long !== undefined && short !== undefined) {
      const capacity =
        this.#options.capacity !== undefined
          ? { value: this.#options.capacity, rule: "given by the caller" }
          : promised;
      return {
        ropeType: { value: "longrope", rule: "two lists of factors in the file" },
        shortFactor: { value: times(short), rule: "rope_factors_short.weight" },
        longFactor: { value: times(long), rule: "rope_factors_long.weight" },
        ...(original === undefined ? {} : { originalMaxPosition: original }),
        attentionFactor,
        selection: {
          value: "by-capacity",
          rule: "the size of the context chooses the list, for the whole run",
          source: "llama_model::get_rope_factors",
        },
        ...(capacity === undefined ? {} : { capacity }),
      };
    }
    if (factors !== undefined || attentionFactor.value !== 1) {
      const list = times(factors ?? new Array<number>(pairs).fill(1));
      const divided = {
        value: list,
        rule:
          factors === undefined
            ? "no list of factors in the file"
            : "rope_freqs.weight: each frequency is divided by its factor",
      };
      return {
        ropeType: { value: "longrope", rule: "the type that divides each frequency by a factor of its own" },
        shortFactor: divided,
        longFactor: divided,
        // Neither counts with a fixed selection and a given amplitude, but the type asks for a length.
        originalMaxPosition:
          original !== undefined && original.value > 1 ? original : { value: 2, rule: "any: it has no effect here" },
        attentionFactor,
        selection: { value: "short", rule: "one list at every length" },
      };
    }
    return factor.value === 1
      ? { ropeType: { value: "default", rule: factor.rule } }
      : { ropeType: { value: "linear", rule: stated === undefined ? "llama.cpp's default type" : key }, factor };
  }

  #yarn(
    factor: Explained<number>,
    original: Explained<number> | undefined,
    amplitude: Explained<number> | undefined,
  ): Record<string, Explained<unknown>> {
    const { latent, logMultiplier, overallIsMscale, readsBetas, readsExtrapolation } = this.#facts;
    if (this.#options.tensors?.["rope_freqs.weight"] !== undefined) {
      this.#report.issue(
        "rope_freqs.weight",
        "nothing beside rope.scaling.type yarn",
        "a list of factors",
        "No type here divides frequencies before YaRN blends them.",
      );
    }
    const found: Record<string, Explained<unknown>> = {
      ropeType: { value: "yarn", rule: this.#key("rope.scaling.type") },
      factor,
      ...(original === undefined ? {} : { originalMaxPosition: original }),
    };
    if (readsBetas === true) {
      for (const [name, key] of [
        ["betaFast", "rope.scaling.yarn_beta_fast"],
        ["betaSlow", "rope.scaling.yarn_beta_slow"],
      ] as const) {
        const beta = this.#number(key);
        if (beta !== undefined) found[name] = beta;
      }
    }
    const extrapolation = readsExtrapolation === true ? this.#number("rope.scaling.yarn_ext_factor") : undefined;
    if (extrapolation !== undefined && extrapolation.value >= 0) found["extrapolationFactor"] = extrapolation;

    const multiplier = logMultiplier === undefined ? undefined : this.#number("rope.scaling.yarn_log_multiplier");
    const overall =
      multiplier === undefined
        ? 0
        : logMultiplier === "tenth"
          ? Math.fround(multiplier.value / Math.fround(0.1))
          : multiplier.value;
    const mscale = overallIsMscale === true && overall !== 1 ? overall : 1;
    if (overall !== 0) {
      if (latent === true) {
        found["ropeType"] = {
          value: "deepseek_yarn",
          rule: `${this.#key("rope.scaling.type")}, with a magnitude of the softmax`,
        };
      }
      found["mscale"] = { value: mscale, rule: "llama.cpp knows one magnitude" };
      found["mscaleAllDim"] = {
        value: overall,
        rule: logMultiplier === "tenth" ? `${multiplier!.rule} / 0.1` : multiplier!.rule,
      };
    }
    if (amplitude !== undefined && amplitude.value !== 1) {
      const value =
        (yarnMagnitude(factor.value, mscale) / (overall === 0 ? 1 : yarnMagnitude(factor.value, overall))) *
        amplitude.value;
      found["attentionFactor"] = { value, rule: `YaRN's magnitude times ${amplitude.rule}` };
    }
    return found;
  }
}

/** The entry of layers that are not rotated. */
function unrotated(layerType: string | null): LayerRopeRequest {
  return Object.freeze({
    layerType,
    request: null,
    rules: Object.freeze([ruleOf("ropeType", { value: null, rule: "layers of this type have no rope" })]),
  });
}

/** 64-bit integers are bigints in a header. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : Number.NaN;
  return Array.isArray(value) && value.length <= mostLayers
    ? value.map((item: unknown) => (typeof item === "bigint" ? Number(item) : item))
    : value;
}
