/** Scaling keys that stand among the model's own keys instead of in a rope dictionary: Grok-2, Nomic. */

import { topLevelScaling } from "../facts/families.ts";
import type { Report } from "../report.ts";
import type { Level } from "./fields.ts";
import { own, shown } from "./found.ts";
import type { JsonObject } from "./found.ts";
import type { TextModel } from "./located.ts";

/**
 * The scaling keys beside the model as a dictionary of their own; `undefined` if there are none. The keys of the result
 * are those of a rope dictionary, and its paths are the places in the file.
 *
 * @param inside whether the file has a rope dictionary too. Then the dictionary is read, and these keys are not.
 */
export function scalingBeside(
  { fields, family, modelType, known }: TextModel,
  inside: boolean,
  report: Report,
): Level | undefined {
  const spelling = family.scalingBeside ?? (known ? undefined : topLevelScaling);
  const mark = spelling && fields.first(spelling.mark);
  if (spelling === undefined || mark === undefined || mark.value === spelling.neutral) return undefined;
  if (inside) {
    report.note(
      "differs",
      mark.path,
      `The file has a rope dictionary, so ${mark.key} = ${shown(mark.value)} beside it is not read.`,
    );
    return undefined;
  }
  const record: Record<string, unknown> = { ...spelling.constants };
  for (const [key, spelled] of Object.entries(spelling.keys)) {
    const found = fields.first(spelled);
    const value = found?.value ?? own(spelling.defaults as JsonObject, key);
    if (value === undefined) continue;
    record[key] = value;
    if (found === undefined) {
      const message = `The file does not state it; ${shown(value)} is the default of the code of ${modelType ?? "the model"}.`;
      report.note("implied", fields.pathOf(spelled), message);
    }
  }
  const half = spelling.halfKey === undefined ? undefined : fields.flag(spelling.halfKey);
  if (half?.value === true) record["partial_rotary_factor"] = 0.5;
  for (const [key, message] of Object.entries(spelling.unheld ?? {})) {
    const found = fields.first(key);
    if (typeof found?.value === "number" && found.value > 0) report.note("differs", found.path, message, "warning");
  }
  if (spelling.note !== undefined) report.note("differs", mark.path, spelling.note);
  if (spelling.ropeType !== undefined) record["rope_type"] = spelling.ropeType;
  return {
    record,
    path: fields.path,
    level: 0,
    spelled: { rope_type: spelling.mark, partial_rotary_factor: spelling.halfKey ?? "", ...spelling.keys },
  };
}
