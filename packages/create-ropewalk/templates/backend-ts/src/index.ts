/** Registers the backend `@@type@@`. */

import { registerBackend } from "@ropewalk/core";
import type { RotaryEmbedding } from "@ropewalk/core";
import { checkKeys } from "@ropewalk/core/backend";
import type { BackendContext, RopeBackend } from "@ropewalk/core/backend";
import { rotateTensor } from "./kernel.ts";

/** Options of `rope.to("@@type@@", …)`: none yet. */
export type __Name__Options = Readonly<Record<never, never>>;

declare module "@ropewalk/core" {
  interface RopeBackends {
    "@@type@@": { options: __Name__Options; rope: RotaryEmbedding };
  }
}

/**
 * The backend, as a value. Importing the package registers it; `rope.to("@@type@@")` returns a rope that it rotates.
 *
 * `create` throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown option.
 */
export const __name__Backend: RopeBackend = Object.freeze({
  specificationVersion: 1,
  name: "@@type@@",
  source: "@@package@@@@@version@@",
  create({ withExecutor }: BackendContext, options: unknown = {}) {
    checkKeys("the options of @@type@@", options, []);
    return withExecutor({
      name: "@@type@@",
      rotate(tasks) {
        for (const task of tasks) rotateTensor(task);
      },
    });
  },
});

registerBackend(__name__Backend);
