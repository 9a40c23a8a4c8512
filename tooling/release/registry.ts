/** A registry of packages on this computer, for as long as a rehearsal takes. */

import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { plainEnvironment } from "./processes.ts";

export interface Registry {
  /** With a slash at the end. */
  readonly url: string;
  /** The lines of an .npmrc for it. */
  readonly npmrc: string;
  stop(): Promise<void>;
}

/**
 * Starts verdaccio on a free port of 127.0.0.1. Packages named `ropewalk`, `create-ropewalk`, `@ropewalk/…` and
 * `ropewalk-…`, as those of `examples` are, are its own; all others come from `uplink`.
 *
 * @param folder for its settings, its packages and its log.
 * @throws Error with the log, if it does not answer within a minute.
 */
export async function startRegistry(folder: string, uplink: string): Promise<Registry> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const config = path.join(folder, "verdaccio.json");
  const log = path.join(folder, "verdaccio.log");
  const own = { access: "$all", publish: "$all" };
  // JSON is YAML.
  const settings = {
    storage: path.join(folder, "storage"),
    auth: { htpasswd: { file: path.join(folder, "htpasswd"), max_users: -1 } },
    uplinks: { outside: { url: uplink, maxage: "60m", timeout: "60s" } },
    packages: {
      "@ropewalk/*": own,
      "ropewalk{,-*}": own,
      "create-ropewalk": own,
      "**": { access: "$all", proxy: "outside" },
    },
    max_body_size: "100mb",
    log: { type: "file", path: log, format: "json", level: "warn" },
  };
  writeFileSync(config, JSON.stringify(settings));
  writeFileSync(log, "");
  const main = path.join(path.dirname(fileURLToPath(import.meta.resolve("verdaccio/package.json"))), "bin/verdaccio");
  const server = spawn(process.execPath, [main, "--config", config, "--listen", `127.0.0.1:${port}`], {
    cwd: folder,
    env: plainEnvironment,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let errors = "";
  server.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  // It must not outlive this process, however that ends.
  const kill = (): void => void server.kill("SIGKILL");
  process.once("exit", kill);
  const stop = async (): Promise<void> => {
    process.off("exit", kill);
    kill();
    await ended;
  };

  for (let tries = 0; tries < 240 && server.exitCode === null; tries++) {
    try {
      if ((await fetch(`${url}-/ping`)).ok) {
        const token = `//127.0.0.1:${port}/:_authToken=rehearsal\n`;
        return { url, npmrc: `registry=${url}\n${token}`, stop };
      }
    } catch {
      // Not yet listening.
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  await stop();
  throw new Error(`verdaccio did not start on 127.0.0.1:${port}:\n${errors}${readFileSync(log, "utf8")}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no free port on 127.0.0.1");
  return address.port;
}
