/** The contents of the files in models/ and fixtures/, folder by folder. README.md explains how to read them. */

/** A config.json in its published spelling. `file` is relative to this package. */
export interface Model {
  readonly id: string;
  readonly file: string;
  readonly config: Readonly<Record<string, unknown>>;
}

export interface Source {
  readonly engine: string;
  readonly version: string;
  readonly command: string;
  readonly [detail: string]: unknown;
}

/** Elements in the order [tokens, heads, headDim], little-endian, in base64. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly input: string;
  readonly output: string;
}

export interface RotatedRecord {
  readonly dtype: "float32" | "bfloat16" | "float16";
  readonly positions: readonly number[];
  /** The pairing of the engine's output. It may differ from the pairing of the input. */
  readonly outputPairing: "half" | "adjacent";
  readonly query: Tensor;
  readonly key: Tensor;
}

export interface HfRope {
  readonly layerType: string | null;
  readonly ropeType: string;
  /** Set only if the engine's module gives the type another name than the config. */
  readonly engineRopeType?: string;
  readonly headDim: number;
  readonly rotaryDim: number;
  /** Set only if the rotated slice does not begin at element 0. */
  readonly rotaryOffset?: number;
  readonly pairing: "half" | "adjacent";
  /** Length of the sequence that the engine was given (largest position + 1); null if it does not matter. */
  readonly length: number | null;
  readonly attentionFactor: number;
  readonly softmaxScaleFactor: number;
  /** Position axis of each pair, for multi-axis ropes. */
  readonly axisOfPair?: readonly number[];
  /**
   * Instead of axisOfPair if the two elements of a pair follow different axes. The result is then not a rotation
   * (HunyuanOCR).
   */
  readonly axisOfElement?: readonly number[];
  readonly invFreq: readonly number[];
  readonly positions: readonly number[];
  /** The pairs that cos and sin were sampled at. */
  readonly pairs: readonly number[];
  /** [position][sampled pair], attention factor included. */
  readonly cos: readonly (readonly number[])[];
  readonly sin: readonly (readonly number[])[];
  /** Tokens whose axes differ: positions as [axis][token]. */
  readonly grid?: {
    readonly positions: readonly (readonly number[])[];
    /** The columns of cos and sin: pairs, or single elements if axisOfElement is given. */
    readonly pairs?: readonly number[];
    readonly elements?: readonly number[];
    readonly cos: readonly (readonly number[])[];
    readonly sin: readonly (readonly number[])[];
    /** The same tokens rotated by the model's own function, float32. */
    readonly rotated?: { readonly outputPairing: "half" | "adjacent"; readonly query: Tensor; readonly key: Tensor };
  };
  readonly rotated?: readonly RotatedRecord[];
}

export interface HfFixture {
  readonly source: Source;
  readonly model: string;
  readonly config: string;
  readonly module: string;
  readonly note?: string;
  readonly layerTypesWithoutRope?: readonly string[];
  readonly ropes: readonly HfRope[];
}

/** The request in ropewalk's vocabulary. */
export interface TruthRequest {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly base: number;
  readonly maxPosition?: number;
  readonly length?: number;
  readonly parameters: { readonly ropeType: string } & Readonly<Record<string, unknown>>;
}

export interface TruthValue {
  readonly position: number;
  readonly pair: number;
  readonly why: string;
  /** 20 significant digits. */
  readonly cos: string;
  readonly sin: string;
  /** Correctly rounded to float32. */
  readonly cosFloat32: number;
  readonly sinFloat32: number;
}

export interface TruthFixture {
  readonly source: Source;
  readonly name: string;
  readonly request: TruthRequest;
  /** 25 significant digits. */
  readonly attentionFactor: string;
  readonly softmaxScaleFactor: string;
  /** Per pair: 25 significant digits, and the two doubles that sum to it. */
  readonly invFreq: readonly string[];
  readonly invFreqHigh: readonly number[];
  readonly invFreqLow: readonly number[];
  readonly positions: readonly number[];
  readonly pairs: readonly number[];
  /** [position][sampled pair], attention factor included, 20 significant digits. */
  readonly cos: readonly (readonly string[])[];
  readonly sin: readonly (readonly string[])[];
  /** The same, correctly rounded to float32: little-endian, row after row, in base64. */
  readonly cosFloat32: string;
  readonly sinFloat32: string;
  /** Single values where cos or sin nearly vanishes. */
  readonly nearZero: readonly TruthValue[];
}

