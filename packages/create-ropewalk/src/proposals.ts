/** What is given, what is missing, and what is proposed for it. */

import path from "node:path";
import { answerIssue, proposedType, questions } from "./answers.ts";
import type { Answers } from "./answers.ts";

/** Answers so far. */
export type Given = { readonly [Key in "folder" | keyof Answers]?: Key extends keyof Answers ? Answers[Key] : string };

/** Fills in what a question proposes; what has no valid proposal stays open. */
export function proposals(given: Given): Given {
  const complete: Writable = { ...given };
  for (const question of ["folder", ...questions] as const) {
    if (complete[question] !== undefined) continue;
    const value = proposal(question, complete);
    const isValid = question === "folder" || answerIssue(question, value, complete.kind) === undefined;
    if (value !== undefined && isValid) Object.assign(complete, { [question]: value });
  }
  return complete;
}

type Writable = { -readonly [Key in keyof Given]: Given[Key] };

/** The proposed answer to a question, from the answers to those before it; `undefined` if there is none. */
export function proposal(question: "folder" | keyof Answers, given: Given): string | boolean | undefined {
  const { folder, name, kind = "provider", type } = given;
  switch (question) {
    case "folder":
      return name?.replace(/^@[^/]*\//, "");
    case "kind":
      return kind;
    case "language":
      return "typescript";
    case "name":
      return folder === undefined ? undefined : path.basename(path.resolve(folder)).toLowerCase();
    case "type":
      return name === undefined ? undefined : proposedType(name);
    case "description":
      return type === undefined
        ? undefined
        : `The ${kind === "provider" ? "rope type" : "backend"} ${type} for ropewalk.`;
    case "author":
      return name === undefined ? undefined : `the authors of ${name}`;
    case "workflow":
      return true;
  }
}

/** The options of the questions without an answer. */
export function unanswered(given: Given): string[] {
  return (["folder", ...questions] as const)
    .filter((question) => given[question] === undefined)
    .map((question) =>
      question === "folder" ? "<folder>" : question === "workflow" ? "--workflow or --no-workflow" : `--${question}`,
    );
}
