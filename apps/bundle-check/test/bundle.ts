/** The bundlers under test, each with its production settings: they take an entry file and write one file. */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { build as esbuild } from "esbuild";
import { rolldown } from "rolldown";
import { rollup } from "rollup";
import { build as vite } from "vite";
import webpack from "webpack";
import { execute, tool } from "./packed.ts";

type Bundler = (entry: string, folder: string) => Promise<string>;

async function bundleWithEsbuild(entry: string, folder: string): Promise<string> {
  const outfile = path.join(folder, "esbuild.mjs");
  await esbuild({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    outfile,
    logLevel: "silent",
  });
  return outfile;
}

async function bundleWithRollup(entry: string, folder: string): Promise<string> {
  const file = path.join(folder, "rollup.mjs");
  const bundle = await rollup({ input: entry, plugins: [nodeResolve()], logLevel: "silent" });
  await bundle.write({ file, format: "esm" });
  await bundle.close();
  return file;
}

async function bundleWithRolldown(entry: string, folder: string): Promise<string> {
  const file = path.join(folder, "rolldown.mjs");
  const bundle = await rolldown({ input: entry, platform: "browser", logLevel: "silent" });
  await bundle.write({ file, format: "esm", minify: true });
  await bundle.close();
  return file;
}

async function bundleWithVite(entry: string, folder: string): Promise<string> {
  await vite({
    root: path.dirname(entry),
    configFile: false,
    logLevel: "silent",
    build: {
      outDir: folder,
      emptyOutDir: false,
      target: "es2022",
      modulePreload: false,
      rollupOptions: { input: entry, output: { entryFileNames: "vite.mjs" } },
    },
  });
  return path.join(folder, "vite.mjs");
}

async function bundleWithWebpack(entry: string, folder: string): Promise<string> {
  return runWebpack({ mode: "production", entry, output: { path: folder, filename: "webpack.mjs" } });
}

/** Runs webpack for current browsers. Returns the path of the file that it wrote. */
export async function runWebpack(
  configuration: webpack.Configuration & { entry: string; output: { path: string; filename: string } },
): Promise<string> {
  const { entry, output } = configuration;
  const compiler = webpack({ context: path.dirname(entry), target: ["web", "es2022"], ...configuration });
  await new Promise<void>((resolve, reject) => {
    compiler!.run((error, stats) => {
      if (error !== null) reject(error);
      else if (stats?.hasErrors() === true) reject(new Error(stats.toString({ all: false, errors: true })));
      else compiler!.close(() => resolve());
    });
  });
  return path.join(output.path, output.filename);
}

/** The executable of npm's `bun`. Its package links it in an install script, which this workspace does not run. */
export function bun(): string {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const name = `@oven/bun-${system}-${process.arch === "arm64" ? "aarch64" : process.arch}`;
  const manifest = createRequire(tool("bun", "package.json")).resolve(`${name}/package.json`);
  const executables = ["bun", "bun.exe"].map((file) => path.join(path.dirname(manifest), "bin", file));
  const found = executables.find((file) => existsSync(file));
  if (found === undefined) throw new Error(`${name} is installed without bin/bun`);
  return found;
}

async function bundleWithBun(entry: string, folder: string): Promise<string> {
  const outfile = path.join(folder, "bun.mjs");
  await execute(bun(), ["build", entry, "--minify", "--target=browser", `--outfile=${outfile}`], path.dirname(entry));
  return outfile;
}

export const bundlers: Readonly<Record<string, Bundler>> = {
  esbuild: bundleWithEsbuild,
  rollup: bundleWithRollup,
  rolldown: bundleWithRolldown,
  vite: bundleWithVite,
  webpack: bundleWithWebpack,
  bun: bundleWithBun,
};
