/** `ropewalk verify`, as a process. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { documents, folder, ropewalk } from "./support.ts";

const shipped = JSON.parse(readFileSync(new URL("../vectors.json", import.meta.url), "utf8")) as {
  vectors: { engine: string; name: string; invFreq?: string; attentionFactor?: number }[];
};

test("the installed packages agree with every answer that comes with the package", () => {
  const { status, stdout, stderr } = ropewalk(["verify"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/^llama3 +hf 5\.\d+\.\d+ +\d+ +[0-2] /m);
  expect(stdout).toMatch(/^✓ All \d{3} answers agree\.$/m);
  expect(stdout).not.toContain("\u001B[");
});

test("--json gives the report as data", () => {
  const [report] = documents(ropewalk(["verify", "--json"]));
  expect(Object.keys(report)).toEqual(["bands", "rows", "otherwise", "unbuilt", "mismatches"]);
  expect(report.rows.length).toBeGreaterThan(50);
  const llama = report.rows.find(
    (row: { ropeType: string; engine: string }) => row.ropeType === "llama3" && row.engine === "hf",
  );
  expect(llama).toMatchObject({ vectors: 8, models: 8 });
  expect(llama.frequencies).toBeLessThanOrEqual(2);
});

test("one wrong number is named, and the exit code is 1", () => {
  const at = shipped.vectors.findIndex(({ attentionFactor, engine }) => engine === "hf" && attentionFactor === 1);
  const path = join(folder(), "vectors.json");
  writeFileSync(
    path,
    JSON.stringify({
      ...shipped,
      vectors: shipped.vectors.map((vector, i) => (i === at ? { ...vector, attentionFactor: 1.1 } : vector)),
    }),
  );
  const { status, stdout, stderr } = ropewalk(["verify", "--vectors", path]);
  expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
  expect(stdout.match(/^✗ .*$/gm)).toEqual([
    expect.stringContaining(`${shipped.vectors[at]!.name}: attentionFactor is 1, expected 1.1`),
  ]);
});

test.each([
  ["is not there", "/nowhere/vectors.json", "does not exist"],
  ["holds something else", fileURLToPath(new URL("../package.json", import.meta.url)), "not a file of vectors"],
])("a file that %s: exit code 2, one sentence", (_, path, words) => {
  const { status, stdout, stderr } = ropewalk(["verify", "--vectors", path]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(/^ropewalk: [^\n]+\n$/);
  expect(stderr).toContain(words);
});
