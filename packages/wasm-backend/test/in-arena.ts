/** A rope whose tensors are moved into an arena for each call, so that tests written for any memory try that one. */

import type { RotateArguments, RotaryEmbedding, RotateResult, Tensor, TensorData } from "@ropewalk/core";
import type { Arena } from "@ropewalk/wasm-backend";

type Data = Exclude<TensorData, { readonly [Symbol.toStringTag]: "Float16Array" }>;

/** Buffers of the caller that lie in the arena for the time of one call. */
class Guests {
  readonly #arena: Arena;
  readonly #moved = new Map<ArrayBufferLike, { readonly original: Uint8Array; readonly guest: Uint8Array; dispose(): void }>();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** The same tensor in the arena. Tensors that share a buffer share it there, too. */
  take(tensor: Tensor): Tensor {
    if (ArrayBuffer.isView(tensor)) return this.#data(tensor as unknown as Data);
    // What is no tensor is for the rope to refuse.
    if (!ArrayBuffer.isView((tensor as { data?: unknown } | null)?.data)) return tensor;
    return { ...tensor, data: this.#data(tensor.data as unknown as Data) } as Tensor;
  }

  #data(data: Data): TensorData {
    const { buffer, byteOffset, length } = data;
    if (!this.#moved.has(buffer)) {
      const room = this.#arena.float64([Math.ceil(buffer.byteLength / 8)]);
      const original = new Uint8Array(buffer);
      const guest = new Uint8Array(room.data.buffer, room.data.byteOffset, buffer.byteLength);
      guest.set(original);
      this.#moved.set(buffer, { original, guest, dispose: room.dispose });
    }
    const { guest } = this.#moved.get(buffer)!;
    const View = data.constructor as new (buffer: ArrayBufferLike, at: number, length: number) => Data;
    return new View(guest.buffer, guest.byteOffset + byteOffset, length);
  }

  /** Back to where they came from, also after an error: it must not have written anything. */
  leave(): void {
    for (const { original, guest, dispose } of this.#moved.values()) {
      original.set(guest);
      dispose();
    }
  }
}

/** The methods that the laws use. */
export function inArena(rope: RotaryEmbedding, arena: Arena): RotaryEmbedding {
  const moving = <A extends RotateArguments>(call: (tensors: A) => RotateResult) => (tensors: A): RotateResult => {
    const guests = new Guests(arena);
    const { query, key, out } = tensors;
    const take = (tensor: Tensor | undefined): Tensor | undefined => (tensor === undefined ? undefined : guests.take(tensor));
    try {
      const isPair = typeof out === "object" && out !== null && !ArrayBuffer.isView(out);
      call({ ...tensors, ...("query" in tensors ? { query: take(query) } : {}), ...("key" in tensors ? { key: take(key) } : {}), ...(isPair ? { out: { ...out, ...("query" in out ? { query: take(out.query) } : {}), ...("key" in out ? { key: take(out.key) } : {}) } } : {}) });
      return { query: out?.query ?? query, key: out?.key ?? key };
    } finally {
      guests.leave();
    }
  };
  return {
    ...rope,
    backend: rope.backend,
    spec: rope.spec,
    capabilities: rope.capabilities,
    positionLimit: rope.positionLimit,
    attentionFactor: rope.attentionFactor,
    frequencies: (length?: number) => rope.frequencies(length),
    cosSin: (...args: Parameters<RotaryEmbedding["cosSin"]>) => rope.cosSin(...args),
    apply: moving((tensors: Parameters<RotaryEmbedding["apply"]>[0]) => rope.apply(tensors)),
    invert: moving((tensors: Parameters<RotaryEmbedding["apply"]>[0]) => rope.invert(tensors)),
    adjoint: moving((tensors: Parameters<RotaryEmbedding["apply"]>[0]) => rope.adjoint(tensors)),
    at: (...args: Parameters<RotaryEmbedding["at"]>) => {
      const step = rope.at(...args);
      return { ...step, apply: moving((tensors: RotateArguments) => step.apply(tensors)) };
    },
    shift: ({ keys, out, ...rest }: Parameters<RotaryEmbedding["shift"]>[0]) => {
      moving((tensors: RotateArguments) => ({ query: undefined, key: rope.shift({ ...rest, keys: tensors.key!, ...(tensors.out === undefined ? {} : { out: tensors.out.key }) }) }))(
        out === undefined ? { key: keys } : { key: keys, out: { key: out } },
      );
      return out ?? keys;
    },
  } as RotaryEmbedding;
}
