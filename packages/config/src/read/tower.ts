/** The config of a tower → facts: sizes from the file, everything else from the tower's class. */

import type { Dialect } from "../facts/dialect.ts";
import { noRope } from "../facts/fact.ts";
import type { Fact, LayerFacts, ModelFacts, RopeFacts } from "../facts/fact.ts";
import { ropeKey } from "../facts/keys.ts";
import type { AxialTower, TowerPositions, TowerRope } from "../facts/tower.ts";
import { Fields } from "../locate/fields.ts";
import { agree, isNumber, isObject, shown } from "../locate/found.ts";
import type { Found } from "../locate/found.ts";
import type { Report } from "../report.ts";
import { largestHead, mostLayers } from "../limits.ts";
import { noteCheckpoint } from "./hf.ts";

/** What reading a tower needs. */
export interface TowerContext {
  readonly fields: Fields;
  readonly modelType: string;
  readonly dialect: Dialect;
  readonly report: Report;
}

const source = "Hugging Face transformers 5.24";

/** The facts of a tower that has no rope: a note says why. */
export function readUnrotated(why: string, context: TowerContext): ModelFacts {
  const { fields, modelType, report } = context;
  report.note("implied", fields.pathOf("model_type"), `No layer of ${modelType} has a rope: ${why}.`);
  const count = fields.size("num_hidden_layers", "depth", "encoder_layers", "num_layers", "n_layers")?.value ?? null;
  return factsOf(new Map([[null, noRope(why)]]), count, () => null, context);
}

/**
 * The facts of a tower whose rope has several axes.
 *
 * @throws RopeError `ROPE_CONFIG` with every contradiction.
 */
export function readAxial(tower: AxialTower, context: TowerContext): ModelFacts {
  const { fields, report } = context;
  const { layers: layerTypes, remark, sizes } = tower;
  const [widthKeys, headKeys, layerKeys] = tower.keys ?? defaultKeys;
  const size = (keys: readonly string[], index: number): Fact<number> => {
    const found = fields.size(...keys);
    return found === undefined
      ? classDefault(keys[0]!, sizes[index]!, context)
      : { value: found.value, rule: found.path };
  };
  const count = size(layerKeys!, 2);
  if (count.value > mostLayers) report.issue(count.rule, `at most ${mostLayers} layers`, `${count.value}`);
  const headDim = readHeadDim(tower, size(widthKeys!, 0), () => size(headKeys!, 1), context);
  const dictionary = readDictionary(context);
  const base = readBase(tower, dictionary, context);
  const facts = (rope: TowerRope): RopeFacts => ropeFacts({ ...tower, ...rope }, headDim, base, context);
  const byLabel = new Map<string | null, LayerFacts>();
  for (const [label, rope] of layerTypes === undefined ? [[null, {}] as const] : Object.entries(layerTypes.ropes)) {
    byLabel.set(label, rope === null ? noRope(`layers of the type ${label} have no attention`) : facts(rope));
  }
  const labels = Array.from(
    { length: Math.min(count.value, mostLayers) },
    (_, layer) => layerTypes?.typeOf(layer, fields) ?? null,
  );
  const lost = labels.findIndex((label) => !byLabel.has(label));
  if (lost >= 0) {
    report.issue(
      `${fields.pathOf("layer_types")}[${lost}]`,
      `one of ${[...byLabel.keys()].join(", ")}`,
      shown(labels[lost]),
    );
  }
  if (remark !== undefined) report.note("implied", fields.pathOf("model_type"), remark);
  noteUnread(fields, context, dictionary);
  report.throwIfBroken();
  return factsOf(byLabel, count.value, (layer) => labels[layer], context);
}

const defaultKeys = [
  ["hidden_size", "embed_dim"],
  ["num_attention_heads", "num_heads"],
  ["num_hidden_layers", "depth"],
];

/** A number that the file leaves to the configuration class. */
function classDefault(key: string, value: number, { fields, modelType, report }: TowerContext): Fact<number> {
  const rule = `${value} is the default of the configuration class of ${modelType}`;
  report.note("implied", fields.pathOf(key), `The file does not state it; ${rule}.`);
  return { value, rule: `${key} is not in the file; ${rule}`, source };
}

