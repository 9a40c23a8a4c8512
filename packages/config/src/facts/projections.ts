/**
 * How the heads of queries and keys lie in the rows of projections: one row for each family whose projections are not
 * simply head after head. The files do not state it; it is what the code of a family does with a projection's result.
 *
 * Source: modelling classes of Hugging Face transformers 5.24, and the code published with the models that it does not
 * have (InternLM2, Qwen, Baichuan, ChatGLM, Ling, Phi 1); llama.cpp as of llama-cpp-python 0.3.36.
 */

/**
 * The order of heads in the rows of a projection that makes queries, keys and values at once.
 *
 * - `concatenated`: all queries, all keys, all values (Phi-3).
 * - `per-group`: for each key head, its queries, its key and its value (GPT-NeoX, Falcon, InternLM2).
 * - `quarters`: four parts, in each of them a quarter of the queries, of the values and of the keys (CodeGen).
 */
export type FusedOrder = "concatenated" | "per-group" | "quarters";

/** The facts of a family. */
interface ProjectionFacts {
  readonly fused?: FusedOrder;
  /** Each head of the query projection has as many rows for a gate of the output, behind its own. */
  readonly gatedQuery?: true;
  /** Some layers have no values of their own: their keys, before the rotation, are the values. */
  readonly keysAsValues?: true;
}

const rows = (names: string, facts: ProjectionFacts): [string, ProjectionFacts][] =>
  names.split(" ").map((name) => [name, facts]);

const families: ReadonlyMap<string, ProjectionFacts> = new Map([
  ...rows("phi3 phi3_v phi4mm phi4_multimodal qwen baichuan dbrx mpt modernbert nomic_bert", { fused: "concatenated" }),
  ...rows("bailing_moe bailing_moe_v2 phi-msft mixformer-sequential", { fused: "concatenated" }),
  ...rows("gpt_neox gpt_neox_japanese persimmon fuyu falcon internlm2", { fused: "per-group" }),
  ...rows("codegen", { fused: "quarters" }),
  ...rows("qwen3_next qwen3_5 qwen3_5_text qwen3_5_moe qwen3_5_moe_text qwen4_exp qwen4_exp_text", {
    gatedQuery: true,
  }),
  ...rows("diffusion_gemma diffusion_gemma_text", { keysAsValues: true }),
]);

/** The facts of a family by its `model_type`; none for a family that is not in the table. */
export function projectionFactsOf(modelType: string | null): ProjectionFacts {
  return (modelType === null ? undefined : families.get(modelType)) ?? {};
}

/** Architectures of llama.cpp whose query projection has a gate, as above. */
export const gatedArchitectures: readonly string[] = ["qwen3next", "qwen35", "qwen35moe", "qwen4exp"];
