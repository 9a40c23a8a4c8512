/** Results on disk: all or none, at every fault and every kill, and in place of nothing unasked. */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { preparePlaces, writeAll, writeResults } from "../src/cli/results/write.ts";
import type { Places, Result } from "../src/cli/results/write.ts";
import { withFault } from "./faults.ts";
import type { Fault } from "./faults.ts";
import { folder } from "./support.ts";

const text = (name: string, content: string): Result => ({
  name,
  write: (handle) => writeAll(handle, new TextEncoder().encode(content), 0),
});

/** All files of a folder, also in folders in it, with their contents. A stage is one of them. */
function state(path: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(path, { withFileTypes: true, recursive: true })
      .map((entry) => [join(entry.parentPath, entry.name), entry] as const)
      .map(([at, entry]): [string, string] => [
        at.slice(path.length + 1),
        entry.isFile() ? readFileSync(at, "utf8") : "",
      ])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

interface Case {
  readonly what: string;
  /** Files that are there before. */
  readonly before: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
  readonly replace: boolean;
  readonly after: Readonly<Record<string, string>>;
}

const two = [text("k.npy", "new k"), text("q.npy", "new q")];
const cases: readonly Case[] = [
  {
    what: "two new files",
    before: { other: "o" },
    results: two,
    replace: false,
    after: { "k.npy": "new k", other: "o", "q.npy": "new q" },
  },
  {
    what: "two files in place of two",
    before: { "k.npy": "old k", "q.npy": "old q" },
    results: two,
    replace: true,
    after: { "k.npy": "new k", "q.npy": "new q" },
  },
  {
    what: "two files, one of them in place of another",
    before: { "k.npy": "old k" },
    results: two,
    replace: true,
    after: { "k.npy": "new k", "q.npy": "new q" },
  },
  {
    what: "a folder",
    before: {},
    results: [
      {
        name: "out",
        fill: async (create) => {
          for (const name of ["a", "b"]) await create(name, (handle) => writeAll(handle, Uint8Array.of(65), 0));
        },
      },
    ],
    replace: false,
    after: { out: "", "out/a": "A", "out/b": "A" },
  },
];

function begin({ before, replace, results }: Case): { readonly at: string; readonly places: Places } {
  const at = folder();
  for (const [name, content] of Object.entries(before)) writeFileSync(join(at, name), content);
  return { at, places: { folder: at, names: results.map(({ name }) => name), replace, inputs: [] } };
}

/** A file system without hard links, such as FAT, says EPERM. */
const linkless = { code: "EPERM", always: ["linkSync"] } as const;

test.each(cases)("$what: in their places, and nothing else is left; also without hard links", async (one) => {
  const { at, places } = begin(one);
  await writeResults(places, one.results, false);
  expect(state(at)).toEqual(one.after);
  const other = begin(one);
  const { error } = await withFault(() => writeResults(other.places, one.results, false), { ...linkless, at: -1 });
  expect(error).toBeUndefined();
  expect(state(other.at)).toEqual(one.after);
});

const faults: readonly Fault[] = [
  { code: "EIO" },
  { code: "ENOSPC" },
  { code: "EFBIG" },
  { killed: "before" },
  { killed: "after" },
];

test.each(cases)(
  "$what: a fault or a kill at every operation leaves the state of before, or the new one",
  async (one) => {
    const first = begin(one);
    const { operations } = await withFault(() => writeResults(first.places, one.results, false));
    expect(operations.length).toBeGreaterThan(15);
    let [undone, done] = [0, 0];
    for (const [i, operation] of operations.entries()) {
      for (const fault of faults) {
        const where = `${operation} (${i}), ${JSON.stringify(fault)}`;
        const { at, places } = begin(one);
        const { error } = await withFault(() => writeResults(places, one.results, false), { ...fault, at: i });
        const isKilled = "killed" in fault;
        if (isKilled) {
          // The next run into the folder, which writes something else.
          preparePlaces({ folder: at, names: ["further"], replace: false, inputs: [] });
        } else if (error !== undefined) expect(error, where).toMatchObject({ code: "OUTPUT" });
        const found = state(at);
        const stages = Object.keys(found).filter((name) => name.includes(".ropewalk-"));
        if (!isKilled && stages.length > 0) {
          // The disk failed at the removal of the stage: its plan is gone, and the next run removes the rest.
          preparePlaces({ folder: at, names: ["further"], replace: false, inputs: [] });
        }
        const left = state(at);
        const isNew = JSON.stringify(left) === JSON.stringify(sorted(one.after));
        if (!isNew) expect(left, where).toEqual(one.before);
        // What is reported as an error has not happened.
        if (error !== undefined && !isKilled) expect(isNew, where).toBe(false);
        if (error === undefined) expect(isNew, where).toBe(true);
        if (isNew) done++;
        else undone++;
      }
    }
    // Both occur.
    expect(undone).toBeGreaterThan(30);
    expect(done).toBeGreaterThan(2);
  },
  60_000,
);

const sorted = (files: Readonly<Record<string, string>>): object =>
  Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)));

