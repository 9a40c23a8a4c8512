/**
 * A model's config.json in, ropes out; or the header of a GGUF file.
 *
 * This package is the only place that knows snake_case, model families and old spellings. It builds nothing itself:
 * importing a provider package (`@ropewalk/yarn`, …) adds its rope type.
 */

export { ropesFromConfig } from "./ropes.ts";
export type { ModelRopes } from "./ropes.ts";
export { ropeRequestsFromGguf, ropesFromGguf } from "./gguf.ts";
export type { GgufOptions, GgufRopeTensors } from "./gguf.ts";
export { ropeRequestsFromConfig } from "./requests.ts";
export type { LayerRopeRequest, RopeRequests } from "./requests.ts";
export type { ConfigOptions } from "./reading.ts";
export type { ConfigNote } from "./report.ts";
export { dialects, keyFacts } from "./dialects.ts";
export type { AmplitudeRule, Dialect, DialectName, KeyFacts, KeyUse, YarnDialect } from "./dialects.ts";
export { fromAtb } from "./atb.ts";
export type { AtbRequest, AtbRope } from "./atb.ts";
