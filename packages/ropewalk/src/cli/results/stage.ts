/**
 * Stages: the folder in which results are written before they get their places, and what a killed run left of one.
 *
 * A stage lies in the folder of the results, so that a rename is enough. Its name says which process owns it:
 *
 *     .ropewalk-<machine>-<process>-<random>.tmp/
 *       new/0, new/1     the results, in the order of the plan
 *       old/0, old/1     what they replace
 *       plan.json        there from the first change of the folder of results to the last one
 *
 * Rule of recovery: a stage with a plan whose results are all in place is finished; any other plan is undone; a stage
 * without a plan has changed nothing. In all three cases the stage is removed at the end.
 */

import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import type { BigIntStats } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { CliFailure, reason } from "../failure.ts";
import { readJson } from "../files.ts";

/** A result, as the plan knows it. */
export interface Planned {
  readonly name: string;
  readonly isFolder: boolean;
  /** Size and time of change, by which a result is known again where a file system has no hard links. */
  readonly size: string;
  readonly changed: string;
}

/** A stage of this process. */
export interface Stage {
  /** The folder that the results go to; absolute. */
  readonly folder: string;
  readonly path: string;
}

/** Files that are never replaced, by {@link identity}. */
export type Protected = ReadonlySet<string>;

const planName = "plan.json";
const MINUTE = 60_000;
/** Putting results into their places takes milliseconds. A process that still has the number then is another one. */
const longestCommit = 10 * MINUTE;
const longestWriting = 24 * 60 * MINUTE;

/** Stages that are in work in this process. */
const own = new Set<string>();

export const newPath = (stage: string, i: number): string => join(stage, "new", String(i));
const oldPath = (stage: string, i: number): string => join(stage, "old", String(i));

