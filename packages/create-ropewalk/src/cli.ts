#!/usr/bin/env node
/**
 * The command `create-ropewalk`, which `npm create ropewalk` runs. Exit code 0: written; 2: bad input, or the user
 * left, with one sentence on stderr; 1: a defect.
 */

import path from "node:path";
import { RopeError } from "@ropewalk/core";
import { Command, CommanderError, Option } from "commander";
import { answerIssue, choices, requireAnswers } from "./answers.ts";
import type { Answers } from "./answers.ts";
import { CreateFailure } from "./failure.ts";
import { ask } from "./prompts.ts";
import { proposals, unanswered } from "./proposals.ts";
import type { Given } from "./proposals.ts";
import { packageFiles } from "./render.ts";
import { folderIssue, ownVersion, ownVersions, readTemplates, writePackage } from "./write.ts";

const BAD_INPUT = 2;

const program = new Command("create-ropewalk")
  .description("Makes a package with a rope type or a backend of your own.")
  .version(ownVersion)
  .argument("[folder]", "where to write it: a new folder, or an empty one")
  .addOption(new Option("--kind <kind>", "a rope type, or another place to rotate").choices(choices.kind))
  .addOption(new Option("--language <language>", "of the source").choices(choices.language))
  .option("--name <name>", "of the package on npm, such as rope-step")
  .option("--type <name>", "of the rope type or backend, such as step")
  .option("--description <sentence>", "for package.json and README")
  .option("--author <name>", "who holds the copyright, for package.json and LICENSE")
  .option("--workflow", "with a workflow for GitHub Actions")
  .option("--no-workflow", "without one")
  .option("-y, --yes", "take what is proposed for every question that no option answers")
  .exitOverride()
  .configureOutput({ writeErr: () => {} })
  .allowExcessArguments(false)
  .action(create);

async function create(folder: string | undefined, options: Given & { readonly yes?: boolean }): Promise<void> {
  const { yes = false, ...rest } = options;
  const given: Given = { ...(folder === undefined ? {} : { folder }), ...rest };
  // What is wrong already is said before the first question.
  const issues = Object.entries(given).flatMap(([key, value]) => {
    if (key === "folder") return folderIssue(value as string) ?? [];
    const issue = answerIssue(key as keyof Answers, value, given.kind);
    return issue === undefined ? [] : `--${key}: expected ${issue.expected}, got ${issue.received}`;
  });
  if (issues.length > 0) throw new CreateFailure(`${issues.join("; ")}.`);

  const complete = yes ? proposals(given) : process.stdin.isTTY ? await ask(given) : given;
  const missing = unanswered(complete);
  if (missing.length > 0) {
    const remedy = yes ? "" : ", or --yes to take what is proposed";
    throw new CreateFailure(
      `no answer for ${missing.join(", ")}: standard input is no terminal, so nothing is asked. Give these options${remedy}.`,
    );
  }
  const { folder: target, ...answers } = complete as Required<Given>;
  const files = packageFiles(readTemplates(), requireAnswers(answers), ownVersions(), new Date().getFullYear());
  writePackage(target, files);
  console.log(nextSteps(target, answers as Answers, files.size));
}

/** What to do with the new package. */
function nextSteps(folder: string, { kind, language, type }: Answers, count: number): string {
  const extension = language === "typescript" ? "ts" : "js";
  const formula = kind === "provider" ? `src/formula.${extension}` : `src/kernel.${extension}`;
  const example = kind === "provider" ? `example/linear.${extension}` : `example/javascript.${extension}`;
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const old = language === "typescript" && (major < 22 || (major === 22 && minor < 18));
  return [
    `${count} files in ${folder}: the ${kind === "provider" ? "rope type" : "backend"} "${type}".`,
    "",
    `  cd ${path.relative("", folder) || "."}`,
    "  npm install",
    `  npm test        # fails until the formula in ${formula} is written; ${example} is complete`,
    "  npm run check   # lint, tests, conformance report and badge, types, publint",
    "",
    "README.md ends with what to do before the first release.",
    ...(old ? [`Tests in TypeScript need Node 22.18 or newer; this is ${process.version}.`] : []),
  ].join("\n");
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError && error.exitCode === 0) {
    process.exitCode = 0;
  } else if (error instanceof CreateFailure || error instanceof CommanderError || RopeError.is(error)) {
    const lines = error.message.replace(/^error: /, "").split("\n");
    console.error(`create-ropewalk: ${lines.map((text) => text.trim()).join(" ")}`);
    process.exitCode = BAD_INPUT;
  } else {
    throw error;
  }
}
