/// <reference path="./rope-backends.d.ts" preserve="true" />
/** Registers the backend `@@type@@`. */

/** @import { BackendContext, RopeBackend } from "@ropewalk/core/backend" */
import { registerBackend } from "@ropewalk/core";
import { checkKeys } from "@ropewalk/core/backend";
import { rotateTensor } from "./kernel.js";

/**
 * The backend, as a value. Importing the package registers it; `rope.to("@@type@@")` returns a rope that it rotates.
 *
 * `create` throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown option.
 *
 * @type {RopeBackend}
 */
export const __name__Backend = Object.freeze({
  specificationVersion: 1,
  name: "@@type@@",
  source: "@@package@@@@@version@@",
  /**
   * @param {BackendContext} context
   * @param {unknown} [options]
   */
  create({ withExecutor }, options = {}) {
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
