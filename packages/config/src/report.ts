/**
 * The messages of reading a config: notes (the config can be used) and issues (it cannot). Both are data, collected
 * over the whole file, so that a caller sees all of them at once.
 */

import { RopeError } from "@ropewalk/core";
import type { RopeIssue } from "@ropewalk/core";

/** A remark about a config that could be read. */
export interface ConfigNote {
  /**
   * `"unused"`: a key that looks like a rope key and that was not read. `"implied"`: a number that the file does not
   * state; a rule gave it. `"alias"`: an old spelling that was understood. `"differs"`: engines read this place
   * differently.
   */
  readonly kind: "unused" | "implied" | "alias" | "differs";
  /** Where in the file: `text_config.rope_scaling.attn_factor`. */
  readonly path: string;
  /** One sentence. */
  readonly message: string;
  /** `"warning"`: the ropes may not be those that the model was trained with. `"info"`: nothing has to be done. */
  readonly severity: "info" | "warning";
}

/** Collects notes and issues. Every step of reading writes to it. */
export class Report {
  readonly notes: ConfigNote[] = [];
  readonly issues: RopeIssue[] = [];
  /** What was said and asked for already, so that a long file takes time by its length. */
  readonly #said = new Set<string>();
  readonly #asked = new Set<string>();
  readonly #missing: string;

  /** @param missing what cannot be read if there is an issue. */
  constructor(missing = "no rope") {
    this.#missing = missing;
  }

  note(kind: ConfigNote["kind"], path: string, message: string, severity: ConfigNote["severity"] = "info"): void {
    const key = `${path}\n${message}`;
    if (this.#said.has(key)) return;
    this.#said.add(key);
    this.notes.push(Object.freeze({ kind, path, message, severity }));
  }

  issue(path: string, expected: string, received: string, remedy?: string): void {
    const key = `${path}\n${expected}`;
    if (this.#asked.has(key)) return;
    this.#asked.add(key);
    this.issues.push({ path, expected, received, ...(remedy === undefined ? {} : { remedy }) });
  }

  /** @throws RopeError `ROPE_CONFIG` with every issue, if there is one. */
  throwIfBroken(): void {
    if (this.issues.length === 0) return;
    const count = this.issues.length === 1 ? "1 issue" : `${this.issues.length} issues`;
    throw new RopeError("ROPE_CONFIG", {
      what: `${this.#missing} can be read from this config; it has ${count}`,
      issues: this.issues,
    });
  }
}
