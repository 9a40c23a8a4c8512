/** The text of `docs/coverage.md`, and the counts in the README. */

import { readFileSync } from "node:fs";
import { RopeError, ropesFromConfig } from "ropewalk";
import { reasonFor } from "./compare.ts";
import type { Outcome } from "./compare.ts";
import { ggufCounts } from "./gguf.ts";
import { readCensus } from "./results.ts";

const isVariant = ({ file }: Outcome): boolean => file !== "full" && file !== "saved";

/** Outcomes by model type: the worst of the files that its class saves. A variant counts if it differs in silence. */
function byType(outcomes: readonly Outcome[]): Map<string, Outcome> {
  const rank = ["no rope", "equal", "not probed", "refused", "differs with reason", "different"];
  const worst = new Map<string, Outcome>();
  for (const outcome of outcomes) {
    if (isVariant(outcome) && outcome.result !== "different") continue;
    const known = worst.get(outcome.modelType);
    if (known === undefined || rank.indexOf(outcome.result) > rank.indexOf(known.result)) {
      worst.set(outcome.modelType, outcome);
    }
  }
  return worst;
}

const count = (types: ReadonlyMap<string, Outcome>, result: Outcome["result"]): number =>
  [...types.values()].filter((outcome) => outcome.result === result).length;

/** What towers and diffusion transformers answered, which tests of config compare. */
function fixture(name: string): unknown {
  const url = new URL(`../../packages/config/test/fixtures/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8"));
}

/** The table of the README. */
export function readmeCounts(outcomes: readonly Outcome[], ofMlx: readonly Outcome[]): string {
  const { version } = readCensus("transformers").source;
  const [types, mlx] = [byType(outcomes), byType(ofMlx)];
  const gguf = ggufCounts();
  const row = (...cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [
    "",
    row(
      "model classes, built small and run",
      "equal in every layer",
      "no rope, as the class",
      "refused or listed, with a reason",
      "silently different",
      "could not be run",
    ),
    row("---", "---", "---", "---", "---", "---"),
    row(
      `transformers ${version}, by \`model_type\``,
      count(types, "equal"),
      count(types, "no rope"),
      count(types, "refused"),
      `**${count(types, "different")}**`,
      `${count(types, "not probed")}; most take no tokens`,
    ),
    row(
      `${gguf.engine}, headers of ${gguf.names.length + gguf.noRope.length} architectures`,
      gguf.equal,
      `${gguf.noRope.length} architectures`,
      gguf.refused,
      `**${gguf.different.length}**`,
      gguf.notProbed.size,
    ),
    row(
      `mlx-lm ${readCensus("mlx-lm").source.version}, dialect \`mlx\``,
      count(mlx, "equal"),
      count(mlx, "no rope"),
      `${count(mlx, "differs with reason")}, and keys that many classes do not read`,
      `**${count(mlx, "different")}**`,
      count(mlx, "not probed"),
    ),
    "",
  ].join("\n");
}

/** What a file with nothing but its type gives, for types that were not measured. */
function answerOf(modelType: string): "read" | "none" | "refused" {
  try {
    const { byLayerType } = ropesFromConfig({ model_type: modelType });
    return [...byLayerType.values()].some((rope) => rope !== null) ? "read" : "none";
  } catch (error) {
    if (!RopeError.is(error)) throw error;
    return "refused";
  }
}

/** The section about mlx-lm. */
function mlxText(outcomes: readonly Outcome[]): string {
  const { engine, version } = readCensus("mlx-lm").source;
  const types = byType(outcomes);
  const unread = new Map<string, Set<string>>();
  for (const outcome of outcomes) {
    if (!isVariant(outcome) || outcome.result !== "differs with reason") continue;
    if (types.get(outcome.modelType)!.result === "differs with reason") continue;
    const reason = reasonFor(outcome)!;
    unread.set(reason, (unread.get(reason) ?? new Set()).add(outcome.modelType));
  }
  const list = (result: Outcome["result"]): string =>
    [...types].flatMap(([name, outcome]) => (outcome.result === result ? [`\`${name}\``] : [])).join(" ");
  return `## ${engine} ${version}

Each model type that transformers has too was built with the sizes above, and two tokens ran through it. The rope of each layer then turned unit
vectors. \`ropesFromConfig(config, { dialect: "mlx" })\` reads the same file: with \`rope_parameters\` if another base there changes what the class
does, or else with the keys of transformers 4. The dialect says how keys are read; a class that rotates otherwise than transformers' is listed.

| | model types |
| --- | --- |
| equal in every layer | ${count(types, "equal")} |
| no rope, as in the class | ${count(types, "no rope")} |
| differs from transformers' class | ${count(types, "differs with reason")} |
| **silently different** | **${count(types, "different")}** |
| not probed | ${count(types, "not probed")} |

### Equal in mlx-lm

${list("equal")}

### No rope in mlx-lm

${list("no rope")}

### What mlx-lm does otherwise

| model type | what its class does | what the check sees |
| --- | --- | --- |
${[...types]
  .flatMap(([name, outcome]) =>
    outcome.result === "differs with reason" ? [`| \`${name}\` | ${reasonFor(outcome)} | ${outcome.why} |`] : [],
  )
  .join("\n")}

### Keys that classes of mlx-lm do not read

${outcomes.filter(isVariant).length} more files have another base, the spelling of transformers 5, or a scaling. ropewalk follows the file; these classes do not:

