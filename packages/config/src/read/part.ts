/** Reads the part of a model that the caller asked for: the text model or a tower. */

import { RopeError } from "@ropewalk/core";
import type { ModelFacts } from "../facts/fact.ts";
import { completedFamily } from "../facts/families.ts";
import { Fields } from "../locate/fields.ts";
import { findRopes } from "../locate/dictionaries.ts";
import { isText, own } from "../locate/found.ts";
import type { TextModel } from "../locate/located.ts";
import { locate, requireObject } from "../locate/text-model.ts";
import { towerInside, wholeTower } from "../locate/tower.ts";
import type { FoundTower } from "../locate/tower.ts";
import { dialectOf } from "../options.ts";
import type { ConfigOptions } from "../options.ts";
import { Report } from "../report.ts";
import { readDiffusers } from "./diffusers.ts";
import { readConfig } from "./hf.ts";
import { readAxial, readUnrotated } from "./tower.ts";

/**
 * The facts of each layer of the asked part.
 *
 * @param options checked already.
 * @throws RopeError `ROPE_CONFIG` with every contradiction, or with every missing value.
 */
export function readPart(config: unknown, options: ConfigOptions): ModelFacts {
  const { part = "text" } = options;
  const report = new Report();
  const record = requireObject(config);
  const className = own(record, "_class_name");
  if (isText(className) && own(record, "model_type") === undefined) {
    const fields = new Fields([{ record, path: "", level: 0 }], report);
    return readDiffusers(part, { dialect: dialectOf(options.dialect), fields, modelType: className, report });
  }
  const whole = wholeTower(record, report);
  const isPart = whole?.tower.part === part && !(whole.tower.kind === "axial" && whole.tower.isModel === true);
  const found = part === "text" || isPart ? whole : towerInside(record, part, report);
  report.throwIfBroken();
  return found === undefined ? readConfig(locate(config, options)) : readTower(found, options, report);
}

function readTower({ modelType, path, record, tower }: FoundTower, options: ConfigOptions, report: Report): ModelFacts {
  const dialect = dialectOf(options.dialect);
  const fields = new Fields([{ record, path, level: 0 }], report);
  switch (tower.kind) {
    case "axial":
      return readAxial(tower, { dialect, fields, modelType, report });
    case "none":
      return readUnrotated(tower.why, { dialect, fields, modelType, report });
    case "line": {
      const model: TextModel = {
        fields,
        around: new Fields([], report),
        modelType,
        family: completedFamily(modelType, tower.family),
        known: true,
      };
      return readConfig({ model, dialect, options, report, ...findRopes(model, undefined, report) });
    }
    case "refused":
      throw new RopeError("ROPE_CONFIG", {
        what: "no rope can be read from this config",
        issues: [
          {
            path: fields.pathOf("model_type"),
            expected: "a tower that a rope can rotate",
            received: `${modelType}: ${tower.why}`,
            remedy: tower.remedy,
          },
        ],
      });
  }
}
