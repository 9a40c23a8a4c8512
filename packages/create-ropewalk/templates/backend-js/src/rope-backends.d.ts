import type { RotaryEmbedding } from "@ropewalk/core";

// Teaches rope.to the options of the backend (none yet) and what it returns.
declare module "@ropewalk/core" {
  interface RopeBackends {
    "@@type@@": { options: Readonly<Record<never, never>>; rope: RotaryEmbedding };
  }
}
