/**
 * The WGSL text of the rotation, from the description of a kernel. Pure.
 *
 * The text has the constants of a rope and its layouts; the uniform `call` has the numbers that change from call to
 * call. No angle is computed here, because WGSL has no accuracy for sin and cos beyond ±π.
 */

import { isInterleaved, lanesOf, pairsPerUnit, turnSize, unitsOf, vector } from "./kernel-description.ts";
import type { Kernel, KernelTensor } from "./kernel-description.ts";
import { bfloat16, decoded, encoded, float16, halves, loadText, storeText } from "./kernel-elements.ts";
import { checkKernel, checkWholeKernel } from "./kernel-check.ts";
import { factoredText, positionText, turnNames, turnOf, turnText } from "./kernel-rows.ts";

export type {
  Kernel,
  KernelElement,
  KernelMemory,
  KernelPositions,
  KernelRole,
  KernelRows,
  KernelTensor,
  Run,
} from "./kernel-description.ts";
export { FACTOR } from "./kernel-rows.ts";

/**
 * The names of the fields of the uniform `call`, in order. A name that ends in `factor` is an f32, every other field a
 * u32.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for wrong fields.
 */
export function callFields(kernel: Pick<Kernel, "tensors" | "rows" | "run">): string[] {
  checkKernel(kernel, ["tensors", "rows", "run"]);
  const { tensors, rows, run } = kernel;
  const layout = (name: string): string[] => [
    `${name}_offset`,
    `${name}_batch`,
    `${name}_token`,
    `${name}_head`,
    ...(run === 1 ? [`${name}_element`] : []),
  ];
  return [
    "count",
    "span",
    "tokens",
    "batch_rows",
    "heads",
    "query_heads",
    ...(rows.kind === "gathered"
      ? []
      : ["position_offset", "position_axis", "position_limit", "cos_factor", "sin_factor"]),
    ...tensors.flatMap(({ name, output }) => [...layout(name), ...(output === undefined ? [] : layout(`${name}_out`))]),
  ];
}

/**
 * The number of invocations for one head: `rotated` of them rotate pairs, then `copied` of them copy elements that are
 * not rotated.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for wrong fields.
 */
export function unitsPerHead(kernel: Omit<Kernel, "heads">): { readonly rotated: number; readonly copied: number } {
  checkKernel(kernel, ["headDim", "rotaryDim", "blocks", "run", "tensors"]);
  return unitsOf(kernel);
}

/**
 * Bindings of group 0: `call` is 0, `table` 1, memories from 2 on, then positions and faults if the kernel has them.
 */
export const FIRST_MEMORY = 2;

/**
 * The WGSL text of a kernel. Its entry point is `main`, its bindings are in group 0 (see {@link FIRST_MEMORY}).
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for missing, unknown or wrong fields.
 */
export function kernelText(kernel: Kernel): string {
  checkWholeKernel(kernel);
  const { rows, rotaryDim, tensors, memories } = kernel;
  const lanes = lanesOf(kernel);
  const types = new Set(tensors.flatMap(({ input, output }) => [input.dtype, output?.dtype ?? input.dtype]));
  const native = kernel.nativeFloat16 && types.has("float16");
  return [
    native ? "enable f16;\n" : "",
    "// Rotates pairs (x, y): x' = x cos - y sin, y' = y cos + x sin.\n",
    declarations(kernel),
    lanes !== 1 && (types.has("bfloat16") || (types.has("float16") && !native)) ? halves(lanes) : "",
    types.has("float16") && !native ? float16(lanes) : "",
    types.has("bfloat16") ? bfloat16 : "",
    rows.kind === "gathered" ? "" : positionText(rows),
    rows.kind === "factored" ? factoredText(rotaryDim / 2, rows.rounded) : "",
    turnText(kernel),
    ...tensors.map((tensor) => tensorText(kernel, tensor)),
    mainText(kernel),
  ]
    .filter((part) => part !== "")
    .join("\n");

  function declarations({ workgroupSize: _, ...k }: Kernel): string {
    const pairs = turnSize(k);
    const tableType =
      rows.kind === "gathered" || (rows.kind === "table" && rows.axes === null)
        ? vector(pairs, "f32")
        : rows.kind === "table"
          ? "f32"
          : "vec4<f32>";
    const fields = callFields(kernel).map((name) => `  ${name}: ${name.endsWith("factor") ? "f32" : "u32"},\n`);
    const bindings = [
      "@group(0) @binding(0) var<uniform> call: Call;\n",
      `@group(0) @binding(1) var<storage, read> table: array<${tableType}>;\n`,
      ...memories.map(({ writable, words, atomic }, i) => {
        const type = atomic ? "atomic<u32>" : vector(words, "u32");
        return `@group(0) @binding(${FIRST_MEMORY + i}) var<storage, ${writable ? "read_write" : "read"}> memory${i}: array<${type}>;\n`;
      }),
    ];
    if (rows.kind !== "gathered") {
      bindings.push(
        `@group(0) @binding(${FIRST_MEMORY + memories.length}) var<storage, read> positions: array<u32>;\n`,
      );
      bindings.push(
        `@group(0) @binding(${FIRST_MEMORY + memories.length + 1}) var<storage, read_write> faults: array<atomic<u32>, 2>;\n`,
      );
    }
    return [
      `alias Words = ${vector(lanes, "u32")};\nalias Floats = ${vector(lanes, "f32")};\nalias Turns = ${vector(pairs, "f32")};\n\n`,
      "struct Call {\n",
      ...fields,
      "}\n",
      ...bindings,
    ].join("");
  }
}

