/** Other programs, run as a user would run them. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import path from "node:path";

export interface Outcome {
  readonly status: number;
  /** Standard output. */
  readonly out: string;
  /** Standard output and standard error, in the order in which they came. */
  readonly all: string;
}

/** The environment without the settings of the npm, pnpm or test runner around this process. */
export const plainEnvironment: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && !/^(npm_|pnpm_|NODE_OPTIONS|VITEST|NODE_ENV|INIT_CWD|FORCE_COLOR)/i.test(entry[0]),
  ),
);

/** None of them outlives this process. */
const running = new Set<ChildProcess>();
process.once("exit", () => running.forEach(kill));

const isWindows = process.platform === "win32";

/** Ends a program with those that it has started: they are a group of their own, except on Windows. */
function kill(child: ChildProcess): void {
  try {
    if (isWindows || child.pid === undefined) child.kill("SIGKILL");
    else process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** Runs a program to its end, or stops it after `seconds`. Does not throw. */
export async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string | undefined>> = {},
  seconds = 240,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...plainEnvironment, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: !isWindows,
    });
    running.add(child);
    let out = "";
    let all = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      all += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (all += text));
    const timer = setTimeout(() => {
      all += `\nstopped after ${seconds} s`;
      kill(child);
    }, seconds * 1000);
    const end = (status: number): void => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ status, out, all });
    };
    child.on("error", (error) => {
      all += error.message;
      end(127);
    });
    child.on("close", (code) => end(code ?? 1));
  });
}

/** As {@link run}. @throws Error with the program's output if it fails. @returns its standard output. */
export async function runWell(...[command, args, ...rest]: Parameters<typeof run>): Promise<string> {
  const { status, out, all } = await run(command, args, ...rest);
  if (status === 0) return out;
  throw new Error(`${path.basename(command)} ${args.join(" ")} ended with ${status}:\n${lastLines(all)}`);
}

/** The end of a program's output, for an error. */
export function lastLines(text: string, count = 15): string {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}
