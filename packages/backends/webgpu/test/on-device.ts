/** Puts tensors of JavaScript's memory on a device as they lie, rotates them there, and compares with JavaScript. */

import type { ElementType, RotaryEmbedding, Tensor } from "@ropewalk/core";
import { fromBfloat16, fromFloat16 } from "@ropewalk/core/math";
import type { EncodeArguments, GpuRope, GpuRotateArguments, GpuTensor } from "@ropewalk/webgpu-backend";

export type Data = Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;

/** A tensor with its memory; several may share it. */
export interface View {
  readonly data: Data;
  readonly shape: readonly number[];
  readonly strides?: readonly number[];
  readonly offset?: number;
  readonly dtype?: Exclude<ElementType, "float64">;
}

export interface Tensors {
  readonly query?: View;
  readonly key?: View;
  readonly out?: { readonly query?: View; readonly key?: View };
}

/** COPY_SRC, COPY_DST, STORAGE. */
const usage = 0x04 | 0x08 | 0x80;

export function bufferOf(device: GPUDevice, data: ArrayBufferView<ArrayBuffer>): GPUBuffer {
  const size = Math.ceil(data.byteLength / 4) * 4;
  const buffer = device.createBuffer({ size, usage, mappedAtCreation: true });
  new Uint8Array(buffer.getMappedRange()).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  buffer.unmap();
  return buffer;
}

export async function bytesOf(device: GPUDevice, buffer: GPUBuffer): Promise<ArrayBuffer> {
  const staging = device.createBuffer({ size: buffer.size, usage: 0x01 | 0x08 });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(0x01);
  const bytes = staging.getMappedRange().slice(0);
  staging.destroy();
  return bytes;
}

/** Tensors on the device; `read` copies what lies there back into the arrays that they came from. */
export function onDevice(
  device: GPUDevice,
  { query, key, out }: Tensors,
): { readonly tensors: GpuRotateArguments; read(): Promise<void>; destroy(): void } {
  const buffers = new Map<Data, GPUBuffer>();
  const move = ({ data, ...view }: View): GpuTensor => {
    let buffer = buffers.get(data);
    if (buffer === undefined) buffers.set(data, (buffer = bufferOf(device, data)));
    return { buffer, ...view };
  };
  const both = (views: { readonly query?: View | undefined; readonly key?: View | undefined }): GpuRotateArguments => ({
    ...(views.query === undefined ? {} : { query: move(views.query) }),
    ...(views.key === undefined ? {} : { key: move(views.key) }),
  });
  const tensors: GpuRotateArguments = { ...both({ query, key }), ...(out === undefined ? {} : { out: both(out) }) };
  return {
    tensors,
    async read() {
      for (const [data, buffer] of buffers) {
        const bytes = new Uint8Array(await bytesOf(device, buffer));
        new Uint8Array(data.buffer, data.byteOffset, data.byteLength).set(bytes.subarray(0, data.byteLength));
      }
    },
    destroy: () => buffers.forEach((buffer) => buffer.destroy()),
  };
}

/** Copies of all memory, shared where the tensors share it. */
export function copyOf({ query, key, out }: Tensors): Tensors {
  const copies = new Map<Data, Data>();
  const copy = (view: View): View => {
    let data = copies.get(view.data);
    if (data === undefined) copies.set(view.data, (data = view.data.slice() as Data));
    return { ...view, data };
  };
  return {
    ...(query === undefined ? {} : { query: copy(query) }),
    ...(key === undefined ? {} : { key: copy(key) }),
    ...(out === undefined
      ? {}
      : {
          out: {
            ...(out.query === undefined ? {} : { query: copy(out.query) }),
            ...(out.key === undefined ? {} : { key: copy(out.key) }),
          },
        }),
  };
}

const viewsOf = ({ query, key, out }: Tensors): View[] =>
  [query, key, out?.query, out?.key].filter((view) => view !== undefined);

/** The tensors after one dispatch. */
export async function rotatedOnDevice(
  device: GPUDevice,
  gpu: GpuRope,
  call: Omit<EncodeArguments, keyof GpuRotateArguments>,
  tensors: Tensors,
): Promise<Tensors> {
  const got = copyOf(tensors);
  const placed = onDevice(device, got);
  const encoder = device.createCommandEncoder();
  gpu.encode(encoder, { ...call, ...placed.tensors });
  device.queue.submit([encoder.finish()]);
  await gpu.check();
  await placed.read();
  placed.destroy();
  return got;
}

/**
 * float32: the tables are the same bits, so that only fused multiply-add differs: one rounding of a product less, below
 * 2^-24 for elements below 1 and the amplitudes that occur (below 2). 1e-6 is what the package promises.
 * 16-bit types: the same float32 numbers, rounded once; one that lies at the border of two may fall to either side.
 * @param apart how far numbers may be apart before that, where the tables are not the same bits.
 */
export function compare(what: string, got: Tensors, expected: Tensors, apart = 0): void {
  const wanted = viewsOf(expected);
  viewsOf(got).forEach(({ data, dtype = "float32" }, v) => {
    const other = wanted[v]!.data;
    if (data.length !== other.length) throw new Error(`${what}: ${data.length} elements, expected ${other.length}`);
    const value = dtype === "float32" ? (x: number) => x : dtype === "float16" ? fromFloat16 : fromBfloat16;
    const ulp = { float32: 0, float16: 2 ** -10, bfloat16: 2 ** -7 }[dtype];
    for (let i = 0; i < data.length; i++) {
      const [a, b] = [value(data[i]!), value(other[i]!)];
      const near = Math.abs(a - b) <= (dtype === "float32" ? 1e-6 : ulp * Math.abs(b) + 2 ** -24 + apart);
      if (!near && !Object.is(a, b)) {
        throw new Error(`${what}: element ${i} of tensor ${v} (${dtype}) is ${a}, expected ${b}`);
      }
    }
  });
}

/** Rotates on the device and in JavaScript, and compares all memory, gaps included. */
export async function agree(
  what: string,
  device: GPUDevice,
  gpu: GpuRope,
  call: Pick<EncodeArguments, "length" | "operation"> & { readonly positions: Parameters<RotaryEmbedding["at"]>[0] },
  tensors: Tensors,
): Promise<void> {
  const got = await rotatedOnDevice(device, gpu, call, tensors);
  const expected = copyOf(tensors);
  const { operation = "apply", ...rest } = call;
  gpu.rope[operation]({
    ...rest,
    ...(expected as { query?: Tensor; key?: Tensor; out?: { query?: Tensor; key?: Tensor } }),
  });
  compare(what, got, expected);
}

/** Deterministic numbers in [-1, 1). */
export function noise(length: number, seed = 1): Float32Array<ArrayBuffer> {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Every bit pattern that is a number. */
export function bits(length: number, dtype: "float16" | "bfloat16"): Uint16Array<ArrayBuffer> {
  const exponent = dtype === "float16" ? 0x7c00 : 0x7f80;
  return Uint16Array.from({ length }, (_, i) => {
    const pattern = Math.imul(i, 40503) & 0xffff;
    // bfloat16 numbers near the largest would overflow when two are added.
    return (pattern & exponent) >= exponent - (dtype === "bfloat16" ? 0x400 : 0) ? pattern & 0x83ff : pattern;
  });
}

export const positionsOf = (tokens: number): number[] =>
  Array.from({ length: tokens }, (_, t) => [0, 1, 1048575, 131071, 4096, 127, 257, 15962][t] ?? (t * 104729) % 1048576);
