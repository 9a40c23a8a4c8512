/** Reads parts of large files and writes all results or none. Only regular files are read, and their size is known. */

import { randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CliFailure } from "./failure.ts";
import { largestJson, parseJson } from "./json.ts";

/** Node reads and writes at most 2 GiB in one call. */
const CHUNK = 2 ** 30;

/** A file that is open for reading. */
export interface OpenFile {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** The bytes from `start` up to `end` in a new buffer, so that a typed array of any width can use it. */
  read(start: number, end: number): Uint8Array<ArrayBuffer>;
  /** Fills the caller's memory from byte `start` of the file. */
  readInto(bytes: Uint8Array, start: number): void;
}

/** Opens a file for reading; the caller closes it. @throws CliFailure if it is not a readable regular file. */
export function openFile(path: string): OpenFile & { close(): void } {
  // Checked before opening, because a device may do something then.
  requireFile(
    path,
    attempt(path, () => statSync(path)),
  );
  // Something else may stand there by now: opening a named pipe would wait for a writer. Windows has none.
  const nonBlocking = (constants.O_NONBLOCK as number | undefined) ?? 0;
  const descriptor = attempt(path, () => openSync(path, constants.O_RDONLY | nonBlocking));
  let size: number;
  try {
    const stats = attempt(path, () => fstatSync(descriptor));
    requireFile(path, stats);
    ({ size } = stats);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  const readInto = (bytes: Uint8Array, start: number): void => {
    for (let done = 0; done < bytes.length;) {
      const length = Math.min(CHUNK, bytes.length - done);
      const count = attempt(path, () => readSync(descriptor, bytes, done, length, start + done));
      if (count === 0) throw new CliFailure("FILE_UNREADABLE", `${path} became shorter while it was read.`);
      done += count;
    }
  };
  const read = (start: number, end: number): Uint8Array<ArrayBuffer> => {
    if (start < 0 || end < start || end > size) {
      throw new CliFailure(
        "FILE_FORMAT",
        `${path} ends at byte ${size}, but its header refers to byte ${end}: the file is cut off or damaged.`,
      );
    }
    const bytes = new Uint8Array(end - start);
    readInto(bytes, start);
    return bytes;
  };
  return { path, size, read, readInto, close: () => closeSync(descriptor) };
}

/** A pipe, a socket or a device has no size, and may have no end. */
function requireFile(path: string, stats: Stats): void {
  if (stats.isFile()) return;
  const what = stats.isDirectory() ? "it is a folder" : "it is not a regular file, but a pipe, a socket or a device";
  throw new CliFailure("FILE_UNREADABLE", `cannot read ${path}: ${what}.`);
}

/** Calls `use` with an open file and closes it. @throws CliFailure if it is not a readable file. */
export function withFile<T>(path: string, use: (file: OpenFile) => T): T {
  const file = openFile(path);
  try {
    return use(file);
  } finally {
    file.close();
  }
}

/** The value of a JSON file, as {@link parseJson} gives it. @throws CliFailure if it is too large or no JSON. */
export function readJson(path: string): unknown {
  const bytes = withFile(path, ({ read, size }) => {
    if (size <= largestJson) return read(0, size);
    throw new CliFailure("FILE_FORMAT", `${path} has ${size} bytes; at most ${largestJson} are read as JSON.`);
  });
  return parseJson(bytes, path);
}

/**
 * The files of a folder: its config.json; else every config.json below it; else the `*.json` and `*.gguf` files in it.
 * In code-unit order. A path that is not a folder gives itself.
 */
export function configFiles(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path];
  const below = attempt(path, () => configsBelow(path));
  if (below.length > 0) return below.sort(byCodeUnits);
  const files = attempt(path, () => readdirSync(path, { withFileTypes: true }))
    .filter((entry) => /\.(json|gguf)$/.test(entry.name) && !entry.isDirectory())
    .map((entry) => join(path, entry.name))
    .sort(byCodeUnits);
  if (files.length === 0) {
    throw new CliFailure(
      "FILE_NOT_FOUND",
      `the folder ${path} has no *.json or *.gguf file, and no config.json below it.`,
    );
  }
  return files;
}

/**
 * A folder's config.json, or those of its subfolders. Links to files are followed, because caches use them; links to
 * folders are not.
 */
function configsBelow(path: string): string[] {
  const entries = readdirSync(path, { withFileTypes: true });
  if (entries.some((entry) => entry.name === "config.json" && !entry.isDirectory())) return [join(path, "config.json")];
  return entries
    .filter((entry) => entry.isDirectory() && entry.name !== "node_modules")
    .flatMap(({ name }) => {
      try {
        return configsBelow(join(path, name));
      } catch {
        // The caller reads it again and reports the reason, without hiding the other files.
        return [join(path, name)];
      }
    });
}

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : 1);