const pairOfUnit = (kernel: Kernel): string => `let pair = unit * ${pairsPerUnit(kernel)}u;`;

/** Loads, stores and the rotation of one tensor. */
function tensorText(kernel: Kernel, { name, input, output }: KernelTensor): string {
  const { run, rotaryDim, rotaryOffset, blocks, headDim } = kernel;
  const units = unitsOf(kernel);
  const width = rotaryDim / 2 / blocks;
  const target = output ?? input;
  const checked = kernel.rows.kind !== "gathered";
  const shared = kernel.heads > 1;
  const element = (prefix: string, i: string): string =>
    run === 1
      ? `${prefix === "" ? "src" : "dst"} + ${i} * call.${name}${prefix}_element`
      : `${prefix === "" ? "src" : "dst"} + ${i}`;
  const outPrefix = output === undefined ? "" : "_out";
  const place = (prefix: string): string =>
    `call.${name}${prefix}_offset + batch * call.${name}${prefix}_batch + token * call.${name}${prefix}_token + head * call.${name}${prefix}_head`;
  const load = (i: string): string => `load_${name}(${element("", i)})`;
  const store = (i: string, value: string): string => `store_${name}(${element(outPrefix, i)}, ${value});`;
  const decode = (words: string): string => decoded(kernel, input.dtype, words);
  const encode = (value: string): string => encoded(kernel, target.dtype, value);
  const copy = (i: string): string =>
    store(
      i,
      input.dtype === target.dtype
        ? load(i)
        : joined(partsOf(kernel), ({ part }) => encode(decode(`${load(i)}${part}`))),
    );

  const lines: string[] = [];
  const body = (indent: string, ...text: string[]): void => void lines.push(...text.map((line) => indent + line));
  body("", loadText(kernel, name, input), storeText(kernel, name, target));
  body(
    "",
    `fn rotate_${name}(unit: u32, row: u32, batch: u32, token: u32, head: u32${checked ? ", in_range: bool" : ""}${
      shared
        ? turnNames(kernel)
            .map((turn) => `, ${turn}: Turn`)
            .join("")
        : ""
    }) {`,
  );
  body("  ", `let src = ${place("")};`);
  if (output !== undefined) body("  ", `let dst = ${place("_out")};`);
  if (units.copied > 0) {
    body("  ", `if (unit >= ${units.rotated}u) {`);
    if (output !== undefined) {
      const first = `(unit - ${units.rotated}u) * ${run}u`;
      const skipping =
        rotaryOffset === 0
          ? `${first} + ${rotaryDim}u`
          : rotaryOffset + rotaryDim === headDim
            ? first
            : `select(${first}, ${first} + ${rotaryDim}u, ${first} >= ${rotaryOffset}u)`;
      body("    ", `let i = ${skipping};`, copy("i"));
    }
    body("    ", "return;");
    body("  ", "}");
  }
  body("  ", pairOfUnit(kernel));
  if (isInterleaved(kernel)) {
    body("  ", `let i = ${rotaryOffset === 0 ? "" : `${rotaryOffset}u + `}2u * pair;`);
  } else {
    const start = blocks === 1 ? "pair" : `pair / ${width}u * ${2 * width}u + pair % ${width}u`;
    body("  ", `let i = ${rotaryOffset === 0 ? "" : `${rotaryOffset}u + `}${start};`, `let j = i + ${width}u;`);
  }
  if (checked) {
    body(
      "  ",
      `if (!in_range) { ${output === undefined ? "" : `${copy("i")} ${isInterleaved(kernel) ? "" : `${copy("j")} `}`}return; }`,
    );
  }
  if (!shared) body("  ", ...turnNames(kernel).map((turn, k) => `let ${turn} = ${turnOf(k)};`));
  const parts = partsOf(kernel);
  // A load has both partners, or one of them. A load of one part needs no variable.
  const loads = isInterleaved(kernel)
    ? [["v", "i"]]
    : [
        ["x", "i"],
        ["y", "j"],
      ];
  if (parts.length > 1) for (const [value, at] of loads) body("  ", `let ${value} = ${load(at!)};`);
  for (const { part, suffix } of parts) {
    for (const [value, at] of loads) {
      body("  ", `let ${value}${suffix} = ${decode(part === "" ? load(at!) : `${value}${part}`)};`);
    }
  }
  if (isInterleaved(kernel)) {
    const [even, odd] = run === 2 ? ["x", "y"] : ["xz", "yw"];
    for (const { part, suffix } of parts) {
      const [v, cos, sin] = [`v${suffix}`, `t.cos${part}`, `t.sin${part}`];
      body(
        "  ",
        `let x${suffix} = ${v}.${even} * ${cos} - ${v}.${odd} * ${sin};`,
        `let y${suffix} = ${v}.${odd} * ${cos} + ${v}.${even} * ${sin};`,
      );
    }
    body(
      "  ",
      store(
        "i",
        joined(parts, ({ suffix }) =>
          encode(
            run === 2
              ? `Floats(x${suffix}, y${suffix})`
              : `Floats(x${suffix}.x, y${suffix}.x, x${suffix}.y, y${suffix}.y)`,
          ),
        ),
      ),
    );
  } else {
    const turns = turnNames(kernel);
    body(
      "  ",
      store(
        "i",
        joined(parts, ({ suffix }, k) => encode(`x${suffix} * ${turns[k]}.cos - y${suffix} * ${turns[k]}.sin`)),
      ),
    );
    body(
      "  ",
      store(
        "j",
        joined(parts, ({ suffix }, k) => encode(`y${suffix} * ${turns[k]}.cos + x${suffix} * ${turns[k]}.sin`)),
      ),
    );
  }
  body("", "}", "");
  return lines.join("\n");
}