export interface SeedFixture {
  readonly source: Source;
  readonly name: string;
  readonly [fact: string]: unknown;
}

export interface OnnxFixture {
  readonly source: Source;
  readonly name: string;
  readonly attributes: Readonly<Record<string, number>>;
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly pairing: "half" | "adjacent";
  readonly layout: string;
  readonly heads: number;
  /** [batch][token]; null if the caches are given per token. */
  readonly positions: readonly (readonly number[])[] | null;
  readonly cosCache: OnnxTensor;
  readonly sinCache: OnnxTensor;
  readonly input: OnnxTensor;
  readonly output: OnnxTensor;
}

/** float32 unless stated otherwise, little-endian, in base64. */
export interface OnnxTensor {
  readonly shape: readonly number[];
  readonly data: string;
}

/** A vision tower. Positions, if it takes any, are [axis][token]; cos and sin are [token][pair]. */
export interface VisionFixture {
  readonly source: Source;
  readonly model: string;
  readonly config: string;
  readonly module: string;
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly pairing: "half" | "adjacent";
  readonly note?: string;
  readonly axes?: readonly string[];
  readonly axisOfPair?: readonly number[];
  readonly invFreq?: readonly number[];
  /** The input and the answer of the engine's own position builder. */
  readonly builder: Readonly<Record<string, unknown>>;
  readonly positions?: readonly (readonly number[])[];
  readonly tokens?: readonly number[];
  readonly cos: readonly (readonly number[])[];
  readonly sin: readonly (readonly number[])[];
  /** float32, at the tokens of cos and sin. */
  readonly rotated: { readonly query: Tensor; readonly key: Tensor };
}

/** The answers of an engine's builder of positions to random prompts. */
export interface PromptsFixture {
  readonly source: Source;
  readonly family: string;
  /** The function that was run. */
  readonly entry: string;
  /** Functions that gave the same answers to the same prompts. */
  readonly sameAnswers?: readonly string[];
  readonly note?: string;
  readonly settings: {
    readonly mergeSize?: number;
    readonly temporalMergeSize?: number;
    readonly tokensPerSecond?: number;
    readonly positionsPerSecond?: number;
    readonly secondsPerChunk?: number;
  };
  readonly axes: readonly string[];
  /** EVS: drawn prompts that the engine's search for the next video missed; they are not among the prompts. */
  readonly promptsWithVideosNotFound?: number;
  readonly prompts: readonly AnsweredPrompt[];
}

export interface AnsweredPrompt {
  /** One digit for each token of a row: 0 text or padding, 1 image, 2 video, 3 audio. */
  readonly modalities: readonly string[];
  /** One digit for each token; absent if the engine was given no mask. */
  readonly mask?: readonly string[];
  /** Frames, height, width in patches, in the order of the batch; height, width for the crops of a canvas. */
  readonly images?: readonly (readonly number[])[];
  readonly videos?: readonly (readonly number[])[];
  /** Frames of features of each audio. */
  readonly audios?: readonly number[];
  /** Absent if the engine was given none. */
  readonly secondsPerGrid?: readonly number[];
  /** How the seconds were given: a float32 tensor, as processors do, or a list of doubles. */
  readonly secondsAre?: "float32" | "float64";
  /** Each video carries the next audio. */
  readonly audioInVideo?: boolean;
  /** MiniCPM-V: one character for each token, see the note of the fixture. */
  readonly markers?: readonly string[];
  readonly mergeSize?: number;
  /** GLM-Image: the grids of each row that are to be drawn, and [axis][row][token to come]. */
  readonly generated?: readonly (readonly (readonly number[])[])[];
  readonly decoding?: readonly (readonly (readonly number[])[])[];
  /** EVS: for each video one digit for each of its tokens, 1 if it stays. */
  readonly kept?: readonly string[];
  /** EVS: the token before each frame. */
  readonly frames?: readonly number[];
  /** [axis][row][token] */
  readonly positions: readonly (readonly (readonly number[])[])[];
  /** For each row, the next position minus the number of its real tokens. */
  readonly deltas?: readonly number[];
}

