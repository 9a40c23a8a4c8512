/** Which rope type a dictionary asks for, in the one spelling that core knows. */

import { agree, isText } from "./fields.ts";
import type { Fields, Found } from "./fields.ts";
import type { Explained, Reading } from "./reading.ts";
import { show } from "./report.ts";
import { canonicalTypeName } from "./rope-types.ts";
import type { RopeEntry, TextModel } from "./spelling.ts";

/** The type of a request. */
export interface ReadType extends Explained<string> {
  /** The type that says which frequencies there are: differs from `value` for a rope with several position axes. */
  readonly ladder: string;
}

/** Numbers that only a scaled rope has. */
const scalingKeys = ["factor", "alpha", "short_factor", "long_factor", "low_freq_factor", "beta_fast"];

export function readType(entry: RopeEntry, dictionary: Fields, { model, report }: Reading): ReadType {
  const { family, known, modelType } = model;
  const stated = dictionary.all("rope_type", "type").filter((found): found is Found<string> => {
    if (isText(found.value)) return true;
    report.issue(found.path, "the name of a rope type", show(found.value));
    return false;
  });
  const resolved = stated.map((found) => ({ ...found, value: resolve(found.value, dictionary, model) }));
  if (resolved.some(({ value }) => value !== resolved[0]!.value)) agree(stated, report);

  const implied = entry.facts.defaults["rope_type"];
  const first = stated[0];
  const scaling = scalingKeys.find((key) => dictionary.has(key));
  if (first === undefined && !isText(implied) && scaling !== undefined) {
    report.issue(dictionary.pathOf("rope_type"), `the name of a rope type, since ${scaling} is given`, "nothing", `Without it transformers ignores ${scaling}; add rope_type, or remove the numbers.`);
  }
  const ladder = resolved[0]?.value ?? resolve(isText(implied) ? implied : "default", dictionary, model);
  if (first !== undefined && first.value !== ladder && first.value !== "mrope") report.note("alias", first.path, `${show(first.value)} is read as the type ${ladder}.`);
  const rule = first?.path ?? (isText(implied) ? `what the configuration class of ${modelType} sets` : "no type in the file: the original rope");

  if (ladder === "xdrope" || ladder === "openpangu") return { value: ladder, ladder, rule };
  // A text model of one axis does not get others by a key that its class ignores.
  const hasSections = dictionary.has("mrope_section", "xdrope_section");
  const axes = family.axes !== undefined || (hasSections && !known) || stated.some(({ value }) => value === "mrope");
  if (!axes) return { value: ladder, ladder, rule };
  return { value: family.axes?.ropeType ?? "mrope", ladder, rule: `${rule}, and ${hasSections ? "sections in the file" : `the position axes of ${modelType}`}` };
}

/** The type behind a name, which may depend on the family and on other keys. */
function resolve(name: string, dictionary: Fields, { family, fields, known }: TextModel): string {
  if (family.typeNames !== undefined && Object.hasOwn(family.typeNames, name)) return family.typeNames[name]!;
  // mrope says which axes there are, not which frequencies.
  const canonical = name === "mrope" ? "default" : canonicalTypeName(name);
  if (canonical === "dynamic" && dictionary.first("alpha")?.value) return family.alphaType ?? "dynamic_alpha";
  if (canonical === "yarn" && (family.softmaxMagnitude ?? (!known && fields.has("qk_rope_head_dim")))) return "deepseek_yarn";
  if (canonical !== "default") return canonical;
  if (dictionary.flag("use_fope")?.value === true) return "fope";
  if (fields.flag("use_dynamic_ntk")?.value === true) return "qwen_dynamic";
  return family.defaultType ?? "default";
}
