/**
 * What `npm create ropewalk` writes, as functions: for tools that make packages of their own, and for the checks that
 * keep the packages of this project in step with what it writes.
 */

export { answerIssue, choices, proposedType, questions, requireAnswers } from "./answers.ts";
export type { Answers, Language, PackageKind } from "./answers.ts";
export { newManifest, sharedManifest } from "./manifest.ts";
export type { Versions } from "./manifest.ts";
export { fill, packageFiles } from "./render.ts";
export type { Files, Words } from "./render.ts";