/** The time of each frame of a video at 400 frame rates. */
export interface VideoTimeFixture {
  readonly source: Source;
  readonly entry: string;
  readonly note: string;
  readonly frames: number;
  readonly secondsPerGrid: readonly number[];
  readonly tokensPerSecond: readonly number[];
  /** How the seconds were given → the smallest step at each rate, and a bit for each step that is one longer. */
  readonly times: Readonly<Record<string, { readonly steps: readonly number[]; readonly longer: string }>>;
}

/** The answers of a model's own builder of position ids. */
export interface PositionsFixture {
  readonly source: Source;
  readonly model: string;
  readonly config: string;
  readonly module: string;
  readonly axes: readonly string[];
  readonly modalities: { readonly text: number; readonly image: number; readonly video: number };
  readonly mergeSize: number;
  readonly tokensPerSecond: number | null;
  readonly cases: readonly {
    readonly name: string;
    /** [batch][token] */
    readonly modalities: readonly (readonly number[])[];
    readonly mask?: readonly (readonly number[])[];
    /** [time, height, width] in patches. */
    readonly images?: readonly (readonly number[])[];
    readonly videos?: readonly (readonly number[])[];
    readonly secondsPerGrid?: readonly number[];
    /** [axis][batch][token]; 0 where the mask is 0. */
    readonly positions: readonly (readonly (readonly number[])[])[];
    /** Largest position + 1 - unpadded length, per row of the batch. */
    readonly delta: readonly number[];
  }[];
}

/** The positions of an image or video transformer in diffusers. */
export interface DiffusionPositionsFixture {
  readonly source: Source;
  readonly family: string;
  readonly entry: string;
  readonly cases: readonly {
    readonly prompt: Readonly<Record<string, unknown>>;
    /** [axes, tokens] */
    readonly shape: readonly number[];
    /** Row-major; fractions are float32. */
    readonly positions: readonly number[];
  }[];
}

/** Positions of prompts in tokens, by a family's own processor and model class. */
export interface PromptTokensFixture {
  readonly source: Source;
  readonly module: string;
  readonly configs: readonly { readonly model_type: string; readonly [key: string]: unknown }[];
  readonly cases: readonly {
    /** Its number in configs. */
    readonly config: number;
    /** [batch][token] */
    readonly inputIds: readonly (readonly number[])[];
    readonly attentionMask?: readonly (readonly number[])[];
    /** [frames, height, width] in patches. */
    readonly imageGrids?: readonly (readonly number[])[];
    readonly videoGrids?: readonly (readonly number[])[];
    readonly secondsPerGrid?: readonly number[];
    /** [3, batch, tokens], row-major; 0 where the mask is 0. */
    readonly positions: readonly number[];
    /** Largest position + 1 - number of real tokens, of each row. */
    readonly deltas: readonly number[];
    /** Tokens decoded after the prompt; [3, batch, steps], row-major. */
    readonly decoded: { readonly steps: number; readonly positions: readonly number[] };
  }[];
}

/** The crate ndrope. Positions are [axis][token]. */
export type NdropeFixture = NdropeRotation | NdropeTables | NdropePositions;

export interface NdropeRotation {
  readonly source: Source;
  readonly kind: "rotation";
  readonly name: string;
  readonly note?: string;
  readonly request: {
    readonly headDim: number;
    readonly rotaryDim: number;
    readonly base: number;
    readonly parameters: { readonly ropeType: "nd"; readonly sections: readonly number[] };
  };
  /** False if the crate itself split the pairs evenly. */
  readonly sectionsGiven: boolean;
  /** The exponent of pair k of any axis is k over this: the crate takes its largest section. */
  readonly exponentDenominator: number;
  readonly grid: readonly number[];
  readonly positionBuilder: "pos_nd" | "pos_2d_qwen2vl_vit" | "given";
  readonly positions: readonly (readonly number[])[];
  /** [heads, tokens, headDim]; strides and offset count elements. */
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  /** The whole buffer, gaps included, in float32; every number of it is a float16. */
  readonly input: string;
  readonly rotated: readonly {
    readonly function: "rope_nd" | "rope_m";
    readonly pairing: "adjacent" | "half";
    readonly dtype: "float16" | "float32" | "float64";
    /** The answer was the same for each of them. */
    readonly positionTypes: readonly ("u32" | "u64")[];
    /** The whole buffer again, in dtype. float16 was given float32 tables. */
    readonly output: string;
  }[];
}

