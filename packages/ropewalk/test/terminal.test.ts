/** Text that others wrote: escaped and cut in every command, on the terminal and in `--json`. */

import { mkdirSync, openSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { jsonLine, printable, printableLines, printableReport } from "../src/cli/text.ts";
import { folder, model, ropewalk, writeConfig, writeNpy, writeSafetensors } from "./support.ts";

/** ESC, BEL, C1's CSI, DEL, newlines, a separator of lines, a mark that turns the direction, a forged line. */
const hostile = "x\u001b[2J\u0007\u009b31m\u007f\r\u2028\u202e\nropewalk: all is well";
/** What a terminal obeys, but for newlines. */
const obeyed = /[^\n\P{Cc}]|[\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

test("controls are escaped, other text stays, long text is cut in the middle", () => {
  expect(printable(hostile)).toBe("x\\x1b[2J\\x07\\x9b31m\\x7f\\r\\u{2028}\\u{202e}\\nropewalk: all is well");
  expect(printable("Gewichte für 模型 😀 ∑")).toBe("Gewichte für 模型 😀 ∑");
  expect(printable("half a pair \ud83d")).toBe("half a pair \\u{d83d}");
  const long = printable(`begin ${"a".repeat(5_000_000)} end`);
  expect(long.length).toBeLessThan(1100);
  expect(long).toMatch(/^begin a.* characters\) … .*a end$/);
  // 1000 controls are four times as long when escaped.
  expect(printable("\u001b".repeat(1e6)).length).toBeLessThan(4200);
});

test("a report has every text made printable, its keys too; numbers and arrays stay", () => {
  expect(printableReport({ [hostile]: [hostile, 1, null, { a: hostile }] })).toEqual({
    [printable(hostile)]: [printable(hostile), 1, null, { a: printable(hostile) }],
  });
});

test("JSON for terminals has the same value, and no control", () => {
  const value = { text: hostile, more: "\u0085\u2069" };
  expect(jsonLine(value)).not.toMatch(obeyed);
  expect(jsonLine(value)).not.toContain("\n");
  expect(JSON.parse(jsonLine(value))).toEqual(value);
});

test("of lines in colours, newlines and colours stay", () => {
  const colours = "\u001b[1m\u001b[31mred\u001b[39m\u001b[22m\n";
  expect(printableLines(colours)).toBe(colours);
  expect(printableLines("\u001b]0;title\u0007 \u001b[2J \u0007[1m \u009b1m")).toBe(
    "\\x1b]0;title\\x07 \\x1b[2J \\x07[1m \\x9b1m",
  );
});

const plain = {
  model_type: "llama",
  head_dim: 8,
  hidden_size: 32,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  num_hidden_layers: 1,
  max_position_embeddings: 64,
  rope_theta: 10_000,
};

/** File names may have every character but a slash and zero. */
function files(): Record<string, string> {
  const at = join(folder(), hostile);
  mkdirSync(at);
  const write = (name: string, value: unknown): string => {
    writeFileSync(join(at, name), JSON.stringify(value));
    return join(at, name);
  };
  const data = new Float32Array(3 * 4 * 8);
  return {
    at,
    config: write("config.json", {
      ...plain,
      [`rope_${hostile}`]: 1,
      rope_scaling: { rope_type: "linear", factor: 2, [hostile]: hostile },
    }),
    types: write("types.json", {
      ...plain,
      layer_types: [hostile, "full_attention"],
      num_hidden_layers: 2,
      rope_parameters: {
        [hostile]: { rope_type: "default", rope_theta: 1 },
        full_attention: { rope_type: hostile, rope_theta: 2 },
      },
    }),
    type: write("type.json", { ...plain, rope_scaling: { rope_type: hostile, factor: 2 } }),
    family: write("family.json", { ...plain, model_type: hostile }),
    value: write("value.json", { ...plain, rope_theta: hostile }),
    long: write("long.json", { ...plain, rope_theta: "y".repeat(3e6) }),
    broken: write("broken.json", 1),
    text: (() => {
      writeFileSync(join(at, "text.json"), `{${hostile}`);
      return join(at, "text.json");
    })(),
    q: writeNpy(join(at, "q.npy"), "<f4", [3, 4, 8], data),
    descr: writeNpy(
      join(at, "descr.npy"),
      hostile.replaceAll("\n", "").replaceAll("\u2028", "").replaceAll("\u202e", ""),
      [96],
      data,
    ),
    tensors: writeSafetensors(join(at, "t.safetensors"), {
      [`model.layers.0.self_attn.q_proj.${hostile}`]: { dtype: "F32", shape: [32, 1], data: new Float32Array(32) },
      [`model.layers.0.self_attn.k_proj.weight`]: { dtype: "F32", shape: [16, 1], data: new Float32Array(16) },
    }),
    dtype: writeSafetensors(join(at, "d.safetensors"), { query: { dtype: hostile, shape: [96], data } }),
    many: writeSafetensors(
      join(at, "m.safetensors"),
      Object.fromEntries(
        Array.from({ length: 3 }, (_, i) => [
          `${"n".repeat(1e6)}${i}`,
          { dtype: "F32", shape: [1], data: new Float32Array(1) },
        ]),
      ),
    ),
  };
}

const all = files();
const rest = ["--from", "half", "--to", "adjacent"];
const out = (): string => join(folder(), hostile);

test.each<[what: string, args: readonly string[]]>([
  ["inspect, a file", ["inspect", all["config"]!]],
  ["inspect, a folder", ["inspect", all["at"]!]],
  [
    "inspect, as JSON",
    [
      "inspect",
      "--json",
      all["at"]!,
      all["types"]!,
      all["type"]!,
      all["family"]!,
      all["value"]!,
      all["long"]!,
      all["text"]!,
    ],
  ],
  ["inspect, of layer types", ["inspect", all["types"]!]],
  [
    "inspect, a type",
    ["inspect", all["type"]!, all["family"]!, all["value"]!, all["long"]!, all["broken"]!, all["text"]!],
  ],
  ["inspect, a file that is not there", ["inspect", hostile]],
  ["lint", ["lint", all["config"]!]],
  ["lint, of a value", ["lint", all["value"]!]],
  ["lint, of layer types", ["lint", all["types"]!]],
  ["lint, as JSON", ["lint", "--json", all["config"]!]],
  ["lint, for an engine", ["lint", "--for", hostile, all["config"]!]],
  ["diff", ["diff", all["config"]!, model("microsoft/phi-2")]],
  ["diff, as JSON", ["diff", "--json", all["config"]!, model("microsoft/phi-2")]],
  ["verify, of another file", ["verify", "--vectors", all["config"]!]],
  ["apply", ["apply", all["config"]!, "--query", all["q"]!, "--positions", "0:3", "--out", out()]],
  [
    "apply, a layer type",
    ["apply", all["config"]!, "--query", all["q"]!, "--positions", "0:3", "--layer-type", hostile, "--out", out()],
  ],
  ["apply, positions", ["apply", all["config"]!, "--query", all["q"]!, "--positions", hostile, "--out", out()]],
  [
    "apply, an element type of npy",
    ["apply", all["config"]!, "--query", all["descr"]!, "--positions", "0:3", "--out", out()],
  ],
  [
    "apply, an element type of safetensors",
    ["apply", all["config"]!, "--query", all["dtype"]!, "--positions", "0:3", "--out", out()],
  ],
  [
    "apply, a tensor's name",
    ["apply", all["config"]!, "--query", `${all["many"]!}#${hostile}`, "--positions", "0:3", "--out", out()],
  ],
  ["permute", ["permute", all["tensors"]!, out(), "--config", writeConfig(plain), ...rest]],
  ["permute, long names", ["permute", all["many"]!, out(), "--config", writeConfig(plain), ...rest]],
  [
    "permute, a pattern",
    ["permute", all["tensors"]!, out(), "--config", writeConfig(plain), "--query-pattern", `(${hostile}`, ...rest],
  ],
  ["an unknown option", ["inspect", `--${hostile}`]],
  ["an unknown command", [hostile]],
  ["a choice", ["inspect", "--precision", hostile, all["config"]!]],
])("%s: no control reaches the terminal, no line is forged, nothing is long", (_, args) => {
  const { status, stderr, stdout } = ropewalk(args);
  expect([0, 1, 2]).toContain(status);
  for (const text of [stdout, stderr]) {
    expect(text).not.toMatch(obeyed);
    expect(text).not.toMatch(/^ropewalk: all is well/m);
    expect(text).not.toContain("defect");
    expect(text).not.toContain("INTERNAL");
    expect(text.length).toBeLessThan(60_000);
  }
  expect(stderr.split("\n").every((line) => line === "" || line.startsWith("ropewalk: "))).toBe(true);
});

const cli = fileURLToPath(new URL("../dist/cli.js", import.meta.url));

test.runIf(process.platform === "linux")("a full device as output: exit code 2 and one sentence", () => {
  const full = openSync("/dev/full", "w");
  for (const args of [
    ["inspect", all["config"]!],
    ["lint", "--json", all["config"]!],
    ["--help"],
    ["--version"],
    ["verify"],
  ]) {
    const { status, stderr } = spawnSync(process.execPath, [cli, ...args], {
      stdio: ["ignore", full, "pipe"],
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: "ropewalk: cannot write to the standard output: the disk is full.\n",
    });
  }
  // With nowhere to say it, the code is left.
  const { status } = spawnSync(process.execPath, [cli, "inspect", "missing.json"], {
    stdio: ["ignore", "ignore", full],
  });
  expect(status).toBe(2);
});

test.each<[what: string, out: string]>([
  ["under a file", join(all["q"]!, "out")],
  ["of 300 characters", join(folder(), "o".repeat(300))],
  ["through links in a circle", "/proc/self/fd/none/x"],
])("results %s: exit code 2 and one sentence, of apply and permute", (_, place) => {
  for (const args of [
    ["apply", writeConfig(plain), "--query", all["q"]!, "--positions", "0:3", "--out", place],
    ["permute", all["tensors"]!, place, "--config", writeConfig(plain), ...rest, "--query-pattern", "q_proj"],
  ]) {
    const { status, stderr, stdout } = ropewalk(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^ropewalk: (?!unexpected)[^\n]+\n$/);
    expect(stderr).not.toContain("defect");
  }
});
