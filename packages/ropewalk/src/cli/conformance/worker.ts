/**
 * Runs the suite on a package in a thread of its own. The thread has an empty registry, while the command has
 * registered every type of ropewalk; and a module that exits there does not end the command.
 */

import { setImmediate } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { casesFor, runConformance } from "@ropewalk/conformance";
import type { BackendUnderTest, ConformanceCase, ConformanceOptions } from "@ropewalk/conformance";
import { RopeError, SPECIFICATION_VERSION, defaultRegistry, getRopeUntyped } from "@ropewalk/core";
import type { RopeProvider } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";
import type { ReportedBackend, ReportedLaw, ReportedType } from "./report.ts";

/** A case of the author, with its type if the package has several. */
export interface GivenCase extends ConformanceCase {
  readonly ropeType?: string;
}

/** What a file of cases holds. */
export interface CasesFile {
  readonly cases?: readonly GivenCase[];
  readonly backend?: BackendUnderTest;
}

/** The order to the thread. */
export interface WorkerOrder {
  /** URL of the module to import. */
  readonly module: string;
  /** `"list"`: say what the import registers. `"run"`: run the suite on it. */
  readonly task: "list" | "run";
  /** Names of packages whose types are not the subject: dependencies of the package. */
  readonly others: readonly string[];
  readonly seed: number;
  /** Content of a JSON file of cases, or the URL of a module that exports it as default. */
  readonly cases: { readonly content: unknown } | { readonly url: string } | null;
}

/** What the thread says. After `refused`, `registered` and `result` comes nothing more. */
export type WorkerAnswer =
  /** What begins now; it may never end. */
  | { readonly kind: "step"; readonly step: string }
  | { readonly kind: "registered"; readonly names: readonly string[] }
  | {
      readonly kind: "result";
      readonly types: readonly ReportedType[];
      readonly backends: readonly ReportedBackend[];
      readonly laws: readonly ReportedLaw[];
      readonly specificationVersion: number;
    }
  /** The input is wrong; `message` is a sentence. */
  | { readonly kind: "refused"; readonly code: "USAGE" | "FILE_FORMAT" | "FILE_UNREADABLE"; readonly message: string };

