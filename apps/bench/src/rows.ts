/** A contestant in README's table and in the chart. */
export interface Row {
  readonly name: string;
  readonly label: string;
  /** A short label for the end of a line. */
  readonly short: string;
  /** The line's colour on a light and on a dark page: one hue for each family, grey for plain loops and copies. */
  readonly colours: readonly [light: string, dark: string];
  /** Distinguishes lines of one family. */
  readonly dashes?: string;
}

const blue = ["#1b66c9", "#6aaefc"] as const;
const grey = ["#6a6a6a", "#a5a5a5"] as const;

export const rows: readonly Row[] = [
  {
    name: "ropewalk js, apply",
    label: "JavaScript, `rope.apply`",
    short: "ropewalk, JavaScript",
    colours: blue,
    dashes: "2 4",
  },
  {
    name: "ropewalk wasm, arena, apply",
    label: "WebAssembly, tensors in its arena",
    short: "ropewalk, arena",
    colours: blue,
  },
  {
    name: "ropewalk wasm, arrays, apply",
    label: "WebAssembly, plain arrays",
    short: "ropewalk, arrays",
    colours: blue,
    dashes: "8 4",
  },
  {
    name: "onnxruntime-web, wasm",
    label: "onnxruntime-web, WebAssembly",
    short: "onnxruntime-web",
    colours: ["#b34700", "#f59a52"],
  },
  { name: "tfjs, wasm", label: "tfjs, WebAssembly", short: "tfjs", colours: ["#a02c8c", "#e58bd4"] },
  { name: "jax-js, wasm, jit", label: "jax-js, WebAssembly", short: "jax-js", colours: ["#217a3c", "#6cc887"] },
  { name: "loop, tables", label: "the usual loop, with tables", short: "the usual loop", colours: grey, dashes: "8 4" },
  { name: "copy, TypedArray.set", label: "copying the same bytes (`TypedArray.set`)", short: "copying", colours: grey },
];
