/** Fresh projects of users, installed by each package manager and run by each runtime. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { lastLines, run } from "./processes.ts";
import type { Outcome } from "./processes.ts";
import type { Registry } from "./registry.ts";
import type { Tool } from "./tools.ts";

export type Manager = "npm" | "pnpm" | "yarn 1" | "yarn" | "bun";

/** What a project asks for: ranges by package. */
export type Ranges = Readonly<Record<string, string>>;

/**
 * The program of a user: a rope of YaRN, its numbers, one rotation. It prints JSON: what it found, or the error.
 *
 * The expected numbers are YaRN's own: of two pairs the fast one keeps its frequency, the amplitude of factor 4 is
 * `0.1 · ln 4 + 1`.
 *
 * @param provider the package that registers YaRN. It may export its own copy of core, as `core`.
 * @param request the text of the request.
 */
const program = (provider: string, request: string): string => `import { readFileSync } from "node:fs";
import { getRope, listRopeTypes, RopeError } from "@ropewalk/core";
const answer = {};
try {
  const { core } = await import("${provider}");
  answer.isSecondCopy = core !== undefined && core.getRope !== getRope;
  const rope = getRope(${request});
  const query = new Float32Array([1, 0, 0, 0]);
  rope.apply({ positions: [1], query });
  answer.query = [...query];
  answer.amplitude = rope.attentionFactor;
  answer.frequencies = [...rope.frequencies().invFreq];
  answer.types = listRopeTypes().filter(({ name, ropeType }) => name === ropeType).map(({ name }) => name);
  answer.spec = rope.spec;
} catch (error) {
  answer.error = RopeError.is(error) ? { code: error.code, message: error.message, facts: error.facts } : String(error);
}
console.log(JSON.stringify(answer));
`;

const yarnRequest =
  '{ headDim: 4, base: 10000, parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } }';

/** The user's programs: with the provider, with a package that has core and provider of its own, from a file. */
const programs = {
  "main.mjs": program("@ropewalk/yarn", yarnRequest),
  "holder.mjs": program("holder", yarnRequest),
  "spec.mjs": program("@ropewalk/yarn", 'JSON.parse(readFileSync(new URL("./spec.json", import.meta.url), "utf8"))'),
};

export type Program = keyof typeof programs;

export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

interface Answer {
  readonly isSecondCopy?: boolean;
  readonly query?: readonly number[];
  readonly amplitude?: number;
  readonly frequencies?: readonly number[];
  readonly types?: readonly string[];
  readonly spec?: object;
  readonly error?: Refusal | string;
}

/** A new project in `folder` with the user's program, and settings for a registry and for caches of its own. */
export function newProject(folder: string, registry: Registry, dependencies: Ranges): void {
  mkdirSync(folder, { recursive: true });
  const manifest = { name: "user", version: "1.0.0", private: true, type: "module", dependencies };
  const yarn = {
    npmRegistryServer: registry.url,
    unsafeHttpWhitelist: ["127.0.0.1"],
    nodeLinker: "node-modules",
    enableTelemetry: false,
    enableImmutableInstalls: false,
    enableScripts: false,
    // By default it takes no package that was published today.
    npmMinimalAgeGate: 0,
  };
  const files = {
    "package.json": JSON.stringify(manifest, null, 2),
    ".npmrc": registry.npmrc,
    ".yarnrc": `registry "${registry.url}"\n`,
    // JSON is YAML.
    ".yarnrc.yml": JSON.stringify(yarn),
    "bunfig.toml": `[install]\nregistry = "${registry.url}"\n`,
    ...programs,
  };
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(folder, file), text);
}

/** Lets yarn 4 install a project its own way: without node_modules, by Plug'n'Play. */
export function withPlugAndPlay(folder: string): void {
  const file = path.join(folder, ".yarnrc.yml");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), nodeLinker: "pnp" }));
}

/** Caches and settings of package managers, in a folder of their own: not the user's, not of an earlier rehearsal. */
export const privateCaches = (folder: string): Readonly<Record<string, string>> => ({
  HOME: folder,
  XDG_CACHE_HOME: path.join(folder, "cache"),
  XDG_CONFIG_HOME: path.join(folder, "config"),
  XDG_DATA_HOME: path.join(folder, "data"),
  XDG_STATE_HOME: path.join(folder, "state"),
  npm_config_cache: path.join(folder, "npm"),
  YARN_CACHE_FOLDER: path.join(folder, "yarn"),
  YARN_GLOBAL_FOLDER: path.join(folder, "yarn-global"),
  BUN_INSTALL_CACHE_DIR: path.join(folder, "bun"),
  DENO_DIR: path.join(folder, "deno"),
});

