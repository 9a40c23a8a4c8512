/** What the compiled module exports. */
export { rotate } from "./rotate";
export { writeRows32, writeRows64 } from "./rows";
