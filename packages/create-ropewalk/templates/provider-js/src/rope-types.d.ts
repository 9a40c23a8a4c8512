import type { __Name__Parameters } from "@@package@@/formula";

// Teaches getRope the parameters of the type.
declare module "@ropewalk/core" {
  interface RopeParametersByType {
    "@@type@@": __Name__Parameters;
  }
}
