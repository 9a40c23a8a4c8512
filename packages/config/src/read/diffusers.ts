/** The config.json of a transformer of diffusers → facts. Such a file has a `_class_name` and no `model_type`. */

import { show } from "@ropewalk/core/backend";
import type { Dialect } from "../facts/dialect.ts";
import { diffuserOf } from "../facts/diffusers.ts";
import type { AxesRope, Diffuser, Stated } from "../facts/diffusers.ts";
import { noRope } from "../facts/fact.ts";
import type { Fact, LayerFacts, ModelFacts, RopeFacts } from "../facts/fact.ts";
import type { AxisName } from "../facts/tower.ts";
import type { Fields } from "../locate/fields.ts";
import { isSize, shown } from "../locate/found.ts";
import type { TowerPart } from "../facts/tower.ts";
import type { Report } from "../report.ts";
import { largestHead } from "../limits.ts";
import { noteUnread } from "./tower.ts";

const source = "diffusers 0.42.1";

/** What reading such a file needs. */
interface Context {
  readonly fields: Fields;
  /** The `_class_name`. */
  readonly modelType: string;
  readonly dialect: Dialect;
  readonly report: Report;
}

/**
 * The facts of a diffusion transformer.
 *
 * @throws RopeError `ROPE_CONFIG` for a class that is not in the table, and with every contradiction.
 */
export function readDiffusers(part: "text" | TowerPart, context: Context): ModelFacts {
  const { dialect, fields, modelType, report } = context;
  const diffuser = diffuserOf(modelType);
  const hasAudio = diffuser?.kind === "wide" && diffuser.audio !== undefined;
  if (part === "audio" && !hasAudio) {
    report.issue(
      "part",
      '"vision", or nothing',
      show(part),
      "Of this class only the rope of images or videos is known.",
    );
  }
  const facts = diffuser === undefined ? refuseUnknown(context) : readRow(diffuser, part, context);
  const counts = ["num_layers", "num_single_layers"].flatMap((key) => fields.size(key)?.value ?? []);
  noteUnread(fields, context);
  report.throwIfBroken();
  return {
    modelType,
    dialect: { value: dialect.name, rule: "diffusers has one reading, in every dialect" },
    byLabel: new Map([[null, facts]]),
    layerCount: counts.length === 0 ? null : counts.reduce((sum, count) => sum + count, 0),
    labelOf: () => null,
    notes: report.notes,
  };
}

function refuseUnknown({ modelType, report }: Context): LayerFacts {
  const remedy = modelType.endsWith("Pipeline")
    ? "This is the index of a pipeline: pass transformer/config.json."
    : "If you know its axes, make the rope with getRope: most classes are of the type nd, with the pairs of each axis as sections.";
  report.issue("_class_name", "a class of diffusers that is known", show(modelType), remedy);
  return noRope("unknown");
}

function readRow(diffuser: Diffuser, part: "text" | TowerPart, context: Context): LayerFacts {
  const { modelType, report } = context;
  switch (diffuser.kind) {
    case "none":
      return unrotated(diffuser.why, context);
    case "refused":
      report.issue("_class_name", "a class that a rope can rotate", `${modelType}: ${diffuser.why}`, diffuser.remedy);
      return noRope(diffuser.why);
    case "axes": {
      if (diffuser.ifSet === undefined || context.fields.flag(diffuser.ifSet)?.value === true) {
        return readAxesRope(diffuser, context);
      }
      return unrotated(`it rotates only if ${diffuser.ifSet} is true`, context);
    }
    case "wide":
      return readWide(diffuser, part === "audio" ? diffuser.audio : undefined, context);
    case "cyclic":
      return readCyclic(diffuser, context);
  }
}

function unrotated(why: string, { modelType, report }: Context): LayerFacts {
  report.note("implied", "_class_name", `No layer of ${modelType} has a rope: ${why}.`);
  return noRope(why);
}