class Refusal extends Error {
  readonly code: "USAGE" | "FILE_FORMAT" | "FILE_UNREADABLE";
  constructor(code: Refusal["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** The type that backends rotate: plain frequencies, with an amplitude that a backend may forget. */
const plain: RopeProvider = {
  specificationVersion: SPECIFICATION_VERSION,
  source: "ropewalk-conformance@1.0.0",
  parameters: { amplitude: { type: "number", above: 0, default: 1.125, description: "of cos and sin; arbitrary" } },
  frequencies: ({ base, rotaryDim, array }, { amplitude }: { amplitude: number }) => ({
    invFreq: inverseFrequencies(base, rotaryDim, array),
    attentionFactor: amplitude,
    rules: [{ name: "attentionFactor", value: amplitude, rule: "given as amplitude" }],
  }),
};

/** Head sizes on both sides of common vector widths. */
const headSizes: readonly ConformanceCase[] = [2, 6, 64, 80, 128, 192, 256].map((headDim) => ({
  name: `heads of ${headDim}`,
  request: { headDim },
}));

/** The names of registered backends. A registry lists them only in the error for a name that it does not have. */
function backendNames(): readonly string[] {
  try {
    defaultRegistry.requireBackend("");
  } catch (error) {
    if (RopeError.is(error)) return error.facts["registered"] as readonly string[];
  }
  return [];
}

/** Says what begins now, so that the other side knows what never ended. */
function begin(step: string): void {
  say({ kind: "step", step });
}

function say(answer: WorkerAnswer): void {
  parentPort?.postMessage(answer, []);
}

/** Core gives each issue a line of its own. */
const inOneLine = ({ message }: RopeError): string => message.replaceAll("\n  - ", " ");

const packageOf = (source: string): string => source.slice(0, Math.max(0, source.lastIndexOf("@")));

async function perform({ module, task, others, seed, cases }: WorkerOrder): Promise<WorkerAnswer> {
  begin("the import");
  await load("the module", module, "FILE_UNREADABLE");
  const isOwn = ({ source }: { readonly source: string }): boolean => !others.includes(packageOf(source));
  const registrations = defaultRegistry.list();
  const backends = backendNames().map((name) => defaultRegistry.requireBackend(name));
  if (task === "list") {
    return { kind: "registered", names: [...registrations, ...backends].map(({ name }) => name) };
  }
  const types = registrations.filter(({ name, ropeType, provider }) => name === ropeType && isOwn(provider));
  const own = backends.filter(isOwn);
  if (types.length === 0 && own.length === 0) {
    const remedy = "Its import has to call registerRopeType or registerBackend of @ropewalk/core";
    throw new Refusal("USAGE", `the module registers no rope type and no backend of its own. ${remedy}.`);
  }

  const names = (of: readonly { readonly name: string }[]): string[] => of.map(({ name }) => name);
  const file = await readCases(cases, names(types), names(own));
  const laws: ReportedLaw[] = [];
  const run = async (subject: string, options: ConformanceOptions): Promise<void> => {
    const results = await runConformance(options, ({ law, case: of }) =>
      begin(`the law "${law}" of ${subject}${of === null ? "" : `, case ${JSON.stringify(of)},`}`),
    );
    for (const result of results) laws.push({ subject, ...result });
  };
  const reportedTypes: ReportedType[] = [];
  for (const { name, provider } of types) {
    const given = (file.cases ?? [])
      .filter(({ ropeType = types[0]!.name }) => ropeType === name)
      .map(({ ropeType: _, ...item }) => item);
    begin(`the first rope of ${name}`);
    const used = given.length > 0 ? given : casesFor({ ropeType: name });
    const capabilities = capabilitiesOf(name, used);
    await run(name, { ropeType: name, cases: used, seed });
    reportedTypes.push({
      name,
      aliases: registrations.filter((item) => item.ropeType === name && item.name !== name).map((item) => item.name),
      source: provider.source,
      capabilities,
      parameters: Object.keys(provider.parameters as object),
      cases: given.length > 0 ? "given" : "made from the schema",
    });
  }
  const reportedBackends: ReportedBackend[] = [];
  for (const { name, source } of own) {
    const backend: BackendUnderTest = file.backend?.name === name ? file.backend : { name };
    const only = ["rotation", "memory", "backend"] as const;
    // Of a package without types, the author's cases are for the type of the suite.
    const used = types.length === 0 ? (file.cases ?? headSizes) : headSizes;
    begin(`the first rope on ${name}`);
    await requireRope(backend);
    await run(name, { provider: plain, cases: used, backend, only, seed });
    reportedBackends.push({ name, source, bitExact: backend.bitExact ?? true });
  }
  return {
    kind: "result",
    types: reportedTypes,
    backends: reportedBackends,
    laws,
    specificationVersion: SPECIFICATION_VERSION,
  };
}

/** The methods of a rope that the laws use. */
const methods = ["frequencies", "cosSin", "at", "apply", "invert", "adjoint", "shift"] as const;

/** A backend that cannot make a rope here would fail every law for one reason, which is no law's. */
async function requireRope({ name, options, adapt }: BackendUnderTest): Promise<void> {
  const remedy =
    "Put conformance.mjs beside package.json, with the default export { backend: { name, options, adapt } }: options are passed to rope.to (a device, for example), adapt makes the methods of a rope of what comes back";
  const rope = getRopeUntyped({ headDim: 64, parameters: { ropeType: "plain" } }, { provider: plain });
  let made: unknown;
  try {
    made = await rope.to(name, options);
  } catch (error) {
    if (!RopeError.is(error)) throw error;
    throw new Refusal(
      "USAGE",
      `the backend ${JSON.stringify(name)} makes no rope here: ${inOneLine(error)} ${remedy}.`,
    );
  }
  if (adapt !== undefined) made = await adapt(made, rope);
  const held = Object(made) as Readonly<Record<string, unknown>>;
  const missing = methods.filter((method) => typeof held[method] !== "function");
  if (missing.length === 0) return;
  const what = `the suite cannot test the backend ${JSON.stringify(name)} as it is`;
  const source = adapt === undefined ? "rope.to" : "adapt";
  throw new Refusal("USAGE", `${what}: what ${source} returns has no ${missing.join(", ")}. ${remedy}.`);
}

/** Of the first case that makes a rope; a case that the type refuses fails its laws. */
function capabilitiesOf(ropeType: string, cases: readonly ConformanceCase[]): ReportedType["capabilities"] {
  let reason = "";
  for (const { request } of cases) {
    try {
      return getRopeUntyped({ ...request, parameters: { ...request.parameters, ropeType } }).capabilities;
    } catch (error) {
      if (!RopeError.is(error)) throw error;
      reason ||= inOneLine(error);
    }
  }
  throw new Refusal("FILE_FORMAT", `the type ${JSON.stringify(ropeType)} refuses every case. The first: ${reason}`);
}

async function load(what: string, url: string, code: Refusal["code"]): Promise<unknown> {
  try {
    const loaded = (await import(url)) as unknown;
    // Gives a promise that the module rejects the time to end the thread, so that the outcome is always the same.
    await setImmediate();
    return loaded;
  } catch (error) {
    const remedy =
      error instanceof SyntaxError
        ? " A decorator that the build left as @ is no JavaScript: compile it, or call registerRopeType(name)(provider)."
        : "";
    throw new Refusal(code, `${what} cannot be imported: ${String(error).replace(/\.$/, "")}.${remedy}`);
  }
}

async function readCases(
  cases: WorkerOrder["cases"],
  types: readonly string[],
  backends: readonly string[],
): Promise<CasesFile> {
  if (cases === null) return {};
  begin("the file of cases");
  const content =
    "content" in cases
      ? cases.content
      : ((await load("the file of cases", cases.url, "FILE_FORMAT")) as { default?: unknown }).default;
  const isObject = typeof content === "object" && content !== null && !Array.isArray(content);
  const unknown = Object.keys(Object(content) as object).find((key) => key !== "cases" && key !== "backend");
  if (!isObject || unknown !== undefined) {
    const got = unknown === undefined ? "something else" : `the key ${JSON.stringify(unknown)}`;
    throw new Refusal("FILE_FORMAT", `the file of cases holds ${got}: expected { "cases": […], "backend": {…} }.`);
  }
  const file = content as CasesFile;
  if (file.cases !== undefined && !(Array.isArray(file.cases) && file.cases.every((item) => Object(item) === item))) {
    throw new Refusal("FILE_FORMAT", `"cases" in the file of cases is no list of { name, request, expected }.`);
  }
  for (const { name, ropeType } of file.cases ?? []) {
    const fits = ropeType === undefined ? types.length <= 1 : types.includes(ropeType);
    if (!fits) {
      const got = ropeType === undefined ? "no ropeType" : `the ropeType ${JSON.stringify(ropeType)}`;
      const expected = `expected one of ${types.join(", ") || "none: the package has no type"}`;
      throw new Refusal("FILE_FORMAT", `the case ${JSON.stringify(name)} has ${got}: ${expected}.`);
    }
  }
  const { backend } = file;
  if (backend !== undefined && !backends.includes(Object(backend).name as string)) {
    const expected = `expected { name, … } of ${backends.join(", ") || "none: the package has no backend"}`;
    throw new Refusal("FILE_FORMAT", `"backend" in the file of cases names no backend of the package: ${expected}.`);
  }
  return file;
}

async function answer(order: WorkerOrder): Promise<WorkerAnswer> {
  try {
    return await perform(order);
  } catch (error) {
    if (error instanceof Refusal) return { kind: "refused", code: error.code, message: error.message };
    if (RopeError.is(error)) return { kind: "refused", code: "FILE_FORMAT", message: inOneLine(error) };
    throw error;
  }
}

say(await answer(workerData as WorkerOrder));
