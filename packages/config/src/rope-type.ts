/** Which rope type a dictionary asks for, in the one spelling that core knows. */

import type { Dialect } from "./dialects.ts";
import { agree, isText } from "./fields.ts";
import type { Fields, Found } from "./fields.ts";
import type { Explained, Reading } from "./reading.ts";
import { show } from "./report.ts";
import type { Report } from "./report.ts";
import { canonicalTypeName } from "./rope-types.ts";
import type { RopeEntry, TextModel } from "./spelling.ts";

/** Numbers that only a scaled rope has. */
const scalingKeys = ["factor", "alpha", "short_factor", "long_factor", "low_freq_factor", "beta_fast"];

/** The type that gives the frequencies. Which axis turns which pair is another question (`axes.ts`). */
export function readType(entry: RopeEntry, dictionary: Fields, { dialect, model, report }: Reading): Explained<string> {
  const all = dictionary.all("rope_type", "type").filter((found): found is Found<string> => {
    if (isText(found.value)) return true;
    report.issue(found.path, "the name of a rope type", show(found.value));
    return false;
  });
  const stated = preferred(all, dialect, report);
  const types = stated.map(({ value }) => resolve(value, dictionary, model, dialect));
  if (types.some((type) => type !== types[0])) agree(stated, report);

  const [first] = stated;
  if (first !== undefined) {
    const value = types[0]!;
    const named = ofFamily(first.value, model);
    if (
      dialect.otherTypes === "refused" &&
      !dialect.ropeTypes.includes(named) &&
      !(named === "mrope" && model.family.axes !== undefined)
    ) {
      report.issue(
        first.path,
        `a type that ${dialect.engine} ${dialect.version} has: ${dialect.ropeTypes.join(", ")}`,
        show(first.value),
      );
    }
    if (value !== first.value && first.value !== "mrope") {
      report.note("alias", first.path, `${show(first.value)} is read as the type ${value}.`);
    }
    return { value, rule: first.path };
  }
  const implied = entry.facts.defaults["rope_type"];
  if (isText(implied)) {
    return {
      value: resolve(implied, dictionary, model, dialect),
      rule: `what the configuration class of ${model.modelType} sets`,
    };
  }
  const scaling = scalingKeys.find((key) => dictionary.has(key));
  if (scaling !== undefined) {
    report.issue(
      dictionary.pathOf("rope_type"),
      `the name of a rope type, since ${scaling} is given`,
      "nothing",
      `Without it transformers ignores ${scaling}; add rope_type, or remove the numbers.`,
    );
  }
  return { value: resolve("default", dictionary, model, dialect), rule: "no type in the file: the original rope" };
}

/** The places that the engine looks at: both keys, or the first of them that is set. */
function preferred(
  stated: readonly Found<string>[],
  { engine, typeKey }: Dialect,
  report: Report,
): readonly Found<string>[] {
  const winner = stated.find(({ key }) => key === typeKey);
  if (typeKey === "agree" || winner === undefined) return stated;
  for (const { path, value } of stated) {
    if (value !== winner.value) {
      report.note(
        "differs",
        path,
        `${engine} looks at ${winner.path} = ${show(winner.value)} first; transformers and vLLM refuse two types.`,
      );
    }
  }
  return [winner];
}

/** What the family's configuration class makes of a name. */
function ofFamily(name: string, { family }: TextModel): string {
  return family.typeNames !== undefined && Object.hasOwn(family.typeNames, name) ? family.typeNames[name]! : name;
}

/** The type behind a name, which may depend on the family and on other keys. */
function resolve(stated: string, dictionary: Fields, model: TextModel, { dynamic, typeNames }: Dialect): string {
  const { family, fields, known } = model;
  const name = ofFamily(stated, model);
  const canonical = canonicalTypeName(Object.hasOwn(typeNames, name) ? typeNames[name]! : name);
  if (canonical === "dynamic" && dictionary.first("alpha")?.value) return "dynamic_alpha";
  if (canonical === "dynamic" && dynamic.length === "ignored") return "default";
  if (canonical === "yarn" && (family.softmaxMagnitude ?? (!known && fields.has("qk_rope_head_dim")))) {
    return "deepseek_yarn";
  }
  if (canonical !== "default") return canonical;
  if (dictionary.flag("use_fope")?.value === true) return "fope";
  if (fields.flag("use_dynamic_ntk")?.value === true) return "qwen_dynamic";
  return family.defaultType?.ropeType ?? "default";
}