/** A number of the file, or of the class with a note. */
function numberOf({ key, standard }: Stated, { fields, modelType, report }: Context): Fact<number> {
  const found = fields.number(key);
  if (found !== undefined && found.value > 0) return { value: found.value, rule: found.path };
  if (found !== undefined) report.issue(found.path, "a number > 0", shown(found.value));
  else report.note("implied", key, `The file does not state it; ${standard} is the default of ${modelType}.`);
  return { value: standard, rule: `${key} is not in the file; the default of ${modelType}`, source };
}

/** A list of numbers > 0 with one for each axis. */
function listOf(
  key: string,
  standard: readonly number[],
  { fields, modelType, report }: Context,
): Fact<readonly number[]> {
  const found = fields.list(key);
  if (found === undefined) {
    report.note("implied", key, `The file does not state it; [${standard.join(", ")}] is the default of ${modelType}.`);
    return { value: standard, rule: `${key} is not in the file; the default of ${modelType}`, source };
  }
  const numbers = found.value.filter((n): n is number => typeof n === "number" && n > 0 && n <= largestHead);
  if (numbers.length === standard.length && found.value.length === numbers.length) {
    return { value: numbers, rule: found.path };
  }
  report.issue(found.path, `${standard.length} numbers > 0, one for each axis`, shown(found.value));
  return { value: standard, rule: found.path };
}

function headOf(stated: Stated, context: Context): Fact<number> {
  const found = numberOf(stated, context);
  if (isSize(found.value) && found.value % 2 === 0 && found.value <= largestHead) return found;
  context.report.issue(stated.key, `an even integer ≤ ${largestHead}`, `${found.value}`);
  return { value: stated.standard, rule: found.rule };
}

function readAxesRope(row: AxesRope, context: Context): RopeFacts {
  const { report } = context;
  const { axes, base = 10_000, bases, dims, fractionalPositions, pairing = "adjacent", remark } = row;
  const ofClass = classFact(context);
  let headDim: Fact<number>;
  let elements: Fact<readonly number[]>;
  if ("head" in dims) {
    headDim = headOf(dims.head, context);
    const value = dims.of(headDim.value, (stated) => numberOf(stated, context).value);
    elements = { value, rule: `the division of ${context.modelType}: ${value.join(" + ")}`, source };
  } else {
    elements = listOf(dims.key, dims.standard, context);
    headDim = { value: total(elements.value), rule: `${elements.rule}: ${elements.value.join(" + ")}` };
    checkHead(headDim, context);
  }
  if (!elements.value.every((n) => Number.isInteger(n) && n % 2 === 0) || total(elements.value) > headDim.value) {
    report.issue(
      "head" in dims ? dims.head.key : dims.key,
      `even integers for each of ${axes.join(", ")} that add up to at most ${headDim.value}`,
      elements.value.join(" + "),
    );
  }
  const sections = { ...elements, value: elements.value.map((n) => n / 2) };
  return {
    ...common(axes, remark, context),
    ropeType: ofClass("nd"),
    headDim,
    rotaryDim: { value: total(elements.value), rule: elements.rule },
    base: typeof base === "number" ? ofClass(base) : numberOf(base, context),
    pairing: ofClass(pairing),
    ...(fractionalPositions === undefined ? {} : { fractionalPositions: ofClass(fractionalPositions) }),
    parameters: {
      sections,
      ...(bases === undefined
        ? {}
        : { bases: ofClass(bases(elements.value, (key, standard) => listOf(key, standard, context).value)) }),
    },
  };
}

/** A stated head dimension has to be the sum of the axes. */
function checkHead(headDim: Fact<number>, { fields, report }: Context): void {
  const stated = fields.size("attention_head_dim");
  if (stated !== undefined && stated.value !== headDim.value) {
    report.issue(stated.path, `${headDim.value}, as ${headDim.rule} says`, `${stated.value}`);
  }
}

/**
 * The rope of LTX on a head of all heads' width W. Of F = ⌊W / 2n⌋ pairs of each of n axes, pair k turns by
 * `theta^(k / (F − 1)) · π/2`, rising; the pairs that are left over stand in front and do not turn.
 */
