/**
 * Reads ropes from a model's config.json, or from the header of a GGUF file.
 *
 * Only this package knows snake_case keys, model families and old spellings. It builds no type itself: import a
 * provider package (`@ropewalk/yarn`, …) to add its rope type.
 */

export { ropeRequestsFromConfig, ropeRequestsFromGguf, ropesFromConfig, ropesFromGguf } from "./ropes.ts";
export type { ModelRopes } from "./ropes.ts";
export type { LayerRopeRequest, RopeRequests } from "./request.ts";
export type { ConfigOptions, GgufOptions, GgufRopeTensors, RequestOverrides } from "./options.ts";
export type { ConfigNote } from "./report.ts";
export { promptRules } from "./read/prompt.ts";
export type { PromptRules } from "./read/prompt.ts";
export type { VideoTimeRule } from "./facts/prompts.ts";
export { attentionShape } from "./attention-shape.ts";
export type { AttentionShape, LatentShape } from "./attention-shape.ts";
export { projectionShape, projectionShapeFromGguf } from "./projections.ts";
export type { ProjectionShape } from "./projections.ts";
export type { FusedOrder } from "./facts/projections.ts";
export type { RopeWeights } from "./facts/family.ts";
export type { Fact } from "./facts/fact.ts";
export type { AxisName, TowerPart, TowerPositions } from "./facts/tower.ts";
export { dialects } from "./facts/dialects.ts";
export type { AmplitudeRule, Dialect, DialectName, YarnDialect } from "./facts/dialect.ts";
export { keyFacts } from "./facts/keys.ts";
export type { KeyFacts, KeyUse } from "./facts/keys.ts";
export { fromAtb } from "./atb.ts";
export type { AtbRequest, AtbRope } from "./atb.ts";
