/**
 * Compiles the kernels and writes their bytes, as base64, to `src/kernels.ts`. `--check` compares instead of writing.
 *
 * Base64 in a module is the one form that every bundler carries along; the file is committed, so that installing and
 * building the package needs no AssemblyScript.
 */
import { readFile, writeFile } from "node:fs/promises";
import asc from "assemblyscript/asc";

const root = new URL("../", import.meta.url);
const flags = [
  "-O3",
  "--noAssert",
  "--runtime",
  "stub",
  "--enable",
  "simd",
  "--importMemory",
  "--noExportMemory",
  "--maximumMemory",
  "65536",
];

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
  return Buffer.from(bytes);
}

const plain = await compile([]);
const shared = await compile(["--enable", "threads", "--sharedMemory"]);
const differing = [...plain.keys()].filter((i) => plain[i] !== shared[i]);
const [place] = differing;
// What `kernelModule` in src/kernel.ts relies on.
if (plain.length !== shared.length || differing.length !== 1 || shared[place] !== (plain[place] | 2)) {
  throw new Error(
    `the kernels for shared memory differ from the others in ${differing.length} bytes, expected one bit of the memory's flags`,
  );
}

const text = `/** Compiled kernels, base64. Written by \`pnpm --filter @ropewalk/wasm-backend kernels\`; do not edit. */
export const KERNELS: string =
  "${plain.toString("base64")}";

/** The byte whose bit 1 says that the memory is shared. */
export const MEMORY_FLAGS = ${place};
`;
const file = new URL("src/kernels.ts", root);
if (process.argv.includes("--check")) {
  if ((await readFile(file, "utf8")) !== text) {
    throw new Error("src/kernels.ts is not what assembly/ compiles to: run the script kernels");
  }
} else {
  await writeFile(file, text);
  console.log(`kernels: ${plain.length} bytes`);
}
