/**
 * What the threads of a pool share: a block of integers beside the arena, and the program of a worker.
 *
 * The block holds a turn, which increases by one with every job, and for each thread a slot with the arguments of its
 * part. A thread takes its part before it works on it, does it in small steps, copies each beside the arena first, and
 * says how far it is.
 */

// Places in the block of integers.
export const TURN = 0;
export const STOP = 1;
export const ASLEEP = 2;
export const SLOTS = 16;
/** Integers of one thread's slot: two lines of a processor's cache. */
export const SLOT_SIZE = 32;

// Places in a slot. The first integer is its state.
/** The last turn that the thread has seen; 0 before it runs. */
export const SEEN = 1;
/** Twice the tokens that are done; and 1 more while a step is being rotated, whose copy is complete then. */
export const PROGRESS = 2;
/**
 * Four numbers: tokens of one step; bytes of the cos of one token; bytes of a row of the copy; rows of one token, 0 for
 * a part that is not in place, which needs no copy.
 */
export const STEPS = 3;
/** The arguments of the kernel. */
export const ARGUMENTS = 8;
const ARGUMENT_COUNT = 14;

// The states of a slot.
export const IDLE = 0;
export const POSTED = 1;
export const TAKEN = 2;
/** The caller has given up on the thread, which must touch nothing more. */
export const GIVEN_UP = 3;

/** About ten microseconds of spinning: longer than the pause between two tensors or pieces. */
export const SPINS = 2000;
/** Bytes of one step: few, so that they stay in the first-level cache. A step has one token at least. */
export const STEP_BYTES: number = 32 * 1024;
/** Bytes for the copy of one step. */
export const COPY_BYTES: number = 128 * 1024;

// Places of arguments of the kernel.
export const SOURCE = 1;
export const SOURCE_TOKEN = 2;
export const SOURCE_HEAD = 3;
export const TARGET = 4;
export const TARGET_TOKEN = 5;
export const COS = 7;
export const SIN = 8;
export const SCRATCH = 9;
export const TOKENS = 10;
export const HEADS = 11;

/**
 * The program of a worker, as text, so that bundlers need not find a file. In a loop it waits for a turn, takes its
 * part, and works. The numbers are those above.
 */
export const workerSource: string = `
const start = ({ module, memory, shared, copies, index }) => {
  const { rotate } = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const block = new Int32Array(shared);
  const bytes = new Uint8Array(memory.buffer);
  const copy = new Uint8Array(copies, index * ${COPY_BYTES}, ${COPY_BYTES});
  const slot = ${SLOTS} + index * ${SLOT_SIZE};
  const work = () => {
    const job = Array.from(block.subarray(slot + ${ARGUMENTS}, slot + ${ARGUMENTS + ARGUMENT_COUNT}));
    const [step, table, row, rows] = block.subarray(slot + ${STEPS}, slot + ${STEPS + 4});
    const [cos, sin, tokens] = [job[${COS}], job[${SIN}], job[${TOKENS}]];
    // Beyond 2 GiB an address is negative here.
    const source = job[${SOURCE}] >>> 0;
    for (let done = 0; done < tokens; done += step) {
      if (Atomics.load(block, slot) !== ${TAKEN}) return false;
      const count = Math.min(step, tokens - done);
      job[${SOURCE}] = source + done * job[${SOURCE_TOKEN}];
      for (let t = 0, to = 0; t < count && rows > 0; t++) {
        for (let r = 0, from = job[${SOURCE}] + t * job[${SOURCE_TOKEN}]; r < rows; r++, to += row, from += job[${SOURCE_HEAD}]) {
          copy.set(bytes.subarray(from, from + row), to);
        }
      }
      Atomics.store(block, slot + ${PROGRESS}, 2 * done + 1);
      job[${TARGET}] = block[slot + ${ARGUMENTS + TARGET}] + done * job[${TARGET_TOKEN}];
      job[${COS}] = cos + done * table;
      job[${SIN}] = sin + done * table;
      job[${TOKENS}] = count;
      rotate(...job);
      Atomics.store(block, slot + ${PROGRESS}, 2 * (done + count));
    }
    return true;
  };
  let turn = Atomics.load(block, ${TURN});
  for (;;) {
    Atomics.store(block, slot + ${SEEN}, turn);
    if (Atomics.load(block, ${STOP}) !== 0) return;
    if (Atomics.compareExchange(block, slot, ${POSTED}, ${TAKEN}) === ${POSTED}) {
      if (!work()) return;
      Atomics.compareExchange(block, slot, ${TAKEN}, ${IDLE});
      Atomics.notify(block, slot);
    }
    for (let spins = 0; Atomics.load(block, ${TURN}) === turn; ) {
      if (++spins < ${SPINS}) continue;
      Atomics.add(block, ${ASLEEP}, 1);
      Atomics.wait(block, ${TURN}, turn);
      Atomics.sub(block, ${ASLEEP}, 1);
    }
    turn = Atomics.load(block, ${TURN});
  }
};
if (typeof require === "function" && typeof self === "undefined") require("node:worker_threads").parentPort.once("message", start);
else self.onmessage = ({ data }) => start(data);
`;