/** A file to be written: its path, and its bytes in order. */
export interface NewFile {
  readonly path: string;
  readonly parts: readonly Uint8Array[];
}

/** Writes all files or none: each under a temporary name beside its place, then all are renamed. */
export function writeFiles(files: readonly NewFile[]): void {
  const written: { readonly temporary: string; readonly path: string }[] = [];
  try {
    for (const { path, parts } of files) {
      const temporary = `${path}.${randomUUID()}.tmp`;
      const descriptor = openSync(temporary, "wx");
      written.push({ temporary, path });
      try {
        for (const bytes of parts) {
          for (let done = 0; done < bytes.length;) {
            done += writeSync(descriptor, bytes, done, Math.min(CHUNK, bytes.length - done));
          }
        }
      } finally {
        closeSync(descriptor);
      }
    }
    for (const { temporary, path } of written) renameSync(temporary, path);
  } catch (error) {
    for (const { temporary } of written) rmSync(temporary, { force: true });
    throw new CliFailure("OUTPUT", `cannot write ${files.map(({ path }) => path).join(" and ")}: ${reason(error)}.`);
  }
}

/**
 * Writes all files or none into a folder. Makes the folder and its parents if needed, and removes them if nothing could
 * be written.
 */
export function writeIntoFolder(folder: string, files: readonly NewFile[]): void {
  const made = makeFolder(folder);
  try {
    writeFiles(files);
  } catch (error) {
    for (const path of made) rmdirSync(path);
    throw error;
  }
}

/** @returns the folders that were made, the innermost first. */
function makeFolder(folder: string): string[] {
  try {
    // Without `..`: else the first folder made (`x` of `x/../y`) need not be above the last one.
    const last = resolve(folder);
    const first = mkdirSync(last, { recursive: true });
    if (first === undefined) return [];
    const made = [last];
    for (let at = last; at !== resolve(first) && at !== dirname(at);) made.push((at = dirname(at)));
    return made;
  } catch (error) {
    throw new CliFailure("OUTPUT", `cannot make the folder ${folder}: ${reason(error)}.`);
  }
}

/**
 * Writes one large file. `write` gets a handle of a temporary file in the same folder, which is renamed at the end, so
 * `path` always has the whole new file or the old one. Ctrl-C removes the temporary file; only a kill leaves it behind.
 */
export async function writeLarge(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  await writeAside(path, (temporary) => writeSynced(temporary, write));
}

/** Writes a file of a new folder. */
export type CreateFile = (name: string, write: (handle: FileHandle) => Promise<void>) => Promise<void>;

/**
 * Writes a new folder of large files, as {@link writeLarge} a file: in a temporary folder beside it, which is renamed
 * at the end. `path` must not exist, because no file system replaces a folder in one step.
 */
export async function writeLargeFolder(path: string, write: (create: CreateFile) => Promise<void>): Promise<void> {
  await writeAside(resolve(path), async (temporary) => {
    mkdirSync(temporary);
    await write((name, writeFile) => writeSynced(join(temporary, name), writeFile));
    await syncFolder(temporary);
  });
}

/** Calls `write` with a temporary path beside `path` and renames what is there at the end, or removes it. */
async function writeAside(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  const remove = (): void => rmSync(temporary, { force: true, recursive: true });
  const stop = (signal: NodeJS.Signals): void => {
    remove();
    process.kill(process.pid, signal);
  };
  const signals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.once(signal, stop);
  try {
    await write(temporary);
    renameSync(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    remove();
    if (error instanceof CliFailure) throw error;
    throw new CliFailure("OUTPUT", `cannot write ${path}: ${reason(error)}.`);
  } finally {
    for (const signal of signals) process.removeListener(signal, stop);
  }
}

async function writeSynced(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const handle = await open(path, "wx");
  try {
    await write(handle);
    // Written to disk before the renaming: else the file may be empty after a power cut.
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Names of a folder, written to disk. Some systems cannot open folders, and write names by themselves. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r").catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new CliFailure("FILE_NOT_FOUND", `${path} does not exist.`);
    throw new CliFailure("FILE_UNREADABLE", `cannot read ${path}: ${reason(error)}.`);
  }
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (
    {
      EISDIR: "it is a folder",
      EACCES: "permission denied",
      ENOTDIR: "a part of its path is not a folder",
      ENOSPC: "the disk is full",
    }[code ?? ""] ?? message
  );
}
