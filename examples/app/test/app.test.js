import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

const distances = [0, 1, 64, 1024, 8192, 32768, 65535];
/**
 * Scores of ones, from the engines: yarn by LlamaRotaryEmbedding and apply_rotary_pos_emb of transformers 5.24.0, cope by
 * those of hrlics/CoPE ed52ba5 on transformers 4.50.0; PyTorch 2.15.0, float32.
 */
const expected = {
  yarn: [1.459129, 1.420682, 0.977181, 0.811528, 0.705388, 0.501935, 0.502251],
  cope: [1.0, 0.973649, 0.661084, 0.549497, 0.329451, 0.194976, 0.355295],
};
const printed = execFileSync(process.execPath, ["dist/main.js"], { encoding: "utf8" });

test("prints the scores of the engines", () => {
  const rows = printed.split("\n").map((line) => line.trim().split(/\s+/));
  assert.ok(rows.some((row) => row.join(" ") === "distance yarn cope"));
  for (const [index, distance] of distances.entries()) {
    const [, yarn, cope] = rows.find(([first]) => first === String(distance)) ?? [];
    // Four decimals are printed; sums of 64 products in another order differ by less than 1e-6.
    assert.ok(Math.abs(Number(yarn) - expected.yarn[index]) < 5.1e-5, `yarn at ${distance}: ${yarn}`);
    assert.ok(Math.abs(Number(cope) - expected.cope[index]) < 5.1e-5, `cope at ${distance}: ${cope}`);
  }
});

test("traces four tensors, none of them rotated twice", () => {
  const table = printed.slice(printed.indexOf("call ")).trim().split("\n");
  assert.equal(table.length, 5);
  assert.match(table[1], /^1 +yarn +0 +1×7×32×64 +float32 +57344 B +57344 B +in place, bytes 0–57344$/);
  assert.doesNotMatch(printed, / left them/);
});
