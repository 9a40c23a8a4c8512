/**
 * cos and sin in WGSL: a row from the host, or the row of a token's position, from one table or composed from two.
 */

import { pairsPerUnit, turnSize } from "./kernel-description.ts";
import type { Kernel, KernelPositions } from "./kernel-description.ts";

/** The functions `position` and `in_table`, which tells whether all positions of a token have a row. */
export function positionText({ words, axes }: KernelPositions): string {
  const axisCount = axes === null ? 1 : Math.max(...axes) + 1;
  const place = axes === null ? "call.position_offset + row" : "call.position_offset + axis * call.position_axis + row";
  return `${axes === null ? "" : `const axis_of_pair = array<u32, ${axes.length}>(${axes.join(", ")});\n`}fn position(axis: u32, row: u32) -> u32 {
  let i = ${place};
${words === 1 ? "  return positions[i];" : "  return select(0xffffffffu, positions[2u * i], positions[2u * i + 1u] == 0u);"}
}
fn in_table(row: u32) -> bool {
${
  axes === null
    ? "  return position(0u, row) < call.position_limit;"
    : `  var all_are = true;
  for (var axis = 0u; axis < ${axisCount}u; axis++) { all_are = all_are && position(axis, row) < call.position_limit; }
  return all_are;`
}
}
`;
}

/**
 * The factored table has a row of frequencies, a row for each position below this number, and a row for each multiple
 * of it.
 */
export const FACTOR = 1024;

/**
 * The function `angle_sum`: cos and sin at `position = FACTOR·a + b` by the addition theorem, from two rows. Each
 * number is a sum of two floats, and products keep their rounding errors.
 *
 * The rows hold exact angles. If the rope rounds its angle to float32, the rounding is computed in integers (position
 * and mantissa have at most 24 bits each, and no compiler may reorder integers), and a Taylor polynomial rotates by it.
 */
export const factoredText = (
  pairs: number,
  rounded: boolean,
): string => `fn angle_sum(position: u32, pair: u32) -> vec2<f32> {
  let b = table[(1u + position % ${FACTOR}u) * ${pairs}u + pair];
  let a = table[(${1 + FACTOR}u + position / ${FACTOR}u) * ${pairs}u + pair];
  let cos = difference(a.x, b.x, a.y, b.y) + (a.x * b.z + a.z * b.x - a.y * b.w - a.w * b.y);
  let sin = difference(a.y, b.x, -a.x, b.y) + (a.y * b.z + a.w * b.x + a.x * b.w + a.z * b.y);
${
  rounded
    ? `  let d = angle_rounding(position, table[pair]);
  let d2 = d * d;
  let c = -d2 * (0.5 - d2 * (1.0 / 24.0 - d2 * (1.0 / 720.0 - d2 / 40320.0)));
  let s = d * (1.0 - d2 * (1.0 / 6.0 - d2 * (1.0 / 120.0 - d2 * (1.0 / 5040.0 - d2 / 362880.0))));
  return vec2<f32>(cos + (cos * c - sin * s), sin + (sin * c + cos * s));`
    : "  return vec2<f32>(cos, sin);"
}
}
// a b - c d
fn difference(a: f32, b: f32, c: f32, d: f32) -> f32 {
  let p = a * b;
  let q = c * d;
  let r = p - q;
  let v = r - p;
  return r + ((p - (r - v)) - (q + v) + (fma(a, b, -p) - fma(c, d, -q)));
}
${
  rounded
    ? `// What rounding position × frequency to float32 adds to it. frequency: mantissa and scale.
fn angle_rounding(position: u32, frequency: vec4<f32>) -> f32 {
  let mantissa = u32(frequency.x);
  let m = vec2<u32>(mantissa & 0xfffu, mantissa >> 12u);
  let p = vec2<u32>(position & 0xfffu, position >> 12u);
  let middle = m.x * p.y + m.y * p.x;
  let sum = m.x * p.x + ((middle & 0xfffu) << 12u);
  let low = sum & 0xffffffu;
  let high = m.y * p.y + (middle >> 12u) + (sum >> 24u);
  if (high == 0u) { return 0.0; }
  let lost = firstLeadingBit(high) + 1u;
  let rest = low & ((1u << lost) - 1u);
  let half = 1u << (lost - 1u);
  let odd = select(low >> lost, high, lost == 24u) & 1u;
  let up = rest > half || (rest == half && odd == 1u);
  return select(-f32(rest), f32((1u << lost) - rest), up) * frequency.y;
}
`
    : ""
}`;

/** The function `turn`: cos and sin of the pairs of one vector. */
export function turnText(kernel: Pick<Kernel, "rows" | "rotaryDim" | "blocks" | "run">): string {
  const { rows, rotaryDim } = kernel;
  const pairs = turnSize(kernel);
  const head = "struct Turn {\n  cos: Turns,\n  sin: Turns,\n}\nfn turn(row: u32, pair: u32) -> Turn {\n";
  if (rows.kind === "gathered") {
    return `${head}  let at = row * ${rotaryDim / pairs}u + pair${pairs === 1 ? "" : ` / ${pairs}u`};
  return Turn(table[at], table[at + ${rotaryDim / 2 / pairs}u]);
}
`;
  }
  if (rows.kind === "table" && rows.axes === null) {
    return `${head}  let at = position(0u, row) * ${rotaryDim / pairs}u + pair${pairs === 1 ? "" : ` / ${pairs}u`};
  return Turn(table[at] * call.cos_factor, table[at + ${rotaryDim / 2 / pairs}u] * call.sin_factor);
}
`;
  }
  const lanes = Array.from({ length: pairs }, (_, k) => k);
  const pair = (k: number): string => (k === 0 ? "pair" : `pair + ${k}u`);
  const positionOf = (k: number): string => `position(${rows.axes === null ? "0u" : `axis_of_pair[${pair(k)}]`}, row)`;
  const all = (value: (k: number) => string): string => `Turns(${lanes.map(value).join(", ")})`;
  const [set, cos, sin] =
    rows.kind === "table"
      ? [
          (k: number) => `${positionOf(k)} * ${rotaryDim}u + ${pair(k)}`,
          (k: number) => `table[t${k}]`,
          (k: number) => `table[t${k} + ${rotaryDim / 2}u]`,
        ]
      : [(k: number) => `angle_sum(${positionOf(k)}, ${pair(k)})`, (k: number) => `t${k}.x`, (k: number) => `t${k}.y`];
  return `${head}${lanes.map((k) => `  let t${k} = ${set(k)};\n`).join("")}  return Turn(${all(cos)} * call.cos_factor, ${all(sin)} * call.sin_factor);
}
`;
}

/** The names of the variables with cos and sin of an invocation's pairs: one `Turn`, or two for eight pairs. */
export const turnNames = (kernel: Kernel): readonly string[] => (pairsPerUnit(kernel) === 8 ? ["t", "u"] : ["t"]);
/** The call that computes the k-th of these variables. */
export const turnOf = (k: number): string => `turn(row, pair${k === 0 ? "" : ` + ${4 * k}u`})`;