/** The part of a load that fits one vector of floats: its swizzle, and the suffix of its variables. */
interface Part {
  readonly part: string;
  readonly suffix: string;
}

const partsOf = ({ run }: Kernel): readonly Part[] =>
  run === 8
    ? [
        { part: ".xy", suffix: "0" },
        { part: ".zw", suffix: "1" },
      ]
    : [{ part: "", suffix: "" }];

/** The words of a load, from the words of its parts. */
const joined = (parts: readonly Part[], words: (part: Part, index: number) => string): string =>
  parts.length > 1 ? `vec4<u32>(${parts.map(words).join(", ")})` : words(parts[0]!, 0);

function mainText(kernel: Kernel): string {
  const { tensors, workgroupSize, heads } = kernel;
  const { rotated, copied } = unitsOf(kernel);
  const checked = kernel.rows.kind !== "gathered";
  const turns = heads > 1 ? turnNames(kernel) : [];
  const rotate = (name: string, head: string): string => {
    const one = (place: string): string =>
      `rotate_${name}(${["unit", "row", "batch", "token", place, ...(checked ? ["in_range"] : []), ...turns].join(", ")});`;
    return heads === 1 ? one(head) : `for (var h = 0u; h < ${heads}u; h++) { ${one(`${head} + h`)} }`;
  };
  const [first, second] = tensors;
  // Units that only copy, and positions without a row, need no cos and sin.
  const needed = [...(checked ? ["in_range"] : []), ...(copied > 0 ? [`unit < ${rotated}u`] : [])].join(" && ");
  const shared =
    heads === 1
      ? ""
      : `  ${pairOfUnit(kernel)}\n${turns.map((turn) => `  var ${turn}: Turn;\n`).join("")}  ${needed === "" ? "" : `if (${needed}) `}{ ${turns.map((turn, k) => `${turn} = ${turnOf(k)};`).join(" ")} }\n`;
  return `@compute @workgroup_size(${workgroupSize})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let index = id.y * call.span + id.x;
  if (index >= call.count) { return; }
  let unit = index % ${rotated + copied}u;
  let head = index / ${rotated + copied}u % call.heads${heads === 1 ? "" : ` * ${heads}u`};
  let place = index / ${rotated + copied}u / call.heads;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
${
  !checked
    ? ""
    : `  let in_range = in_table(row);
  if (!in_range && unit == 0u && head == 0u) {
    atomicAdd(&faults[0], 1u);
    atomicMax(&faults[1], ~row);
  }
`
}${shared}${second === undefined ? `  ${rotate(first!.name, "head")}` : `  if (head < call.query_heads) { ${rotate(first!.name, "head")} } else { ${rotate(second.name, "head - call.query_heads")} }`}
}
`;
}
