/** What packages may weigh in a page: minified by esbuild, compressed by brotli, in bytes. */

import { brotliCompressSync } from "node:zlib";

/** Targets: core, and a provider without core. The table of sizes.test.ts says which packages meet them. */
export const target = { core: 13_000, provider: 1800 } as const;

/** Upper limits; docs/decisions/0013-weight.md says why they are above the targets. */
export const ceiling = { core: 19_500, provider: 1800 } as const;

export const brotli = (bytes: Uint8Array): number => brotliCompressSync(bytes).length;