export interface NdropeTables {
  readonly source: Source;
  readonly kind: "tables";
  readonly name: string;
  readonly note: string;
  readonly tables: readonly ({
    readonly headDim: number;
    readonly base: number;
    readonly sections: readonly number[];
    readonly grid: readonly number[];
    /** [positions, columns] */
    readonly shape: readonly number[];
  } & Readonly<Record<"float16" | "float32" | "float64", { readonly cos: string; readonly sin: string }>>)[];
}

export interface NdropePositions {
  readonly source: Source;
  readonly kind: "positions";
  readonly name: string;
  readonly cases: readonly {
    readonly function: "pos_nd" | "pos_2d_qwen2vl_vit";
    readonly grid: readonly number[];
    readonly pixels?: readonly number[];
    readonly patchSize?: number;
    readonly mergeSize?: number;
    readonly positions: readonly (readonly number[])[];
  }[];
}

/** One rope of an engine, from its table or from rotated unit vectors. */
export interface EngineFixture {
  readonly source: Source;
  readonly name: string;
  readonly note?: string;
  /** The function that was called. */
  readonly entry: string;
  /** Its arguments, with the engine's own names. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The same rope in ropewalk's vocabulary. */
  readonly request: EngineRequest;
  /** Set if the engine reads the parameters otherwise than Hugging Face: parameters that express what it does. */
  readonly equivalent?: EngineRequest["parameters"];
  /** The model whose parameters these are. */
  readonly model?: string;
  /** Set if the frequencies depend on it: largest position + 1 of the call. */
  readonly length?: number;
  /** The amplitude in cos and sin, as the engine states it; absent if it states none. */
  readonly attentionFactor?: number;
  readonly softmaxScaleFactor?: number;
  /** Set only if the engine holds inverse frequencies. */
  readonly invFreq?: readonly number[];
  /** Set if the engine holds 1 / invFreq instead (MLX); null is infinity: a pair that is not rotated. */
  readonly invFreqReciprocals?: readonly (number | null)[];
  /** Position axis of each pair, if there are several axes. */
  readonly axisOfPair?: readonly number[];
  /** [token], or [axis][token] if axisOfPair is given. */
  readonly positions: readonly number[] | readonly (readonly number[])[];
  /** The pairs that cos and sin were sampled at. */
  readonly pairs: readonly number[];
  /** [token][sampled pair], amplitude included. */
  readonly cos: readonly (readonly number[])[];
  readonly sin: readonly (readonly number[])[];
  /** The same pairs and positions through the engine's backward pass. */
  readonly back?: {
    readonly entry: string;
    readonly note: string;
    readonly cos: readonly (readonly number[])[];
    readonly sin: readonly (readonly number[])[];
  };
  readonly rotated?: readonly EngineRotation[];
}

export interface EngineRequest {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly rotaryOffset?: number;
  readonly base: number;
  readonly maxPosition?: number;
  readonly pairing: "half" | "adjacent";
  /** The engine whose reading of the parameters this is, if readings differ. */
  readonly dialect?: string;
  readonly parameters: { readonly ropeType: string } & Readonly<Record<string, unknown>>;
}

/** [tokens, heads, headDim], little-endian, in base64. */
export interface EngineRotation {
  readonly dtype: "float32" | "float16" | "bfloat16";
  /** Indices into the fixture's positions. */
  readonly tokens: readonly number[];
  readonly shape: readonly number[];
  readonly input: string;
  readonly output: string;
}

/** vLLM and SGLang: an EngineFixture, or one of two forms that a single cos and sin cannot describe. */
export type ServingFixture =
  | (EngineFixture & {
      /** DeepSeek-V4 turns the attention output back. */
      readonly inverse?: true;
      /** Set if the graphics kernels get another map than the path that ran. */
      readonly kernelAxisOfPair?: readonly number[];
    })
  | DualChunkFixture
  | FopeFixture;

type ServingHead = Pick<EngineFixture, "source" | "name" | "entry" | "settings" | "request"> & {
  readonly positions: readonly number[];
};

