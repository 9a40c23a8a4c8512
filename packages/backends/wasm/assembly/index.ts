/** The exports of the compiled module. */
export { rotate } from "./rotate";
export { writeRows32, writeRows64 } from "./rows";
export { pass } from "./pass";
