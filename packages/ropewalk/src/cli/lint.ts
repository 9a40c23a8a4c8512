/**
 * `ropewalk lint`: which rope keys of a config each engine reads, ignores or reads otherwise, how the numbers differ,
 * and what to write instead.
 *
 * The data about keys comes from `@ropewalk/config`. The differences are computed: the file is read as each engine
 * reads
 * it, and the ropes are compared with those of transformers.
 */

import { dialects, keyFacts, ropesFromConfig } from "@ropewalk/config";
import type { DialectName, KeyFacts, KeyUse, ModelRopes } from "@ropewalk/config";
import { RopeError } from "@ropewalk/core";
import type { RotaryEmbedding } from "@ropewalk/core";
import { compareNumbers, matched, numberSentences } from "./diff.ts";
import { CliFailure } from "./failure.ts";
import { readJson } from "./files.ts";
import type { Palette } from "./plot.ts";
import { printable } from "./text.ts";

/** The engines that a file is checked for: those with a dialect, and the ONNX operator, which takes tables. */
export type LintEngine = DialectName | "onnx";

/** Options as the command line gives them. */
export interface LintOptions {
  readonly json?: boolean;
  readonly for?: string;
  readonly family?: string;
}

/** A rope key of the file. */
export interface LintKey {
  readonly path: string;
  readonly key: string;
  readonly value: unknown;
  readonly meaning: string;
  /** What each chosen engine does with it. The ONNX operator reads no keys. */
  readonly use: Partial<Readonly<Record<DialectName, KeyUse>>>;
  readonly instead: string | null;
}

/** A rope key with the steps of its path, because names may contain dots. */
interface Located extends LintKey {
  readonly steps: readonly string[];
}

/** Something to correct in the file. */
export interface Finding {
  /** `null`: the finding concerns every engine. */
  readonly engine: LintEngine | null;
  /**
   * `"invalid"`: the file contradicts itself or lacks a value; `"warning"`: engines read it, but perhaps not as its
   * author meant; `"unknown"`: no engine reads the key; `"refused"`: the engine refuses the file; `"differs"`: it
   * builds other ropes than transformers; `"unable"`: it cannot express them.
   */
  readonly kind: "invalid" | "warning" | "unknown" | "refused" | "differs" | "unable";
  /** The paths of the keys concerned. */
  readonly paths: readonly string[];
  readonly message: string;
  /** The effects on the numbers, one sentence each. */
  readonly effects: readonly string[];
  readonly instead: readonly string[];
}

