#!/usr/bin/env node
/**
 * The command `ropewalk`. Exit code 0: success; 1: differences or findings, or a defect of ropewalk; 2: bad input, with
 * one sentence on stderr.
 */

import { readFileSync } from "node:fs";
import { Command, CommanderError, Option } from "commander";
import colours from "picocolors";
import { apply } from "./cli/apply.ts";
import type { ApplyOptions } from "./cli/apply.ts";
import { conformance } from "./cli/conformance/conformance.ts";
import type { ConformanceCommandOptions } from "./cli/conformance/conformance.ts";
import { conformanceText } from "./cli/conformance/text.ts";
import { diff, diffText } from "./cli/diff.ts";
import type { DiffOptions } from "./cli/diff.ts";
import { describeFailure, reason } from "./cli/failure.ts";
import { inspect } from "./cli/inspect.ts";
import type { InspectOptions } from "./cli/inspect.ts";
import { lint, lintText } from "./cli/lint.ts";
import type { LintOptions } from "./cli/lint.ts";
import { permute, progressBar } from "./cli/permute/permute.ts";
import type { PermuteCommandOptions } from "./cli/permute/permute.ts";
import { jsonLine, printable, printableLines, printableReport } from "./cli/text.ts";
import { verify, verifyText } from "./cli/verify/verify.ts";
import type { VerifyOptions } from "./cli/verify/verify.ts";

const BAD_INPUT = 2;

const { env, stdout } = process;
// Colours on a terminal only; NO_COLOR and FORCE_COLOR override this.
const coloured = !env["NO_COLOR"] && (Boolean(env["FORCE_COLOR"]) || (stdout.isTTY === true && env["TERM"] !== "dumb"));
const palette = colours.createColors(coloured);

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const precision = (): Option =>
  new Option("--precision <how>", "rounding of the angle: as the engines that train models, or exact")
    .choices(["float32", "float64"])
    .default("float32");
const length = (): Option =>
  new Option("--length <n>", "current length in tokens, for types whose frequencies depend on it");

const family = (): Option =>
  new Option(
    "--family <model_type>",
    "the known model whose attention rotates as this one's, for an unknown model_type",
  );

const part = (): Option =>
  new Option("--part <part>", "which model of a file with several: the text model or a tower")
    .choices(["text", "vision", "audio"])
    .default("text");

const program = new Command("ropewalk")
  .description("Rotary position embeddings, exactly as the engines compute them.")
  .version(version)
  .exitOverride()
  .configureOutput({ writeErr: () => {} });

program
  .command("inspect")
  .description("say what ropes a model's config.json or GGUF file asks for, and why each number is what it is")
  .argument("<config...>", "config.json files, .gguf files, or folders")
  .option("--json", "print one JSON document a line and a file")
  .addOption(family())
  .addOption(part())
  .addOption(length())
  .addOption(precision())
  .addHelpText(
    "after",
    "\nA folder stands for its config.json; else for every config.json below it; else for the *.json and *.gguf files in it.\nExit code 0 when all files are fine, 2 when any failed.\n\nExample:\n  $ ropewalk inspect Qwen2.5-7B/config.json",
  )
  .action(async (paths: string[], options: InspectOptions) => {
    const output = {
      palette,
      columns: stdout.columns ?? 100,
      print,
      complain,
    };
    if ((await inspect(paths, options, output)) > 0) process.exitCode = BAD_INPUT;
  });

program
  .command("apply")
  .description(
    "rotate queries and keys of .npy and .safetensors files; results have the same names, format and element type",
  )
  .argument("<config>", "config.json of the model")
  .option("--query <file>", 'q.npy, or qk.safetensors#name (without #name: the tensor "query")')
  .option("--key <file>", 'k.npy, or qk.safetensors#name (without #name: the tensor "key")')
  .requiredOption(
    "--positions <p>",
    "start:end (end excluded), start:end:step, a list 0,1,7, or an .npy file of integers",
  )
  .requiredOption("--out <folder>", "folder that the results go to, made if it is not there")
  .option("--force", "replace results that exist, but never a file that this command reads")
  .addOption(
    new Option(
      "--layout <order>",
      "axes in the files: [batch?, tokens, heads, headDim] or [batch?, heads, tokens, headDim]",
    )
      .choices(["token-first", "head-first"])
      .default("token-first"),
  )
  .addOption(
    new Option("--operation <o>", "rotate, undo a rotation, or pass gradients back")
      .choices(["apply", "invert", "adjoint"])
      .default("apply"),
  )
  .option("--layer <i>", "the layer whose rope to use, where a model has several")
  .option("--layer-type <name>", "the same by type, for example sliding_attention")
  .option("--max-position <n>", "positions to admit, instead of what the config says")
  .addOption(family())
  .addOption(part())
  .addOption(length())
  .addOption(precision())
  .addHelpText(
    "after",
    "\nNothing is written when anything is wrong.\n\nExample:\n  $ ropewalk apply config.json --query q.npy --key k.npy --positions 0:4096 --out rotated",
  )
  .action(async (config: string, options: ApplyOptions) => {
    for (const line of await apply(config, options)) print(printable(line));
  });

program
  .command("diff")
  .description("say what differs between the ropes of two configs")
  .argument("<a>", "config.json")
  .argument("<b>", "the other config.json")
  .addOption(family())
  .option("--json", "print one JSON document")
  .addOption(
    new Option(
      "--length <n>",
      "the length that frequencies and angles are compared at, instead of the shorter context",
    ),
  )
  .addHelpText("after", "\nExit code 0 when the ropes are the same, 1 when they differ.")
  .action((a: string, b: string, options: DiffOptions) => {
    const difference = diff([a, b], options);
    print(options.json ? jsonLine(difference) : diffText(printableReport(difference), palette));
    if (!difference.equal) process.exitCode = 1;
  });