/** `"turned" in fixture`: one key and five queries, each at its own position. */
export interface DualChunkFixture extends ServingHead {
  readonly pairs: readonly number[];
  readonly turned: Readonly<
    Record<
      "key" | "intra" | "successor" | "inter" | "successorCritical" | "interCritical",
      { readonly cos: readonly (readonly number[])[]; readonly sin: readonly (readonly number[])[] }
    >
  >;
}

/** `"mixing" in fixture`: no rotation, because learned matrices mix the frequencies. */
export interface FopeFixture extends ServingHead {
  readonly invFreq: readonly number[];
  /** [keyValueHeads, kept, kept], float32: input index before output index. */
  readonly mixing: { readonly shape: readonly number[]; readonly cos: string; readonly sin: string };
  /** [tokens, keyValueHeads, headDim], float32: doubled; cos and sin are both 1 where no frequency was kept. */
  readonly table: { readonly shape: readonly number[]; readonly cos: string; readonly sin: string };
  readonly rotated: readonly EngineRotation[];
}

/** An image or video transformer of diffusers. Every axis has its own frequencies. */
export interface DiffusersFixture {
  readonly source: Source;
  readonly name: string;
  readonly note?: string;
  readonly entry: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly headDim: number;
  readonly rotaryDim: number;
  /** "half within each axis": each axis rotates its own slice of the head by halves. */
  readonly pairing: "half" | "adjacent" | "half within each axis";
  /** One base for each axis if they differ. */
  readonly base: number | readonly number[];
  readonly axes: readonly string[];
  /** Pairs per axis. */
  readonly sections: readonly number[];
  /** -1: a pair that is not rotated. */
  readonly axisOfPair: readonly number[];
  /** Elements before the rotated ones that are not rotated (LTX). */
  readonly padding?: number;
  /** Set if the pairs span the whole inner width: the number of heads that it is cut into (LTX). */
  readonly heads?: number;
  readonly grid: readonly number[] | null;
  /** [axis][token]; may be fractional or negative. */
  readonly positions: readonly (readonly number[])[];
  /** [tokens, pairs] of cos and sin: float32, little-endian, in base64. */
  readonly shape: readonly number[];
  readonly cos: string;
  readonly sin: string;
  readonly rotated: readonly EngineRotation[];
}

/** One operator of onnxruntime. Tensors are in `dtype`, little-endian, in base64. */
export interface OnnxRuntimeFixture {
  readonly source: Source;
  readonly name: string;
  readonly note?: string;
  readonly operator: string;
  readonly attributes: Readonly<Record<string, number | readonly number[]>>;
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly pairing: "half" | "adjacent";
  readonly dtype: "float32" | "float16";
  readonly layout: string;
  readonly heads: number;
  /** Only MRotaryEmbedding: found by moving one axis at a time. */
  readonly axisOfPair?: readonly number[];
  /** [batch][token]; [axis][batch][token] if axisOfPair is given; one number if the operator counts from it. */
  readonly positions: readonly number[] | readonly (readonly number[])[] | readonly (readonly (readonly number[])[])[];
  readonly cosCache: OnnxTensor;
  readonly sinCache: OnnxTensor;
  readonly input: OnnxTensor;
  readonly output: OnnxTensor;
}

/** A published config.json through llama.cpp's converter, loader and graph. */
export interface LlamaCppFixture {
  readonly source: Source;
  readonly name: string;
  readonly model: string;
  readonly config: string;
  /** The context's length: it decides which of two lists of factors a LongRoPE model gets. */
  readonly n_ctx: number;
  /** The GGUF file's own keys about rope, and its architecture. */
  readonly gguf: Readonly<Record<string, unknown>>;
  /** The GGUF file's tensors about rope; numbers are float32 widened. */
  readonly ggufTensors: Readonly<Record<string, readonly number[]>>;
  readonly ropes: readonly (LlamaCppRope | LlamaCppShift)[];
}

/** The arguments of ggml_rope_ext or ggml_rope_multi in the graph that ran. */
export interface LlamaCppOperator {
  readonly n_dims: number;
  readonly mode: string;
  readonly n_ctx_orig: number;
  readonly freq_base: number;
  readonly freq_scale: number;
  readonly ext_factor: number;
  readonly attn_factor: number;
  readonly beta_fast: number;
  readonly beta_slow: number;
  readonly n_offs: number;
  readonly sections?: readonly number[];
  /** The name of one of ggufTensors. */
  readonly freq_factors?: string;
}

