/**
 * Writes small ONNX models: a graph of a few nodes without weights, as protobuf bytes.
 *
 * It has only the parts that the benchmark and the oracle need. Field numbers are those of onnx.proto (ONNX 1.20, IR
 * version 10).
 */

/** Element types, as `TensorProto.DataType` numbers them. */
export const elementTypes = { float32: 1, int64: 7, float16: 10 } as const;

/** An input or output of the graph. A string as size is a symbolic one. */
export interface ModelValue {
  readonly name: string;
  readonly type: keyof typeof elementTypes;
  readonly shape: readonly (number | string)[];
}

/** One operation, with integer attributes only. The operators used here need no others. */
export interface ModelNode {
  readonly op: string;
  /** `""` for the ONNX standard. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, number>>;
}

/** The input of {@link writeModel}. */
export interface Model {
  /** Version of each operator set by its domain. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly nodes: readonly ModelNode[];
  readonly inputs: readonly ModelValue[];
  readonly outputs: readonly ModelValue[];
}

/** The bytes of a model file. */
export function writeModel({ opsets, nodes, inputs, outputs }: Model): Uint8Array {
  const graph = new Message();
  for (const node of nodes) graph.message(1, nodeMessage(node));
  graph.text(2, "graph");
  for (const value of inputs) graph.message(11, valueMessage(value));
  for (const value of outputs) graph.message(12, valueMessage(value));

  const model = new Message().integer(1, 10).text(2, "ropewalk").message(7, graph);
  for (const [domain, version] of Object.entries(opsets)) {
    model.message(8, new Message().text(1, domain).integer(2, version));
  }
  return Uint8Array.from(model.bytes);
}

function nodeMessage({ op, domain, inputs, outputs, attributes }: ModelNode): Message {
  const node = new Message();
  for (const input of inputs) node.text(1, input);
  for (const output of outputs) node.text(2, output);
  node.text(4, op).text(7, domain);
  const integerAttribute = 2;
  for (const [name, value] of Object.entries(attributes)) {
    node.message(5, new Message().text(1, name).integer(3, value).integer(20, integerAttribute));
  }
  return node;
}

function valueMessage({ name, type, shape }: ModelValue): Message {
  const dimensions = new Message();
  for (const size of shape) {
    dimensions.message(1, typeof size === "number" ? new Message().integer(1, size) : new Message().text(2, size));
  }
  const tensor = new Message().integer(1, elementTypes[type]).message(2, dimensions);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}

const utf8 = new TextEncoder();

/**
 * A protobuf message under construction: fields are a key (number and wire type) and a payload, one after the other.
 */
class Message {
  readonly bytes: number[] = [];

  /** Wire type 0; integers ≥ 0. */
  integer(field: number, value: number): this {
    this.#varint(field * 8);
    this.#varint(value);
    return this;
  }

  /** Wire type 2, like everything that has a length. */
  text(field: number, value: string): this {
    return this.#sized(field, utf8.encode(value));
  }

  message(field: number, value: Message): this {
    return this.#sized(field, value.bytes);
  }

  #sized(field: number, payload: ArrayLike<number>): this {
    this.#varint(field * 8 + 2);
    this.#varint(payload.length);
    for (let i = 0; i < payload.length; i++) this.bytes.push(payload[i]!);
    return this;
  }

  /** Seven bits a byte, the lowest first; the top bit says that more follow. */
  #varint(value: number): void {
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.bytes.push((rest % 128) + 128);
    this.bytes.push(rest);
  }
}
