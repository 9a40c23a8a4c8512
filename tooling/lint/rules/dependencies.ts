/**
 * Allowed dependencies: provider → core, config → core, backend → core, conformance → core, core → nothing. No package
 * imports files of another package. No cycles.
 */

import { isBuiltin } from "node:module";
import { contractVersion, corePeerRange, targetOf } from "@ropewalk/workspace";
import type { Kind } from "@ropewalk/workspace";
import { loadedWith, packageOf, published, resolveRelative } from "../workspace.ts";
import type { Finding, Package, Workspace } from "../workspace.ts";

/** Formulas that are built on another package's formula. A new entry needs a record in docs/decisions. */
const compositions: Readonly<Record<string, readonly string[]>> = {
  "@ropewalk/deepseek-yarn": ["@ropewalk/yarn/formula"],
  // Not a formula: the type that the spelling `mrope` stands for (docs/decisions/0021-the-rope-as-data.md).
  "@ropewalk/nd-qwen2vl": ["@ropewalk/default"],
};

const coreName = "@ropewalk/core";
const onlyCore: ReadonlySet<Kind> = new Set(["config", "conformance", "provider", "backend", "library"]);

export function checkDependencies(workspace: Workspace): Finding[] {
  const contract = contractVersion(workspace.root);
  const names = new Set(workspace.packages.map(({ name }) => name));
  return [
    ...workspace.packages.flatMap((item) => [
      ...foreignFiles(item, names),
      ...importCycles(item),
      ...starExports(item),
      ...parseErrors(item),
    ]),
    ...workspace.packages
      .filter(({ folder }) => folder.startsWith("packages/"))
      .flatMap((item) => [...arrows(item, names), ...declared(item, names, contract), ...builtIns(item)]),
    ...packageCycles(workspace),
    ...tooling(workspace),
  ];
}

const finding =
  (rule: string) =>
  (file: string, line: number | undefined, message: string): Finding => ({ rule, file, line, message });

/** Published code imports only the packages that are allowed for its kind. */
function arrows(item: Package, names: ReadonlySet<string>): Finding[] {
  const report = finding("dependency-rule");
  const composed = compositions[item.name] ?? [];
  const findings: Finding[] = [];
  for (const { file, imports } of published(item)) {
    for (const { specifier, line } of imports) {
      const target = packageOf(specifier);
      if (target === undefined || isBuiltin(specifier)) continue;
      const inside = names.has(target);
      if (item.kind === "command" && (inside || item.manifest.dependencies?.[target] !== undefined)) continue;
      if (onlyCore.has(item.kind) && (target === coreName || composed.includes(specifier))) continue;
      const allowed =
        item.kind === "core"
          ? "core imports nothing"
          : item.kind === "command"
            ? "what its package.json lists under dependencies"
            : [`${coreName} and its entries`, ...composed].join(", ");
      const remedy = specifier.endsWith("/formula")
        ? "If the formula is really built on the other one, add it to the compositions in tooling/lint/rules/dependencies.ts and say why in docs/decisions."
        : "Move what is shared into core, or leave the choice to the caller.";
      findings.push(
        report(file, line, `a package of kind "${item.kind}" imports ${specifier}: expected ${allowed}. ${remedy}`),
      );
    }
  }
  return findings;
}

/** The manifest lists what the code imports. Core is a peer dependency, so that there is one copy. */
function declared({ name, folder, kind, manifest }: Package, names: ReadonlySet<string>, contract: number): Finding[] {
  const report = finding("declared-dependencies");
  const file = `${folder}/package.json`;
  const { dependencies = {}, peerDependencies = {}, devDependencies = {} } = manifest;
  const findings: Finding[] = [];
  if (kind === "core" && Object.keys({ ...dependencies, ...peerDependencies }).length > 0) {
    findings.push(
      report(
        file,
        undefined,
        `core has the dependencies ${Object.keys({ ...dependencies, ...peerDependencies }).join(", ")}: expected none.`,
      ),
    );
  }
  if (!onlyCore.has(kind)) return findings;
  const composed = new Set((compositions[name] ?? []).map(packageOf));
  for (const dependency of Object.keys(dependencies)) {
    if (composed.has(dependency)) continue;
    const remedy =
      dependency === coreName
        ? "Make it a peer: two copies of core would be two caches."
        : names.has(dependency)
          ? "See the dependency rule."
          : "Core, providers and backends have no run-time dependency.";
    findings.push(
      report(
        file,
        undefined,
        `"dependencies" holds ${dependency}: expected ${composed.size === 0 ? "none" : [...composed].join(", ")}. ${remedy}`,
      ),
    );
  }
  for (const peer of Object.keys(peerDependencies)) {
    if (peer !== coreName && !composed.has(peer)) {
      findings.push(report(file, undefined, `"peerDependencies" holds ${peer}: expected ${coreName} only.`));
    }
  }
  const wrong = (field: string, got: unknown, expected: string): Finding =>
    report(file, undefined, `"${field}" has ${coreName} as ${JSON.stringify(got)}: expected ${expected}`);
  const range = peerDependencies[coreName];
  const version = /^workspace:>=(\d+\.\d+\.\d+)/.exec(range ?? "")?.[1];
  if (version === undefined || range !== corePeerRange(contract, version)) {
    const expected = `"${corePeerRange(contract, "x.y.z")}", where x.y.z is the core that it needs. A narrower range shuts out a core that accepts the package, a wider one lets in a core that refuses it (docs/decisions/0030-peer-ranges.md).`;
    findings.push(wrong("peerDependencies", range, expected));
  }
  if (devDependencies[coreName] !== "workspace:^") {
    findings.push(
      wrong("devDependencies", devDependencies[coreName], '"workspace:^", so that it is built and tested.'),
    );
  }
  return findings;
}