const installArguments: Readonly<Record<Manager, readonly string[]>> = {
  npm: ["install", "--no-audit", "--no-fund", "--no-update-notifier"],
  pnpm: ["install", "--config.minimum-release-age=0", "--no-frozen-lockfile"],
  "yarn 1": ["install", "--no-lockfile", "--non-interactive"],
  yarn: ["install"],
  bun: ["install", "--no-progress"],
};

/** What package managers print about peers that do not fit; "Done with warnings" of yarn may be about other things. */
const warning = /ERESOLVE|\bwarn\b|\bunmet\b|incorrect peer|YN0002|YN0060|YN0086/i;

export interface Installed extends Outcome {
  /** The lines that warn of peers. */
  readonly warnings: readonly string[];
}

export async function install(
  manager: Manager,
  { command, args }: Tool,
  folder: string,
  caches: string,
  more: readonly string[] = [],
): Promise<Installed> {
  // Without one, yarn takes the folder for a part of a project around it. Others would warn of an empty one.
  if (manager === "yarn") writeFileSync(path.join(folder, "yarn.lock"), "");
  const all = [...args, ...installArguments[manager], ...more];
  const outcome = await run(command, all, folder, privateCaches(caches), 120);
  const warnings = outcome.all.split("\n").filter((line) => warning.test(line));
  return { ...outcome, warnings };
}

/** The version of an installed package. */
export function installedVersion(folder: string, name: string): string {
  const file = path.join(folder, "node_modules", name, "package.json");
  if (!existsSync(file)) return "nothing";
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

async function answerOf({ command, args }: Tool, folder: string, caches: string, file: Program): Promise<Answer> {
  const { status, out, all } = await run(command, [...args, file], folder, privateCaches(caches), 60);
  try {
    return JSON.parse(out) as Answer;
  } catch {
    throw new Error(`${file} ended with ${status}:\n${lastLines(all)}`);
  }
}

/**
 * Runs a program of the user.
 *
 * @throws Error unless all its numbers are right, and core was loaded once, or twice if `file` has a second copy.
 * @returns the rope as data.
 */
export async function expectRight(runtime: Tool, folder: string, caches: string, file: Program): Promise<object> {
  const answer = await answerOf(runtime, folder, caches, file);
  const { error, query, amplitude, frequencies, types, spec = {} } = answer;
  if (error !== undefined) throw new Error(`expected a rope, got ${text(error)}`);
  const scale = 0.1 * Math.log(4) + 1;
  const wanted = {
    query: [Math.cos(1) * scale, 0, Math.sin(1) * scale, 0],
    amplitude: [scale],
    frequencies: [1, 0.01],
  };
  const got = { query, amplitude: [amplitude ?? Number.NaN], frequencies };
  for (const [name, numbers] of Object.entries(wanted)) {
    const given = got[name as keyof typeof got] ?? [];
    // float32 keeps seven digits.
    const near = numbers.length === given.length && numbers.every((x, i) => Math.abs(x - (given[i] ?? 0)) < 1e-6);
    if (!near) throw new Error(`${name}: expected ${numbers.join(", ")}, got ${given.join(", ")}`);
  }
  if (types?.join(",") !== "yarn") throw new Error(`registered types: expected yarn, got ${types?.join(", ")}`);
  if (answer.isSecondCopy !== (file === "holder.mjs")) {
    throw new Error(`copies of core: ${answer.isSecondCopy ? 2 : 1}`);
  }
  return spec;
}

/** Runs the user's program. @throws Error unless core refuses it with `ROPE_SPEC_VERSION`. @returns the refusal. */
export async function expectRefusal(
  runtime: Tool,
  folder: string,
  caches: string,
  file: Program,
  outdated: "core" | "other",
  versions: readonly string[],
): Promise<Refusal> {
  const { error } = await answerOf(runtime, folder, caches, file);
  if (typeof error !== "object" || error.code !== "ROPE_SPEC_VERSION") {
    throw new Error(`expected ROPE_SPEC_VERSION, got ${error === undefined ? "a rope" : text(error)}`);
  }
  if (error.facts["outdated"] !== outdated) {
    throw new Error(
      `expected the outdated one to be "${outdated}", got ${String(error.facts["outdated"])}: ${error.message}`,
    );
  }
  const unnamed = versions.filter((version) => !error.message.includes(version));
  if (unnamed.length > 0) throw new Error(`the message does not name ${unnamed.join(", ")}: ${error.message}`);
  return error;
}

const text = (error: Refusal | string): string =>
  typeof error === "string" ? error : `${error.code}: ${error.message}`;
