/**
 * Loaded with `--import` into the command: counts the operations that change a disk, and plants a fault at one of them.
 *
 * `ROPEWALK_ATTACK` is `{ "at": 3, "fault": "EIO" | "SIGKILL" | …, "count": "file" }`. An error of the system comes in
 * place of the operation; a signal comes before it. `count` is a file for the number of operations.
 */

import fs from "node:fs";
import promises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

const { at, count, fault } = JSON.parse(process.env.ROPEWALK_ATTACK);
const { writeFileSync } = fs;
let operations = 0;

/** Throws the fault, or sends the signal, if its operation has come. */
function operation(name) {
  if (operations++ !== at) return;
  if (fault.startsWith("SIG")) {
    process.kill(process.pid, fault);
    return;
  }
  throw Object.assign(new Error(`${fault}: planted, ${name}`), { code: fault, syscall: name, errno: -1 });
}

const changes = ["linkSync", "renameSync", "unlinkSync", "rmSync", "rmdirSync", "mkdirSync", "writeSync", "fsyncSync"];
for (const name of changes) {
  const call = fs[name];
  fs[name] = (...args) => {
    // What is printed does not go to the disk.
    if (name !== "writeSync" || args[0] > 2) operation(name);
    return call.apply(fs, args);
  };
}
const { openSync } = fs;
fs.openSync = (path, flags, ...rest) => {
  // Reading changes nothing.
  if (typeof flags === "string" && flags.includes("w")) operation("openSync");
  return openSync(path, flags, ...rest);
};
const { open } = promises;
promises.open = async (...args) => {
  operation("open");
  return open(...args);
};
const probe = await open(new URL(import.meta.url));
const prototype = Object.getPrototypeOf(probe);
await probe.close();
for (const name of ["write", "sync", "chmod", "chown", "close"]) {
  const call = prototype[name];
  prototype[name] = async function (...args) {
    try {
      operation(name);
    } catch (error) {
      // Also a failing `close` gives the number of the file back.
      if (name === "close") await call.apply(this, args);
      throw error;
    }
    return call.apply(this, args);
  };
}
syncBuiltinESMExports();
if (count !== undefined) process.on("exit", () => writeFileSync(count, String(operations)));
