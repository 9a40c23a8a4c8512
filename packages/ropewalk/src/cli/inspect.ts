/** `ropewalk inspect`: what ropes a model's config.json asks for, and why each number is what it is. */

import { ropesFromConfig } from "../index.ts";
import type { ModelRopes, Precision, RotaryEmbedding } from "../index.ts";
import { wholeNumber } from "./arguments.ts";
import { describeFailure } from "./failure.ts";
import { configFiles, readJson } from "./files.ts";
import type { Palette } from "./plot.ts";
import { reportText } from "./report.ts";

/** Options as the command line gives them. */
export interface InspectOptions {
  readonly json?: boolean;
  readonly precision: Precision;
  readonly length?: string;
}

export interface InspectOutput {
  readonly palette: Palette;
  /** Columns of the terminal. */
  readonly columns: number;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

/** Inspects all files, also after one has failed. @returns how many failed. */
export function inspect(paths: readonly string[], options: InspectOptions, output: InspectOutput): number {
  const length = options.length === undefined ? undefined : wholeNumber("--length", options.length, 1);
  let failures = 0;
  const report = (file: string, task: () => void): void => {
    try {
      task();
    } catch (error) {
      failures++;
      const failure = describeFailure(error) ?? { code: "INTERNAL", message: `unexpected ${String(error)}; this is a defect of ropewalk` };
      if (options.json) output.print(JSON.stringify({ file, error: failure }));
      else output.complain(failure.message.includes(file) ? failure.message : `${file}: ${failure.message}`);
    }
  };
  for (const path of paths) {
    report(path, () => {
      for (const file of configFiles(path)) {
        report(file, () => {
          const ropes = ropesFromConfig(readJson(file), { precision: options.precision });
          output.print(options.json ? JSON.stringify(document(file, ropes, length)) : reportText(file, ropes, { ...output, length }));
        });
      }
    });
  }
  return failures;
}

/** What `--json` prints of one file. */
function document(file: string, { byLayerType, notes }: ModelRopes, length: number | undefined): object {
  const entries = [...byLayerType];
  const without = entries.filter(([, rope]) => rope === null).map(([layerType]) => layerType);
  return {
    file,
    ropes: entries.flatMap(([layerType, rope]) => (rope === null ? [] : [ropeDocument(layerType, rope, length)])),
    ...(without.length === 0 ? {} : { layerTypesWithoutRope: without }),
    notes,
  };
}

function ropeDocument(layerType: string | null, rope: RotaryEmbedding, length: number | undefined): object {
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
  };
}
