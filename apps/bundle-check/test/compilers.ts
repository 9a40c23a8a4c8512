/** The compilers under test, by what they do with `@`: they take a TypeScript file and write one module beside it. */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { transformAsync } from "@babel/core";
import { standardDecorators } from "@ropewalk/vitest-config";
import { transform as swc } from "@swc/core";
import type { TransformConfig } from "@swc/core";
import { transform as esbuild } from "esbuild";
import type { TsconfigRaw } from "esbuild";
import { rolldown } from "rolldown";
import type { InputOptions } from "rolldown";
import { build as tsdown } from "tsdown";
import type { InlineConfig } from "tsdown";
import { build as vite } from "vite";
import type { InlineConfig as ViteConfig } from "vite";
import { bun } from "./bundle.ts";
import { execute, tool } from "./packed.ts";

/** Compiles a file and writes a module of the same name into a folder. */
type Compiler = (file: string, folder: string) => Promise<void>;

const target = "es2022";
const outputOf = (file: string, folder: string): string => path.join(folder, `${path.basename(file, ".ts")}.js`);

/** A compiler from text to text. */
const ofText =
  (compile: (text: string, file: string) => Promise<string>): Compiler =>
  async (file, folder) =>
    writeFileSync(outputOf(file, folder), await compile(readFileSync(file, "utf8"), file));

/** With the settings of the file's folder. Writes the module even if the types do not fit, and then throws. */
const withTsc =
  (compilerOptions: object): Compiler =>
  async (file, folder) => {
    const settings = path.join(folder, "tsconfig.json");
    const base = path.dirname(file);
    writeFileSync(
      settings,
      JSON.stringify({
        extends: path.join(base, "tsconfig.json"),
        compilerOptions: { outDir: folder, ...compilerOptions },
        include: [file, path.join(base, "console.d.ts")],
      }),
    );
    await execute(process.execPath, [tool("typescript", "bin/tsc"), "-p", settings], folder);
  };

const withEsbuild = (compilerOptions: NonNullable<Exclude<TsconfigRaw, string>["compilerOptions"]>): Compiler =>
  ofText(async (text) => (await esbuild(text, { loader: "ts", target, tsconfigRaw: { compilerOptions } })).code);

const withSwc = (settings: TransformConfig): Compiler =>
  ofText(async (text, filename) => {
    const parser = { syntax: "typescript", decorators: true } as const;
    const jsc = { parser, target, transform: settings } as const;
    return (await swc(text, { filename, configFile: false, swcrc: false, jsc, module: { type: "es6" } })).code;
  });

const withBabel = (version: "2023-11" | "legacy"): Compiler =>
  ofText(async (text, filename) => {
    const plugin = (name: string): string => fileURLToPath(import.meta.resolve(name));
    const result = await transformAsync(text, {
      filename,
      configFile: false,
      babelrc: false,
      presets: [plugin("@babel/preset-typescript")],
      plugins: [[plugin("@babel/plugin-proposal-decorators"), { version }]],
    });
    return result!.code!;
  });

/** Packages stay imports, as they do when a library is built. */
const isPackage = /^(@ropewalk\/|rope)/;

const withRolldown =
  (settings: InputOptions): Compiler =>
  async (file, folder) => {
    const bundle = await rolldown({
      input: file,
      external: isPackage,
      tsconfig: false,
      logLevel: "silent",
      ...settings,
    });
    await bundle.write({ file: outputOf(file, folder), format: "esm" });
    await bundle.close();
  };

const withVite =
  (settings: ViteConfig): Compiler =>
  async (file, folder) => {
    await vite({
      root: path.dirname(file),
      configFile: false,
      logLevel: "silent",
      build: {
        outDir: folder,
        emptyOutDir: false,
        target,
        lib: { entry: file, formats: ["es"], fileName: path.basename(file, ".ts") },
        rollupOptions: { external: isPackage },
      },
      ...settings,
    });
  };

const withTsdown =
  (settings: InlineConfig): Compiler =>
  async (file, folder) => {
    await tsdown({
      cwd: path.dirname(file),
      entry: file,
      outDir: folder,
      config: false,
      tsconfig: false,
      dts: false,
      clean: false,
      target,
      deps: { neverBundle: isPackage },
      logLevel: "silent",
      ...settings,
    });
    renameSync(outputOf(file, folder).replace(/js$/, "mjs"), outputOf(file, folder));
  };

const withBun: Compiler = async (file, folder) => {
  const written = `--outfile=${outputOf(file, folder)}`;
  await execute(bun(), ["build", file, "--target=browser", "--packages=external", written], path.dirname(file));
};

/** They lower `@` by the standard. */
export const standard: Readonly<Record<string, Compiler>> = {
  tsc: withTsc({}),
  esbuild: withEsbuild({}),
  "swc, decoratorVersion 2023-11": withSwc({ decoratorVersion: "2023-11" as "2022-03" }),
  "swc, decoratorVersion 2022-03": withSwc({ decoratorVersion: "2022-03" }),
  "Babel, version 2023-11": withBabel("2023-11"),
  Bun: withBun,
  "rolldown with a plugin": withRolldown({ plugins: [standardDecorators()] }),
  "tsdown with a plugin": withTsdown({ plugins: [standardDecorators()] }),
  "vite with a plugin": withVite({ plugins: [standardDecorators()] }),
};

/** They lower it by the older rules, which TypeScript calls experimental. */
export const older: Readonly<Record<string, Compiler>> = {
  "tsc, experimentalDecorators": withTsc({ experimentalDecorators: true }),
  "esbuild, experimentalDecorators": withEsbuild({ experimentalDecorators: true }),
  "swc, legacyDecorator": withSwc({ legacyDecorator: true }),
  "swc without decoratorVersion": withSwc({}),
  "Babel, version legacy": withBabel("legacy"),
  "rolldown, decorator.legacy": withRolldown({ transform: { decorator: { legacy: true } } }),
  "tsdown, decorator.legacy": withTsdown({ inputOptions: { transform: { decorator: { legacy: true } } } }),
};

/** They leave it in the output. */
export const kept: Readonly<Record<string, Compiler>> = {
  "tsc, target ESNext": withTsc({ target: "ESNext" }),
  rolldown: withRolldown({}),
  tsdown: withTsdown({}),
  vite: withVite({}),
};

/** Compiles a file into a new folder beside it. A compiler may write a module and find an error in it. */
export async function compiled(
  name: string,
  compile: Compiler,
  file: string,
): Promise<{ readonly module: string; readonly error: Error | undefined }> {
  const folder = path.join(path.dirname(file), `${name} ${path.basename(file, ".ts")}`.replaceAll(/\W+/g, "-"));
  mkdirSync(folder);
  const error = await compile(file, folder).then(
    () => undefined,
    (thrown: Error) => thrown,
  );
  return { module: outputOf(file, folder), error };
}
