/** Reads files and folders, large files in parts. Only regular files are read, and their size is known. */

import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { join } from "node:path";
import { CliFailure, reason } from "./failure.ts";
import { largestJson, parseJson } from "./json.ts";

/** Node reads at most 2 GiB in one call. */
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
    const bytes = allocated(path, end - start);
    readInto(bytes, start);
    return bytes;
  };
  return { path, size, read, readInto, close: () => closeSync(descriptor) };
}

function allocated(path: string, size: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(size);
  } catch {
    throw new CliFailure("FILE_UNREADABLE", `${size} bytes of ${path} at once do not fit into memory.`);
  }
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
  if (!attempt(path, () => statSync(path, { throwIfNoEntry: false }))?.isDirectory()) return [path];
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

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new CliFailure("FILE_NOT_FOUND", `${path} does not exist.`);
    throw new CliFailure("FILE_UNREADABLE", `cannot read ${path}: ${reason(error)}.`);
  }
}