function readHeadDim(
  tower: AxialTower,
  width: Fact<number>,
  headCount: () => Fact<number>,
  context: TowerContext,
): Fact<number> {
  const { fields, report } = context;
  const rate = fields.size("memory_attention_downsample_rate");
  const stated = tower.wide === true ? undefined : fields.size("head_dim");
  let headDim: Fact<number>;
  if (tower.wide === true) headDim = { value: width.value, rule: `${width.rule}: one head of the whole width` };
  else if (stated !== undefined) headDim = { value: stated.value, rule: stated.path };
  else if (tower.headDim !== undefined) headDim = classDefault("head_dim", tower.headDim, context);
  else {
    const heads = headCount().value * (rate?.value ?? 1);
    const value = width.value / heads;
    headDim = { value, rule: `width / heads = ${width.value} / ${heads} = ${value}` };
  }
  const rotated = tower.rotated?.(headDim.value) ?? headDim.value;
  const pairs = 2 * (tower.axes?.length ?? 2);
  if (!Number.isInteger(headDim.value) || headDim.value > largestHead || rotated === 0 || rotated % pairs !== 0) {
    const expected = `an integer ≤ ${largestHead} with as many pairs for each axis: a multiple of ${pairs}`;
    report.issue(fields.pathOf("head_dim"), expected, `${headDim.value} (${headDim.rule})`);
  }
  return headDim;
}

/** `rope_parameters` (transformers 5) or `rope_scaling` (4). Its type can only be the class's own. */
function readDictionary({ fields, modelType, report }: TowerContext): Fields {
  const places = fields.all("rope_parameters", "rope_scaling");
  const dictionaries = places.flatMap(({ path, value }) => {
    if (isObject(value)) return [{ record: value, path, level: 0 }];
    report.issue(path, "an object or null", shown(value));
    return [];
  });
  const dictionary = new Fields(dictionaries, report);
  for (const { path, value } of dictionary.all("rope_type", "type")) {
    // Files of transformers 4 say "default" where 5 says "axial".
    if (value === "axial" || value === "default") continue;
    report.issue(path, `"axial" or "default": the class of ${modelType} has no other`, shown(value));
  }
  return dictionary;
}

function readBase(tower: AxialTower, dictionary: Fields, context: TowerContext): Fact<number> {
  const { fields, report } = context;
  const places = [...dictionary.all("rope_theta"), ...fields.all("rope_theta")];
  const found = agree(places, report);
  if (found === undefined) return classDefault("rope_theta", tower.base ?? 10_000, context);
  if (isNumber(found.value) && found.value > 0) return { value: found.value, rule: found.path };
  report.issue(found.path, "a number > 0", shown(found.value));
  return { value: 10_000, rule: "not a number" };
}

function ropeFacts(rope: TowerRope, headDim: Fact<number>, base: Fact<number>, context: TowerContext): RopeFacts {
  const { checkpointPairing, fractionalPositions, pairing = "half", rotated } = rope;
  const { axes = ["height", "width"], counting = "from 0" } = rope;
  const rule = `the class of ${context.modelType}`;
  const ofClass = <T>(value: T): Fact<T> => ({ value, rule, source });
  const positions: TowerPositions = Object.freeze({ axes: Object.freeze([...axes]), counting });
  const { parameters = { axisCount: axes.length } } = rope;
  noteCheckpoint(checkpointPairing, context.fields, context.report);
  return {
    ropeType: ofClass("nd"),
    headDim,
    rotaryDim:
      rotated === undefined ? { value: headDim.value, rule: "all of the head" } : ofClass(rotated(headDim.value)),
    base,
    maxPosition: { value: null, rule: "a tower promises no length" },
    pairing: ofClass(pairing),
    ...(fractionalPositions === undefined ? {} : { fractionalPositions: ofClass(fractionalPositions) }),
    positions: ofClass(positions),
    ...(checkpointPairing === undefined ? {} : { checkpointPairing: ofClass(checkpointPairing) }),
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, ofClass(value)])),
  };
}

/** Notes every key that looks like a rope key and was never read. */
export function noteUnread(
  fields: Fields,
  { modelType, report }: Pick<TowerContext, "modelType" | "report">,
  dictionary?: Fields,
): void {
  const unread: Found[] = fields.unread().filter(({ key }) => ropeKey.test(key));
  for (const { key, path, value } of [...(dictionary?.unread() ?? []), ...unread]) {
    report.note("unused", path, `The class of ${modelType} does not read ${key} = ${shown(value)}.`);
  }
}

function factsOf(
  byLabel: ReadonlyMap<string | null, LayerFacts>,
  layerCount: number | null,
  labelOf: ModelFacts["labelOf"],
  { dialect, modelType, report }: TowerContext,
): ModelFacts {
  const rule = "towers are read as transformers reads them, in every dialect";
  return { modelType, dialect: { value: dialect.name, rule }, byLabel, layerCount, labelOf, notes: report.notes };
}
