/** What a package weighs: the bytes that a user of it downloads beside core. */

import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { brotliCompressSync } from "node:zlib";
import type { Weight } from "./report.ts";
import { ownModules } from "./subject.ts";
import type { Subject } from "./subject.ts";

/** The part of esbuild that is used, if the package has it. */
interface Minifier {
  readonly version: string;
  build(options: object): Promise<{ readonly outputFiles: readonly { readonly contents: Uint8Array }[] }>;
}

const brotli = (text: string | Uint8Array): number => brotliCompressSync(text).length;

/**
 * Weighs the module with the modules of the package that it imports. Dependencies do not count. They are minified as
 * one bundle if esbuild is installed where the package finds it; the command brings no minifier.
 */
export async function weigh(subject: Subject): Promise<Weight> {
  const texts = [...ownModules(subject).values()];
  const all = texts.join("\n");
  const minified = await minify(subject);
  const own = "the module and the modules of this package that it imports, without dependencies";
  return {
    measured: minified === null ? `${own}, as published: comments count` : `${own}; minified as one bundle`,
    modules: texts.length,
    bytes: texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
    brotliBytes: brotli(all),
    minifiedBytes: minified?.contents.length ?? null,
    minifiedBrotliBytes: minified === null ? null : brotli(minified.contents),
    minifier: minified?.minifier ?? null,
  };
}

async function minify({
  folder,
  module,
}: Subject): Promise<{ readonly contents: Uint8Array; readonly minifier: string } | null> {
  try {
    const file = createRequire(join(folder, "package.json")).resolve("esbuild");
    const loaded = (await import(pathToFileURL(file).href)) as Minifier & { readonly default?: Minifier };
    const { build, version } = loaded.default ?? loaded;
    const { outputFiles } = await build({
      entryPoints: [module],
      bundle: true,
      minify: true,
      write: false,
      format: "esm",
      packages: "external",
      platform: "neutral",
      target: "es2022",
      logLevel: "silent",
    });
    const [output] = outputFiles;
    return output === undefined ? null : { contents: output.contents, minifier: `esbuild ${version}` };
  } catch {
    // Not installed, or it cannot bundle this module: the weight as published remains.
    return null;
  }
}
