/** Asks at a terminal for what no option answers. */

import { confirm, intro, isCancel, select, text } from "@clack/prompts";
import { answerIssue, questions } from "./answers.ts";
import type { Answers } from "./answers.ts";
import type { Readable, Writable } from "node:stream";
import { CreateFailure } from "./failure.ts";
import { proposal } from "./proposals.ts";
import type { Given } from "./proposals.ts";
import { folderIssue } from "./write.ts";

type Question = "folder" | keyof Answers;

const sentences: Readonly<Record<Question, string>> = {
  folder: "Where? A new folder, or an empty one",
  kind: "What is it?",
  language: "In which language?",
  name: "The package's name on npm",
  type: "The name of the rope type or backend, as requests write it",
  description: "What it is, in a sentence",
  author: "Who holds the copyright?",
  workflow: "With a workflow for GitHub Actions?",
};

/** Where questions go and answers come from. Default: the terminal. */
export interface Terminal {
  readonly input?: Readable;
  readonly output?: Writable;
}

/** All answers. @throws CreateFailure when the user leaves. */
export async function ask(given: Given, terminal: Terminal = {}): Promise<Given> {
  intro("A rope type or a backend of your own", terminal);
  const answers: Given = { ...given };
  for (const question of ["folder", ...questions] as const) {
    if (answers[question] !== undefined) continue;
    const answer = await askOne(question, answers, terminal);
    if (isCancel(answer)) throw new CreateFailure("stopped. Nothing was written.");
    Object.assign(answers, { [question]: answer });
  }
  return answers;
}

function askOne(question: Question, given: Given, terminal: Terminal): Promise<unknown> {
  const message = sentences[question];
  switch (question) {
    case "kind":
      return select({
        ...terminal,
        message,
        options: [
          { value: "provider", label: "a provider", hint: "a rope type: other frequencies" },
          { value: "backend", label: "a backend", hint: "another place to rotate" },
        ],
      });
    case "language":
      return select({
        ...terminal,
        message,
        options: [
          { value: "typescript", label: "TypeScript" },
          { value: "javascript", label: "JavaScript", hint: "with types in comments" },
        ],
      });
    case "workflow":
      return confirm({ ...terminal, message, initialValue: true });
    default: {
      const proposed = proposal(question, given);
      const validate = (value: string | undefined): string | undefined => {
        if (question === "folder") return folderIssue(value ?? "");
        const issue = answerIssue(question, value ?? "", given.kind);
        return issue === undefined ? undefined : `expected ${issue.expected}`;
      };
      return text({
        ...terminal,
        message,
        validate,
        ...(typeof proposed === "string" ? { initialValue: proposed } : {}),
      });
    }
  }
}