/** One file, whatever its names. */
export const identity = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`;

/** What stands at a path, links not followed; `undefined`: nothing. */
export function lookUp(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

export function openStage(folder: string): Stage {
  const path = newStagePath(folder);
  // What is written may be secret; in the end it gets the mode of a new file, or of the file that it replaces.
  mkdirSync(path, 0o700);
  own.add(path);
  const stage = { folder, path };
  try {
    mkdirSync(join(path, "new"));
    mkdirSync(join(path, "old"));
  } catch (error) {
    closeStage(stage);
    throw error;
  }
  return stage;
}

/** Removes a stage, unless it has a plan. What stays is for the next run. */
export function closeStage({ path }: Stage): void {
  own.delete(path);
  try {
    if (lookUp(join(path, planName)) === undefined) rmSync(path, { force: true, recursive: true });
  } catch {
    // It does no harm.
  }
}

/**
 * Puts all results into their places, or none.
 *
 * @param replace whether files may stand there; else whatever does is an error, also if it appeared only now.
 */
export function commit(stage: Stage, planned: readonly Planned[], replace: boolean, isProtected: Protected): void {
  const { folder, path } = stage;
  const begun: Planned[] = [];
  try {
    syncFolder(join(path, "new"));
    writePlan(path, planned);
    // The stage itself has to survive a power cut from here on.
    syncFolder(folder);
    // Of two runs that put the same names into their places at once, the second one sees the plan of the first, or each
    // that of the other.
    recover(
      folder,
      planned.map(({ name }) => name),
    );
    planned.forEach((one, i) => {
      if (one.isFolder) placeFolder(newPath(path, i), join(folder, one.name));
      begun.push(one);
      if (!one.isFolder) placeFile(stage, i, one.name, replace, isProtected);
    });
    syncFolder(folder);
    unlinkSync(join(path, planName));
  } catch (error) {
    try {
      undo(path, folder, begun);
      rmSync(join(path, planName), { force: true });
    } catch (second) {
      throw new CliFailure(
        "OUTPUT",
        `cannot write into ${folder} (${reason(error)}), nor bring back what was there (${reason(second)}): the next run into this folder does.`,
      );
    }
    throw error;
  }
  try {
    syncFolder(path);
  } catch {
    // If the plan comes back after a power cut, all results are in their places, and the next run finishes it.
  }
}

export function alreadyThere(path: string, remedy = "give --force to replace it"): CliFailure {
  return new CliFailure("OUTPUT", `${path} exists; ${remedy}.`);
}

/** Codes by which file systems say that they have no hard links, or none for this file. */
const withoutLinks = new Set(["EPERM", "EACCES", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EINVAL", "UNKNOWN"]);
const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? "";

/** Gives a file a further name, which must be free; where there are no hard links, its only one. */
function linkOrMove(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (codeOf(error) === "EEXIST") throw alreadyThere(to);
    if (!withoutLinks.has(codeOf(error))) throw error;
    // Two steps: a file that appears between them is replaced (docs/limits.md).
    if (lookUp(to) !== undefined) throw alreadyThere(to);
    renameSync(from, to);
  }
}

function placeFile({ folder, path }: Stage, i: number, name: string, replace: boolean, isProtected: Protected): void {
  const [from, target] = [newPath(path, i), join(folder, name)];
  if (!replace || lookUp(target) === undefined) {
    linkOrMove(from, target);
    return;
  }
  linkOrMove(target, oldPath(path, i));
  const old = lookUp(oldPath(path, i));
  // Looked at again, because something else may stand there by now.
  if (old?.isFile() !== true || isProtected.has(identity(old))) {
    throw new CliFailure("OUTPUT", `${target} became another file while the results were written.`);
  }
  syncFolder(join(path, "old"));
  // The name in the stage stays: by it the result is known again.
  const spare = join(path, "spare");
  linkOrMove(from, spare);
  renameSync(spare, target);
}

/** No file system renames a folder only if the name is free, but one replaces the empty folder that was made for it. */
function placeFolder(from: string, target: string): void {
  if (process.platform !== "win32") {
    try {
      mkdirSync(target);
    } catch (error) {
      if (codeOf(error) === "EEXIST") throw alreadyThere(target, "a folder is never replaced: name another one");
      throw error;
    }
  }
  try {
    renameSync(from, target);
  } catch (error) {
    removeIfEmpty(target);
    throw error;
  }
}

/** Brings back the state before a commit. Goes on after an error, and throws the first one. */
function undo(path: string, folder: string, planned: readonly Planned[]): void {
  const errors: unknown[] = [];
  const attempt = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      errors.push(error);
    }
  };
  planned.forEach((one, i) =>
    attempt(() => {
      const target = join(folder, one.name);
      if (one.isFolder) {
        // Only a commit that goes on gets here with a folder in its place.
        if (lookUp(newPath(path, i)) === undefined) renameSync(target, newPath(path, i));
        else removeIfEmpty(target);
        return;
      }
      const there = lookUp(target);
      const isOwn = there !== undefined && isResult(there, path, i, one);
      const hasOld = lookUp(oldPath(path, i)) !== undefined;
      if (hasOld && (isOwn || there === undefined)) renameSync(oldPath(path, i), target);
      else if (isOwn) unlinkSync(target);
    }),
  );
  attempt(() => syncFolder(folder));
  if (errors.length > 0) throw errors[0];
}

/** Whether what stands at a place is the result of the plan, and nobody changed it since. */
function isResult(there: BigIntStats, path: string, i: number, { changed, size }: Planned): boolean {
  if (String(there.size) !== size || String(there.mtimeNs) !== changed) return false;
  const staged = lookUp(newPath(path, i));
  return staged === undefined || identity(staged) === identity(there);
}

function isPlaced(path: string, folder: string, planned: readonly Planned[]): boolean {
  return planned.every((one, i) => {
    const there = lookUp(join(folder, one.name));
    if (there === undefined) return false;
    return one.isFolder ? lookUp(newPath(path, i)) === undefined : isResult(there, path, i, one);
  });
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(codeOf(error))) throw error;
  }
}

/**
 * Applies the rule of recovery to the stages that killed runs left in a folder. Stages of runs that go on stay.
 *
 * @param names the results that are about to be written.
 * @returns what was done, in sentences.
 * @throws CliFailure if a run that may go on is putting results of these names into their places.
 */
export function recover(folder: string, names: readonly string[]): string[] {
  let entries: string[];
  try {
    entries = readdirSync(folder);
  } catch {
    // No folder, or none that can be read: what is wrong shows when it is written to.
    return [];
  }
  return entries.flatMap((entry) => {
    const [, machine, number] = /^\.ropewalk-([0-9a-f]{8})-(\d{1,10})-[0-9a-f]{8}\.tmp$/.exec(entry) ?? [];
    const path = join(folder, entry);
    if (machine === undefined || own.has(path) || lookUp(path)?.isDirectory() !== true) return [];
    const plan = lookUp(join(path, planName));
    if (mayGoOn(machine, Number(number))) {
      const age = Date.now() - Number(plan?.mtimeMs ?? lookUp(path)?.mtimeMs ?? 0);
      if (age < (plan === undefined ? longestWriting : longestCommit)) {
        const shared = plan === undefined ? [] : readPlan(path).filter(({ name }) => names.includes(name));
        if (shared.length === 0) return [];
        throw new CliFailure(
          "OUTPUT",
          `another run (process ${number}) is putting ${shared[0]!.name} into ${folder}, or was stopped there: try again, in the latter case in ten minutes.`,
        );
      }
    }
    // Two runs may find it: the one that renames it goes on.
    const claimed = newStagePath(folder);
    own.add(claimed);
    try {
      renameSync(path, claimed);
    } catch (error) {
      own.delete(claimed);
      if (codeOf(error) === "ENOENT" || plan === undefined) return [];
      throw error;
    }
    return settle({ folder, path: claimed });
  });
}

function settle(stage: Stage): string[] {
  const { folder, path } = stage;
  try {
    if (lookUp(join(path, planName)) === undefined) {
      closeStage(stage);
      return [];
    }
    const planned = readPlan(path);
    const places = planned.map(({ name }) => join(folder, name)).join(" and ");
    const isComplete = isPlaced(path, folder, planned);
    if (!isComplete) undo(path, folder, planned);
    unlinkSync(join(path, planName));
    closeStage(stage);
    return [
      isComplete
        ? `an earlier run was stopped when ${places} had been written: they are whole.`
        : `an earlier run was stopped before ${places} had been written: what was there before is there again.`,
    ];
  } finally {
    own.delete(path);
  }
}

function writePlan(path: string, planned: readonly Planned[]): void {
  const temporary = join(path, "plan.new");
  const descriptor = openSync(temporary, "wx");
  try {
    const bytes = new TextEncoder().encode(JSON.stringify(planned));
    for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, join(path, planName));
  syncFolder(path);
}

/** Anybody may have made the folder: names must not lead out of it. */
function readPlan(path: string): readonly Planned[] {
  try {
    const plan = readJson(join(path, planName)) as readonly Planned[];
    if (
      plan.every(
        ({ changed, isFolder, name, size }) =>
          [changed, name, size].every((text) => typeof text === "string") &&
          typeof isFolder === "boolean" &&
          !/^\.{0,2}$|[/\\\0]/.test(name),
      )
    ) {
      return plan;
    }
  } catch {
    // Told below.
  }
  throw new CliFailure("OUTPUT", `${path} is what a stopped run left, and is damaged: remove it.`);
}

/** Whether a process may still be there. That of another machine may be. */
function mayGoOn(machine: string, number: number): boolean {
  if (machine !== thisMachine()) return true;
  // This process has no such stage: the number is used again.
  if (number === process.pid) return false;
  try {
    process.kill(number, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
}

/** A mark of where process numbers are the same: a machine, on Linux a namespace. */
function thisMachine(): string {
  let namespace = "";
  try {
    namespace = readlinkSync("/proc/self/ns/pid");
  } catch {
    // Not Linux.
  }
  return createHash("sha256").update(`${hostname()}\n${namespace}`).digest("hex").slice(0, 8);
}

function newStagePath(folder: string): string {
  return join(folder, `.ropewalk-${thisMachine()}-${process.pid}-${randomBytes(4).toString("hex")}.tmp`);
}

/** Codes of systems on which folders cannot be opened or synced: they write names by themselves. */
const withoutFolderSync = new Set(["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EBADF"]);

/** Writes the names in a folder to disk. */
export function syncFolder(path: string): void {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r");
    fsyncSync(descriptor);
  } catch (error) {
    if (!withoutFolderSync.has(codeOf(error))) throw error;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
