import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, loadavg, platform, release, totalmem } from "node:os";
import { dirname, join, resolve } from "node:path";

/** Where and when something was measured. */
export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGigabytes: number;
  readonly system: string;
  readonly node: string;
  readonly v8: string;
  /** Processes that wanted to run, on average over the minute before. */
  readonly load: number;
}

export function describeMachine(): Machine {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    // The kernel's version without the name of its build.
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

/** A file that someone named, seen from where they called npm: npm and pnpm start scripts in the package's folder. */
export function fromCaller(path: string): string {
  return resolve(process.env["INIT_CWD"] ?? "", path);
}
