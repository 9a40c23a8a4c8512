import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, loadavg, platform, release, totalmem } from "node:os";
import { dirname, join, resolve } from "node:path";

/** The computer of a measurement, and its date. */
export interface Computer {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGigabytes: number;
  readonly system: string;
  readonly node: string;
  readonly v8: string;
  /** The load average of the last minute. */
  readonly load: number;
}

export function describeComputer(): Computer {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    // The version of the kernel, without the name of its build.
    system: `${platform()} ${/^[\d.]+\d/.exec(release())?.[0] ?? ""} ${process.arch}`,
    node: process.versions.node,
    v8: process.versions.v8,
    load: Math.round(loadavg()[0]! * 100) / 100,
  };
}

/** The version of an installed package, also of one that does not export its package.json. */
export function versionOf(name: string): string {
  const paths = createRequire(import.meta.url).resolve.paths(name) ?? [];
  for (const path of paths) {
    try {
      return (JSON.parse(readFileSync(join(path, name, "package.json"), "utf8")) as { version: string }).version;
    } catch {
      // Not in this folder.
    }
  }
  throw new Error(`The package ${name} is not installed beside ${dirname(import.meta.url)}.`);
}

/** The path of a file in the caller's folder. npm and pnpm start scripts in the package's folder. */
export function fromCaller(path: string): string {
  return resolve(process.env["INIT_CWD"] ?? "", path);
}