program
  .command("lint")
  .description("say which rope keys each engine reads, ignores or reads otherwise, and what that does to the numbers")
  .argument("<config>", "config.json")
  .option(
    "--for <engines>",
    "hf, vllm, sglang, llama.cpp, mlx, mindie, ort-genai, onnx; several with commas between (default: all)",
  )
  .addOption(family())
  .option("--json", "print one JSON document")
  .addHelpText(
    "after",
    "\nExit code 0 when nothing was found, 1 when something was.\n\nExample:\n  $ ropewalk lint config.json --for vllm,llama.cpp",
  )
  .action((config: string, options: LintOptions) => {
    const report = lint(config, options);
    print(options.json ? jsonLine(report) : lintText(printableReport(report), palette).trimEnd());
    if (report.findings.length > 0) process.exitCode = 1;
  });

program
  .command("permute")
  .description("reorder query and key weights of a model from one pairing to another")
  .argument("<in>", "a .safetensors file, the *.safetensors.index.json of several or its folder, or a .gguf file")
  .argument("<out>", "where the result goes: a file, or for an index a new folder")
  .option("--config <file>", "config.json of the model; a GGUF file has its own header")
  .requiredOption("--from <pairing>", "pairing of the file: half, adjacent or blocks:<n>")
  .requiredOption("--to <pairing>", "pairing of the result")
  .addOption(family())
  .option("--query-pattern <regex>", "names of query projections, biases and norms, in addition to the usual ones")
  .option("--key-pattern <regex>", "the same of keys")
  .addOption(
    new Option(
      "--fused <how>",
      "where queries, keys and values lie in a projection that makes all three, if the family is not known",
    ).choices(["concatenated", "per-group"]),
  )
  .option("--fused-pattern <regex>", "names of such projections, in addition to the usual ones")
  .option("--leave-pattern <regex>", "names of tensors that stay as they are, whatever they look like")
  .option("--force", "replace the output file if it exists; it may be the input")
  .addHelpText(
    "after",
    "\nEvery tensor of an attention has to be recognised, or left by a pattern; else nothing is written.\nThe output appears whole or not at all.\n\nExamples:\n  $ ropewalk permute Llama-3.1-8B/ adjacent/ --config Llama-3.1-8B/config.json --from half --to adjacent\n  $ ropewalk permute model.safetensors adjacent.safetensors --config config.json --from half --to adjacent",
  )
  .action(async (input: string, output: string, options: PermuteCommandOptions) => {
    for (const line of await permute(input, output, options, progressBar(process.stderr))) print(printable(line));
  });

program
  .command("verify")
  .description("compare the installed packages with what other engines answered")
  .option("--json", "print the report as one JSON document")
  .option("--vectors <file>", "answers to compare with, instead of those that come with this package")
  .addHelpText("after", "\nExit code 0 when all answers agree, 1 when one does not.")
  .action((options: VerifyOptions) => {
    const report = verify(options.vectors);
    print(options.json ? jsonLine(report) : verifyText(printableReport(report), palette));
    if (report.mismatches.length > 0) process.exitCode = 1;
  });

program
  .command("conformance")
  .description("run the conformance suite on the rope types and backends that a package registers")
  .argument("<module>", "the built module of a package, for example ./dist/index.js")
  .option("--report <file>", "write the report as JSON; @ropewalk/conformance/report.schema.json describes it")
  .option("--badge <file>", "write a badge as SVG")
  .option("--cases <file>", "cases as JSON or a module (default: conformance.json or .mjs beside package.json)")
  .option("--seed <n>", "seed of the test data", "1")
  .option("--timeout <seconds>", "stop when the import or one law takes longer", "60")
  .option("--force", "replace files that exist")
  .addHelpText(
    "after",
    "\nExit code 0 when every law holds, 1 when one does not.\n\nExample:\n  $ ropewalk conformance ./dist/index.js --report conformance-report.json --badge conformance.svg",
  )
  .action(async (path: string, options: ConformanceCommandOptions) => {
    const { report, told } = await conformance(path, options);
    for (const sentence of told) complain(sentence);
    print(conformanceText(report, `ropewalk conformance ${path}`, palette).trimEnd());
    if (!report.passed) process.exitCode = 1;
  });

function print(text: string): void {
  stdout.write(`${printableLines(text)}\n`);
}

function complain(sentence: string): void {
  process.stderr.write(`ropewalk: ${printable(sentence)}\n`);
}

stdout.on("error", (error: NodeJS.ErrnoException) => {
  // A reader that closes the pipe early (`| head`) is not a failure.
  if (error.code === "EPIPE") process.exit();
  complain(`cannot write to the standard output: ${reason(error)}.`);
  process.exit(BAD_INPUT);
});
// Nothing is left to tell it to.
process.stderr.on("error", () => {});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Help and version come as exceptions too, with code 0.
    if (error.exitCode !== 0) {
      process.exitCode = BAD_INPUT;
      const empty = error.code === "commander.help";
      complain(
        empty
          ? "nothing to do: say ropewalk inspect <config.json…>, ropewalk apply <config.json> …, or ropewalk --help."
          : error.message.replace(/^error: /, ""),
      );
    }
  } else {
    const failure = describeFailure(error);
    process.exitCode = failure === undefined ? 1 : BAD_INPUT;
    complain(failure?.message ?? `unexpected ${String(error)}; this is a defect of ropewalk.`);
  }
}
