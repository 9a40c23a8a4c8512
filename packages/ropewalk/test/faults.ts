/** A disk that fails, or a process that is killed, at any operation: wraps the functions of Node that change a disk. */

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import promises from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";

/** What happens at an operation: an error of the system, or the end of the process before it or after it. */
export type Fault = { readonly code: string } | { readonly killed: "before" | "after" };

export interface Planted {
  /** The first operation that has the fault, from 0, and the first one after it that does not. */
  readonly at: number;
  readonly until?: number;
  /** Operations that always have it. */
  readonly always?: readonly string[];
  /** There are no hard links, besides the fault. */
  readonly isLinkless?: boolean;
}

/** An end of the process: nothing after it reaches the disk. */
export class Killed extends Error {}

const names = [
  "linkSync",
  "renameSync",
  "unlinkSync",
  "rmSync",
  "rmdirSync",
  "mkdirSync",
  "writeSync",
  "fsyncSync",
  "openSync",
] as const;
const handleNames = ["write", "sync", "chmod", "chown", "close"] as const;

type Call = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Runs an action with a fault, or without one to count its operations.
 *
 * @returns the operations, and the error.
 */
export async function withFault(
  action: () => Promise<unknown>,
  fault?: Fault & Planted,
): Promise<{ readonly operations: readonly string[]; readonly error: unknown }> {
  const operations: string[] = [];
  let isDead = false;
  /** Says what comes in place of an operation, or after it. */
  const faultAt = (name: string): { readonly error: Error; readonly isAfter: boolean } | undefined => {
    if (isDead) return { error: new Killed(), isAfter: false };
    const i = operations.push(name) - 1;
    if (fault === undefined) return undefined;
    if (i >= fault.at && i < (fault.until ?? fault.at + 1)) {
      if ("code" in fault) return { error: systemError(fault.code, name), isAfter: false };
      isDead = true;
      return { error: new Killed(), isAfter: fault.killed === "after" };
    }
    const isAlways = "code" in fault && fault.always?.includes(name) === true;
    if (isAlways) return { error: systemError(fault.code, name), isAfter: false };
    const isLink = fault.isLinkless === true && name === "linkSync";
    return isLink ? { error: systemError("EPERM", name), isAfter: false } : undefined;
  };
  const wrapped = (name: string, call: Call): Call =>
    function (this: unknown, ...args) {
      const planted = faultAt(name);
      // Whether bytes survive a power cut cannot be tested here, and waiting for the disk would take most of the time.
      const result =
        (planted === undefined || planted.isAfter) && name !== "fsyncSync" ? call.apply(this, args) : undefined;
      if (planted !== undefined) throw planted.error;
      return result;
    };
  const wrappedAsync = (name: string, call: Call): Call =>
    async function (this: unknown, ...args) {
      const planted = faultAt(name);
      // A file is closed whatever happens, also by the end of a process.
      const isDone = planted === undefined || planted.isAfter || name === "close";
      const result = isDone && name !== "sync" ? await call.apply(this, args) : undefined;
      if (planted !== undefined) {
        if (name === "open") await (result as FileHandle | undefined)?.close();
        throw planted.error;
      }
      return result;
    };

  const probe = await promises.open(new URL(import.meta.url));
  const prototype = Object.getPrototypeOf(probe) as Record<string, Call>;
  await probe.close();
  const replaced = [
    ...names.map((name) => [fs as unknown as Record<string, Call>, name, wrapped] as const),
    ...handleNames.map((name) => [prototype, name, wrappedAsync] as const),
    [promises as unknown as Record<string, Call>, "open", wrappedAsync] as const,
  ].map(([holder, name, wrap]) => {
    const call = holder[name]!;
    holder[name] = wrap(name, call);
    return () => void (holder[name] = call);
  });
  syncBuiltinESMExports();
  try {
    await action();
    return { operations, error: undefined };
  } catch (error) {
    return { operations, error };
  } finally {
    for (const restore of replaced) restore();
    syncBuiltinESMExports();
  }
}

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: planted, ${syscall}`), { code, syscall, errno: -1 });
}
