/** Reads what some models of sparse attention have beside a rope: the rope of an indexer, and learned factors. */

import type { Dialect } from "../facts/dialect.ts";
import type { Fact, RopeFacts } from "../facts/fact.ts";
import type { IndexerFacts } from "../facts/family.ts";
import type { Fields } from "../locate/fields.ts";
import { isSize } from "../locate/found.ts";
import type { Located } from "../locate/located.ts";
import type { Report } from "../report.ts";

/**
 * Learned factors of the frequencies.
 *
 * Source: Hugging Face transformers 5.24, `MistralLarge4LeRoPE`: ω · e^α.
 */
export function readPairFactors(
  pairs: number,
  { model: { family, fields, modelType }, options, report }: Located,
): Fact<readonly number[]> | undefined {
  const name = family.learnedExponents;
  if (name === undefined) return undefined;
  const alpha = options.weights?.[name];
  const path = `weights[${JSON.stringify(name)}]`;
  const list = alpha !== undefined && alpha.length === pairs ? Array.from(alpha) : [];
  if (list.length !== pairs || list.some((value) => !Number.isFinite(value))) {
    report.issue(
      path,
      `${pairs} finite numbers, the weight ${name} of the checkpoint`,
      alpha === undefined ? "nothing" : `${alpha.length} values`,
      `Each frequency of ${modelType} is multiplied by e^α with a learned α, so the config alone does not tell the rope. Pass { weights: { ${JSON.stringify(name)}: … } }; zeros give the rope before training.`,
    );
    return undefined;
  }
  const value = Object.freeze(list.map((each) => Math.fround(Math.exp(each))));
  return { value, rule: `e^α with ${path}`, source: `the class of ${fields.path === "" ? modelType : fields.path}` };
}

/** The rope of the indexer: the frequencies of the layer, on a head of another size. */
export function readIndexer(
  facts: RopeFacts,
  { dialect, model: { family, fields, modelType }, report }: Located,
): RopeFacts | undefined {
  const { indexer } = family;
  if (indexer === undefined) return undefined;
  const stated = fields.size(...indexer.headDimKeys);
  const standard = indexer.headDimKeys.map((key) => family.defaults?.[key]).find(isSize);
  const rule = `the class of ${modelType}`;
  if (stated === undefined && standard === undefined) return undefined;
  const headDim = stated === undefined ? { value: standard!, rule } : { value: stated.value, rule: stated.path };
  const { rotaryOffset: _, queryScale: __, ...shared } = facts;
  if (headDim.value < facts.rotaryDim.value) {
    report.issue(
      headDim.rule,
      `at least ${facts.rotaryDim.value}, the rotated elements of the layer`,
      `${headDim.value}`,
    );
  }
  const pairing = pairingOf(indexer, rule, { dialect, model: { fields }, report });
  const offset = headDim.value - facts.rotaryDim.value;
  return {
    ...shared,
    headDim,
    pairing,
    ...(indexer.rotatesLast === true && offset > 0
      ? { rotaryOffset: { value: offset, rule: "the last elements of a head" } }
      : {}),
  };
}

/** The pairs of an indexer: fixed by its class, or set by a key, depending on the engine. */
function pairingOf(
  { interleaveKey, pairing }: IndexerFacts,
  rule: string,
  { dialect, model: { fields }, report }: { dialect: Dialect; model: { fields: Fields }; report: Report },
): Fact<"half" | "adjacent"> {
  const flag = interleaveKey === undefined ? undefined : fields.flag(interleaveKey);
  const stated = flag && (flag.value ? "adjacent" : "half");
  if (flag === undefined || stated === undefined) return { value: pairing, rule };
  if (dialect.indexerInterleave === "by-key") return { value: stated, rule: flag.path };
  if (stated !== pairing) {
    const message = `${dialect.engine} has ${pairing} pairs in the indexer whatever the file says; vLLM, SGLang and mlx-lm follow this key.`;
    report.note("differs", flag.path, message, "warning");
  }
  return { value: pairing, rule };
}
