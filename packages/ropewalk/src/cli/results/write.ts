/** Writes the results of a command: all of them or none, also after a kill, and in place of nothing unasked. */

import { mkdirSync, rmdirSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CliFailure, isSystemError, reason } from "../failure.ts";
import {
  alreadyThere,
  closeStage,
  commit,
  identity,
  lookUp,
  newPath,
  openStage,
  recover,
  syncFolder,
} from "./stage.ts";
import type { Planned, Protected, Stage } from "./stage.ts";

/** Node writes at most 2 GiB in one call. */
const CHUNK = 2 ** 30;

/** Writes the bytes of one file. */
export type WriteFile = (handle: FileHandle) => Promise<void>;

/** Writes a file of a new folder. */
export type CreateFile = (name: string, write: WriteFile) => Promise<void>;

/** A new file, or a new folder of files. */
export type Result =
  | { readonly name: string; readonly write: WriteFile }
  | { readonly name: string; readonly fill: (create: CreateFile) => Promise<void> };

/** Where results go, and what they may replace. */
export interface Places {
  readonly folder: string;
  readonly names: readonly string[];
  /** `--force`: files may be replaced. Folders and links never are. */
  readonly replace: boolean;
  /** Files of the same command, which are never replaced. */
  readonly inputs: readonly string[];
}

/**
 * Says early what {@link writeResults} would refuse, after the traces of a killed run are removed.
 *
 * @returns what was done about a killed run, in sentences.
 * @throws CliFailure if something stands at a place that is not to be replaced.
 */
export function preparePlaces({ folder, inputs, names, replace }: Places): string[] {
  const at = resolve(folder);
  return refuseOutput(folder, () => {
    if (statSync(at, { throwIfNoEntry: false })?.isDirectory() === false) {
      throw new CliFailure("OUTPUT", `${folder} is a file, not a folder.`);
    }
    const told = recover(at, names);
    const isProtected = identities(inputs);
    for (const name of names) lookAt(at, name, replace, isProtected);
    return told;
  });
}

/**
 * Writes results beside their places and synchronises them with the disk; then all get their names.
 *
 * If anything fails, or the process is stopped by Ctrl-C, nothing has changed. After a kill or a power cut, either that
 * is so, or the next run into the folder makes it so (stage.ts).
 *
 * @param makeFolder whether the folder is made if it is not there.
 * @throws CliFailure if a result cannot be written, or if something stands at its place.
 */
export async function writeResults(places: Places, results: readonly Result[], makeFolder: boolean): Promise<void> {
  const folder = resolve(places.folder);
  const made = makeFolder ? makeFolders(folder) : [];
  let stage: Stage | undefined;
  const remove = (): void => {
    if (stage !== undefined) closeStage(stage);
    removeFolders(made);
  };
  const stop = (signal: NodeJS.Signals): void => {
    remove();
    process.kill(process.pid, signal);
  };
  const signals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.once(signal, stop);
  try {
    stage = openStage(folder);
    const isProtected = identities(places.inputs);
    const planned: Planned[] = [];
    for (const [i, result] of results.entries()) {
      const path = newPath(stage.path, i);
      const old = lookAt(folder, result.name, places.replace && "write" in result, isProtected);
      if ("write" in result) await writeSynced(path, result.write, join(folder, result.name), old);
      else await fillFolder(path, result.fill);
      const { mtimeNs, size } = lookUp(path)!;
      planned.push({ name: result.name, isFolder: "fill" in result, size: String(size), changed: String(mtimeNs) });
    }
    // In one go: a signal waits until it is over.
    commit(stage, planned, places.replace, isProtected);
    closeStage(stage);
  } catch (error) {
    remove();
    throw asFailure(places.names.map((name) => join(places.folder, name)).join(" and "), error);
  } finally {
    for (const signal of signals) process.removeListener(signal, stop);
  }
}

/** Writes all bytes of a part of a file. A system may take fewer at once. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(CHUNK, bytes.length - done), position + done);
    if (bytesWritten === 0) throw new CliFailure("OUTPUT", "the system takes no more bytes.");
    done += bytesWritten;
  }
}

type Old = NonNullable<ReturnType<typeof lookUp>>;

/** @returns the file that a result would replace. @throws CliFailure if it is not to be replaced. */
function lookAt(folder: string, name: string, replace: boolean, isProtected: Protected): Old | undefined {
  const path = join(folder, name);
  const there = lookUp(path);
  if (there === undefined) return undefined;
  const target = there.isSymbolicLink() ? statSync(path, { bigint: true, throwIfNoEntry: false }) : there;
  if (target !== undefined && isProtected.has(identity(target))) {
    throw new CliFailure("OUTPUT", `${path} is read by this command, and would be overwritten; choose another place.`);
  }
  if (there.isDirectory()) throw alreadyThere(path, "a folder is never replaced: name another one, or remove it");
  if (!replace) throw alreadyThere(path);
  if (there.isFile()) return there;
  throw new CliFailure(
    "OUTPUT",
    `${path} is ${there.isSymbolicLink() ? "a link" : "no regular file"}, which --force does not replace: name the file itself, or remove it.`,
  );
}

function identities(paths: readonly string[]): Protected {
  return new Set(
    paths.flatMap((path) => {
      const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
      return stats === undefined ? [] : [identity(stats)];
    }),
  );
}

/** A file with the mode and owner of the file that it replaces. */
async function writeSynced(path: string, write: WriteFile, target: string, old: Old | undefined): Promise<void> {
  const handle = await open(path, "wx", old === undefined ? 0o666 : 0o600);
  try {
    await write(handle);
    if (old !== undefined) {
      const { gid, uid } = await handle.stat({ bigint: true });
      if (uid !== old.uid || gid !== old.gid) {
        await handle.chown(Number(old.uid), Number(old.gid)).catch((error: unknown) => {
          throw new CliFailure(
            "OUTPUT",
            `${target} belongs to another user or group, which a new file cannot keep (${reason(error)}): write to another name.`,
          );
        });
      }
      // After the owner, whose change takes bits away.
      await handle.chmod(Number(old.mode & 0o7777n));
    }
    // Before it gets its name: else the file may be empty after a power cut.
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function fillFolder(path: string, fill: (create: CreateFile) => Promise<void>): Promise<void> {
  mkdirSync(path);
  await fill((name, write) => writeSynced(join(path, name), write, name, undefined));
  syncFolder(path);
}

/**
 * Makes a folder and those above it, one by one: `mkdirSync` with `recursive` never ends where a system says that the
 * folder above is missing although it is there (`/proc`).
 *
 * @returns the folders that were made, the innermost first.
 */
function makeFolders(folder: string): string[] {
  return refuseOutput(folder, () => {
    const missing: string[] = [];
    const isThere = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;
    for (let at = folder; !isThere(at) && at !== dirname(at); at = dirname(at)) missing.push(at);
    const made: string[] = [];
    try {
      for (const path of missing.toReversed()) {
        if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) continue;
        mkdirSync(path);
        made.unshift(path);
      }
    } catch (error) {
      removeFolders(made);
      throw error;
    }
    return made;
  });
}

function removeFolders(made: readonly string[]): void {
  for (const path of made) {
    try {
      rmdirSync(path);
    } catch {
      // Something else was put there.
      return;
    }
  }
}

function refuseOutput<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw asFailure(what, error);
  }
}

function asFailure(what: string, error: unknown): unknown {
  return isSystemError(error) ? new CliFailure("OUTPUT", `cannot write ${what}: ${reason(error)}.`) : error;
}
