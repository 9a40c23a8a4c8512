/** `ropewalk inspect`: the ropes that a config.json or GGUF file describes, with the reason for each number. */

import { ropesFromConfig, ropesFromGguf } from "../index.ts";
import type { ModelRopes, Precision, RopeRule, RotaryEmbedding } from "../index.ts";
import { wholeNumber } from "./arguments.ts";
import { describeFailure } from "./failure.ts";
import { configFiles, readJson } from "./files.ts";
import { isGguf, readGguf } from "./gguf.ts";
import type { Palette } from "./plot.ts";
import { reportText } from "./report.ts";
import { mergedRules } from "./rules.ts";
import { jsonLine, printable } from "./text.ts";

/** Options as the command line gives them. */
export interface InspectOptions {
  readonly json?: boolean;
  readonly precision: Precision;
  readonly length?: string;
  readonly family?: string;
  readonly part: "text" | "vision" | "audio";
}

export interface InspectOutput {
  readonly palette: Palette;
  /** Columns of the terminal. */
  readonly columns: number;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

/** Inspects all files, even if one fails. @returns the number of files that failed. */
export async function inspect(
  paths: readonly string[],
  options: InspectOptions,
  output: InspectOutput,
): Promise<number> {
  const length = options.length === undefined ? undefined : wholeNumber("--length", options.length, 1);
  let failures = 0;
  const report = async (file: string, task: () => Promise<void>): Promise<void> => {
    try {
      await task();
    } catch (error) {
      failures++;
      const failure = describeFailure(error) ?? {
        code: "INTERNAL",
        message: `unexpected ${String(error)}; this is a defect of ropewalk`,
      };
      if (options.json) output.print(jsonLine({ file, error: failure }));
      else {
        // A long message is cut, and names the beginning of a long name.
        const isNamed = failure.message.includes(printable(file).slice(0, 200));
        output.complain(isNamed ? failure.message : `${file}: ${failure.message}`);
      }
    }
  };
  for (const path of paths) {
    await report(path, async () => {
      for (const file of configFiles(path)) {
        await report(file, async () => {
          const ropes = await ropesOf(file, options);
          output.print(
            options.json ? jsonLine(document(file, ropes, length)) : reportText(file, ropes, { ...output, length }),
          );
        });
      }
    });
  }
  return failures;
}

async function ropesOf(file: string, { precision, family, part }: InspectOptions): Promise<ModelRopes> {
  if (!isGguf(file)) return ropesFromConfig(readJson(file), { precision, family, part });
  const { metadata, tensors } = await readGguf(file);
  return ropesFromGguf(metadata, { tensors, precision });
}

/** The document that `--json` prints for one file. */
function document(file: string, { byLayerType, rules, notes }: ModelRopes, length: number | undefined): object {
  const entries = [...byLayerType];
  const without = entries.filter(([, rope]) => rope === null).map(([layerType]) => layerType);
  return {
    file,
    ropes: entries.flatMap(([layerType, rope]) =>
      rope === null ? [] : [ropeDocument(layerType, rope, rules.get(layerType) ?? [], length)],
    ),
    ...(without.length === 0 ? {} : { layerTypesWithoutRope: without }),
    notes,
  };
}

function ropeDocument(
  layerType: string | null,
  rope: RotaryEmbedding,
  read: readonly RopeRule[],
  length: number | undefined,
): object {
  const { attentionFactor, softmaxScaleFactor, invFreq } = rope.frequencies(length);
  const { ropeType, headDim, rotaryDim, rotaryOffset, pairing, base, maxPosition } = rope;
  return {
    layerType,
    ropeType,
    headDim,
    rotaryDim,
    ...(rotaryOffset === 0 ? {} : { rotaryOffset }),
    pairing,
    base,
    maxPosition,
    attentionFactor,
    softmaxScaleFactor,
    invFreq: Array.from(invFreq),
    rules: mergedRules(read, rope.explain(length).rules),
  };
}
