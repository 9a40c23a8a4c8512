/** Reads the goldens as objects. */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import type { FixturesByKind, Model } from "./types.ts";

export type {
  AnsweredPrompt,
  DiffusersFixture,
  DiffusionPositionsFixture,
  EngineFixture,
  EngineRotation,
  FixturesByKind,
  HfFixture,
  HfRope,
  LlamaCppFixture,
  Model,
  NdropeFixture,
  OnnxFixture,
  OnnxRuntimeFixture,
  PromptTokensFixture,
  PassFixture,
  PermuteFixture,
  PromptsFixture,
  ServingFixture,
  TruthFixture,
  VideoTimeFixture,
  VisionFixture,
} from "./types.ts";

/** Every file in models/, sorted by name. */
export function models(): Model[] {
  return configs("models/");
}

/** Every file in models/v5/: the v5 spelling of some of them, under the same ids. */
export function modelsV5(): Model[] {
  return configs("models/v5/");
}

/** Every file in fixtures/<kind>/, sorted by name. */
export function fixtures<Kind extends keyof FixturesByKind>(kind: Kind): FixturesByKind[Kind][] {
  return jsonFiles(`fixtures/${kind}/`).map(({ url }) => read(url) as FixturesByKind[Kind]);
}

/** Decodes base64. */
export function bytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function configs(folder: string): Model[] {
  return jsonFiles(folder).map(({ file, name, url }) => ({
    id: name.slice(0, -".json".length).replace("--", "/"),
    file,
    config: read(url) as Model["config"],
  }));
}

/** The JSON files directly in a folder, in code-unit order; none if the folder is missing. */
function jsonFiles(folder: string): { readonly file: string; readonly name: string; readonly url: URL }[] {
  const url = new URL(folder, import.meta.url);
  if (!existsSync(url)) return [];
  return readdirSync(url)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => ({ file: `${folder}${name}`, name, url: new URL(name, url) }));
}

const read = (url: URL): unknown => JSON.parse(readFileSync(url, "utf8"));
