/** ONNX models of one node, as bytes: protocol buffers by hand, for the three field kinds that they need. */

const text = new TextEncoder();

function varint(value: number): number[] {
  const bytes = [];
  let rest = value;
  do {
    bytes.push((rest & 127) | (rest > 127 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return bytes;
}

const integer = (field: number, value: number): number[] => [...varint(field << 3), ...varint(value)];
const bytes = (field: number, value: string | readonly number[]): number[] => {
  const content = typeof value === "string" ? [...text.encode(value)] : value;
  return [...varint((field << 3) | 2), ...varint(content.length), ...content];
};

export interface Value {
  readonly name: string;
  /** float32 is 1, int64 is 7. */
  readonly type: 1 | 7;
  readonly shape: readonly number[];
}

const value = (field: number, { name, type, shape }: Value): number[] => {
  const dimensions = bytes(
    2,
    shape.flatMap((size) => bytes(1, integer(1, size))),
  );
  return bytes(field, [...bytes(1, name), ...bytes(2, bytes(1, [...integer(1, type), ...dimensions]))]);
};

/** A model of one node, whose attributes are integers. */
export function modelOf({
  op,
  domain = "",
  attributes = {},
  inputs,
  output,
}: {
  op: string;
  domain?: string;
  attributes?: Readonly<Record<string, number>>;
  inputs: readonly Value[];
  output: Value;
}): Uint8Array {
  const node = [
    ...inputs.flatMap(({ name }) => bytes(1, name)),
    ...bytes(2, output.name),
    ...bytes(4, op),
    ...Object.entries(attributes).flatMap(([name, number]) =>
      bytes(5, [...bytes(1, name), ...integer(3, number), ...integer(20, 2)]),
    ),
    ...(domain === "" ? [] : bytes(7, domain)),
  ];
  const graph = [
    ...bytes(1, node),
    ...bytes(2, "graph"),
    ...inputs.flatMap((input) => value(11, input)),
    ...value(12, output),
  ];
  const operators = [
    bytes(8, [...bytes(1, ""), ...integer(2, 17)]),
    ...(domain === "" ? [] : [bytes(8, [...bytes(1, domain), ...integer(2, 1)])]),
  ];
  return Uint8Array.from([...integer(1, 8), ...bytes(7, graph), ...operators.flat()]);
}
