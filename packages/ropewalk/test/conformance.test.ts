/** `ropewalk conformance`, as a process, on packages in temporary folders. */

import { existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { checkPackage } from "../src/cli/conformance/package-laws.ts";
import type { ConformanceReport, ReportedLaw } from "../src/cli/conformance/report.ts";
import { readSubject } from "../src/cli/conformance/subject.ts";
import { folder, ropewalk } from "./support.ts";

const core = realpathSync(fileURLToPath(new URL("../node_modules/@ropewalk/core", import.meta.url)));

const validate = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true }).compile(
  JSON.parse(
    readFileSync(createRequire(import.meta.url).resolve("@ropewalk/conformance/report.schema.json"), "utf8"),
  ) as object,
);

const manifest = {
  name: "rope-step",
  version: "1.0.0",
  type: "module",
  keywords: ["ropewalk-provider"],
  files: ["dist"],
  sideEffects: ["./dist/index.js"],
  exports: { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" } },
  peerDependencies: { "@ropewalk/core": "^0.1.0" },
};

const sound = `
import { registerRopeType } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";

export const step = registerRopeType("step")({
  specificationVersion: 1,
  source: "rope-step@1.0.0",
  parameters: { factor: { type: "number", min: 1, description: "how many times more slowly pairs turn" } },
  frequencies: ({ base, rotaryDim, array }, { factor }) => ({
    invFreq: inverseFrequencies(base, rotaryDim, array).map((frequency) => array.divide(frequency, factor)),
  }),
});
`;

/** By hand: 10000^(-1/2) = 0.01, and both frequencies divided by 4. */
const cases = {
  cases: [
    {
      name: "factor 4",
      request: { headDim: 4, maxPosition: 4096, parameters: { factor: 4 } },
      expected: { source: "by hand", invFreq: [0.25, 0.0025] },
    },
  ],
};

/** Writes a package and links core into it; a file of `null` is left out. @returns its folder. */
function packageOf(files: Readonly<Record<string, string | object | null>> = {}): string {
  const root = folder();
  const all = {
    "package.json": manifest,
    "dist/index.js": sound,
    "dist/index.d.ts": "export {};\n",
    "conformance.json": cases,
    ...files,
  };
  for (const [name, content] of Object.entries(all)) {
    if (content === null) continue;
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  mkdirSync(join(root, "node_modules/@ropewalk"), { recursive: true });
  symlinkSync(core, join(root, "node_modules/@ropewalk/core"), "junction");
  return root;
}

const run = (root: string, ...options: string[]): ReturnType<typeof ropewalk> =>
  ropewalk(["conformance", "./dist/index.js", ...options], { cwd: root });

const reportIn = (root: string): ConformanceReport =>
  JSON.parse(readFileSync(join(root, "report.json"), "utf8")) as ConformanceReport;

/** The schema's complaints; a mistake in the report is seen with its path. */
const complaints = (report: unknown): unknown => (validate(report) ? [] : validate.errors);

const failures = (laws: readonly ReportedLaw[]): string[] => [
  ...new Set(laws.filter(({ status }) => status === "failed").map(({ law }) => law)),
];

test("a sound package passes; report, badge and table say so", () => {
  const root = packageOf();
  const { status, stdout, stderr } = run(root, "--report", "report.json", "--badge", "badge.svg");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const report = reportIn(root);
  expect(complaints(report)).toEqual([]);
  expect(report).toMatchObject({
    package: { name: "rope-step", version: "1.0.0", keywords: ["ropewalk-provider"], module: "./dist/index.js" },
    passed: true,
    seed: 1,
    types: [{ name: "step", source: "rope-step@1.0.0", parameters: ["factor"], cases: "given" }],
    backends: [],
    weight: { modules: 1, bytes: Buffer.byteLength(sound), minifier: null },
  });
  expect(Math.abs(Date.parse(report.date) - Date.now())).toBeLessThan(3_600_000);
  expect(report.laws.find(({ group }) => group === "numbers")).toMatchObject({ status: "passed", case: "factor 4" });
  const { passed, notApplicable } = report.counts;
  expect(passed + notApplicable).toBe(report.laws.length);
  expect(stdout).toContain("✓ keeps its registration when bundled");
  expect(stdout).toContain(`${passed} passed, 0 failed, ${notApplicable} not applicable`);
  const svg = readFileSync(join(root, "badge.svg"), "utf8");
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"[^]*<\/svg>\n$/);
  expect(svg).toContain(`>${passed} of ${passed} passed</text>`);

  // What is there stays, unless --force is given.
  const second = run(root, "--report", "report.json");
  expect(second).toMatchObject({ status: 2, stdout: "" });
  expect(second.stderr).toMatch(/report\.json exists; give --force to replace it\.\n$/);
  expect(run(root, "--report", "report.json", "--force", "--seed", "7").status).toBe(0);
  expect(reportIn(root).seed).toBe(7);
});

test("planted mistakes are all found in one run, each with a remedy", () => {
  const root = packageOf({
    "package.json": {
      ...manifest,
      sideEffects: false,
      dependencies: { "@ropewalk/core": "^0.1.0" },
      peerDependencies: {},
    },
    "dist/index.d.ts": null,
    "conformance.json": { cases: [{ ...cases.cases[0]!, expected: undefined }] },
    "dist/index.js": `
      import { registerRopeType } from "@ropewalk/core";
      console.log("a module that prints");
      const known = new Map();
      registerRopeType("step")({
        specificationVersion: 1,
        source: "rope-step@1.0.0",
        parameters: {
          factor: { type: "number", min: 1, description: "how many times more slowly pairs turn" },
          unused: { type: "number", default: 3, description: "nothing reads it; arbitrary" },
          gain: { type: "number", above: 0, default: 1.5, description: "amplitude" },
        },
        frequencies({ base, rotaryDim, precision }, { factor, gain }) {
          const key = [base, rotaryDim, precision, factor, gain].join();
          if (!known.has(key)) {
            const invFreq = Array.from({ length: rotaryDim / 2 }, (_, i) => Math.pow(base, (-2 * i) / rotaryDim) / factor);
            known.set(key, {
              invFreq: precision === "float32" ? invFreq.map(Math.fround) : invFreq,
              attentionFactor: gain,
              rules: [{ name: "attentionFactor", value: gain, rule: "given" }],
            });
          }
          return known.get(key);
        },
      });
    `,
  });
  const { status, stdout, stderr } = run(root, "--report", "report.json", "--badge", "badge.svg");
  expect({ status, stderr }).toEqual({ status: 1, stderr: "a module that prints\n" });
  const report = reportIn(root);
  expect(complaints(report)).toEqual([]);
  expect(report.passed).toBe(false);
  const remedies: [law: RegExp, received: RegExp, remedy: RegExp][] = [
    [/keeps its registration when bundled/, /^false$/, /"sideEffects": \["\.\/dist\/index\.js"\]/],
    [/has core as a peer/, /@ropewalk\/core: "\^0\.1\.0"/, /from dependencies to peerDependencies/],
    [/has types for every entry/, /index\.d\.ts, which does not exist/, /Emit declarations/],
    [/computes in the arithmetic/, /noise of \S+e-1\d, as a step in float64/, /never with Math\.pow/],
    [/has no parameter without effect/, /none with \d+ other values/, /or take it out of the schema/],
    [/describes each parameter with the source/, /"amplitude"/, /say where the default comes from/],
    [/gives a result of its own at each call/, /7/, /Make a new list at each call/],
  ];
  for (const [law, received, remedy] of remedies) {
    const found = report.laws.find((item) => law.test(item.law) && item.status === "failed");
    expect(found?.failure?.received, String(law)).toMatch(received);
    expect(found?.failure?.remedy, String(law)).toMatch(remedy);
    expect(stdout).toMatch(new RegExp(`✗ .*${law.source}`));
  }
  expect(failures(report.laws)).toHaveLength(remedies.length);
  expect(stdout).toContain("repeat it with: ropewalk conformance ./dist/index.js --seed 1");
  expect(readFileSync(join(root, "badge.svg"), "utf8")).toContain(`>${report.counts.failed} of `);
});

test("without cases they are made from the schema, and the minifier of the package is used", () => {
  const root = packageOf({ "conformance.json": null });
  symlinkSync(
    realpathSync(fileURLToPath(new URL("../node_modules/esbuild", import.meta.url))),
    join(root, "node_modules/esbuild"),
    "junction",
  );
  expect(run(root, "--report", "report.json")).toMatchObject({ status: 0, stderr: "" });
  const { types, weight, laws } = reportIn(root);
  expect(types[0]).toMatchObject({ cases: "made from the schema" });
  expect(weight.minifier).toMatch(/^esbuild \d/);
  expect(weight.minifiedBytes).toBeLessThan(weight.bytes);
  expect(laws.find(({ group }) => group === "numbers")).toMatchObject({
    status: "not applicable",
    reason: "the case expects no numbers",
  });
});

test("a backend is tested with a type of the suite's own", () => {
  const backend = (change: string): string => `
    import { registerBackend } from "@ropewalk/core";
    import { rotateTask } from "@ropewalk/core/backend";
    const rotate = (tasks) => tasks.forEach((task) => rotateTask(${change}));
    registerBackend({
      specificationVersion: 1,
      name: "other",
      source: "rope-step@1.0.0",
      create: ({ withExecutor }) => withExecutor({ name: "other", rotate }),
    });
  `;
  const small = { cases: [{ name: "heads of 6", request: { headDim: 6 } }], backend: { name: "other" } };
  const root = packageOf({ "dist/index.js": backend("{ ...task, blocks: 1 }"), "conformance.json": small });
  expect(run(root, "--report", "report.json").status).toBe(1);
  const report = reportIn(root);
  expect(complaints(report)).toEqual([]);
  expect(report.backends).toEqual([{ name: "other", source: "rope-step@1.0.0", bitExact: true }]);
  const wrong = report.laws.find(({ group, status }) => group === "backend" && status === "failed");
  expect(wrong).toMatchObject({ subject: "other", law: "equals JavaScript in every layout and element type" });
  expect(wrong!.failure!.remedy).toContain("rotateTask");

  const right = packageOf({ "dist/index.js": backend("task"), "conformance.json": small });
  expect(run(right)).toMatchObject({ status: 0, stderr: "" });
});

test("a backend with a device and methods of its own is tested by what conformance.mjs gives", () => {
  // It needs a device, and its rope has one method, which is asynchronous.
  const index = `
    import { RopeError, registerBackend } from "@ropewalk/core";
    registerBackend({
      specificationVersion: 1,
      name: "other",
      source: "rope-step@1.0.0",
      create: ({ rope }, { device } = {}) => {
        if (device !== "a device") throw new RopeError("ROPE_BACKEND_UNAVAILABLE", { what: "there is no device" });
        return { turn: async (tensors) => rope.apply(tensors) };
      },
    });
  `;
  const cases = (backend: string): string => `
    const fields = ["spec", "capabilities", "positionLimit", "attentionFactor"];
    const methods = ["frequencies", "cosSin", "at", "invert", "adjoint", "shift"];
    const adapt = ({ turn }, rope) =>
      Object.fromEntries([
        ...fields.map((name) => [name, rope[name]]),
        ...methods.map((name) => [name, (...values) => rope[name](...values)]),
        ["apply", turn],
      ]);
    export default { cases: [{ name: "heads of 6", request: { headDim: 6 } }], backend: { name: "other", ${backend} } };
  `;
  const none = run(packageOf({ "dist/index.js": index, "conformance.json": null }));
  expect(none).toMatchObject({ status: 2, stdout: "" });
  expect(none.stderr).toMatch(
    /the backend "other" makes no rope here: there is no device\. Put conformance\.mjs beside/,
  );
  const files = { "dist/index.js": index, "conformance.json": null };
  const bare = run(packageOf({ ...files, "conformance.mjs": cases('options: { device: "a device" }') }));
  expect(bare).toMatchObject({ status: 2, stdout: "" });
  expect(bare.stderr).toMatch(
    /what rope\.to returns has no frequencies, cosSin, at, apply, .* adapt makes the methods/,
  );
  const whole = run(packageOf({ ...files, "conformance.mjs": cases('options: { device: "a device" }, adapt') }));
  expect(whole).toMatchObject({ status: 0, stderr: "" });
});

describe("bad input gives code 2, one sentence, and writes nothing", () => {
  const wrongInputs: [string, Readonly<Record<string, string | object | null>>, readonly string[], RegExp][] = [
    ["a module that is not there", { "dist/index.js": null }, [], /does not exist\. Build the package first/],
    ["no manifest", { "package.json": null }, [], /no package\.json with name and version lies above/],
    ["a manifest without version", { "package.json": { name: "x" } }, [], /needs a name and a version/],
    ["a module that throws", { "dist/index.js": "throw new TypeError('broken')" }, [], /cannot be imported: .*broken/],
    [
      "a decorator that was not compiled",
      { "dist/index.js": "@a class B {}" },
      [],
      /cannot be imported: SyntaxError.* compile it, or call registerRopeType/,
    ],
    ["a module that registers nothing", { "dist/index.js": "export {}" }, [], /registers no rope type and no backend/],
    ["a module that exits", { "dist/index.js": "process.exit(0)" }, [], /the import did not end: it ended the process/],
    [
      "an import without end",
      { "dist/index.js": "for (;;);" },
      ["--timeout", "1"],
      /the import did not end within 1 s\. Look for a loop without end there, or give a longer --timeout/,
    ],
    [
      "a formula without end",
      {
        "dist/index.js": sound
          .replace("=> ({", "=> { if (rotaryDim === 4 && factor < 4) for (;;); return {")
          .replace(/\}\),\n\}\);/, "}; },\n});"),
      },
      ["--timeout", "1"],
      /the law ".*" of step(?:, case "factor 4",)? did not end within 1 s/,
    ],
    ["no time", {}, ["--timeout", "0"], /--timeout must be an integer ≥ 1/],
    ["two files of cases", { "conformance.mjs": "" }, [], /conformance\.json and conformance\.mjs both hold cases/],
    [
      "a module that rejects a promise",
      { "dist/index.js": `${sound}; void Promise.reject(new TypeError("late"))` },
      [],
      /failed outside of the suite: TypeError: late/,
    ],
    ["a backend that the package lacks", { "conformance.json": { backend: { name: "gpu" } } }, [], /names no backend/],
    ["cases that are no JSON", { "conformance.json": "{" }, [], /is not JSON/],
    ["cases of another form", { "conformance.json": { case: [] } }, [], /holds the key "case"/],
    [
      "cases of another type",
      { "conformance.json": { cases: [{ name: "a", ropeType: "yarn" }] } },
      [],
      /ropeType "yarn"/,
    ],
    [
      "an expectation without source",
      { "conformance.json": { cases: [{ ...cases.cases[0]!, expected: { invFreq: [1] } }] } },
      [],
      /cases\[0\]\.expected\.source: expected where the numbers come from/,
    ],
    [
      "cases that the type refuses",
      { "conformance.json": { cases: [{ name: "a", request: { headDim: 4, parameters: { steps: 2 } } }] } },
      [],
      /the type "step" refuses every case\. The first: .*parameters\.steps: expected/,
    ],
    ["a seed that is no number", {}, ["--seed", "x"], /--seed must be an integer ≥ 0/],
    ["a report in no folder", {}, ["--report", "none/report.json"], /its folder does not exist/],
    ["one file for both", {}, ["--report", "same", "--badge", "./same"], /name the same file/],
    ["cases that are not there", {}, ["--cases", "none.json"], /none\.json does not exist/],
  ];
  test.each(wrongInputs)("%s", (_name, files, options, sentence) => {
    const root = packageOf(files);
    const wanted = options.includes("--report") ? options : [...options, "--report", "report.json"];
    const { status, stdout, stderr } = run(root, ...wanted);
    expect(stderr).toMatch(sentence);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(existsSync(join(root, "report.json"))).toBe(false);
  });
});

