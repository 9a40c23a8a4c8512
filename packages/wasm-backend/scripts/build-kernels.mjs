/**
 * Compiles the kernels and writes their bytes, as base64, to `src/kernels.ts`. `--check` compares instead of writing.
 *
 * Base64 in a module is the one form that every bundler carries along; the file is committed, so that installing and
 * building the package needs no AssemblyScript.
 */
import { readFile, writeFile } from "node:fs/promises";
import asc from "assemblyscript/asc";

const root = new URL("../", import.meta.url);
const flags = ["-O3", "--noAssert", "--runtime", "stub", "--enable", "simd", "--importMemory", "--noExportMemory"];

async function compile(extra) {
  let bytes;
  const { error, stderr } = await asc.main(["assembly/index.ts", ...flags, ...extra, "--outFile", "kernels.wasm"], {
    readFile: (name) => readFile(new URL(name, root), "utf8").catch(() => null),
    writeFile: (name, content) => {
      if (name.endsWith(".wasm")) bytes = content;
    },
    listFiles: () => [],
  });
  if (error !== null) throw new Error(`${error.message}\n${stderr.toString()}`);
  return Buffer.from(bytes).toString("base64");
}

const plain = await compile([]);
const shared = await compile(["--enable", "threads", "--sharedMemory", "--maximumMemory", "65536"]);
const text = `/** Compiled kernels, base64. Written by \`pnpm --filter @ropewalk/wasm-backend kernels\`; do not edit. */
export const KERNELS: string =
  "${plain}";

/** The same for shared memory. */
export const KERNELS_SHARED: string =
  "${shared}";
`;
const file = new URL("src/kernels.ts", root);
if (process.argv.includes("--check")) {
  if ((await readFile(file, "utf8")) !== text) throw new Error("src/kernels.ts is not what assembly/ compiles to: run the script kernels");
} else {
  await writeFile(file, text);
  console.log(`kernels: ${Buffer.from(plain, "base64").length} bytes, shared: ${Buffer.from(shared, "base64").length} bytes`);
}
