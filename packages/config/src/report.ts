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

/** Notes of one kind, and issues, that are listed one by one. The configs of models have a few of each. */
export const mostListed = 100;

/** The notes of one kind and severity. */
interface Notes {
  count: number;
  /** The first note that is not listed. */
  folded?: ConfigNote;
}

/**
 * Collects notes and issues. Every step of reading writes to it. Beyond {@link mostListed}, those of a kind are counted
 * instead of listed, so that a hostile file gives a short report.
 */
export class Report {
  readonly #notes: ConfigNote[] = [];
  readonly #byKind = new Map<string, Notes>();
  readonly #issues: RopeIssue[] = [];
  #issueCount = 0;
  /** What is listed already. */
  readonly #said = new Set<string>();
  readonly #asked = new Set<string>();
  readonly #missing: string;

  /** @param missing what cannot be read if there is an issue. */
  constructor(missing = "no rope") {
    this.#missing = missing;
  }

  /** The notes in the order in which they were made; then one for those of each kind that are only counted. */
  get notes(): ConfigNote[] {
    const more = [...this.#byKind.values()].flatMap(({ count, folded }) => {
      if (folded === undefined) return [];
      const others = count - mostListed - 1;
      // One that was made twice may count twice.
      const message =
        others === 0 ? folded.message : `${folded.message} Up to ${others} more notes of this kind are not listed.`;
      return [Object.freeze({ ...folded, message })];
    });
    return [...this.#notes, ...more];
  }

  note(kind: ConfigNote["kind"], path: string, message: string, severity: ConfigNote["severity"] = "info"): void {
    const group = `${kind} ${severity}`;
    const all = this.#byKind.get(group) ?? { count: 0 };
    this.#byKind.set(group, all);
    // Only those that are listed are told apart, so that the others take no memory.
    if (all.count > mostListed) {
      all.count++;
      return;
    }
    const key = `${path}\n${message}`;
    if (this.#said.has(key)) return;
    this.#said.add(key);
    const note = Object.freeze({ kind, path, message, severity });
    if (all.count++ < mostListed) this.#notes.push(note);
    else all.folded = note;
  }

  /** @param received may be made only if the issue is new, because a large value takes time to describe. */
  issue(path: string, expected: string, received: string | (() => string), remedy?: string): void {
    const key = `${path}\n${expected}`;
    if (this.#asked.has(key)) return;
    this.#issueCount++;
    if (this.#asked.size > mostListed) return;
    this.#asked.add(key);
    this.#issues.push({
      path,
      expected,
      received: typeof received === "string" ? received : received(),
      ...(remedy === undefined ? {} : { remedy }),
    });
  }

  /** @throws RopeError `ROPE_CONFIG` with every issue, if there is one. */
  throwIfBroken(): void {
    const count = this.#issueCount;
    if (count === 0) return;
    throw new RopeError("ROPE_CONFIG", {
      what: `${this.#missing} can be read from this config; it has ${count === 1 ? "1 issue" : `${count} issues`}`,
      issues: folded(this.#issues, count),
    });
  }
}

/**
 * The first issues of many; the last one says how many are not listed.
 *
 * @param count of all issues, of which `issues` may be the first.
 */
export function folded(issues: readonly RopeIssue[], count: number = issues.length): readonly RopeIssue[] {
  if (count <= mostListed + 1) return issues;
  const last = issues[mostListed]!;
  const more = `${count - mostListed - 1} more issues are not listed.`;
  return [
    ...issues.slice(0, mostListed),
    { ...last, remedy: last.remedy === undefined ? more : `${last.remedy} ${more}` },
  ];
}
