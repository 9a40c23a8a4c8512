/** Failures that the user can correct: one sentence, no stack. */

import { RopeError } from "@ropewalk/core";

/** The kind of failure. It is `error.code` in `--json`, as are the codes of {@link RopeError}. */
export type FailureCode = "USAGE" | "FILE_NOT_FOUND" | "FILE_UNREADABLE" | "FILE_FORMAT" | "OUTPUT";

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
  if (error instanceof CliFailure || RopeError.is(error)) return { code: error.code, message: oneLine(error.message) };
  return undefined;
}

/** The text of a message that has a line for each issue, on one line. */
function oneLine(text: string): string {
  return text
    .split("\n")
    .map((line) => line.trim().replace(/^- /, ""))
    .filter((line) => line !== "")
    .join(" ");
}
