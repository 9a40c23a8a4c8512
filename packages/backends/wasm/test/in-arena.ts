/** A rope whose tensors are moved into an arena for each call, so that tests written for any memory try that one. */

import type {
  AtOptions,
  Positions,
  RotateArguments,
  RotaryEmbedding,
  RotateResult,
  ShiftArguments,
  Tensor,
  TensorData,
} from "@ropewalk/core";
import type { Arena } from "@ropewalk/wasm-backend";

type Data = Exclude<TensorData, { readonly [Symbol.toStringTag]: "Float16Array" }>;

type Positioned = RotateArguments & AtOptions & { readonly positions: Positions };

/** Buffers of the caller that lie in the arena for the time of one call. */
class Guests {
  readonly #arena: Arena;
  readonly #moved = new Map<
    ArrayBufferLike,
    { readonly original: Uint8Array; readonly guest: Uint8Array; dispose(): void }
  >();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** The same tensor in the arena. Tensors that share a buffer share it there, too. */
  take(tensor: Tensor): Tensor {
    if (ArrayBuffer.isView(tensor)) return this.#data(tensor as Data);
    const view = tensor as Exclude<Tensor, TensorData>;
    // The rope refuses values that are no tensors.
    return ArrayBuffer.isView((view as Partial<typeof view> | null)?.data)
      ? { ...view, data: this.#data(view.data as Data) }
      : tensor;
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
  const moving =
    <A extends RotateArguments>(call: (tensors: A) => unknown) =>
    (tensors: A): RotateResult => {
      const guests = new Guests(arena);
      const { query, key, out } = tensors;
      try {
        const moved: { -readonly [K in keyof A]: A[K] } = { ...tensors };
        for (const name of ["query", "key"] as const) {
          if (moved[name] !== undefined) moved[name] = guests.take(moved[name]);
        }
        if (typeof out === "object" && out !== null && !ArrayBuffer.isView(out)) {
          const targets: { query?: Tensor | undefined; key?: Tensor | undefined } = { ...out };
          for (const name of ["query", "key"] as const) {
            if (targets[name] !== undefined) targets[name] = guests.take(targets[name]);
          }
          moved.out = targets;
        }
        call(moved);
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
    apply: moving((tensors: Positioned) => rope.apply(tensors)),
    invert: moving((tensors: Positioned) => rope.invert(tensors)),
    adjoint: moving((tensors: Positioned) => rope.adjoint(tensors)),
    at: (...args: Parameters<RotaryEmbedding["at"]>) => {
      const step = rope.at(...args);
      const moved = (name: "apply" | "invert" | "adjoint") => moving((tensors: RotateArguments) => step[name](tensors));
      return { ...step, apply: moved("apply"), invert: moved("invert"), adjoint: moved("adjoint") };
    },
    shift: ({ keys, out, ...rest }: ShiftArguments) => {
      const shift = moving((tensors: RotateArguments) =>
        rope.shift({ ...rest, keys: tensors.key!, ...(tensors.out === undefined ? {} : { out: tensors.out.key }) }),
      );
      return shift(out === undefined ? { key: keys } : { key: keys, out: { key: out } }).key;
    },
  } as unknown as RotaryEmbedding;
}