function readWide(row: Extract<Diffuser, { kind: "wide" }>, audio: typeof row.audio, context: Context): RopeFacts {
  const { fields, modelType, report } = context;
  const ofClass = classFact(context);
  const { heads: headCount, head: headSize } = audio ?? row;
  const heads = numberOf(headCount, context);
  const head = headOf(headSize, context);
  const width = heads.value * head.value;
  const axes: readonly AxisName[] = audio === undefined ? ["time", "height", "width"] : ["time"];
  const pairs = Math.floor(width / (2 * axes.length));
  if (!isSize(width) || width > largestHead || pairs < 2) {
    report.issue(headCount.key, `a width of at most ${largestHead}, with at least 2 pairs for each axis`, `${width}`);
  }
  const theta = numberOf({ key: "rope_theta", standard: 10_000 }, context);
  const kind = fields.first("rope_type")?.value ?? "interleaved";
  if (kind !== "interleaved" && kind !== "split") report.issue("rope_type", '"interleaved" or "split"', shown(kind));
  return {
    ...common(axes, row.remark, context),
    ropeType: ofClass("nd"),
    headDim: { value: width, rule: `all heads together: ${heads.value} · ${head.value}`, source },
    rotaryDim: { value: width, rule: "all heads together" },
    base: {
      value: theta.value ** (-pairs / (pairs - 1)),
      rule: `${modelType} turns pair k by ${theta.value}^(k / ${pairs - 1}) · π/2, which is a base of ${theta.value}^(−${pairs} / ${pairs - 1})`,
      source,
    },
    pairing: ofClass(kind === "split" ? { blocks: heads.value } : "adjacent"),
    fractionalPositions: ofClass(true),
    parameters: {
      axisCount: ofClass(axes.length),
      order: ofClass("alternating"),
      padFront: ofClass(width / 2 - axes.length * pairs),
      angleScale: ofClass(Math.PI / 2),
    },
  };
}

/** Pair `i` has axis `i mod 3` while `i < 3 · sections[axis]`, else the first axis. */
function readCyclic(row: Extract<Diffuser, { kind: "cyclic" }>, context: Context): RopeFacts {
  const ofClass = classFact(context);
  const headDim = headOf(row.head, context);
  const { rule, value: sections } = listOf(row.sections.key, row.sections.standard, context);
  const pairs = headDim.value / 2;
  if (!sections.every(isSize) || total(sections) > pairs) {
    const expected = `integers that add up to at most ${pairs}, the pairs of a head`;
    context.report.issue(row.sections.key, expected, sections.join(" + "));
  }
  const axes = Array.from({ length: pairs }, (_, i) => (i < 3 * sections[i % 3]! ? i % 3 : 0));
  return {
    ...common(["time", "height", "width"], row.remark, context),
    ropeType: ofClass("default"),
    headDim,
    rotaryDim: { value: headDim.value, rule: "all of the head" },
    base: numberOf(row.base, context),
    pairing: ofClass("half"),
    axes: { value: Object.freeze(axes), rule: `${rule}: [${sections.join(", ")}], cyclic` },
    parameters: {},
  };
}

/** The facts that all ropes of diffusers have. */
function common(
  axes: readonly AxisName[],
  remark: string,
  context: Context,
): Pick<RopeFacts, "maxPosition" | "positions"> {
  const { fields, report } = context;
  report.note("implied", "_class_name", remark);
  const rows = fields.size("rope_max_seq_len");
  return {
    maxPosition: rows === undefined ? { value: null, rule: "not in the file" } : { value: rows.value, rule: rows.path },
    positions: classFact(context)(
      Object.freeze({ axes: Object.freeze([...axes]), counting: "by the pipeline" } as const),
    ),
  };
}

const classFact =
  ({ modelType }: Context) =>
  <T>(value: T): Fact<T> => ({ value, rule: `the class ${modelType}`, source });

const total = (numbers: readonly number[]): number => numbers.reduce((sum, n) => sum + n, 0);
