/**
 * `ropewalk conformance`: the suite of `@ropewalk/conformance` on the built module of a package, without a test runner,
 * and the laws about its manifest.
 */

import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { SHARE_ENV, Worker } from "node:worker_threads";
import type { FileHandle } from "node:fs/promises";
import { wholeNumber } from "../arguments.ts";
import { CliFailure } from "../failure.ts";
import type { FailureCode } from "../failure.ts";
import { readJson } from "../files.ts";
import { preparePlaces, writeAll, writeResults } from "../results/write.ts";
import { badgeSvg } from "./badge.ts";
import { checkPackage, formulaEntry } from "./package-laws.ts";
import type { ConformanceReport } from "./report.ts";
import { ownModules, readSubject } from "./subject.ts";
import type { Subject } from "./subject.ts";
import { weigh } from "./weight.ts";
import type { WorkerAnswer, WorkerOrder } from "./worker.ts";

/** Options of the command, as text. */
export interface ConformanceCommandOptions {
  readonly report?: string;
  readonly badge?: string;
  readonly cases?: string;
  readonly seed?: string;
  readonly timeout?: string;
  readonly force?: boolean;
}

/** Files of cases that are read without the option `--cases`, beside package.json. */
const usualCases = ["conformance.json", "conformance.mjs", "conformance.js"];

/** Seconds that one step, such as the import or a law, may take. Laws take less than one. */
const usualTimeout = "60";

/**
 * Runs the suite and writes what the options ask for. Files of one folder are written all or none.
 *
 * @returns the report, and what was done about a run that was killed, in sentences.
 * @throws CliFailure for a path that is no built module of a package, a module that cannot be imported, registers
 * nothing or never ends, wrong cases, a backend that cannot be made, or a file that is there already.
 */
export async function conformance(
  path: string,
  options: ConformanceCommandOptions,
): Promise<{ readonly report: ConformanceReport; readonly told: readonly string[] }> {
  const subject = readSubject(path);
  const seed = wholeNumber("--seed", options.seed ?? "1", 0);
  const timeout = wholeNumber("--timeout", options.timeout ?? usualTimeout, 1);
  // Before the suite, which takes a while.
  const outputs = outputsOf(options);
  const inputs = [
    subject.module,
    join(subject.folder, "package.json"),
    ...(options.cases === undefined ? [] : [options.cases]),
  ];
  const placesOf = (folder: string, files: readonly Output[]) => ({
    folder,
    names: files.map(({ name }) => name),
    replace: options.force === true,
    inputs,
  });
  const told = [...outputs].flatMap(([folder, files]) => preparePlaces(placesOf(folder, files)));
  const { dependencies, peerDependencies } = subject.manifest;
  const others = Object.keys({ ...Object(dependencies), ...Object(peerDependencies) } as object);
  const formula = formulaEntry(subject);
  const order = { others, seed, cases: casesOf(subject, options.cases) };
  const run = { ...order, task: "run", module: pathToFileURL(subject.module).href } as const;
  const result = await ask(run, path, timeout);
  if (result.kind !== "result") throw new Error("the thread gave no result");
  const listed =
    formula === undefined || !existsSync(formula)
      ? null
      : await ask({ ...order, task: "list", module: pathToFileURL(formula).href }, formula, timeout);

  const sources = [...result.types, ...result.backends].map(({ source }) => source);
  const registeredByFormula = listed?.kind === "registered" ? listed.names : null;
  const facts = { sources, registeredByFormula, modules: ownModules(subject) };
  const laws = [...checkPackage(subject, facts, seed), ...result.laws];
  const count = (status: (typeof laws)[number]["status"]): number =>
    laws.filter((item) => item.status === status).length;
  const counts = { passed: count("passed"), failed: count("failed"), notApplicable: count("not applicable") };
  const { name, version, keywords } = subject.manifest;
  const report: ConformanceReport = {
    format: "ropewalk-conformance-report",
    formatVersion: 1,
    date: new Date().toISOString(),
    package: { name, version, keywords: textsOf(keywords), module: subject.entry },
    core: { version: versionOf("@ropewalk/core"), specificationVersion: result.specificationVersion },
    suite: { name: "@ropewalk/conformance", version: versionOf("@ropewalk/conformance") },
    engine: `node ${process.versions.node}`,
    seed,
    passed: counts.failed === 0,
    counts,
    types: result.types,
    backends: result.backends,
    weight: await weigh(subject),
    laws,
  };
  const texts = { report: `${JSON.stringify(report, null, 2)}\n`, badge: badgeSvg(report) };
  for (const [folder, files] of outputs) {
    const results = files.map(({ kind, name }) => ({
      name,
      write: (handle: FileHandle): Promise<void> => writeAll(handle, Buffer.from(texts[kind]), 0),
    }));
    await writeResults(placesOf(folder, files), results, false);
  }
  return { report, told };
}