test("a disk that fails while the state of before is brought back: the next run goes on with it", async () => {
  const one = cases[1]!;
  const { operations } = await withFault(() => writeResults(begin(one).places, one.results, false));
  const last = operations.lastIndexOf("renameSync");
  const { at, places } = begin(one);
  const { error } = await withFault(() => writeResults(places, one.results, false), {
    code: "EIO",
    at: last,
    until: Infinity,
  });
  expect(error).toMatchObject({
    code: "OUTPUT",
    message: expect.stringContaining("the next run into this folder does"),
  });
  expect(state(at)["k.npy"]).toBe("new k");
  const [told] = preparePlaces({ folder: at, names: ["further"], replace: false, inputs: [] });
  expect(told).toContain("what was there before is there again");
  expect(state(at)).toEqual(one.before);
});

test.each(cases.slice(0, 3))("$what, without hard links: the same after a kill at every operation", async (one) => {
  const first = begin(one);
  const { operations } = await withFault(() => writeResults(first.places, one.results, false), { ...linkless, at: -1 });
  for (const [i, operation] of operations.entries()) {
    const { at, places } = begin(one);
    await withFault(() => writeResults(places, one.results, false), { killed: "before", at: i, isLinkless: true });
    preparePlaces({ folder: at, names: ["further"], replace: false, inputs: [] });
    const left = state(at);
    if (JSON.stringify(left) !== JSON.stringify(sorted(one.after))) {
      expect(left, `${operation} (${i})`).toEqual(one.before);
    }
  }
});

test("a run killed when all results are in their places: they stay", async () => {
  const one = cases[1]!;
  const { operations } = await withFault(() => writeResults(begin(one).places, one.results, false));
  const { at, places } = begin(one);
  // The plan is what is removed first.
  const kill = { killed: "before", at: operations.indexOf("unlinkSync") } as const;
  await withFault(() => writeResults(places, one.results, false), kill);
  expect(preparePlaces({ ...places, names: ["further"] })).toEqual([expect.stringContaining("they are whole")]);
  expect(state(at)).toEqual(one.after);
});

test("a folder that appears while another is written to its place is not replaced, also an empty one", async () => {
  const { at, places } = begin(cases[3]!);
  const appearing: Result = {
    name: "out",
    fill: async (create) => {
      await create("a", (handle) => writeAll(handle, Uint8Array.of(1), 0));
      mkdirSync(join(at, "out"));
    },
  };
  await expect(writeResults(places, [appearing], false)).rejects.toThrow("a folder is never replaced");
  expect(state(at)).toEqual({ out: "" });
});

