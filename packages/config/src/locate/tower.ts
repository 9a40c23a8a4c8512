/** Finds the config of a tower: the whole file, or a part of a model's config. */

import { show } from "@ropewalk/core/backend";
import { familyOf } from "../facts/families.ts";
import type { Family } from "../facts/family.ts";
import type { Tower, TowerPart } from "../facts/tower.ts";
import { asInModel, towerNameOf, towerOf } from "../facts/towers.ts";
import type { Report } from "../report.ts";
import { isObject, isText, join, own, shown } from "./found.ts";
import type { JsonObject } from "./found.ts";

/** A tower's config and what is known about its class. */
export interface FoundTower {
  readonly record: JsonObject;
  /** The place of the config in the file; `""` for the whole file. */
  readonly path: string;
  readonly modelType: string;
  readonly tower: Exclude<Tower, { readonly kind: "around" }>;
}

/** A config that may be that of a tower around the one that is meant. */
type Candidate = Omit<FoundTower, "tower"> & { readonly tower: Tower };

/** The keys of a tower's config in a model's config, in the order of the search. */
const partKeys: Readonly<Record<TowerPart, readonly string[]>> = {
  vision: ["vision_config", "video_config", "visual", "vit_config", "image_config", "encoder_config", "encoder"],
  audio: [
    "audio_config",
    "audio_video_config",
    "audio_encoder_config",
    "audio_encoder",
    "speech_config",
    "encoder_config",
    "encoder",
  ],
};
/** The keys of models that have a tower inside. */
const modelKeys = ["thinker_config", "vlm_config", "detector_config", "audio_video_config", "encoder"];

/**
 * The tower that a whole file describes; `undefined` if it is the config of another model.
 *
 * @param config an object.
 */
export function wholeTower(config: JsonObject, report: Report): FoundTower | undefined {
  const modelType = own(config, "model_type");
  const tower = isText(modelType) ? towerOf(modelType) : undefined;
  return tower && inside({ record: config, path: "", modelType: modelType as string, tower }, report);
}

/**
 * The tower of a model; `undefined` if the file has none that can be read, with an issue in the report.
 *
 * @param config an object.
 */
export function towerInside(config: JsonObject, part: TowerPart, report: Report): FoundTower | undefined {
  const model = own(config, "model_type");
  const named = part === "audio" ? "an audio" : "a vision";
  for (const { key, outer, path, record } of places(config, "", isText(model) ? model : "", part)) {
    const stated = own(record, "model_type");
    const ofTower = isText(stated) ? stated : undefined;
    const byModel = ofTower === undefined || ofTower === outer ? towerNameOf(outer, part) : undefined;
    const modelType = byModel ?? ofTower;
    const known = modelType === undefined ? undefined : towerOf(modelType);
    // The encoder of a text model is no tower.
    if (key.startsWith("encoder") && known?.part !== part) continue;
    const tower = known ?? (modelType === undefined ? undefined : asLine(modelType, part));
    if (modelType !== undefined && tower !== undefined) {
      return inside({ record, path, modelType, tower: asInModel(tower, outer) }, report);
    }
    report.issue(
      join(path, "model_type"),
      `the model_type of ${named} tower that is known`,
      shown(stated),
      "This tower is not in the table. If you know its rope, make it with getRope; most towers of several axes are of the type nd.",
    );
    return undefined;
  }
  report.issue(
    partKeys[part][0]!,
    `the config of ${named} tower`,
    "nothing",
    `This model has no such tower, or the tower's config is another file: pass that.`,
  );
  return undefined;
}

interface Place {
  readonly key: string;
  readonly record: JsonObject;
  readonly path: string;
  /** The `model_type` of the model around it. */
  readonly outer: string;
}

/** The places where a tower's config can stand, outermost first. */
function places(record: JsonObject, path: string, outer: string, part: TowerPart): Place[] {
  const objects = (keys: readonly string[]): Place[] =>
    keys.flatMap((key) => {
      const inner = own(record, key);
      return isObject(inner) ? [{ key, record: inner, path: join(path, key), outer }] : [];
    });
  // Four levels are more than any model has, and end the search in objects that contain themselves.
  const models = path.split(".").length > 4 ? [] : objects(modelKeys);
  return [
    ...objects(partKeys[part]),
    ...models.flatMap((inner) => {
      const modelType = own(inner.record, "model_type");
      return places(inner.record, inner.path, isText(modelType) ? modelType : outer, part);
    }),
  ];
}

/** A model of one axis that serves as a tower. */
function asLine(modelType: string, part: TowerPart): Tower | undefined {
  const family: Family | undefined = familyOf(modelType);
  if (family === undefined) return undefined;
  return family.noRope === undefined ? { kind: "line", part, family } : { kind: "none", part, why: family.noRope };
}

/** The tower itself, where its config stands inside another one. */
function inside({ modelType, path, record, tower }: Candidate, report: Report): FoundTower | undefined {
  if (tower.kind !== "around") return { modelType, path, record, tower };
  const inner = own(record, tower.key);
  const stated = isObject(inner) ? own(inner, "model_type") : undefined;
  const innerTower = isText(stated) ? towerOf(stated) : undefined;
  if (isObject(inner) && innerTower !== undefined && innerTower.kind !== "around") {
    return { record: inner, path: join(path, tower.key), modelType: stated as string, tower: innerTower };
  }
  const expected = `the config of a tower that is known, inside that of ${show(modelType)}`;
  report.issue(join(path, tower.key), expected, isObject(inner) ? shown(stated) : shown(inner));
  return undefined;
}
