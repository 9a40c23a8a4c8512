/**
 * How a rope finds the pass from projection to cache, a part that only those load who use it.
 */

import { RopeError } from "./errors.ts";
import type { passTasks } from "./pass-check.ts";
import type { passTask } from "./pass-kernel.ts";

/** What `pass.ts` puts here when it is imported. */
export const passPart: {
  current: { readonly passTasks: typeof passTasks; readonly passTask: typeof passTask } | undefined;
} = { current: undefined };

/** @throws RopeError `ROPE_UNSUPPORTED` when nothing has imported the pass, or the executor only rotates. */
export function requirePass(backend: string, canPass: boolean): NonNullable<typeof passPart.current> {
  const { current } = passPart;
  if (canPass && current !== undefined) return current;
  throw new RopeError("ROPE_UNSUPPORTED", {
    what: canPass ? "the pass is not loaded" : `the backend ${JSON.stringify(backend)} only rotates`,
    expected: "query and key, and out of the element types of tensors",
    received: "value, norm, queryScale, slots, 8-bit elements, or heads in groups",
    remedy: canPass
      ? 'Import "@ropewalk/core/pass". The package "ropewalk" and those of backends do.'
      : "Use the rope without this backend, or call norm, rotation and copy one after another.",
    facts: { backend },
  });
}
