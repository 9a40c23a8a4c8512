/** Runs workers over damaged files, watches their time, and gathers what they find. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface Found {
  /** `hang`, `INTERNAL`, `lost`, `left`, `control`, `long`, `memory` or `died`. */
  readonly kind: string;
  readonly i: number;
  readonly what: string;
}

export interface DamageReport {
  readonly files: number;
  /** Files that a command took in spite of the damage. */
  readonly taken: number;
  /** The most memory of a process that read thousands of files, in MiB. */
  readonly memory: number;
  readonly found: readonly Found[];
}

/** The limit for one file and all commands that get it. Files have at most some 100 kB. */
const LIMIT_MS = 2000;
const BATCH = 2000;

/** @param slack times the limit, for a machine that does other things besides. */
export async function attackWithDamage(seed: number, count: number, slack = 1): Promise<DamageReport> {
  const found: Found[] = [];
  let [taken, memory] = [0, 0];
  for (let from = 0; from < count;) {
    const to = Math.min(count, from + BATCH);
    const { next, ...report } = await runBatch(seed, from, to, LIMIT_MS * slack);
    for (const one of report.found) {
      // A machine that does other things besides may stop a process for seconds: alone and with more time, it shows.
      const again = one.kind === "hang" ? await runBatch(seed, one.i, one.i + 1, 10 * LIMIT_MS * slack) : undefined;
      found.push(...(again === undefined ? [one] : again.found));
    }
    taken += report.taken;
    memory = Math.max(memory, report.memory);
    from = next;
  }
  return { files: count, taken, memory, found };
}

async function runBatch(
  seed: number,
  from: number,
  to: number,
  limit: number,
): Promise<Omit<DamageReport, "files"> & { readonly next: number }> {
  const found: Found[] = [];
  const worker = fileURLToPath(new URL("worker.ts", import.meta.url));
  const child = spawn(process.execPath, ["--no-warnings", worker, String(seed), String(from), String(to)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [current, taken, memory, isDone, errors] = [from, 0, 0, false, ""];
  let timer: NodeJS.Timeout | undefined;
  child.stderr.on("data", (data: Buffer) => void (errors += data.toString()));
  for await (const line of createInterface(child.stdout)) {
    if (line.startsWith("start ")) {
      current = Number(line.slice(6));
      clearTimeout(timer);
      timer = setTimeout(() => {
        found.push({ kind: "hang", i: current, what: `over ${limit} ms` });
        child.kill("SIGKILL");
      }, limit);
      continue;
    }
    const value = JSON.parse(line) as Found | { kind: "end"; taken: number; memory: number };
    if ("i" in value) found.push(value);
    else {
      isDone = true;
      taken = value.taken;
      memory = Math.round(value.memory / 1024);
    }
  }
  clearTimeout(timer);
  if (!isDone && found.at(-1)?.kind !== "hang") found.push({ kind: "died", i: current, what: errors.slice(-2000) });
  return { found, taken, memory, next: isDone ? to : current + 1 };
}
