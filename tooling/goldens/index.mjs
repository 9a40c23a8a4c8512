import { readdirSync, readFileSync } from "node:fs";

const read = (/** @type {URL} */ url) => JSON.parse(readFileSync(url, "utf8"));

/** The JSON files directly in a folder, in code-unit order; none if the folder is missing. */
function jsonFiles(folder) {
  const url = new URL(folder, import.meta.url);
  let names;
  try {
    names = readdirSync(url);
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith(".json"))
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => ({ file: `${folder}${name}`, name, url: new URL(name, url) }));
}

const configs = (folder) =>
  jsonFiles(folder).map(({ file, name, url }) => ({
    id: name.slice(0, -".json".length).replace("--", "/"),
    file,
    config: read(url),
  }));

export const models = () => configs("models/");

export const modelsV5 = () => configs("models/v5/");

export const fixtures = (kind) => jsonFiles(`fixtures/${kind}/`).map(({ url }) => read(url));

export const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
