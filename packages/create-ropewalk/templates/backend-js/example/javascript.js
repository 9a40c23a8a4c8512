/**
 * A complete backend, to read beside src: it hands every task to core's own loop. It is tested, not published, and may
 * be deleted with its test.
 */

/** @import { RopeBackend } from "@ropewalk/core/backend" */
import { rotateTask } from "@ropewalk/core/backend";

/** @type {RopeBackend} */
export const javascript = {
  specificationVersion: 1,
  name: "javascript-example",
  source: "javascript-example@1.0.0",
  // Core plans a call: it checks positions and tensors, and makes cos and sin. The executor only rotates.
  create: ({ withExecutor }) =>
    withExecutor({
      name: "javascript-example",
      rotate: (tasks) => {
        for (const task of tasks) rotateTask(task);
      },
    }),
};
