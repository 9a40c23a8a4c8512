/** Mistakes planted in the text of kernels, which the body has to see. */

import { expect } from "vitest";
import type { BodyCase } from "./body.ts";

export interface Mistake {
  readonly mistake: string;
  readonly find: RegExp;
  readonly replacement: string;
  /** How the names of the cases begin that run; one of them has to fail. */
  readonly cases: readonly string[];
}

/** A device whose kernels have one mistake. `alter` changes the text of those that have what it looks for. */
function planted(device: GPUDevice, find: RegExp, replacement: string, altered: { count: number }): GPUDevice {
  return new Proxy(device, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === "createShaderModule") {
        return (descriptor: GPUShaderModuleDescriptor): GPUShaderModule => {
          const code = descriptor.code.replace(find, replacement);
          if (code !== descriptor.code) altered.count++;
          return target.createShaderModule({ ...descriptor, code });
        };
      }
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
}

/** Runs cases on a device with a mistake; one of them has to fail. */
export async function expectSeen(
  device: GPUDevice,
  { find, replacement, cases }: Mistake,
  all: readonly BodyCase[],
): Promise<void> {
  const altered = { count: 0 };
  const wrong = planted(device, find, replacement, altered);
  const failed: string[] = [];
  for (const { name, run } of all.filter((one) => cases.some((start) => one.name.startsWith(start)))) {
    await run(wrong).catch((error) => failed.push(`${name}: ${String(error)}`));
  }
  expect(altered.count).toBeGreaterThan(0);
  expect(failed).toHaveLength(1);
  // The mistake, not the compiler's complaint about it.
  expect(failed[0]).toMatch(/expected|out of range|: \d* from/);
  expect(failed[0]).not.toMatch(/WGSL/);
}
