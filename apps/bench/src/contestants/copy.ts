import type { Contestant } from "../contestant.ts";

/** Reads and writes the same bytes and does nothing else: the limit of memory. */
export const copy: Contestant = {
  name: "copy, TypedArray.set",
  source: "the JavaScript engine",
  angles: "float32",
  prepare({ working, spare }) {
    return {
      run() {
        spare.query.set(working.query);
        spare.key.set(working.key);
      },
      result: spare,
      isCopy: true,
    };
  },
};