export interface LintReport {
  readonly file: string;
  readonly engines: readonly { readonly engine: LintEngine; readonly title: string }[];
  readonly keys: readonly LintKey[];
  readonly findings: readonly Finding[];
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const engineNames: readonly LintEngine[] = [...(Object.keys(dialects) as DialectName[]), "onnx"];

function chosenEngines(text: string | undefined): readonly LintEngine[] {
  if (text === undefined) return engineNames;
  const names = text.split(",").map((name) => name.trim());
  for (const name of names) {
    if (!engineNames.includes(name as LintEngine)) {
      throw new CliFailure(
        "USAGE",
        `--for ${JSON.stringify(text)} names ${JSON.stringify(name)}; known are ${engineNames.join(", ")}.`,
      );
    }
  }
  return [...new Set(names)] as LintEngine[];
}

const titleOf = (engine: LintEngine): string =>
  engine === "onnx" ? "ONNX RotaryEmbedding" : `${dialects[engine].engine} ${dialects[engine].version}`;

/** @throws CliFailure, RopeError if the file is not a config. */
export function lint(file: string, options: LintOptions): LintReport {
  const engines = chosenEngines(options.for);
  const config = named(readJson(file), options.family);
  const base = attempt(() => ropesFromConfig(config));
  // The file is not an object or has no rope key: there is nothing to examine.
  if (RopeError.is(base) && base.issues.length === 0) throw base;

  const readings = new Map<LintEngine, ModelRopes | RopeError>();
  for (const engine of engines) {
    if (engine === "onnx") continue;
    readings.set(
      engine,
      attempt(() => ropesFromConfig(config, { dialect: engine })),
    );
  }
  const taken = new Set([...readings].filter(([, own]) => !RopeError.is(own)).map(([engine]) => engine));
  const found = dictionaries(config as Json, []);
  const keys = keysOf(found, engines, taken);
  const size = found.reduce((sum, { entries }) => sum + Object.keys(entries).length, 0);
  const findings: Finding[] = RopeError.is(base) ? invalid(base) : [...warnings(base), ...unknownKeys(base)];
  for (const engine of engines) {
    if (RopeError.is(base) || engine === "hf") continue;
    findings.push(
      ...(engine === "onnx"
        ? operatorFindings(base)
        : dialectFindings(engine, config as Json, base, readings.get(engine)!, { keys, size })),
    );
  }
  return {
    file,
    engines: engines.map((engine) => ({ engine, title: titleOf(engine) })),
    keys: keys.map(({ steps: _, ...key }) => key),
    findings,
  };
}

/** The config with the `model_type` that the caller names, in it and in its text model. */
function named(config: unknown, family: string | undefined): unknown {
  if (family === undefined || !isObject(config)) return config;
  const { text_config: text } = config;
  return { ...config, model_type: family, ...(isObject(text) ? { text_config: { ...text, model_type: family } } : {}) };
}

function attempt(task: () => ModelRopes): ModelRopes | RopeError {
  try {
    return task();
  } catch (error) {
    if (RopeError.is(error)) return error;
    throw error;
  }
}

type Dictionaries = readonly { readonly steps: readonly string[]; readonly entries: Json }[];

/** Where the causes of differences are searched: the rope keys of a file, and the number of all its keys. */
interface Searched {
  readonly keys: readonly Located[];
  readonly size: number;
}

/**
 * Dictionaries that may hold rope keys, with their paths: the file, nested models, rope dictionaries and those of layer
 * types.
 */
function dictionaries(entries: Json, steps: readonly string[]): Dictionaries {
  const inner = Object.entries(entries).flatMap(([key, item]) =>
    isObject(item) && steps.length < 4 && (steps.length > 0 || /rope|config$/.test(key))
      ? dictionaries(item, [...steps, key])
      : [],
  );
  return [{ steps, entries }, ...inner];
}

/**
 * Each rope key of the file, with what each engine does with it. The notes cover keys that the file's type does not
 * have.
 */
function keysOf(found: Dictionaries, engines: readonly LintEngine[], taken: ReadonlySet<LintEngine>): Located[] {
  const named = engines.filter((engine) => engine !== "onnx");
  const ofText = found.filter(({ steps }) => !steps.some((step) => /vision|audio/.test(step)));
  return ofText.flatMap(({ entries, steps: outer }) => {
    const path = outer.join(".");
    const type = entries["rope_type"] ?? entries["type"];
    return keyFacts.flatMap((facts): Located[] => {
      if (!Object.hasOwn(entries, facts.key) || !belongs(facts, path, type)) return [];
      // The engine refuses the key under a condition that does not hold here, because it accepts the file.
      const use = Object.fromEntries(
        named.map((engine) => [
          engine,
          facts.engines[engine].use === "refused" && taken.has(engine)
            ? { ...facts.engines[engine], use: "otherwise" as const }
            : facts.engines[engine],
        ]),
      );
      const steps = [...outer, facts.key];
      return [
        {
          steps,
          path: steps.join("."),
          key: facts.key,
          value: entries[facts.key],
          meaning: facts.meaning,
          use,
          instead: facts.instead ?? null,
        },
      ];
    });
  });
}

/** Whether the facts apply to a key at this path. `type` and `factor` are common words, so the place decides. */
function belongs({ besideDictionary, ropeTypes }: KeyFacts, path: string, type: unknown): boolean {
  const inRope = /(?:^|\.)rope_(?:scaling|parameters)(?:\.|$)/.test(path);
  if (!inRope) return besideDictionary === true;
  return (
    ropeTypes.length === 0 ||
    typeof type !== "string" ||
    ropeTypes.includes(type) ||
    (type === "su" && ropeTypes.includes("longrope"))
  );
}

/** The issues of the file when it is read as in transformers. */
function invalid(error: RopeError): Finding[] {
  return error.issues.map(({ expected, path, received, remedy }) => ({
    engine: null,
    kind: "invalid",
    paths: [path],
    message: `expected ${expected}, got ${received}`,
    effects: [],
    instead: remedy === undefined ? [] : [remedy],
  }));
}

/** What engines read, but perhaps not as the author of the file meant. */
const warnings = ({ notes }: ModelRopes): Finding[] =>
  notes
    .filter(({ kind, severity }) => kind === "differs" && severity === "warning")
    .map(({ message, path }) => ({ engine: null, kind: "warning", paths: [path], message, effects: [], instead: [] }));

/** Keys that look like rope keys and that no engine knows. */
function unknownKeys({ notes }: ModelRopes): Finding[] {
  const known = new Set(keyFacts.map(({ key }) => key));
  return notes
    .filter(({ kind, path }) => kind === "unused" && !known.has(path.split(".").at(-1)!))
    .map(({ message, path }) => ({ engine: null, kind: "unknown", paths: [path], message, effects: [], instead: [] }));
}

/** Differences of one engine that are listed. */
const mostEffects = 32;

/** How an engine's ropes differ from those of transformers, and the keys that cause it. */
function dialectFindings(
  engine: DialectName,
  config: Json,
  base: ModelRopes,
  own: ModelRopes | RopeError,
  searched: Searched,
): Finding[] {
  if (RopeError.is(own)) {
    return own.issues.length === 0
      ? [{ engine, kind: "refused", paths: [], message: own.message.replaceAll(/\s+/g, " "), effects: [], instead: [] }]
      : own.issues.map(({ expected, path, received, remedy }) => ({
          engine,
          kind: "refused",
          paths: [path],
          message: `expected ${expected}, got ${received}`,
          effects: [],
          instead: remedy === undefined ? [] : [remedy],
        }));
  }
  const all = differences(base, own);
  if (all.length === 0) return [];
  const more = all.length > mostEffects ? [`… (${all.length} differences)`] : [];
  const effects = [...all.slice(0, mostEffects), ...more];
  const guilty = causes(engine, config, base, own, searched);
  const known = new Set(base.notes.map(({ message }) => message));
  const message =
    guilty.length > 0
      ? guilty.map((key) => `${key.path} = ${shown(key.value)} is ${said(key, engine)}`).join("; ")
      : (own.notes.find((note) => note.kind === "differs" && !known.has(note.message))?.message ??
        "builds other ropes from the same keys");
  const instead = guilty.flatMap(({ instead: text, key }) => (text === null ? [] : [`instead of ${key}: ${text}`]));
  return [
    {
      engine,
      kind: "differs",
      paths: guilty.map(({ path }) => path),
      message,
      effects,
      instead: [...new Set([...instead, ...sameAmplitude(engine, config, own, guilty)])],
    },
  ];
}

/** The ropes of a file without one key, read as in transformers and as in a dialect. */
function without(
  config: Json,
  steps: readonly string[],
  dialect: DialectName,
): Readonly<Record<"hf" | "own", ModelRopes | RopeError>> {
  const { copy, holder, key } = copied(config, steps);
  delete holder[key];
  return { hf: attempt(() => ropesFromConfig(copy)), own: attempt(() => ropesFromConfig(copy, { dialect })) };
}

/** A copy of a config in which the object that holds a key may be changed. */
function copied(
  config: Json,
  steps: readonly string[],
): { readonly copy: Json; readonly holder: Record<string, unknown>; readonly key: string } {
  const copy: Record<string, unknown> = { ...config };
  let holder = copy;
  for (const step of steps.slice(0, -1)) {
    const inner = { ...(holder[step] as Json) };
    holder[step] = inner;
    holder = inner;
  }
  return { copy, holder, key: steps.at(-1)! };
}

const agree = (a: ModelRopes | RopeError, b: ModelRopes | RopeError): boolean =>
  !RopeError.is(a) && !RopeError.is(b) && differences(a, b).length === 0;

/**
 * The keys that cause a difference, found by trying. A key is the cause if both readings agree without it and only one
 * of them changes, or if both agree under the name that the engine reads. If several keys act together: those whose
 * removal changes one reading only; else those that the type requires and that the engine reads otherwise.
 */
function causes(
  dialect: DialectName,
  config: Json,
  base: ModelRopes,
  own: ModelRopes,
  { keys, size }: Searched,
): readonly Located[] {
  // Without its type the file changes for every engine.
  const candidates = keys.filter(({ key }) => key !== "type" && key !== "rope_type");
  // Each is tried in readings of the whole file. Configs have some 200 keys, 20 rope keys and 4 ropes; a file with many
  // more would take time by the square of its size.
  const isSmall = candidates.length * size <= 40_000 && candidates.length * own.byLayerType.size <= 500;
  if (!isSmall) return [];
  const tried = candidates.map((key) => {
    const changed = without(config, key.steps, dialect);
    const readable = !(RopeError.is(changed.hf) || RopeError.is(changed.own));
    const moves = readable && agree(base, changed.hf) !== agree(own, changed.own);
    const single = (moves && agree(changed.hf, changed.own)) || agree(base, renamed(config, key, dialect));
    const specific = keyFacts.some((facts) => facts.key === key.key && facts.ropeTypes.length > 0);
    const needed = specific && RopeError.is(changed.hf) && key.use[dialect]?.use !== "read";
    return { key, single, moves, needed };
  });
  const reason = (["single", "moves", "needed"] as const).find((name) => tried.some((one) => one[name]));
  return reason === undefined ? [] : tried.filter((one) => one[reason]).map(({ key }) => key);
}

/** The ropes of a file with a key renamed to the name in `instead`. */
function renamed(config: Json, { instead, steps, value }: Located, dialect: DialectName): ModelRopes | RopeError {
  const { copy, holder, key } = copied(config, steps);
  delete holder[key];
  if (instead !== null && !Object.hasOwn(holder, instead) && keyFacts.some((facts) => facts.key === instead)) {
    holder[instead] = value;
  }
  return attempt(() => ropesFromConfig(copy, { dialect }));
}

/** A stated amplitude with which more engines build the same ropes as this engine, found by trying. */
function sameAmplitude(engine: DialectName, config: Json, own: ModelRopes, guilty: readonly Located[]): string[] {
  const factor = guilty.find(({ key }) => key === "attn_factor" || key === "attention_factor");
  const [rope] = [...own.byLayerType.values()];
  if (factor === undefined || rope == null) return [];
  const { copy, holder } = copied(config, factor.steps);
  delete holder["attn_factor"];
  holder["attention_factor"] = rope.attentionFactor;
  const engines = (Object.keys(dialects) as DialectName[]).filter((name) =>
    agree(
      own,
      attempt(() => ropesFromConfig(copy, { dialect: name })),
    ),
  );
  return engines.length === 0
    ? []
    : [
        `attention_factor = ${rope.attentionFactor} without attn_factor gives the ropes of ${engine} in ${engines.join(", ")}`,
      ];
}

const words = { read: "read", ignored: "ignored", otherwise: "read otherwise", refused: "refused" } as const;

/** What an engine does with a key. If it simply reads the key, also what transformers does. */
function said({ key, use }: LintKey, engine: DialectName): string {
  const { note, use: own } = use[engine]!;
  const theirs = keyFacts.find((facts) => facts.key === key)!.engines.hf;
  const detail =
    own === "read"
      ? `, and ${words[theirs.use]} by transformers${theirs.note === undefined ? "" : ` (${theirs.note})`}`
      : note === undefined
        ? ""
        : ` (${note})`;
  return words[own] + detail;
}

const shown = (value: unknown): string =>
  Array.isArray(value) && value.length > 6 ? `a list of ${value.length}` : JSON.stringify(value);

/**
 * The differences of an engine's ropes, in sentences. If there are several layer types, each sentence names its type.
 */
function differences(base: ModelRopes, own: ModelRopes): string[] {
  const pairs = matched(base, own);
  return pairs.flatMap(([left, right]) => {
    const [a, b] = [base.byLayerType.get(left) ?? null, own.byLayerType.get(right) ?? null];
    const prefix = pairs.length > 1 && left !== null ? `${left}: ` : "";
    return (
      a === null || b === null
        ? a === b
          ? []
          : [a === null ? "a rope, where transformers has none" : "no rope"]
        : ropeDifferences(a, b)
    ).map((line) => prefix + line);
  });
}

function ropeDifferences(a: RotaryEmbedding, b: RotaryEmbedding): string[] {
  if (a === b) return [];
  const lines: string[] = [];
  for (const name of ["rotaryDim", "rotaryOffset"] as const) {
    if (a[name] !== b[name]) lines.push(`${name} ${a[name]} → ${b[name]}`);
  }
  if (JSON.stringify(a.pairing) !== JSON.stringify(b.pairing)) {
    lines.push(`elements pair ${JSON.stringify(b.pairing)} instead of ${JSON.stringify(a.pairing)}`);
  }
  if (lines.length > 0) return lines;
  const context = Math.min(a.positionLimit, b.positionLimit);
  const [left, right] = [Array.from(a.frequencies(context).axes), Array.from(b.frequencies(context).axes)];
  const moved = left.flatMap((axis, pair) => (axis === right[pair] ? [] : [pair]));
  if (moved.length > 0) {
    const still = Math.max(...right) > Math.max(...left);
    lines.push(
      `${moved.length} of ${left.length} pairs take their position from another axis, the first at pair ${moved[0]}: ${still ? "it is always 0, so these pairs are not rotated" : "images and videos get other angles, text does not"}`,
    );
  }
  if (JSON.stringify(a.spec.queryScale) !== JSON.stringify(b.spec.queryScale)) {
    lines.push("only one of the two scales queries by their position");
  }
  // Ropes of a type that depends on the length may be equal at one length and differ at another.
  const lengths = a.capabilities.dependsOnLength || b.capabilities.dependsOnLength ? [1, context] : [context];
  const told = lengths.map((length) => ({ length, sentences: numberSentences(compareNumbers(a, b, length)) }));
  const same = told.every(({ sentences }) => sentences.join() === told[0]!.sentences.join());
  for (const { length, sentences } of same ? told.slice(0, 1) : told) {
    lines.push(
      ...sentences.map((line) =>
        lengths.length > 1 && !line.startsWith("at position") ? `at a length of ${length}: ${line}` : line,
      ),
    );
  }
  if (lines.length === 0 && a.capabilities.dependsOnLength !== b.capabilities.dependsOnLength) {
    lines.push("whether frequencies follow the length");
  }
  return lines;
}

/** Properties of a rope that the operator cannot express with tables and attributes. */
function operatorFindings({ byLayerType }: ModelRopes): Finding[] {
  const ropes = [...new Set(byLayerType.values())].filter((rope) => rope !== null);
  const lacks: readonly [holds: (rope: RotaryEmbedding) => boolean, message: string, instead: string][] = [
    [
      ({ capabilities }) => capabilities.axisCount > 1,
      "has positions of one axis",
      "com.microsoft MRotaryEmbedding, or tables by token (a cache of three dimensions, without position_ids)",
    ],
    [
      ({ capabilities }) => capabilities.dependsOnLength,
      "has one table, while frequencies follow the length",
      "a table for each length at which they change, or a fixed length",
    ],
    [
      ({ rotaryOffset }) => rotaryOffset > 0,
      "rotates the first elements of a head",
      "a slice of the rotated elements before it, and a concatenation behind",
    ],
    [
      ({ pairing }) => typeof pairing !== "string",
      "pairs halves or neighbours only",
      "weights that permuteRows reordered",
    ],
    [
      ({ softmaxScaleFactor }) => softmaxScaleFactor !== 1,
      "does not know the softmax scale",
      "the attention operator's scale times softmaxScaleFactor",
    ],
    [({ spec }) => spec.queryScale !== null, "does not scale queries by their position", "a multiplication behind it"],
  ];
  return lacks.flatMap(([holds, message, instead]): Finding[] =>
    ropes.some(holds) ? [{ engine: "onnx", kind: "unable", paths: [], message, effects: [], instead: [instead] }] : [],
  );
}

const marks = { read: "✓", ignored: "–", otherwise: "~", refused: "✗" } as const;

const cell = (value: unknown): string => printable(shown(value));

/** The report as text. */
export function lintText(
  { engines, file, findings, keys }: LintReport,
  { bold, cyan, dim, green, red, yellow }: Palette,
): string {
  const named = engines.filter((one): one is { engine: DialectName; title: string } => one.engine !== "onnx");
  const width = Math.max(0, ...keys.map(({ path, value }) => path.length + cell(value).length + 3));
  const columns = named.map(({ engine }) => engine);
  const table = keys.map(({ path, use, value }) =>
    `  ${`${path} = ${cell(value)}`.padEnd(width)}  ${columns.map((engine) => marks[use[engine]!.use].padEnd(engine.length)).join("  ")}`.trimEnd(),
  );
  const sections =
    keys.length === 0 || columns.length === 0
      ? []
      : [
          [
            dim(`  ${" ".repeat(width)}  ${columns.join("  ")}`),
            ...table,
            dim(
              `  ${marks.read} read  ${marks.ignored} ignored  ${marks.otherwise} read otherwise  ${marks.refused} refused`,
            ),
          ].join("\n"),
        ];
  const about = (finding: Finding): string[] => [
    `  ${finding.kind === "invalid" || finding.kind === "refused" ? red("✗") : yellow("•")} ${finding.kind === "invalid" || finding.kind === "refused" || finding.kind === "warning" || finding.kind === "unknown" ? `${finding.paths.map((path) => `${bold(path)}: `).join("")}${finding.message}` : finding.message}`,
    ...finding.effects.map((effect) => `      ${effect}`),
    ...finding.instead.map((text) => `      ${green("→")} ${text}`),
  ];
  const ofFile = findings.filter(({ engine }) => engine === null);
  if (ofFile.length > 0) sections.push([bold("the file"), ...ofFile.flatMap(about)].join("\n"));
  const readable = !ofFile.some(({ kind }) => kind === "invalid");
  for (const { engine, title } of engines) {
    const own = findings.filter((finding) => finding.engine === engine);
    const clean =
      engine === "hf"
        ? "the others are compared with it"
        : engine === "onnx"
          ? "its tables can express these ropes"
          : "the same ropes as transformers";
    if (own.length > 0) sections.push([bold(title), ...own.flatMap(about)].join("\n"));
    else if (readable) sections.push(`${bold(title)}: ${green(clean)}`);
  }
  return `${bold(cyan(file))}\n\n${sections.join("\n\n")}\n`;
}