test("an import that waits for what never comes ends at once", () => {
  const { status, stdout, stderr } = run(packageOf({ "dist/index.js": "await new Promise(() => {})" }));
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  // Node adds where it waits.
  expect(stderr).toMatch(/the import did not end: it ended the process, or waits for a promise that nothing settles/);
});

describe("laws about the manifest", () => {
  const check = (change: object, files: Readonly<Record<string, string>> = {}, facts: object = {}): string[] => {
    const root = packageOf({ "package.json": { ...manifest, ...change }, ...files });
    const modules = new Map<string, string>();
    const usual = { sources: ["rope-step@1.0.0"], registeredByFormula: null, modules };
    return failures(checkPackage(readSubject(join(root, "dist/index.js")), { ...usual, ...facts }, 1));
  };
  const types = "has types for every entry";
  const effects = "keeps its registration when bundled, and nothing else";
  const peer = "has core as a peer, and no copy of it";
  const tested = "exports the module that was tested";
  const published = "publishes the module that was tested";
  const code = "./dist/index.js";
  const declared = "./dist/index.d.ts";

  test.each<[string, object, readonly string[]]>([
    ["a sound manifest", {}, []],
    ["sideEffects missing", { sideEffects: undefined }, [effects]],
    ["sideEffects true", { sideEffects: true }, [effects]],
    ["sideEffects of another file", { sideEffects: ["./dist/main.js"] }, [effects]],
    ["sideEffects with a pattern", { sideEffects: ["dist/*.js"] }, []],
    ["sideEffects with a pattern of files", { sideEffects: ["index.*"] }, []],
    ["sideEffects with a pattern of other files", { sideEffects: ["*.css"] }, [effects]],
    ["no peer", { peerDependencies: {} }, [peer]],
    ["core as peer and dependency", { dependencies: { "@ropewalk/core": "*" } }, [peer]],
    ["another dependency", { dependencies: { "@ropewalk/yarn": "*" } }, []],
    ["types behind the code", { exports: { ".": { default: code, types: declared } } }, [types]],
    ["no types", { exports: { ".": { default: code } } }, [types]],
    ["types that are not there", { exports: { ".": { types: "./dist/x.d.ts", default: code } } }, [types]],
    ["a text, with types beside the code", { exports: code }, []],
    ["conditions in conditions", { exports: { import: { types: declared, default: code } } }, []],
    ["main and types of old", { exports: undefined, main: code, types: declared }, []],
    ["another module", { exports: { ".": { types: declared, default: "./dist/x.js" } } }, [tested]],
    ["files without dist", { files: ["src"] }, [published]],
    ["no files, so all", { files: undefined }, []],
  ])("%s", (_name, change, expected) => expect(check(change)).toEqual(expected));

  test("source, formula and a copy of core", () => {
    expect(check({}, {}, { sources: ["rope-step@0.9.0"] })).toEqual(["names itself and its version as the source"]);
    expect(check({}, {}, { registeredByFormula: ["step"] })).toEqual(["registers nothing by its formula"]);
    expect(check({}, {}, { registeredByFormula: [] })).toEqual([]);
    const copied = new Map([["dist/index.js", 'Symbol.for("ropewalk.registry.v1")']]);
    expect(check({}, {}, { modules: copied })).toEqual([peer]);
  });
});

test("the schema refuses a report that contradicts itself", () => {
  const root = packageOf();
  expect(run(root, "--report", "report.json").status).toBe(0);
  const report = reportIn(root);
  expect(complaints(report)).toEqual([]);
  const [first, ...rest] = report.laws;
  expect(complaints({ ...report, extra: 1 })).not.toEqual([]);
  expect(complaints({ ...report, laws: [{ ...first!, status: "failed" }, ...rest] })).not.toEqual([]);
  expect(complaints({ ...report, laws: [{ ...first!, status: "not applicable" }, ...rest] })).not.toEqual([]);
  expect(complaints({ ...report, weight: undefined })).not.toEqual([]);
});
