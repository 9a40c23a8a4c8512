/** The bundlers under test, each with its production settings: they take an entry file and write one file. */

import path from "node:path";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { build as esbuild } from "esbuild";
import { rollup } from "rollup";
import { build as vite } from "vite";
import webpack from "webpack";

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
  const compiler = webpack({
    mode: "production",
    context: path.dirname(entry),
    entry,
    target: ["web", "es2022"],
    output: { path: folder, filename: "webpack.mjs" },
  });
  await new Promise<void>((resolve, reject) => {
    compiler!.run((error, stats) => {
      if (error !== null) reject(error);
      else if (stats?.hasErrors() === true) reject(new Error(stats.toString({ all: false, errors: true })));
      else compiler!.close(() => resolve());
    });
  });
  return path.join(folder, "webpack.mjs");
}

export const bundlers: Readonly<Record<string, Bundler>> = {
  esbuild: bundleWithEsbuild,
  rollup: bundleWithRollup,
  vite: bundleWithVite,
  webpack: bundleWithWebpack,
};