export interface LlamaCppRope {
  readonly shift?: never;
  /** Names in the graph; the number at the end is the layer. */
  readonly tensors: readonly string[];
  readonly operator: LlamaCppOperator;
  readonly rotaryDim: number;
  readonly pairing: "half" | "adjacent";
  readonly positions: readonly number[] | readonly (readonly number[])[];
  readonly pairs: readonly number[];
  readonly cos: readonly (readonly number[])[];
  readonly sin: readonly (readonly number[])[];
}

/** The operator that rotates cached keys when their positions move. */
export interface LlamaCppShift {
  readonly shift: true;
  readonly tensors: readonly string[];
  readonly operator: LlamaCppOperator;
}

/**
 * timm, rotary-embedding-torch and flash-attn. Tensors are float32; input and outputs are [1, heads, tokens, headDim].
 */
export interface LibraryFixture {
  readonly source: Source;
  readonly name: string;
  readonly entry: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly pairing: "half" | "adjacent";
  readonly headDim: number;
  /** Set if it is less than headDim. */
  readonly rotaryDim?: number;
  /** Rows and columns of a grid whose tokens follow row by row, */
  readonly grid?: readonly number[];
  /** or positions on one axis. */
  readonly positions?: readonly number[];
  readonly invFreq?: readonly number[];
  /** [tokens, pairs] */
  readonly cos?: OnnxTensor;
  readonly sin?: OnnxTensor;
  readonly angles?: OnnxTensor;
  readonly input: OnnxTensor;
  readonly output?: OnnxTensor;
  /** In place of output; with XPos the two differ. */
  readonly query?: OnnxTensor;
  readonly key?: OnnxTensor;
}

/** fixtures/<engine>-refused.json: the engine's error for settings that it refuses; null if it accepted them. */
export interface RefusedFile {
  readonly source: Source;
  readonly refused: Readonly<Record<string, string | null>>;
}

/** One attention of a tiny random model, with its weights, as transformers runs it in float64. */
export interface PermuteFixture {
  readonly source: Source;
  /** The class of the model. */
  readonly model: string;
  readonly special: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly positions: readonly number[];
  /** [token][element]: the input of the attention. */
  readonly hidden: readonly (readonly number[])[];
  /** [head][query][key]: products of rotated queries and keys, not scaled. */
  readonly scores: readonly (readonly (readonly number[])[])[];
  /** The same of the indexer. */
  readonly indexerScores?: readonly (readonly (readonly number[])[])[];
  /** float32, in base64, by the names of a checkpoint. */
  readonly tensors: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: string }>>;
}

/** float32 in base64, row-major. */
interface Floats {
  readonly shape: readonly number[];
  readonly data: string;
}

export interface PassFixture {
  readonly source: Source;
  /** The class of the model. */
  readonly model: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly positions: readonly number[];
  readonly headDim: number;
  /** The norms by tensor; weights as float32. */
  readonly norms: Readonly<
    Record<
      string,
      {
        readonly over: "head" | "heads";
        readonly when: "before" | "after";
        readonly weightOffset: number;
        readonly epsilon: number;
        readonly weight?: readonly number[];
      }
    >
  >;
  /** `[tokens, width]`: query, key and value, or all of them in `packed`. */
  readonly projections: Readonly<Record<string, Floats>>;
  /** `[tokens, heads, headDim]`: what the attention gets. */
  readonly query: Floats;
  readonly key: Floats;
  readonly value: Floats;
}

export interface FixturesByKind {
  hf: HfFixture;
  vision: VisionFixture;
  positions: PositionsFixture;
  "positions/diffusion": DiffusionPositionsFixture;
  "positions/prompts": PromptsFixture;
  "positions/time": VideoTimeFixture;
  "positions/tokens": PromptTokensFixture;
  truth: TruthFixture;
  seeds: SeedFixture;
  onnx: OnnxFixture;
  permute: PermuteFixture;
  pass: PassFixture;
  ndrope: NdropeFixture;
  mlx: EngineFixture;
  ggml: EngineFixture;
  "llama.cpp": LlamaCppFixture;
  vllm: ServingFixture;
  sglang: ServingFixture;
  diffusers: DiffusersFixture;
  onnxruntime: OnnxRuntimeFixture;
  libraries: LibraryFixture;
}