${[...unread].map(([reason, names]) => `- ${reason}: ${[...names].map((name) => `\`${name}\``).join(" ")}`).join("\n")}

### Not probed in mlx-lm

${[...types]
  .flatMap(([name, { result, why }]) => (result === "not probed" ? [`- \`${name}\`: ${why}`] : []))
  .join("\n")}`;
}

/** The page. */
export function pageText(outcomes: readonly Outcome[], ofMlx: readonly Outcome[]): string {
  const { engine, version } = readCensus("transformers").source;
  const types = byType(outcomes);
  const names = (result: Outcome["result"]): string[] =>
    [...types].flatMap(([name, outcome]) => (outcome.result === result ? [name] : []));
  const code = (list: readonly string[]): string => list.map((name) => `\`${name}\``).join(" ");
  const reasons = new Map<string, string[]>();
  for (const [name, { result, why }] of types) {
    if (result === "not probed") reasons.set(why, [...(reasons.get(why) ?? []), name]);
  }
  const gguf = ggufCounts();
  const unmeasured = (answer: string): string[] => names("not probed").filter((name) => answerOf(name) === answer);
  const variants = outcomes.filter(isVariant);
  const refusals = variants.filter(({ result }) => result === "refused");
  const towers = Object.keys((fixture("towers") as { towers: object }).towers);
  const diffusers = Object.keys((fixture("diffusers") as { classes: object }).classes);
  return `# Coverage

Generated by \`npm run census\`; do not edit. Every model class of an engine was built with small sizes, and single tokens were run
through its own attention. From query and key this was read off for each layer: rotated or not, which elements, which of them form a
pair, in which direction, by which angle for each pair, with which amplitude, and by which position axis. The results are in
\`tooling/census/results\`. The file that the class itself saves, whole and as a difference from its defaults, goes through
\`ropesFromConfig\`, and each layer is compared. No source text was read for facts.

"Equal" says that for the sizes and files that were run. A class that nobody here has seen is refused by its \`model_type\`.

## ${engine} ${version}

| | model types |
| --- | --- |
| equal in every layer | ${count(types, "equal")} |
| no rope, as in the class | ${count(types, "no rope")} |
| refused with a reason | ${count(types, "refused")} |
| **silently different** | **${count(types, "different")}** |
| not probed | ${count(types, "not probed")} |

${variants.length} more files have single keys changed (another base, a share of the head, a scaling, the old spelling, switches of one family).

### Equal

${code(names("equal"))}

### No rope

${code(names("no rope"))}

### Refused

| model type | reason |
| --- | --- |
${names("refused")
  .map((name) => `| \`${name}\` | ${reasonFor(types.get(name)!) ?? types.get(name)!.why} |`)
  .join("\n")}
${refusals.map((outcome) => `| \`${outcome.modelType}\`, file "${outcome.file}" | ${reasonFor(outcome)} |`).join("\n")}
${
  names("different").length === 0
    ? ""
    : `\n### Different\n\n| model type | file | what |\n| --- | --- | --- |\n${names("different")
        .map((name) => `| \`${name}\` | ${types.get(name)!.file} | ${types.get(name)!.why} |`)
        .join("\n")}\n`
}
### Towers

The rotary modules of ${towers.length} vision and audio towers ran by themselves, among them some that could not be run as a whole; the ropes of
\`ropesFromConfig(config, { part: "vision" })\` are compared with them (\`packages/config/test/fixtures/towers.py\`):

${code(towers)}

### Not probed

What is in the tables for these follows their code as read, or the towers above. Read: ${code(unmeasured("read"))}

Refused: ${code(unmeasured("refused"))}

No rope: ${code(unmeasured("none"))}

What stopped the census:

${[...reasons]
  .sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1))
  .map(([reason, list]) => `- ${reason}: ${code(list)}`)
  .join("\n")}

## Not built

| what | who has it | why not |
| --- | --- | --- |
| xPos | Toto | queries grow and keys shrink with the position; a rope here has one amplitude for both |
| FoPE | InternS1-Pro | a learned matrix mixes the frequencies of a row |
| mixed axes | Mochi, LightGlue, Falcon-Perception | every pair turns by a learned mix of all axes; a pair here follows one |
| two angles in a pair | V-JEPA 2, ERNIE-Image, HunyuanVL in transformers | the two elements of a pair turn by different angles, which is no rotation |
| \`yarn_log\` | Grok in SGLang | interpolates logarithms of frequencies |

Each is refused where a file names it, or noted; xPos and the others can be applied with tables of one's own (\`rotate\` of \`@ropewalk/core/math\`).

## Diffusers

${diffusers.length} transformers of diffusers by their \`_class_name\`, each compared with its own rotary module (\`packages/config/test/fixtures/diffusers_ropes.py\`); any
other \`_class_name\` is refused:

${code(diffusers)}

## ${gguf.engine}

Each architecture was loaded from metadata alone, with keys changed in 30 ways; the ROPE operators of its graph were read, and turned unit vectors.

| | |
| --- | --- |
| architectures that rotate | ${gguf.names.length} |
| headers that are equal in every layer | ${gguf.equal} |
| headers that are refused with a reason | ${gguf.refused} |
| **silently different** | **${gguf.different.length}** |
| architectures without rope | ${gguf.noRope.length} |
| not probed | ${gguf.notProbed.size} |

Refused are lists about rope that the architecture's loader does not read, sections that do not fill the head, and layers without heads in
graphs that know none.

### Architectures that rotate

${code(gguf.names)}

### No rope

${code(gguf.noRope)}

### Not probed

${[...gguf.notProbed].map(([name, why]) => `- \`${name}\`: ${why}`).join("\n")}

${mlxText(ofMlx)}
`;
}