test("what a killed run left: undone also if one of its results was changed since, which stays", async () => {
  const one = cases[1]!;
  const { operations } = await withFault(() => writeResults(begin(one).places, one.results, false));
  const { at, places } = begin(one);
  await withFault(() => writeResults(places, one.results, false), {
    killed: "before",
    at: operations.lastIndexOf("renameSync"),
  });
  expect(state(at)).toMatchObject({ "k.npy": "new k", "q.npy": "old q" });
  writeFileSync(join(at, "k.npy"), "mine");
  preparePlaces({ folder: at, names: ["further"], replace: false, inputs: [] });
  expect(state(at)).toEqual({ "k.npy": "mine", "q.npy": "old q" });
});

test.each<[what: string, machine: string, number: number, age: number, isKept: boolean]>([
  ["of a run that goes on", "own", process.ppid, 0, true],
  ["of a process number that is used again", "own", process.ppid, 11, false],
  ["of a run on another machine", "0123abcd", 1, 0, true],
  ["of a run on another machine, long ago", "0123abcd", 1, 11, false],
])("a stage %s is left alone, and its names are not to be written: %s", async (_, machine, number, age, isKept) => {
  const one = cases[1]!;
  const { operations } = await withFault(() => writeResults(begin(one).places, one.results, false));
  const { at, places } = begin(one);
  await withFault(() => writeResults(places, one.results, false), {
    killed: "before",
    at: operations.lastIndexOf("renameSync"),
  });
  const stage = readdirSync(at).find((name) => name.startsWith(".ropewalk-"))!;
  const [, , own] = stage.split(/[.-]/);
  const other = join(at, `.ropewalk-${machine === "own" ? own : machine}-${number}-00000000.tmp`);
  renameSync(join(at, stage), other);
  const time = Date.now() / 1000 - 60 * age;
  utimesSync(join(other, "plan.json"), time, time);
  if (isKept) expect(() => preparePlaces(places)).toThrow("try again");
  preparePlaces({ ...places, names: ["further"] });
  expect(existsSync(other)).toBe(isKept);
  expect(state(at)["k.npy"]).toBe(isKept ? "new k" : "old k");
});

test("of two runs that put the same names into their places at once, one fails or both: never results of two", async () => {
  const at = folder();
  writeFileSync(join(at, "k.npy"), "old k");
  // Process 1 of another machine gets its plan while this run writes.
  const stage = join(at, ".ropewalk-0123abcd-1-00000000.tmp");
  const meanwhile: Result = {
    name: "q.npy",
    write: async (handle) => {
      await writeAll(handle, Uint8Array.of(1), 0);
      mkdirSync(stage);
      writeFileSync(
        join(stage, "plan.json"),
        JSON.stringify([{ name: "k.npy", isFolder: false, size: "1", changed: "1" }]),
      );
    },
  };
  const places = { folder: at, names: ["k.npy", "q.npy"], replace: true, inputs: [] };
  await expect(writeResults(places, [two[0]!, meanwhile], false)).rejects.toMatchObject({ code: "OUTPUT" });
  expect(readdirSync(at).toSorted()).toEqual([stage.slice(at.length + 1), "k.npy"]);
  expect(readFileSync(join(at, "k.npy"), "utf8")).toBe("old k");
});

test.each([
  ["a name that leads out of the folder", JSON.stringify([{ name: "../x", isFolder: false, size: "1", changed: "1" }])],
  ["no list", "{}"],
  ["no JSON", "["],
])("a plan with %s is refused, and nothing is touched", async (_, plan) => {
  const one = cases[1]!;
  const { operations } = await withFault(() => writeResults(begin(one).places, one.results, false));
  const { at, places } = begin(one);
  await withFault(() => writeResults(places, one.results, false), {
    killed: "before",
    at: operations.lastIndexOf("renameSync"),
  });
  const stage = readdirSync(at).find((name) => name.startsWith(".ropewalk-"))!;
  writeFileSync(join(at, stage, "plan.json"), plan);
  expect(() => preparePlaces(places)).toThrow("is damaged: remove it");
  expect(state(at)).toMatchObject({ "k.npy": "new k", "q.npy": "old q" });
});

