/** Registers the backend `trace`. */

/** @import { BackendContext, RopeBackend } from "@ropewalk/core/backend" */
/** @import { TraceOptions } from "../types.js" */
import { registerBackend } from "@ropewalk/core";
import { checkKeys, invalid, show } from "@ropewalk/core/backend";
import { createTrace, recorderOf } from "./trace.js";

/**
 * The backend, as a value. Importing the package registers it; `rope.to("trace", { trace })` returns a rope whose
 * rotations have the bits of core's JavaScript, and are recorded.
 *
 * `create` throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown option, or without a trace.
 *
 * @type {RopeBackend}
 */
export const traceBackend = Object.freeze({
  specificationVersion: 1,
  name: "trace",
  source: "ropewalk-backend-trace@0.1.0",
  /**
   * @param {BackendContext} context
   * @param {unknown} [options]
   */
  create({ withExecutor }, options = {}) {
    const given = /** @type {Partial<TraceOptions>} */ (checkKeys("the options of trace", options, ["trace", "label"]));
    const { trace, label = "" } = given;
    const record = recorderOf(trace);
    const issues = [];
    if (record === undefined) {
      issues.push({ path: "trace", expected: "a trace, made by createTrace()", received: show(trace) });
    }
    if (typeof label !== "string") issues.push({ path: "label", expected: "a string", received: show(label) });
    if (record === undefined || issues.length > 0) throw invalid("the options of trace", issues);
    return withExecutor({ name: "trace", rotate: (tasks) => record(label, tasks) });
  },
});

registerBackend(traceBackend);

export { createTrace };
