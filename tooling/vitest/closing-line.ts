import type { Reporter } from "vitest/node";

/** Test files that cannot run here, with the reason. */
interface Left {
  readonly files: readonly string[];
  readonly reason: string;
}

/** Prints `N passed, N failed, N skipped` as the last line, so that a run without any test is visible. */
export default class ClosingLine implements Reporter {
  readonly #left: Left;

  /** @param left each of its files counts as one skipped test. */
  constructor(left: Left = { files: [], reason: "" }) {
    this.#left = left;
  }

  onTestRunEnd(...[modules, errors]: Parameters<NonNullable<Reporter["onTestRunEnd"]>>): void {
    let passed = 0;
    let failed = errors.length;
    let skipped = this.#left.files.length;
    for (const module of modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      // A file that does not load has no failing test, but its module failed.
      if (module.state() === "failed" && !states.includes("failed")) failed++;
      for (const state of states) {
        if (state === "passed") passed++;
        else if (state === "failed") failed++;
        else skipped++;
      }
    }
    const { files, reason } = this.#left;
    if (files.length > 0) console.log(`\nNot run (${files.length} files, ${files.join(", ")}): ${reason}`);
    console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  }
}
