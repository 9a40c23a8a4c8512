/**
 * A model's config.json in, ropes out; or the header of a GGUF file.
 *
 * This package is the only place that knows snake_case, model families and old spellings. It builds nothing itself:
 * importing a provider package (`@ropewalk/yarn`, …) adds its rope type.
 */

export { ropeRequestsFromConfig, ropeRequestsFromGguf, ropesFromConfig, ropesFromGguf } from "./ropes.ts";
export type { ModelRopes } from "./ropes.ts";
export type { LayerRopeRequest, RopeRequests } from "./request.ts";
export type { ConfigOptions, GgufOptions, GgufRopeTensors, RequestOverrides } from "./options.ts";
export type { ConfigNote } from "./report.ts";
export { attentionShape } from "./attention-shape.ts";
export type { AttentionShape, LatentShape } from "./attention-shape.ts";
export type { Fact } from "./facts/fact.ts";
export { dialects } from "./facts/dialects.ts";
export type { AmplitudeRule, Dialect, DialectName, YarnDialect } from "./facts/dialect.ts";
export { keyFacts } from "./facts/keys.ts";
export type { KeyFacts, KeyUse } from "./facts/keys.ts";
export { fromAtb } from "./atb.ts";
export type { AtbRequest, AtbRope } from "./atb.ts";