/** A file to write. */
interface Output {
  readonly kind: "report" | "badge";
  readonly name: string;
}

/** The files to write, by folder. */
function outputsOf({ badge, report }: ConformanceCommandOptions): ReadonlyMap<string, readonly Output[]> {
  if (report !== undefined && badge !== undefined && resolve(report) === resolve(badge)) {
    throw new CliFailure("USAGE", "--report and --badge name the same file.");
  }
  const found = new Map<string, Output[]>();
  for (const [kind, target] of Object.entries({ report, badge }) as ["report" | "badge", string | undefined][]) {
    if (target === undefined) continue;
    const folder = dirname(resolve(target));
    if (!existsSync(folder)) throw new CliFailure("OUTPUT", `cannot write ${target}: its folder does not exist.`);
    found.set(folder, [...(found.get(folder) ?? []), { kind, name: basename(target) }]);
  }
  return found;
}

function casesOf({ folder }: Subject, option: string | undefined): WorkerOrder["cases"] {
  const found = usualCases.filter((file) => existsSync(join(folder, file)));
  if (option === undefined && found.length > 1) {
    throw new CliFailure("USAGE", `${found.join(" and ")} both hold cases: keep one, or name it with --cases.`);
  }
  const path = option ?? (found[0] === undefined ? undefined : join(folder, found[0]));
  if (path === undefined) return null;
  if (/\.m?js$/.test(path)) {
    if (!existsSync(path)) throw new CliFailure("FILE_NOT_FOUND", `${path} does not exist.`);
    return { url: pathToFileURL(resolve(path)).href };
  }
  return { content: readJson(path) };
}

/**
 * Gives an order to a new thread. What the module prints goes to stderr, since stdout is the report's.
 *
 * @param timeout seconds for each step.
 */
function ask(
  order: WorkerOrder,
  path: string,
  timeout: number,
): Promise<Exclude<WorkerAnswer, { kind: "refused" | "step" }>> {
  // Drivers of a device read the environment of the process, which a thread else has only a copy of.
  const worker = new Worker(new URL("./worker.js", import.meta.url), {
    workerData: order,
    stdout: true,
    env: SHARE_ENV,
  });
  worker.stdout.pipe(process.stderr, { end: false });
  let step = "the start of its thread";
  let timer: NodeJS.Timeout | undefined;
  return new Promise<Exclude<WorkerAnswer, { kind: "refused" | "step" }>>((done, failed) => {
    const refuse = (code: FailureCode, text: string): void => failed(new CliFailure(code, `${path}${text}`));
    const watch = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const remedy = "Look for a loop without end there, or give a longer --timeout <seconds>";
        refuse("TIMEOUT", `: ${step} did not end within ${timeout} s. ${remedy}.`);
      }, timeout * 1000).unref();
    };
    watch();
    worker.on("message", (answer: WorkerAnswer) => {
      if (answer.kind === "step") {
        step = answer.step;
        return watch();
      }
      if (answer.kind === "refused") refuse(answer.code, `: ${answer.message}`);
      else done(answer);
    });
    // The suite catches what a formula throws: this came from a timer or a promise of the module.
    worker.once("error", (error: unknown) =>
      refuse("FILE_UNREADABLE", ` failed outside of the suite: ${String(error)}.`),
    );
    worker.once("exit", () => {
      const cause = "it ended the process, or waits for a promise that nothing settles";
      refuse("FILE_UNREADABLE", `: ${step} did not end: ${cause}.`);
    });
    // A module may keep timers or sockets open, or never end.
  }).finally(() => void worker.terminate());
}

const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];

/** The version of an installed package, whose manifest is no entry of it. */
function versionOf(name: string): string {
  for (let folder = dirname(fileURLToPath(import.meta.resolve(name))); ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (!existsSync(file)) continue;
    const manifest = JSON.parse(readFileSync(file, "utf8")) as { readonly name?: string; readonly version?: string };
    if (manifest.name === name) return manifest.version ?? "";
  }
}