/** No import of a file outside the package's own folder, by path or through the name of another package. */
function foreignFiles({ folder, modules }: Package, names: ReadonlySet<string>): Finding[] {
  const report = finding("foreign-files");
  const findings: Finding[] = [];
  for (const { file, imports } of modules) {
    for (const { specifier, line } of imports) {
      if (specifier.startsWith(".") && !resolveRelative(file, specifier).startsWith(`${folder}/`)) {
        findings.push(
          report(
            file,
            line,
            `imports ${specifier}, which lies outside ${folder}: expected the published name of the package.`,
          ),
        );
      }
      const target = packageOf(specifier);
      if (target !== undefined && names.has(target) && /^\/(src|dist)\b/.test(specifier.slice(target.length))) {
        findings.push(
          report(file, line, `imports ${specifier}: expected an entry that ${target} exports, never its files.`),
        );
      }
    }
  }
  return findings;
}

/**
 * Modules of one package that import each other. Types are erased and load nothing. But if neither module can be read
 * first, they should be one module, or something in them belongs in a third.
 */
function importCycles({ modules }: Package): Finding[] {
  const report = finding("import-cycle");
  const edges = new Map(
    modules.map(({ file, imports }) => [
      file,
      imports
        .filter(({ specifier }) => specifier.startsWith("."))
        .map(({ specifier }) => resolveRelative(file, specifier)),
    ]),
  );
  return cycles(edges).map((cycle) =>
    report(
      cycle[0] ?? "",
      undefined,
      `needs itself, types included: ${cycle.join(" → ")}. Move what both need into a third module.`,
    ),
  );
}

/** Packages that depend on each other, in any field of their manifests. */
function packageCycles({ packages }: Workspace): Finding[] {
  const report = finding("package-cycle");
  const names = new Set(packages.map(({ name }) => name));
  const edges = new Map(
    packages.map(({ name, manifest }) => [
      name,
      Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.devDependencies }).filter(
        (key) => names.has(key),
      ),
    ]),
  );
  return cycles(edges).map((cycle) =>
    report(
      `${packages.find(({ name }) => name === cycle[0])?.folder}/package.json`,
      undefined,
      `depends on itself: ${cycle.join(" → ")}.`,
    ),
  );
}

/** Each cycle of a graph once, as the list of its nodes with the first one repeated at the end. */
function cycles(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const state = new Map<string, "open" | "done">();
  const path: string[] = [];
  const enter = (node: string): void => {
    if (state.get(node) === "done" || !edges.has(node)) return;
    if (state.get(node) === "open") {
      found.push([...path.slice(path.indexOf(node)), node]);
      return;
    }
    state.set(node, "open");
    path.push(node);
    for (const next of edges.get(node) ?? []) enter(next);
    path.pop();
    state.set(node, "done");
  };
  for (const node of edges.keys()) enter(node);
  return found;
}

/** `export *` hides the names that a package exports. */
function starExports({ modules }: Package): Finding[] {
  const report = finding("export-star");
  return modules.flatMap(({ file, imports }) =>
    imports
      .filter(({ form }) => form === "export *")
      .map(({ specifier, line }) =>
        report(
          file,
          line,
          `export * from "${specifier}": expected the names one by one, so that an export is a decision.`,
        ),
      ),
  );
}

function parseErrors({ modules }: Package): Finding[] {
  const report = finding("syntax");
  return modules.flatMap(({ file, errors }) =>
    errors.map((message) => report(file, undefined, `does not parse: ${message}`)),
  );
}

/** Node built-ins only in command-line packages, and there not in modules that the package's entries load. */
function builtIns(item: Package): Finding[] {
  const report = finding("node-built-in");
  const { folder, kind, manifest } = item;
  const entries = Object.values(manifest.exports ?? {}).map(
    (entry) => targetOf(entry).default?.replace(/^\.\/dist\/(.*)\.js$/, `${folder}/src/$1.ts`) ?? "",
  );
  const forbidden =
    kind === "command" ? new Set(entries.flatMap((entry) => loadedWith(item, entry))) : new Set(published(item));
  const place = kind === "command" ? "a library entry" : `a package of kind "${kind}"`;
  return [...forbidden].flatMap(({ file, imports }) =>
    imports
      .filter(({ specifier }) => isBuiltin(specifier))
      .map(({ specifier, line }) =>
        report(
          file,
          line,
          `${place} loads ${specifier}: expected code that runs in browsers and workers too. Files, processes and terminals belong to the command line.`,
        ),
      ),
  );
}

/** Tooling builds the packages, so it must not need them at run time. */
function tooling({ packages }: Workspace): Finding[] {
  const report = finding("tooling");
  const products = new Set(packages.filter(({ folder }) => folder.startsWith("packages/")).map(({ name }) => name));
  return packages
    .filter(({ kind }) => kind === "tooling")
    .flatMap(({ folder, manifest }) =>
      Object.keys(manifest.dependencies ?? {})
        .filter((key) => products.has(key))
        .map((key) =>
          report(
            `${folder}/package.json`,
            undefined,
            `"dependencies" holds ${key}: expected it under devDependencies, for tests only.`,
          ),
        ),
    );
}
