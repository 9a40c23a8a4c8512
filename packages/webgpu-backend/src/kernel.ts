/**
 * The WGSL text of the rotation. Pure: a description of one kernel goes in, its text comes out.
 *
 * An invocation rotates `run` elements and their partners (or, where partners are neighbours, `run` elements of both),
 * four at a time.
 * The text holds what a rope and its layouts fix, the uniform `call` what changes from call to call. Angles are never
 * formed here: WGSL promises nothing for sin and cos beyond ±π.
 */

/** Element types that a kernel reads and writes. It computes in float32. */
export type KernelElement = "float32" | "float16" | "bfloat16";

/** Elements of one tensor in one of the bound memories. */
export interface KernelRole {
  /** Index into `memories`. */
  readonly memory: number;
  readonly dtype: KernelElement;
}

/** One tensor. `output` is absent where it is rotated in place. */
export interface KernelTensor {
  readonly name: "query" | "key";
  readonly input: KernelRole;
  readonly output?: KernelRole | undefined;
}

/** One bound buffer: WebGPU forbids binding a buffer twice when it is written, so each is bound once. */
export interface KernelMemory {
  readonly writable: boolean;
  /** 32-bit words of one element of the WGSL array. */
  readonly words: 1 | 2 | 4;
  /** Where two invocations may write halves of one word. */
  readonly atomic: boolean;
}

/** Positions in a buffer of the device. */
export interface KernelPositions {
  /** 32-bit words of one position: 2 for 64-bit integers. */
  readonly words: 1 | 2;
  /** The position axis of each pair; `null` where there is one axis. */
  readonly axes: readonly number[] | null;
}

/** Where cos and sin come from. Positions beyond the table's limit are not rotated, but reported. */
export type KernelRows =
  /** One row for each token, gathered by the host. */
  | { readonly kind: "gathered" }
  /** A table with a row for each position. */
  | ({ readonly kind: "table" } & KernelPositions)
  /** Two small tables whose angles add up; `rounded` says that angles are those of `precision: "float32"`. */
  | ({ readonly kind: "factored"; readonly rounded: boolean } & KernelPositions);

/** Loads of more than 16 bytes do not exist. */
export type Run = 1 | 2 | 4 | 8;

/** Everything that the text of a kernel depends on. */
export interface Kernel {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly rotaryOffset: number;
  readonly blocks: number;
  /** Elements of one load: all strides and offsets are multiples of it. 8 where all elements have 16 bits. */
  readonly run: Run;
  /** Heads of one invocation, which share cos and sin; it divides those of every tensor. */
  readonly heads: 1 | 2 | 4 | 8;
  readonly tensors: readonly KernelTensor[];
  readonly memories: readonly KernelMemory[];
  readonly rows: KernelRows;
  /** Convert float16 by the device's own instructions (needs `shader-f16`), not by integer operations. */
  readonly nativeFloat16: boolean;
  readonly workgroupSize: number;
}

/** Invocations for one head: rotated ones first, then those that copy what is not rotated. */
export function unitsPerHead({ headDim, rotaryDim, run, tensors, ...kernel }: Omit<Kernel, "heads">): { readonly rotated: number; readonly copied: number } {
  const copies = tensors.some(({ output }) => output !== undefined);
  return { rotated: rotaryDim / 2 / pairsPerUnit({ rotaryDim, run, ...kernel }), copied: copies ? (headDim - rotaryDim) / run : 0 };
}

/** Whether partners are neighbours that one load brings together. */
function isInterleaved({ rotaryDim, blocks, run }: Pick<Kernel, "rotaryDim" | "blocks" | "run">): boolean {
  return blocks === rotaryDim / 2 && run > 1;
}

function pairsPerUnit(kernel: Pick<Kernel, "rotaryDim" | "blocks" | "run">): number {
  return isInterleaved(kernel) ? kernel.run / 2 : kernel.run;
}

/** Elements of one vector: WGSL has none of eight. */
const lanesOf = ({ run }: Pick<Kernel, "run">): 1 | 2 | 4 => (run === 8 ? 4 : run);

/** Pairs whose cos and sin come together. */
const turnSize = (kernel: Pick<Kernel, "rotaryDim" | "blocks" | "run">): number => Math.min(4, pairsPerUnit(kernel));

