/** Every rope that tooling/goldens has an answer for and a package is built for, as plain data. */

import { ropesFromConfig } from "@ropewalk/config";
import { getRopeUntyped, RopeError } from "@ropewalk/core";
import type { RotaryEmbedding, UntypedRopeRequest } from "@ropewalk/core";
import { fixtures, models } from "@ropewalk/goldens";
import type { HfRope } from "@ropewalk/goldens";
import "./golden-body.ts";
import type { GoldenSpec } from "./golden-body.ts";

interface EngineRecord {
  readonly name: string;
  readonly request: UntypedRopeRequest & { readonly length?: number; readonly dialect?: string };
  readonly equivalent?: { readonly ropeType: string };
  readonly length?: number;
}

/** A request of a fixture, or `undefined` where no package is built for it. */
function ropeOf({ request, equivalent }: EngineRecord): RotaryEmbedding | undefined {
  const { length: _length, dialect: _dialect, ...own } = request;
  const { assignment, ...parameters } = { ...(equivalent ?? own.parameters) } as {
    ropeType: string;
    assignment?: string;
  };
  try {
    return getRopeUntyped({
      ...own,
      parameters: { ...parameters, ...(assignment === undefined ? {} : { order: assignment }) },
    });
  } catch (error) {
    if (RopeError.is(error) && (error.code === "ROPE_UNKNOWN_TYPE" || error.code === "ROPE_INVALID_PARAMETERS")) {
      return undefined;
    }
    throw error;
  }
}

const engines = ["truth", "mlx", "ggml", "vllm", "sglang", "ndrope"] as const;

/** A record of transformers with its rope, read from the model's config.json. */
export const hfRopes: readonly { readonly name: string; readonly record: HfRope; readonly rope: RotaryEmbedding }[] =
  fixtures("hf").flatMap(({ model, ropes }) => {
    const config = models().find(({ id }) => id === model)?.config;
    const { byLayerType } = ropesFromConfig(config);
    return ropes.flatMap((record) => {
      const rope =
        byLayerType.get(record.layerType) ?? (byLayerType.size === 1 ? [...byLayerType.values()][0] : undefined);
      return rope === undefined || rope === null
        ? []
        : [{ name: `${model} ${record.layerType ?? ""}`.trim(), record, rope }];
    });
  });

function collect(): GoldenSpec[] {
  const found = new Map<string, GoldenSpec>();
  const add = (name: string, rope: RotaryEmbedding, length: number | null | undefined): void => {
    const entry = { name, spec: rope.spec, length: rope.capabilities.dependsOnLength ? (length ?? null) : null };
    const key = JSON.stringify([entry.spec, entry.length]);
    if (!found.has(key)) found.set(key, entry);
  };
  for (const engine of engines) {
    for (const fixture of fixtures(engine) as unknown as readonly EngineRecord[]) {
      const rope = fixture.request === undefined ? undefined : ropeOf(fixture);
      if (rope !== undefined) add(`${engine} ${fixture.name}`, rope, fixture.length ?? fixture.request.length);
    }
  }
  for (const { name, record, rope } of hfRopes) add(`hf ${name}`, rope, record.length);
  return [...found.values()];
}

export const goldenSpecs: readonly GoldenSpec[] = collect();
