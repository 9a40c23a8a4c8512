/** The providers of this repository have the shape that `npm create ropewalk` gives to others. */

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { keyOf } from "@ropewalk/lint/syntax";
import { workspacePackages } from "@ropewalk/workspace";
import type { Manifest } from "@ropewalk/workspace";
import { fill, sharedManifest } from "create-ropewalk";
import { parseSync } from "oxc-parser";
import type { Class, Program } from "oxc-parser";
import { describe, expect, test } from "vitest";
import { ourManifest, providerFiles, template } from "../provider.ts";

const root = path.join(import.meta.dirname, "../../..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const json = (file: string): Record<string, unknown> => JSON.parse(read(file)) as Record<string, unknown>;

const packages = workspacePackages(root);
const providers = packages.filter(({ kind }) => kind === "provider");

const step = { folder: "step", type: "step", description: "A step.", engines: [] };
const written = providerFiles(root, step);

/** Packages that are built on another one's (docs/decisions/0011, 0021), and entries that one has in addition. */
const exceptions: Readonly<Record<string, Partial<Manifest>>> = {
  "@ropewalk/deepseek-yarn": { dependencies: { "@ropewalk/yarn": "workspace:^" } },
  "@ropewalk/nd-qwen2vl": {
    peerDependencies: { "@ropewalk/default": "workspace:^" },
    devDependencies: { "@ropewalk/default": "workspace:^" },
    exports: {
      "./axes": { types: "./dist/axes.d.ts", default: "./dist/axes.js" },
      "./positions": { types: "./dist/positions/index.d.ts", default: "./dist/positions/index.js" },
    },
  },
};

describe.each(providers.map((item) => [item.name, item] as const))("%s", (name, { folder, manifest }) => {
  test("has the manifest of a new provider", () => {
    const { dependencies = {}, peerDependencies = {}, devDependencies = {}, exports = {} } = exceptions[name] ?? {};
    const wanted = ourManifest(root, {
      folder: path.posix.basename(folder),
      description: manifest.description as string,
    }) as unknown as Manifest;
    expect({ ...manifest, version: "0.0.0", devDependencies: {} }).toEqual({
      ...wanted,
      exports: { ...wanted.exports, ...exports },
      peerDependencies: {
        ...wanted.peerDependencies,
        ...peerDependencies,
        // `npm run lint` checks the range; its lower bound moves when the package is released.
        "@ropewalk/core": manifest.peerDependencies?.["@ropewalk/core"],
      },
      devDependencies: {},
      ...(Object.keys(dependencies).length === 0 ? {} : { dependencies }),
    });
    // Tests may need more than the template's.
    expect(manifest.devDependencies).toMatchObject({ ...wanted.devDependencies, ...devDependencies });
  });

  test("has the files of a new provider, with the same settings", () => {
    for (const file of written.keys()) expect(existsSync(path.join(root, folder, file)), file).toBe(true);
    for (const file of ["LICENSE", "tsconfig.json", "tsconfig.test.json"]) {
      expect(read(`${folder}/${file}`)).toBe(written.get(file));
    }
  });

  test("registers as a new provider does", () => {
    const outline = outlineOf(written.get("src/index.ts")!);
    const own = outlineOf(read(`${folder}/src/index.ts`));
    expect(own.imports).toEqual(expect.arrayContaining(outline.imports));
    expect(own.augments).toEqual(outline.augments);
    // The first provider of the file; spellings of requests (`RopeSpelling`) have `rewrite` instead.
    const [wanted] = outline.classes;
    const found = own.classes.find(({ members }) => members.includes("frequencies"));
    expect(found?.decorator).toBe(wanted!.decorator);
    expect(found?.members.filter((member) => wanted!.members.includes(member))).toEqual(wanted!.members);
  });

  test("runs the suite before its other tests, and has a README of the same parts", () => {
    const tests = read(`${folder}/test/index.test.ts`);
    const suite = tests.search(/^ *conformance\(test, \{/m);
    expect(suite).toBeGreaterThan(-1);
    expect(tests.slice(0, suite)).not.toMatch(/^ *test\b/m);
    const readme = read(`${folder}/README.md`);
    expect(readme).toMatch(new RegExp(`^# ${name}\n`));
    expect(/^npm install @ropewalk\/core .*$/m.exec(readme)?.[0].split(" ")).toContain(name);
    expect(readme).toMatch(new RegExp(`^import (?:.* from )?"${name}";`, "m"));
  });
});

test("the settings of a new package are those of this repository", () => {
  const base = json("tooling/typescript/base.json")["compilerOptions"] as object;
  const own = json("packages/providers/linear/tsconfig.json")["compilerOptions"] as object;
  const theirs = JSON.parse(template(root, "common-ts/tsconfig.json")) as { compilerOptions: object; include: unknown };
  // The helpers of decorators are core's here only (docs/decisions/0002).
  const { noEmitHelpers, ...shared } = own as { noEmitHelpers: boolean };
  expect(noEmitHelpers).toBe(true);
  expect(theirs.compilerOptions).toEqual({ ...base, ...shared });
  expect(theirs.include).toEqual(json("packages/providers/linear/tsconfig.json")["include"]);

  const test = json("packages/providers/linear/tsconfig.test.json")["compilerOptions"] as object;
  const theirTest = JSON.parse(template(root, "common-ts/tsconfig.test.json")) as { compilerOptions: object };
  expect(theirTest.compilerOptions).toEqual({ ...test, rootDir: "." });
});

test("the license of a new package is the text of this one's", () => {
  const words = { author: "the ropewalk authors", year: "2026", package: "", version: "", type: "", description: "" };
  expect(fill(template(root, "common/LICENSE"), words)).toBe(read("LICENSE"));
});

test("backends of this repository have the fields of a new backend", () => {
  const backends = packages.filter(({ kind }) => kind === "backend");
  expect(backends.length).toBeGreaterThan(1);
  for (const { manifest } of backends) {
    const { sideEffects, ...shared } = sharedManifest("backend", "ts") as { readonly sideEffects: readonly string[] };
    expect(manifest).toMatchObject(shared);
    // A further entry may register something more.
    expect(manifest).toHaveProperty("sideEffects", expect.arrayContaining([...sideEffects]));
    expect(manifest).toHaveProperty("keywords", expect.arrayContaining(["ropewalk-backend"]));
  }
});

interface Outline {
  readonly imports: string[];
  readonly augments: string[];
  readonly classes: { readonly decorator: string; readonly members: string[] }[];
}

/** What a registering file imports, which interfaces of core it extends, and its classes. */
function outlineOf(text: string): Outline {
  const { program } = parseSync("index.ts", text);
  const body: Program["body"] = program.body;
  return {
    imports: body.flatMap((node) => (node.type === "ImportDeclaration" ? [node.source.value] : [])),
    augments: body.flatMap((node) => {
      if (node.type !== "TSModuleDeclaration" || node.body?.type !== "TSModuleBlock") return [];
      return node.body.body.flatMap((inner) => (inner.type === "TSInterfaceDeclaration" ? [inner.id.name] : []));
    }),
    classes: body.flatMap((node) => {
      const declared = node.type === "ExportNamedDeclaration" ? node.declaration : node;
      return declared?.type === "ClassDeclaration" ? [classOutline(declared)] : [];
    }),
  };
}

function classOutline({ decorators, body }: Class): Outline["classes"][number] {
  const [first] = decorators;
  const call = first?.expression;
  return {
    decorator: call?.type === "CallExpression" ? (keyOf(call.callee) ?? "") : "",
    members: body.body.flatMap((member) => ("key" in member ? [keyOf(member.key) ?? ""] : [])),
  };
}
