/** Prints `N passed, N failed, N skipped` as the last line, so that a run which executed no test shows. */
export default class ClosingLine {
  onTestRunEnd(modules, errors) {
    let passed = 0;
    let failed = errors.length;
    let skipped = 0;
    for (const module of modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      // A file that does not load has no failing test of its own, yet the module failed.
      if (module.state() === "failed" && !states.includes("failed")) failed++;
      for (const state of states) {
        if (state === "passed") passed++;
        else if (state === "failed") failed++;
        else skipped++;
      }
    }
    console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  }
}
