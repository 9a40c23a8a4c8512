/**
 * The WGSL text of the pass from projection to cache: norm, rotation, factors, and the write to any element type. Pure.
 *
 * Each workgroup has heads of one tensor. Barriers stand outside of every branch that depends on a token: an invocation
 * without work takes part in them with zeros.
 */

import { FIRST_MEMORY } from "./kernel.ts";
import { isInterleaved, turnSize, vector } from "./kernel-description.ts";
import { bfloat16, decoded, encoded, float16, halves } from "./kernel-elements.ts";
import { factoredText, positionText, turnText } from "./kernel-rows.ts";
import { CHUNK, hasDeviceSlots, hasLists, lanesOfTensor, passFields } from "./pass-description.ts";
import type { PassElement, PassKernel, PassKernelTensor, PassRole } from "./pass-description.ts";

const form = ({ nativeFloat16 }: PassKernel) => ({ run: CHUNK, nativeFloat16 }) as const;

/** The WGSL text of a kernel. Its entry point is `main`, its bindings are in group 0. */
export function passText(kernel: PassKernel): string {
  const { tensors, rows, rotaryDim, workgroupSize } = kernel;
  const roles = tensors.flatMap(({ input, output, norm }) => [
    input,
    ...(output === null ? [] : [output]),
    ...(typeof norm?.weight === "object" && norm.weight !== null ? [norm.weight] : []),
  ]);
  const types = new Set<PassElement>(roles.map(({ dtype }) => dtype));
  const native = kernel.nativeFloat16 && types.has("float16");
  const isRotated = tensors.some(({ rotated }) => rotated);
  const lines = tensors.map((tensor) => lanesOfTensor(tensor, workgroupSize));
  // The last head of a workgroup may be cut off; its lanes still find memory.
  const room = Math.max(...lines.map(({ lanes, heads }) => lanes * (heads + 1)), workgroupSize);
  return [
    native ? "enable f16;\n" : "",
    "// From projection to cache: norm, rotation of pairs (x' = x cos - y sin, y' = y cos + x sin), factor, write.\n",
    declarations(kernel, isRotated, room),
    types.has("bfloat16") || types.has("float16") ? halves(CHUNK) : "",
    types.has("float16") && !native ? float16(CHUNK) : "",
    types.has("bfloat16") ? bfloat16 : "",
    types.has("int8") || types.has("float8_e4m3") ? bytes : "",
    types.has("int8") ? int8 : "",
    types.has("float8_e4m3") ? float8 : "",
    rows.kind === "gathered" ? "" : positionText(rows),
    rows.kind === "factored" && isRotated ? factoredText(rotaryDim / 2, rows.rounded) : "",
    isRotated ? turnText(kernel) : "",
    ...reductions(kernel),
    ...tensors.map((tensor, i) => tensorText(kernel, tensor, i === 0)),
    mainText(kernel),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

function declarations(kernel: PassKernel, isRotated: boolean, room: number): string {
  const { rows, memories } = kernel;
  const pairs = turnSize(kernel);
  const tableType =
    rows.kind === "gathered" || (rows.kind === "table" && rows.axes === null)
      ? vector(pairs, "f32")
      : rows.kind === "table"
        ? "f32"
        : "vec4<f32>";
  const hasSlots = kernel.tensors.some(({ input, output }) => (input.slots ?? output?.slots ?? null) !== null);
  let binding = FIRST_MEMORY;
  const storage = (access: string, name: string, type: string): string =>
    `@group(0) @binding(${binding++}) var<storage, ${access}> ${name}: ${type};\n`;
  return [
    `alias Words = vec4<u32>;\nalias Floats = vec4<f32>;\nalias Turns = ${vector(pairs, "f32")};\n${hasSlots ? "const NONE = 0xffffffffu;\n" : ""}\n`,
    "struct Call {\n",
    ...passFields(kernel).map(({ name, type }) => `  ${name}: ${type},\n`),
    "}\n",
    "@group(0) @binding(0) var<uniform> call: Call;\n",
    isRotated ? `@group(0) @binding(1) var<storage, read> table: array<${tableType}>;\n` : "",
    ...memories.map(({ writable, words }, i) =>
      storage(writable ? "read_write" : "read", `memory${i}`, `array<${vector(words, "u32")}>`),
    ),
    hasLists(kernel) ? storage("read", "lists", "array<vec4<u32>>") : "",
    rows.kind === "gathered" ? "" : storage("read", "positions", "array<u32>"),
    hasFaults(kernel) ? storage("read_write", "faults", "array<atomic<u32>, 4>") : "",
    `var<workgroup> chunks: array<Floats, ${room}>;\nvar<workgroup> sums: array<f32, ${room}>;\n`,
  ].join("");
}

/** Whether the kernel counts tokens that it leaves out. */
export const hasFaults = (kernel: PassKernel): boolean => kernel.rows.kind !== "gathered" || hasDeviceSlots(kernel);

/** Four elements of 8 bits in a word. */
const bytes = `fn split8(w: u32) -> Words { return (Words(w) >> Words(0u, 8u, 16u, 24u)) & Words(0xffu); }
fn join8(b: Words) -> u32 { return b.x | (b.y << 8u) | (b.z << 16u) | (b.w << 24u); }
`;

const int8 = `fn from_int8(w: u32) -> Floats { return Floats(bitcast<vec4<i32>>(split8(w) << Words(24u)) >> Words(24u)); }
// To the nearest, ties to even.
fn to_int8(value: Floats) -> u32 {
  return join8(bitcast<Words>(vec4<i32>(round(clamp(value, Floats(-127.0), Floats(127.0))))) & Words(0xffu));
}
`;

/** Subnormal numbers are computed from normal ones, which no device reads as 0. */
const float8 = `fn from_float8_e4m3(w: u32) -> Floats {
  let b = split8(w);
  let size = b & Words(0x7fu);
  let small = bitcast<Words>(Floats(size) * 0.001953125);
  let value = select((size << Words(20u)) + Words(0x3c000000u), small, size < Words(8u));
  let bits = select(value, Words(0x7fc00000u), size == Words(0x7fu));
  return bitcast<Floats>(bits | ((b & Words(0x80u)) << Words(24u)));
}
// To the nearest, ties to even; beyond 448 to 448.
fn to_float8_e4m3(value: Floats) -> u32 {
  let bits = bitcast<Words>(value);
  let size = bits & Words(0x7fffffffu);
  let normal = (size - Words(0x3c000000u) + Words(0x7ffffu) + ((size >> Words(20u)) & Words(1u))) >> Words(20u);
  let small = bitcast<Words>(abs(value) + 16384.0) - Words(0x46800000u);
  let b = select(select(normal, small, size < Words(0x3c800000u)), Words(0x7eu), size >= Words(0x43e00000u));
  return join8(select(b, Words(0x7fu), size > Words(0x7f800000u)) | ((bits >> Words(24u)) & Words(0x80u)));
}
`;

/** The functions that the invocations of a head, or of a workgroup, call together. */
function reductions(kernel: PassKernel): string[] {
  const { tensors, workgroupSize } = kernel;
  const sums = new Set<number>();
  const largest = new Set<number>();
  for (const tensor of tensors) {
    const { lanes } = lanesOfTensor(tensor, workgroupSize);
    if (tensor.norm !== null) sums.add(tensor.norm.heads === null ? lanes : workgroupSize);
    if ((tensor.output ?? tensor.input).dtype === "int8") largest.add(lanes);
  }
  const one = (name: string, lanes: number, combine: (a: string, b: string) => string): string => {
    const half = 2 ** Math.ceil(Math.log2(lanes) - 1);
    const isPower = 2 * half === lanes;
    return `fn ${name}_of_${lanes}(l: u32, lane: u32, value: f32) -> f32 {
  sums[l] = value;
  workgroupBarrier();
${
  lanes === 1
    ? ""
    : `  for (var half = ${half}u; half > 0u; half /= 2u) {
    if (lane < half${isPower ? "" : ` && lane + half < ${lanes}u`}) { sums[l] = ${combine("sums[l]", "sums[l + half]")}; }
    workgroupBarrier();
  }
`
}  let result = sums[l - lane];
  workgroupBarrier();
  return result;
}
`;
  };
  return [
    ...Array.from(sums, (lanes) => one("sum", lanes, (a, b) => `${a} + ${b}`)),
    ...Array.from(largest, (lanes) => one("largest", lanes, (a, b) => `max(${a}, ${b})`)),
  ];
}

const wordsOf = (dtype: PassElement): 1 | 2 | 4 =>
  dtype === "float32" ? 4 : dtype === "int8" || dtype === "float8_e4m3" ? 1 : 2;
const letters = ["x", "y", "z", "w"] as const;
/** The number of elements of the chunk at `i`; the last one of a head may be cut off. */
const chunkEnd = (headDim: number): string => (headDim % CHUNK === 0 ? "4u" : `min(4u, ${headDim}u - i)`);

/** A function like `load_query`: the words of the chunk at `i` of a head that starts at `base`. */
function loadText(
  { memories }: PassKernel,
  name: string,
  { memory, dtype, aligned }: Pick<PassRole, "memory" | "dtype" | "aligned">,
  headDim: number,
  stride: string,
): string {
  const wanted = wordsOf(dtype);
  const perWord = CHUNK / wanted;
  const head = `fn load_${name}(base: u32, i: u32) -> ${vector(wanted, "u32")} {`;
  const source = `memory${memory}`;
  if (aligned && memories[memory]!.words === wanted) return `${head} return ${source}[(base + i) / 4u]; }`;
  if (aligned) {
    const list = Array.from({ length: wanted }, (_, k) => `${source}[at${k === 0 ? "" : ` + ${k}u`}]`);
    return `${head} let at = (base + i)${perWord === 1 ? "" : ` / ${perWord}u`}; return ${vector(wanted, "u32")}(${list.join(", ")}); }`;
  }
  const bits = 32 / perWord;
  const element =
    perWord === 1
      ? `${source}[e]`
      : `(${source}[e / ${perWord}u] >> (${bits}u * (e % ${perWord}u))) & ${dtype === "float16" || dtype === "bfloat16" ? "0xffffu" : "0xffu"}`;
  return `${head}
  var w = Words();
  for (var c = 0u; c < ${chunkEnd(headDim)}; c++) { let e = base + (i + c)${stride}; w[c] = ${element}; }
  return ${perWord === 1 ? "w" : perWord === 2 ? "join(w)" : "join8(w)"};
}`;
}

/** A function like `store_query`: the reverse of {@link loadText}. It writes whole words. */
function storeText(
  { memories }: PassKernel,
  name: string,
  { memory, dtype, aligned }: PassRole,
  headDim: number,
  stride: string,
): string {
  const wanted = wordsOf(dtype);
  const perWord = CHUNK / wanted;
  const target = `memory${memory}`;
  const head = `fn store_${name}(base: u32, i: u32, w: ${vector(wanted, "u32")}) {`;
  if (aligned && memories[memory]!.words === wanted) return `${head} ${target}[(base + i) / 4u] = w; }`;
  if (perWord === 1 && !aligned) {
    return `${head} for (var c = 0u; c < ${chunkEnd(headDim)}; c++) { ${target}[base + (i + c)${stride}] = w[c]; } }`;
  }
  const stores = Array.from({ length: wanted }, (_, k) => {
    const value = wanted === 1 ? "w" : `w.${letters[k]}`;
    const store = `${target}[at${k === 0 ? "" : ` + ${k}u`}] = ${value};`;
    return k > 0 && headDim % CHUNK !== 0 ? ` if (i + ${k * perWord}u < ${headDim}u) { ${store} }` : ` ${store}`;
  });
  return `${head} let at = (base + i)${perWord === 1 ? "" : ` / ${perWord}u`};${stores.join("")} }`;
}

/** The function of one tensor, which a whole workgroup calls. */
function tensorText(kernel: PassKernel, tensor: PassKernelTensor, isFirst: boolean): string {
  const { name, headDim, rotated, input, norm, factors } = tensor;
  const { rows, workgroupSize } = kernel;
  const { lanes, heads, rounds } = lanesOfTensor(tensor, workgroupSize);
  const over = norm?.heads ?? null;
  const output = tensor.output ?? input;
  const outName = tensor.output === null ? name : `${name}_out`;
  const isCut = lanes * heads < workgroupSize;
  const lines: string[] = [];
  const body = (depth: number, ...text: string[]): void =>
    void lines.push(...text.map((line) => "  ".repeat(depth) + line));
  const stride = (prefix: string, role: PassRole): string => (role.aligned ? "" : ` * call.${prefix}_element`);

  body(0, loadText(kernel, name, input, headDim, stride(name, input)));
  body(0, storeText(kernel, name, output, headDim, stride(outName, output)));
  const weight = norm?.weight ?? null;
  if (weight !== null && weight !== "list") body(0, loadText(kernel, `${name}_weight`, weight, headDim, ""));
  for (const [prefix, role] of sides(tensor)) {
    if (!role.grouped) continue;
    body(0, `fn head_of_${prefix}(h: u32) -> u32 {`);
    body(
      1,
      `return h / call.${prefix}_group_heads * call.${prefix}_group + h % call.${prefix}_group_heads * call.${prefix}_head;`,
    );
    body(0, "}");
  }
  const headOf = (prefix: string, role: PassRole): string =>
    role.grouped ? `head_of_${prefix}(head)` : `head * call.${prefix}_head`;

  body(0, `fn pass_${name}(group: u32, l: u32) {`);
  body(1, `let lane = l % ${lanes}u;`, "let i = lane * 4u;");
  if (over === null) {
    body(1, `let unit = group * ${heads}u + l / ${lanes}u;`, `let head = unit % call.${name}_heads;`);
    body(1, `let place = unit / call.${name}_heads;`);
    body(1, `var live = ${isCut ? `l < ${lanes * heads}u && ` : ""}place < call.${name}_places;`);
  } else {
    body(1, "let place = group;", `var live = place < call.${name}_places;`);
  }
  body(1, "let batch = place / call.tokens;", "let token = place % call.tokens;");
  if (rotated || factors || rows.kind !== "gathered") body(1, "let row = batch * call.batch_rows + token;");
  // One invocation of each token reports it.
  const reports = over === null ? "i == 0u && head == 0u" : "l == 0u";
  if (rows.kind !== "gathered") {
    body(1, "if (live && !in_table(row)) {");
    if (isFirst) body(2, `if (${reports}) { atomicAdd(&faults[0], 1u); atomicMax(&faults[1], ~row); }`);
    body(2, "live = false;", "}");
  }
  for (const [prefix, role] of sides(tensor)) {
    const { slots } = role;
    if (slots === null) {
      body(
        1,
        `let ${prefix}_row = call.${prefix}_offset + batch * call.${prefix}_batch + token * call.${prefix}_token;`,
      );
      if (role.scales !== null) {
        const at = `call.${prefix}_scales`;
        body(1, `let ${prefix}_scale_row = ${at}_offset + batch * ${at}_batch + token * ${at}_token;`);
      }
      continue;
    }
    const at = `call.${prefix}_slots + place`;
    body(1, `let ${prefix}_slot = ${slots === "list" ? word(at) : `memory${slots}[${at}]`};`);
    if (slots === "list") body(1, `live = live && ${prefix}_slot != NONE;`);
    else {
      body(1, `if (live && ${prefix}_slot >= call.${prefix}_limit) {`);
      body(
        2,
        `if (${prefix}_slot != NONE && ${reports}) { atomicAdd(&faults[2], 1u); atomicMax(&faults[3], ~place); }`,
      );
      body(2, "live = false;");
      body(1, "}");
    }
    const rowOf = (of: string): string =>
      `${of}_offset + ${prefix}_slot / call.${prefix}_block * ${of}_batch + ${prefix}_slot % call.${prefix}_block * ${of}_token;`;
    body(1, `let ${prefix}_row = ${rowOf(`call.${prefix}`)}`);
    if (role.scales !== null) body(1, `let ${prefix}_scale_row = ${rowOf(`call.${prefix}_scales`)}`);
  }
  if (factors) body(1, `let query_factor = bitcast<f32>(${word("call.query_factors + row")});`);

  const isLooped = over !== null;
  const round = (text: () => void): void => {
    if (isLooped) {
      body(1, `for (var k = 0u; k < ${rounds}u; k++) {`);
      body(2, `let head = k * ${heads}u + l / ${lanes}u;`);
      body(2, `let mine = live && ${isCut ? `l < ${lanes * heads}u && ` : ""}head < call.${name}_heads;`);
    }
    text();
    if (isLooped) body(1, "}");
  };
  const depth = isLooped ? 2 : 1;
  const mine = isLooped ? "mine" : "live";
  const value = isLooped ? "values[k]" : "value";

  const scaled = (prefix: string, role: PassRole): string =>
    role.dtype === "float8_e4m3"
      ? ` * call.${prefix}_scale`
      : role.dtype === "int8"
        ? ` * bitcast<f32>(memory${role.scales}[${prefix}_scale_row + head * call.${prefix}_scales_head])`
        : "";
  const load = `${decode(kernel, input.dtype, `load_${name}(${name}_row + ${headOf(name, input)}, i)`)}${scaled(name, input)}`;

  if (isLooped) body(1, `var values: array<Floats, ${rounds}>;`, "var sum = 0.0;");
  else body(1, "var value = Floats();");
  round(() => {
    body(depth, `if (${mine}) { ${value} = ${load}; }`);
    if (isLooped && norm?.after === false) body(depth, `sum += dot(${value}, ${value});`);
  });
  const count = headDim * (over ?? 1);
  const factorOf = (): string => {
    const sum = isLooped ? `sum_of_${workgroupSize}(l, l, sum)` : `sum_of_${lanes}(l, lane, dot(value, value))`;
    return `let factor = inverseSqrt(${sum} / ${count}.0 + call.${name}_epsilon);`;
  };
  const multiply = (): void => {
    const at = `call.${name}_weight${isLooped ? ` + head * ${weight === "list" ? Math.ceil(headDim / CHUNK) * CHUNK : headDim}u` : ""}`;
    if (weight === null) body(depth, `${value} = ${value} * factor;`);
    else if (weight === "list") {
      body(depth, `${value} = ${value} * factor * bitcast<Floats>(lists[(${at} + i) / 4u]);`);
    } else {
      const loaded = decode(kernel, weight.dtype, `load_${name}_weight(${at}, i)`);
      body(depth, `${value} = ${value} * factor * (${loaded} + call.${name}_term);`);
    }
  };
  const write = (): void => {
    if (factors) body(depth, `${value} = ${value} * query_factor;`);
    const place = `${outName}_row + ${headOf(outName, output)}`;
    if (output.dtype === "int8") {
      body(depth, `let size = abs(${value});`);
      body(depth, `let scale = largest_of_${lanes}(l, lane, max(max(size.x, size.y), max(size.z, size.w))) / 127.0;`);
      body(depth, `if (${mine}) {`);
      body(depth + 1, `store_${name}(${place}, i, to_int8(select(${value} / scale, Floats(), scale == 0.0)));`);
      body(
        depth + 1,
        `if (lane == 0u) { memory${output.scales}[${outName}_scale_row + head * call.${outName}_scales_head] = bitcast<u32>(scale); }`,
      );
      body(depth, "}");
      return;
    }
    const stored =
      output.dtype === "float8_e4m3"
        ? `to_float8_e4m3(${value} / call.${outName}_scale)`
        : encoded(form(kernel), output.dtype, value);
    body(depth, `if (${mine}) { store_${name}(${place}, i, ${stored}); }`);
  };
  if (norm?.after === false) body(1, factorOf());
  const isAfter = norm?.after === true;
  // A norm over all heads after the rotation needs a round of its own.
  round(() => {
    if (norm?.after === false) multiply();
    if (rotated) lines.push(...rotationText(kernel, { depth, mine, value, isLooped }));
    if (isAfter && isLooped) body(depth, `sum += dot(${value}, ${value});`);
    if (isAfter && !isLooped) {
      body(depth, factorOf());
      multiply();
    }
    if (!(isAfter && isLooped)) write();
  });
  if (isAfter && isLooped) {
    body(1, factorOf());
    round(() => {
      multiply();
      write();
    });
  }
  body(0, "}", "");
  return lines.join("\n");
}

/** A tensor's places in memory. */
const sides = ({ name, input, output }: PassKernelTensor): readonly (readonly [string, PassRole])[] =>
  output === null
    ? [[name, input]]
    : [
        [name, input],
        [`${name}_out`, output],
      ];

const word = (at: string): string => `lists[(${at}) / 4u][(${at}) % 4u]`;

const decode = (kernel: PassKernel, dtype: PassElement, words: string): string =>
  dtype === "int8" || dtype === "float8_e4m3" ? `from_${dtype}(${words})` : decoded(form(kernel), dtype, words);

/** The rotation of the chunk in `value`. */
function rotationText(
  kernel: PassKernel,
  {
    depth,
    mine,
    value,
    isLooped,
  }: { readonly depth: number; readonly mine: string; readonly value: string; readonly isLooped: boolean },
): string[] {
  const { rotaryDim, rotaryOffset, blocks, run } = kernel;
  const lines: string[] = [];
  const body = (more: number, ...text: string[]): void =>
    void lines.push(...text.map((line) => "  ".repeat(depth + more) + line));
  const end = rotaryOffset + rotaryDim;
  const inside = (e: string): string =>
    [...(rotaryOffset === 0 ? [] : [`${e} >= ${rotaryOffset}u`]), `${e} < ${end}u`].join(" && ");
  const at = (e: string): string => (rotaryOffset === 0 ? e : `${e} - ${rotaryOffset}u`);
  const width = rotaryDim / 2 / blocks;
  const pairOf = (e: string): string =>
    blocks === 1 ? `${e} % ${width}u` : `${e} / ${2 * width}u * ${width}u + ${e} % ${width}u`;
  const isFirst = blocks === 1 ? `at < ${width}u` : `at % ${2 * width}u < ${width}u`;
  if (isInterleaved(kernel)) {
    body(0, `if (${mine} && ${inside("i")}) {`);
    body(1, `let t = turn(row, (${at("i")}) / 2u);`);
    body(1, `${value} = ${value} * t.cos.xxyy + ${value}.yxwz * t.sin.xxyy * Floats(-1.0, 1.0, -1.0, 1.0);`);
    body(0, "}");
    return lines;
  }
  body(0, `chunks[l] = ${value};`, "workgroupBarrier();");
  if (run === CHUNK) {
    body(0, `if (${mine} && ${inside("i")}) {`);
    body(1, `let at = ${at("i")};`, `let t = turn(row, ${pairOf("at")});`, `let is_first = ${isFirst};`);
    body(1, `let other = chunks[select(l - ${width / CHUNK}u, l + ${width / CHUNK}u, is_first)];`);
    body(1, `${value} = ${value} * t.cos + other * select(t.sin, -t.sin, is_first);`);
    body(0, "}");
  } else {
    body(0, `if (${mine}) {`, "  for (var c = 0u; c < 4u; c++) {", "    let e = i + c;", `    if (${inside("e")}) {`);
    body(3, `let at = ${at("e")};`, `let t = turn(row, ${pairOf("at")});`, `let is_first = ${isFirst};`);
    body(3, `let j = select(e - ${width}u, e + ${width}u, is_first);`);
    body(3, "let other = chunks[l - lane + j / 4u][j % 4u];");
    body(3, `${value}[c] = ${value}[c] * t.cos + other * select(t.sin, -t.sin, is_first);`);
    body(0, "    }", "  }", "}");
  }
  // The next round writes there.
  if (isLooped) body(0, "workgroupBarrier();");
  return lines;
}

function mainText({ tensors, workgroupSize }: PassKernel): string {
  const branches = tensors.map(({ name }, i) => {
    const before = tensors[i - 1];
    const first = before === undefined ? "group" : `group - call.${before.name}_end`;
    return `if (group < call.${name}_end) { pass_${name}(${first}, l); }`;
  });
  return `@compute @workgroup_size(${workgroupSize})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) l: u32) {
  let group = id.y * call.span + id.x;
  ${branches.join(" else ")}
}
`;
}