/** The names of the numbers in the uniform `call`, in order; each is a u32 unless it ends in `factor`, then an f32. */
export function callFields({ tensors, rows, run }: Pick<Kernel, "tensors" | "rows" | "run">): string[] {
  const layout = (name: string): string[] => [`${name}_offset`, `${name}_batch`, `${name}_token`, `${name}_head`, ...(run === 1 ? [`${name}_element`] : [])];
  return [
    "count",
    "span",
    "tokens",
    "batch_rows",
    "heads",
    "query_heads",
    ...(rows.kind === "gathered" ? [] : ["position_offset", "position_axis", "position_limit", "cos_factor", "sin_factor"]),
    ...tensors.flatMap(({ name, output }) => [...layout(name), ...(output === undefined ? [] : layout(`${name}_out`))]),
  ];
}

/** Bindings of group 0: `call` is 0, `table` 1, memories from 2 on, then positions and faults where there are any. */
export const FIRST_MEMORY = 2;

/** The text of a kernel. Its entry point is `main`. */
export function kernelText(kernel: Kernel): string {
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
    const tableType = rows.kind === "gathered" || (rows.kind === "table" && rows.axes === null) ? vector(pairs, "f32") : rows.kind === "table" ? "f32" : "vec4<f32>";
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
      bindings.push(`@group(0) @binding(${FIRST_MEMORY + memories.length}) var<storage, read> positions: array<u32>;\n`);
      bindings.push(`@group(0) @binding(${FIRST_MEMORY + memories.length + 1}) var<storage, read_write> faults: array<atomic<u32>, 2>;\n`);
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

const vector = (size: number, type: string): string => (size === 1 ? type : `vec${size}<${type}>`);

/** 16-bit elements as packed words, and apart. */
const halves = (lanes: 2 | 4): string =>
  lanes === 2
    ? `fn split(w: u32) -> Words { return Words(w & 0xffffu, w >> 16u); }
fn join(h: Words) -> u32 { return h.x | (h.y << 16u); }
`
    : `fn split(w: vec2<u32>) -> Words { return Words(w.x & 0xffffu, w.x >> 16u, w.y & 0xffffu, w.y >> 16u); }
fn join(h: Words) -> vec2<u32> { return h.xz | (h.yw << vec2<u32>(16u)); }
`;

/**
 * Few operations on integers, since a graphics card has more to do with them than with its memory.
 *
 * From float16: every WGSL has `unpack2x16float`, but a device may take subnormal numbers for 0, so those are made of a
 * sum of normal ones.
 *
 * To float16: `pack2x16float` may round either way. To add 2^13 times the power of two of a value cuts its mantissa to 10
 * bits, to the nearest, ties to even; and what it adds to the bits of the sum is that mantissa, its leading bit counted.
 * Below 2^-14 the power stays.
 */
const float16 = (lanes: 1 | 2 | 4): string => `fn from_float16(w: ${vector(Math.max(1, lanes / 2), "u32")}) -> Floats {
  let half = ${lanes === 1 ? "w" : "split(w)"};
  let size = half & Words(0x7fffu);
  let small = bitcast<Words>(bitcast<Floats>((size << Words(13u)) + Words(0x38800000u)) - Floats(6.103515625e-05)); // of 2^-24
  let value = ${lanes === 1 ? "unpack2x16float(w).x" : lanes === 2 ? "unpack2x16float(w)" : "Floats(unpack2x16float(w.x), unpack2x16float(w.y))"};
  return select(value, bitcast<Floats>(small | ((half & Words(0x8000u)) << Words(16u))), size < Words(0x400u));
}
// To the nearest, ties to even.
fn to_float16(value: Floats) -> Words {
  let bits = bitcast<Words>(value);
  let power = max((bits & Words(0x7f800000u)) + Words(0x6800000u), Words(0x3f000000u));
  let sum = bitcast<Words>(abs(value) + bitcast<Floats>(power));
  let largest = select(Words(0x7c00u), Words(0x7e00u), (bits & Words(0x7fffffffu)) > Words(0x7f800000u)); // infinity, NaN
  let half = min(sum - power + (power >> Words(13u)) - Words(0x1f800u), largest);
  return half | ((bits >> Words(16u)) & Words(0x8000u));
}
`;

const bfloat16 = `fn from_bfloat16(half: Words) -> Floats { return bitcast<Floats>(half << Words(16u)); }
// To the nearest, ties to even.
fn to_bfloat16(value: Floats) -> Words {
  let bits = bitcast<Words>(value);
  let half = (bits + Words(0x7fffu) + ((bits >> Words(16u)) & Words(1u))) >> Words(16u);
  return select(half, (bits >> Words(16u)) | Words(0x40u), (bits & Words(0x7fffffffu)) > Words(0x7f800000u));
}
`;

/** `position`, and `in_table`: whether all positions of a token have a row. */
function positionText({ words, axes }: KernelPositions): string {
  const axisCount = axes === null ? 1 : Math.max(...axes) + 1;
  const place = axes === null ? "call.position_offset + row" : "call.position_offset + axis * call.position_axis + row";
  return `${axes === null ? "" : `const axis_of_pair = array<u32, ${axes.length}>(${axes.join(", ")});\n`}fn position(axis: u32, row: u32) -> u32 {
  let i = ${place};
${words === 1 ? "  return positions[i];" : "  return select(0xffffffffu, positions[2u * i], positions[2u * i + 1u] == 0u);"}
}
fn in_table(row: u32) -> bool {
${axes === null ? "  return position(0u, row) < call.position_limit;" : `  var all_are = true;
  for (var axis = 0u; axis < ${axisCount}u; axis++) { all_are = all_are && position(axis, row) < call.position_limit; }
  return all_are;`}
}
`;
}

/** Rows of the factored table: frequencies, then positions below this number, then its multiples. */
export const FACTOR = 1024;

/**
 * `angle_sum`: cos and sin at `position = FACTOR·a + b` by the addition theorem, from two rows whose numbers are sums of
 * two floats. Products carry their rounding errors along.
 *
 * The rows hold exact angles. Where the rope rounds its angle to float32, the rounding is found in integers (position and
 * mantissa have at most 24 bits each, and no compiler may reorder integers) and turned by its Taylor polynomial.
 */
const factoredText = (pairs: number, rounded: boolean): string => `fn angle_sum(position: u32, pair: u32) -> vec2<f32> {
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

/** `turn`: cos and sin of as many pairs as a vector holds. */
function turnText(kernel: Kernel): string {
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
      ? [(k: number) => `${positionOf(k)} * ${rotaryDim}u + ${pair(k)}`, (k: number) => `table[t${k}]`, (k: number) => `table[t${k} + ${rotaryDim / 2}u]`]
      : [(k: number) => `angle_sum(${positionOf(k)}, ${pair(k)})`, (k: number) => `t${k}.x`, (k: number) => `t${k}.y`];
  return `${head}${lanes.map((k) => `  let t${k} = ${set(k)};\n`).join("")}  return Turn(${all(cos)} * call.cos_factor, ${all(sin)} * call.sin_factor);
}
`;
}

const pairOfUnit = (kernel: Kernel): string => `let pair = unit * ${pairsPerUnit(kernel)}u;`;

/** What holds cos and sin of an invocation's pairs: one `Turn`, or where they are eight, two. */
const turnNames = (kernel: Kernel): readonly string[] => (pairsPerUnit(kernel) === 8 ? ["t", "u"] : ["t"]);
const turnOf = (k: number): string => `turn(row, pair${k === 0 ? "" : ` + ${4 * k}u`})`;

/** Loads, stores and the rotation of one tensor. */
function tensorText(kernel: Kernel, { name, input, output }: KernelTensor): string {
  const { run, rotaryDim, rotaryOffset, blocks, headDim } = kernel;
  const units = unitsPerHead(kernel);
  const width = rotaryDim / 2 / blocks;
  const target = output ?? input;
  const checked = kernel.rows.kind !== "gathered";
  const shared = kernel.heads > 1;
  const element = (prefix: string, i: string): string => (run === 1 ? `${prefix === "" ? "src" : "dst"} + ${i} * call.${name}${prefix}_element` : `${prefix === "" ? "src" : "dst"} + ${i}`);
  const outPrefix = output === undefined ? "" : "_out";
  const place = (prefix: string): string =>
    `call.${name}${prefix}_offset + batch * call.${name}${prefix}_batch + token * call.${name}${prefix}_token + head * call.${name}${prefix}_head`;
  const load = (i: string): string => `load_${name}(${element("", i)})`;
  const store = (i: string, value: string): string => `store_${name}(${element(outPrefix, i)}, ${value});`;
  const decode = (words: string): string => decoded(kernel, input.dtype, words);
  const encode = (value: string): string => encoded(kernel, target.dtype, value);
  const copy = (i: string): string => store(i, input.dtype === target.dtype ? load(i) : inParts(kernel, (part) => encode(decode(`${load(i)}${part}`))));

  const lines: string[] = [];
  const body = (indent: string, ...text: string[]): void => void lines.push(...text.map((line) => indent + line));
  body("", loadText(kernel, name, input), storeText(kernel, name, target));
  body("", `fn rotate_${name}(unit: u32, row: u32, batch: u32, token: u32, head: u32${checked ? ", in_range: bool" : ""}${shared ? turnNames(kernel).map((turn) => `, ${turn}: Turn`).join("") : ""}) {`);
  body("  ", `let src = ${place("")};`);
  if (output !== undefined) body("  ", `let dst = ${place("_out")};`);
  if (units.copied > 0) {
    body("  ", `if (unit >= ${units.rotated}u) {`);
    if (output !== undefined) {
      const first = `(unit - ${units.rotated}u) * ${run}u`;
      const skipping = rotaryOffset === 0 ? `${first} + ${rotaryDim}u` : rotaryOffset + rotaryDim === headDim ? first : `select(${first}, ${first} + ${rotaryDim}u, ${first} >= ${rotaryOffset}u)`;
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
  if (checked) body("  ", `if (!in_range) { ${output === undefined ? "" : `${copy("i")} ${isInterleaved(kernel) ? "" : `${copy("j")} `}`}return; }`);
  if (!shared) body("  ", ...turnNames(kernel).map((turn, k) => `let ${turn} = ${turnOf(k)};`));
  if (run === 8) {
    const words = isInterleaved(kernel) ? ["v"] : ["x", "y"];
    words.forEach((name, k) => body("  ", `let ${name} = ${load("ij"[k]!)};`));
    EIGHT.forEach((part, k) => words.forEach((name) => body("  ", `let ${name}${k} = ${decode(`${name}${part}`)};`)));
    const both = (value: (k: number) => string): string => `vec4<u32>(${EIGHT.map((_, k) => encode(value(k))).join(", ")})`;
    if (isInterleaved(kernel)) {
      EIGHT.forEach((part, k) => body("  ", `let x${k} = v${k}.xz * t.cos${part} - v${k}.yw * t.sin${part};`, `let y${k} = v${k}.yw * t.cos${part} + v${k}.xz * t.sin${part};`));
      body("  ", store("i", both((k) => `Floats(x${k}.x, y${k}.x, x${k}.y, y${k}.y)`)));
    } else {
      const turns = turnNames(kernel);
      body("  ", store("i", both((k) => `x${k} * ${turns[k]}.cos - y${k} * ${turns[k]}.sin`)), store("j", both((k) => `y${k} * ${turns[k]}.cos + x${k} * ${turns[k]}.sin`)));
    }
  } else if (isInterleaved(kernel)) {
    const [even, odd] = run === 4 ? ["xz", "yw"] : ["x", "y"];
    body("  ", `let v = ${decode(load("i"))};`, `let x = v.${even} * t.cos - v.${odd} * t.sin;`, `let y = v.${odd} * t.cos + v.${even} * t.sin;`);
    body("  ", store("i", encode(run === 4 ? "Floats(x.x, y.x, x.y, y.y)" : "Floats(x, y)")));
  } else {
    body("  ", `let x = ${decode(load("i"))};`, `let y = ${decode(load("j"))};`);
    body("  ", store("i", encode("x * t.cos - y * t.sin")), store("j", encode("y * t.cos + x * t.sin")));
  }
  body("", "}", "");
  return lines.join("\n");
}

/** A load of eight elements and its cos and sin: the first four and the others. */
const EIGHT = [".xy", ".zw"] as const;

/** Words made of the parts of a load. */
const inParts = ({ run }: Kernel, value: (part: string) => string): string => (run === 8 ? `vec4<u32>(${EIGHT.map(value).join(", ")})` : value(""));

/** The WGSL type of `run` elements as they lie in memory. */
function wordsType({ run }: Kernel, dtype: KernelElement): string {
  return dtype === "float32" ? vector(run, "u32") : vector(Math.max(1, run / 2), "u32");
}

const letters = ["x", "y", "z", "w"] as const;

function loadText(kernel: Kernel, name: string, { memory, dtype }: KernelRole): string {
  const { run } = kernel;
  const { words, atomic } = kernel.memories[memory]!;
  const head = `fn load_${name}(e: u32) -> ${wordsType(kernel, dtype)} {`;
  const word = (index: string): string => (atomic ? `atomicLoad(&memory${memory}[${index}])` : `memory${memory}[${index}]`);
  const wanted = dtype === "float32" ? run : run / 2;
  if (wanted < 1) return `${head} return (${word("e / 2u")} >> (16u * (e & 1u))) & 0xffffu; }`;
  if (wanted === words) return `${head} return ${word(run === 1 ? "e" : `e / ${run}u`)}; }`;
  const first = dtype === "float32" ? "e" : "e / 2u";
  return `${head} let i = ${first}; return ${vector(wanted, "u32")}(${Array.from({ length: wanted }, (_, k) => word(k === 0 ? "i" : `i + ${k}u`)).join(", ")}); }`;
}

function storeText(kernel: Kernel, name: string, { memory, dtype }: KernelRole): string {
  const { run } = kernel;
  const { words, atomic } = kernel.memories[memory]!;
  const head = `fn store_${name}(e: u32, w: ${wordsType(kernel, dtype)}) {`;
  const wanted = dtype === "float32" ? run : run / 2;
  // Other invocations own the other half of the word and leave this one alone, so two steps are safe.
  if (wanted < 1) return `${head} let s = 16u * (e & 1u); atomicAnd(&memory${memory}[e / 2u], ~(0xffffu << s)); atomicOr(&memory${memory}[e / 2u], w << s); }`;
  if (atomic) return `${head} atomicStore(&memory${memory}[e], w); }`;
  if (wanted === words) return `${head} memory${memory}[${run === 1 ? "e" : `e / ${run}u`}] = w; }`;
  const first = dtype === "float32" ? "e" : "e / 2u";
  return `${head} let i = ${first};${Array.from({ length: wanted }, (_, k) => ` memory${memory}[${k === 0 ? "i" : `i + ${k}u`}] = w.${letters[k]};`).join("")} }`;
}

/** `Floats` of the words of as many elements. */
function decoded(kernel: Kernel, dtype: KernelElement, words: string): string {
  const lanes = lanesOf(kernel);
  const { nativeFloat16 } = kernel;
  if (dtype === "float32") return `bitcast<Floats>(${words})`;
  if (dtype === "float16" && nativeFloat16) return lanes === 1 ? `Floats(bitcast<vec2<f16>>(${words}).x)` : `Floats(bitcast<vec${lanes}<f16>>(${words}))`;
  return `from_${dtype}(${lanes === 1 || dtype === "float16" ? words : `split(${words})`})`;
}

function encoded(kernel: Kernel, dtype: KernelElement, value: string): string {
  const lanes = lanesOf(kernel);
  const { nativeFloat16 } = kernel;
  if (dtype === "float32") return `bitcast<Words>(${value})`;
  if (dtype === "float16" && nativeFloat16) return lanes === 1 ? `bitcast<u32>(vec2<f16>(f16(${value}), 0.0h))` : `bitcast<${vector(lanes / 2, "u32")}>(vec${lanes}<f16>(${value}))`;
  return lanes === 1 ? `to_${dtype}(${value})` : `join(to_${dtype}(${value}))`;
}

function mainText(kernel: Kernel): string {
  const { tensors, workgroupSize, heads } = kernel;
  const { rotated, copied } = unitsPerHead(kernel);
  const checked = kernel.rows.kind !== "gathered";
  const turns = heads > 1 ? turnNames(kernel) : [];
  const rotate = (name: string, head: string): string => {
    const one = (place: string): string => `rotate_${name}(${["unit", "row", "batch", "token", place, ...(checked ? ["in_range"] : []), ...turns].join(", ")});`;
    return heads === 1 ? one(head) : `for (var h = 0u; h < ${heads}u; h++) { ${one(`${head} + h`)} }`;
  };
  const [first, second] = tensors;
  // Not for units that only copy, nor for positions without a row.
  const needed = [...(checked ? ["in_range"] : []), ...(copied > 0 ? [`unit < ${rotated}u`] : [])].join(" && ");
  const shared = heads === 1 ? "" : `  ${pairOfUnit(kernel)}\n${turns.map((turn) => `  var ${turn}: Turn;\n`).join("")}  ${needed === "" ? "" : `if (${needed}) `}{ ${turns.map((turn, k) => `${turn} = ${turnOf(k)};`).join(" ")} }\n`;
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
${!checked ? "" : `  let in_range = in_table(row);
  if (!in_range && unit == 0u && head == 0u) {
    atomicAdd(&faults[0], 1u);
    atomicMax(&faults[1], ~row);
  }
`}${shared}${second === undefined ? `  ${rotate(first!.name, "head")}` : `  if (head < call.query_heads) { ${rotate(first!.name, "head")} } else { ${rotate(second.name, "head - call.query_heads")} }`}
}
`;
}
