import { afterAll, describe, expect, test } from "vitest";
import { allCases } from "./pass-body.ts";
import { drivers, newDevice } from "./node-device.ts";
import type { Driver } from "./node-device.ts";

describe.each(Object.keys(drivers) as Driver[])("Dawn on %s", (driver) => {
  let device: GPUDevice | undefined;
  const complaints: string[] = [];
  const open = async (): Promise<GPUDevice> => {
    if (device !== undefined) return device;
    device = await newDevice(driver);
    device.addEventListener("uncapturederror", (event) =>
      complaints.push((event as GPUUncapturedErrorEvent).error.message),
    );
    return device;
  };
  afterAll(() => device?.destroy());

  // Lavapipe compiles for seconds; what it has and SwiftShader has not is float16 in shaders.
  test.each(allCases.filter(({ float16 = false }) => driver === "swiftShader" || float16))("$name", async ({ run }) => {
    await run(await open());
    expect(complaints).toEqual([]);
  });

  test("float16 in shaders: SwiftShader has none, lavapipe has", async () => {
    expect((await open()).features.has("shader-f16")).toBe(driver === "lavapipe");
  });
});
