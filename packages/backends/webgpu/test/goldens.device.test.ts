import { compareRotations } from "@ropewalk/conformance/golden";
import type { EngineRecord } from "@ropewalk/conformance/golden";
import { getRopeUntyped, listRopeTypes } from "@ropewalk/core";
import type { Positions, RotaryEmbedding, TensorView } from "@ropewalk/core";
import { afterAll, expect, test } from "vitest";
import { compareGoldens, POSITIONS } from "./golden-body.ts";
import { goldenSpecs, hfRopes } from "./golden-specs.ts";
import { newDevice } from "./node-device.ts";

const device = await newDevice();
afterAll(() => device.destroy());

test("every registered type has goldens among those that are compared", () => {
  const types = new Set(goldenSpecs.map(({ spec }) => spec.parameters.ropeType));
  expect(
    listRopeTypes()
      // A spelling has no ropes of its own: those of mrope are of the type default, with axes.
      .filter(({ provider }) => !("rewrite" in provider))
      .map(({ ropeType }) => ropeType)
      .filter((ropeType) => !types.has(ropeType)),
  ).toEqual([]);
  expect(goldenSpecs.some(({ spec }) => spec.parameters.ropeType === "default" && spec.axes !== null)).toBe(true);
  expect(goldenSpecs.length).toBeGreaterThan(120);
});

test("every golden rope is JavaScript's within 1e-6 at positions up to 1048575", async () => {
  expect(await compareGoldens(device, goldenSpecs, POSITIONS)).toEqual([]);
});

interface Call {
  readonly positions: Positions;
  readonly key: TensorView & { readonly data: Float32Array | Uint16Array };
}

/** The rope with room for the record's positions: engines compute positions that a model does not admit. */
function reaching(rope: RotaryEmbedding, { rotated, length }: EngineRecord): RotaryEmbedding {
  const largest = Math.max(...rotated!.flatMap(({ positions }) => positions));
  if (largest < rope.positionLimit) return rope;
  const longer = getRopeUntyped({ ...rope.spec, maxPosition: largest + 1 });
  const at = length ?? undefined;
  expect(longer.frequencies(at).invFreq).toEqual(rope.frequencies(at).invFreq);
  return longer;
}

class Unanswered extends Error {
  readonly call: Call;
  constructor(call: Call) {
    super("not asked yet");
    this.call = call;
  }
}

/**
 * `compareRotations` is synchronous, a device is not: it runs again and again, each time with one more answer of the
 * device.
 */
async function compareOnDevice(given: RotaryEmbedding, record: EngineRecord): Promise<number> {
  const rope = reaching(given, record);
  using gpu = await rope.to("webgpu", { device });
  const answers = new Map<string, Float32Array | Uint16Array>();
  const keyOf = ({ positions, key }: Call): string =>
    `${JSON.stringify(positions)} ${key.data.constructor.name} ${key.data.join()}`;
  const apply = (call: Call): void => {
    const answer = answers.get(keyOf(call));
    if (answer === undefined) throw new Unanswered(call);
    call.key.data.set(answer);
  };
  const through = new Proxy(rope, {
    get(target, name) {
      const value: unknown = name === "apply" ? apply : Reflect.get(target, name, target);
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
  for (;;) {
    try {
      compareRotations(through, record);
      return answers.size;
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      const asked = keyOf(error.call);
      const { positions } = error.call;
      const { axisCount } = rope.capabilities;
      // Text: the same positions on every axis.
      const onAxes =
        axisCount === 1
          ? positions
          : {
              data: Array.from({ length: axisCount }, () => positions as number[]).flat(),
              shape: [axisCount, (positions as number[]).length],
            };
      await gpu.apply({ ...error.call, positions: onAxes });
      answers.set(asked, error.call.key.data);
    }
  }
}

const rotated = hfRopes.filter(({ record }) => (record.rotated?.length ?? 0) > 0 && record.axisOfElement === undefined);

test("transformers' own rotated tensors, in every element type that it was asked for", async () => {
  expect(rotated.length).toBeGreaterThan(40);
  const failures: string[] = [];
  for (const { name, record, rope } of rotated) {
    const compared = await compareOnDevice(rope, record as EngineRecord).catch(
      (error) => void failures.push(`${name}: ${String(error)}`),
    );
    if (compared !== undefined) expect(compared, name).toBe(2 * record.rotated!.length);
  }
  expect(failures).toEqual([]);
});