test.each<[what: string, put: (at: string) => void, replace: boolean, words: string]>([
  ["a file, without --force", (at) => writeFileSync(at, "mine"), false, "exists; give --force"],
  ["a folder", (at) => mkdirSync(at), true, "a folder is never replaced"],
  ["a link", (at) => symlinkSync(`${at}.real`, at), true, "is a link"],
  ["a link to nothing, without --force", (at) => symlinkSync(`${at}.real`, at), false, "exists"],
])("%s at a place is not replaced, early or at the last moment", async (_, put, replace, words) => {
  const at = folder();
  const places = { folder: at, names: ["k.npy", "q.npy"], replace, inputs: [] };
  put(join(at, "q.npy"));
  const before = state(at);
  expect(() => preparePlaces(places)).toThrow(words);
  await expect(writeResults(places, two, false)).rejects.toMatchObject({ code: "OUTPUT" });
  expect(state(at)).toEqual(before);

  // It appears while the last result is written: after every check but that of the system.
  const late = folder();
  const appearing: Result = {
    name: "q.npy",
    write: async (handle) => {
      await writeAll(handle, Uint8Array.of(1), 0);
      put(join(late, "q.npy"));
    },
  };
  await expect(writeResults({ ...places, folder: late }, [two[0]!, appearing], false)).rejects.toMatchObject({
    code: "OUTPUT",
  });
  expect(readdirSync(late)).toEqual(["q.npy"]);
});

test("an input is never replaced, under no name, also with --force", async () => {
  const at = folder();
  const [input, other] = [join(at, "in.npy"), join(at, "q.npy")];
  writeFileSync(input, "input");
  for (const place of [() => linkSync(input, other), () => symlinkSync(input, other), () => renameSync(input, other)]) {
    place();
    const inputs = [existsSync(input) ? input : other];
    const places = { folder: at, names: ["k.npy", "q.npy"], replace: true, inputs };
    expect(() => preparePlaces(places)).toThrow("would be overwritten");
    await expect(writeResults(places, two, false)).rejects.toMatchObject({ code: "OUTPUT" });
    expect(readFileSync(inputs[0]!, "utf8")).toBe("input");
    expect(existsSync(join(at, "k.npy"))).toBe(false);
    if (existsSync(input)) spawnSync("rm", [other]);
  }
});

test("a file in place of another has its mode and owner", async () => {
  const at = folder();
  const path = join(at, "q.npy");
  writeFileSync(path, "old");
  chmodSync(path, 0o640);
  await writeResults({ folder: at, names: ["q.npy"], replace: true, inputs: [] }, [text("q.npy", "new")], false);
  expect(statSync(path).mode & 0o7777).toBe(0o640);
  expect(readFileSync(path, "utf8")).toBe("new");
});

test.runIf(process.getuid?.() === 0)("root keeps the owner of another", async () => {
  const at = folder();
  const path = join(at, "q.npy");
  writeFileSync(path, "old");
  const { chownSync } = await import("node:fs");
  chownSync(path, 12345, 54321);
  const places = { folder: at, names: ["q.npy"], replace: true, inputs: [] };
  await writeResults(places, [text("q.npy", "new")], false);
  expect(statSync(path)).toMatchObject({ uid: 12345, gid: 54321 });
  // A user who may not give files away is refused.
  const { error } = await withFault(() => writeResults(places, [text("q.npy", "newer")], false), {
    code: "EPERM",
    at: -1,
    always: ["chown"],
  });
  expect(error).toMatchObject({ code: "OUTPUT", message: expect.stringContaining("another user or group") });
  expect(readFileSync(path, "utf8")).toBe("new");
});

test("folders made for results are removed if the results cannot be written, with .. in their path too", async () => {
  const at = folder();
  const failing: Result = { name: "q.npy", write: () => Promise.reject(new TypeError("planted")) };
  for (const path of [join(at, "a", "b"), `${at}/x/../y`]) {
    const places = { folder: path, names: ["q.npy"], replace: false, inputs: [] };
    await expect(writeResults(places, [failing], true)).rejects.toThrow("planted");
    expect(readdirSync(at)).toEqual([]);
  }
});
