/** Every architecture of llama.cpp, layer by layer, compared with what its graph rotates. */

import { ropesFromGguf, RopeError } from "ropewalk";
import { describe, expect, test } from "vitest";
import { architectures, compareArchitecture, header, isFailure, probed } from "../gguf.ts";
import type { Probed } from "../gguf.ts";

describe("every layer of every case is as in the graph, or refused with a reason", () => {
  let equal = 0;

  test.each(probed)("%s", (name, architecture) => {
    const found = compareArchitecture(name, architecture);
    expect(found.different).toEqual([]);
    equal += found.equal;
  });

  test("most cases are equal, not refused", () => {
    const ran = probed.flatMap(([, { cases }]) => Object.values(cases).filter((result) => !isFailure(result)));
    expect(equal / ran.length).toBeGreaterThan(0.8);
  });
});

test("a second rope of a layer, which is not read, is a note", () => {
  const notes = ([name, architecture]: [string, Probed]): boolean =>
    ropesFromGguf(header(name, architecture, {})).notes.some(
      ({ path }) => path === `${name}.attention.indexer.key_length`,
    );
  expect(probed.filter(notes).map(([name]) => name)).toEqual(
    probed.flatMap(([name, { other }]) => (other === undefined ? [] : [name])),
  );
});

test("every architecture of the census is known", () => {
  const unknown = architectures.filter(([name]) => {
    const call = (): unknown => ropesFromGguf({ "general.architecture": name });
    try {
      call();
      return false;
    } catch (error) {
      return RopeError.is(error) && error.issues.some(({ path }) => path === "general.architecture");
    }
  });
  expect(unknown.map(([name]) => name)).toEqual([]);
});

test("architectures without rope have none in any layer, and all that did not run have none", () => {
  const bare = architectures.filter(([, result]) => !("cases" in result));
  for (const [name] of bare) {
    const ropes = ropesFromGguf({ "general.architecture": name, [`${name}.block_count`]: 2 });
    expect([ropes.forLayer(0), ropes.forLayer(1)]).toEqual([null, null]);
    expect(ropes.notes).toMatchObject([{ kind: "implied", path: "general.architecture" }]);
    expect(codeOf(() => ropes.forLayer(2))).toBe("ROPE_CONFIG");
  }
  expect(bare.flatMap(([name, result]) => ("notProbed" in result ? [name] : []))).toEqual([
    "clip",
    "gptj",
    "rwkv6qwen2",
    "wavtokenizer-dec",
  ]);
});

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (RopeError.is(error)) return error.code;
    throw error;
  }
  return "nothing was thrown";
}
