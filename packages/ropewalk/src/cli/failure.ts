/** Failures that the user can correct: one sentence, no stack. */

import { RopeError } from "@ropewalk/core";
import { printable } from "./text.ts";

/** The kind of failure. It is `error.code` in `--json`, as are the codes of {@link RopeError}. */
export type FailureCode =
  | "USAGE"
  | "FILE_NOT_FOUND"
  | "FILE_UNREADABLE"
  | "FILE_FORMAT"
  | "OUTPUT"
  | "TIMEOUT"
  | "SYSTEM";

/** Something about the command line or a file. */
export class CliFailure extends Error {
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string) {
    super(message);
    this.name = "CliFailure";
    this.code = code;
  }
}

/** A failure as code and one line of text; `undefined` for an error that is a defect and not bad input. */
export function describeFailure(error: unknown): { readonly code: string; readonly message: string } | undefined {
  if (error instanceof CliFailure) return { code: error.code, message: printable(error.message) };
  // Core gives each issue a line of its own.
  if (RopeError.is(error)) return { code: error.code, message: printable(error.message.replaceAll("\n  - ", " ")) };
  // Whatever a system refuses is no defect of this tool.
  if (isSystemError(error)) return { code: "SYSTEM", message: printable(`the system refuses: ${reason(error)}.`) };
  return undefined;
}

export const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";

/** Why a system refuses, in plain words where the code is a usual one. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (
    {
      EISDIR: "it is a folder",
      EACCES: "permission denied",
      EPERM: "permission denied",
      ENOTDIR: "a part of its path is not a folder",
      ENOENT: "a part of its path does not exist",
      ENAMETOOLONG: "the name is too long",
      ELOOP: "its links lead in a circle",
      ENOSPC: "the disk is full",
      EDQUOT: "the quota of the disk is used up",
      EFBIG: "the file would be larger than the system admits",
      EROFS: "the file system is read-only",
      EIO: "the disk reports an error",
    }[code ?? ""] ?? message
  );
}
