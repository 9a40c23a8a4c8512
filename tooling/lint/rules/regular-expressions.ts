/**
 * Regular expressions of published code take time by the length of their input, whatever it is. The engine backtracks,
 * so many do not: `/(a+)+$/` takes 2^n steps, `/\s*\n/` and `/"(?:[^"\\]|\\.)*"/` take n².
 *
 * The rules are stricter than need be, because what they admit is easily seen to be linear. Anything else is a loop in
 * code, or `split`, `trim`, `indexOf`.
 *
 * - Only one character or class is repeated without a bound, never a group; and nothing that holds such a repetition is
 *   repeated.
 * - Two unbounded repetitions that can follow each other share no character, or have a character between them that one
 *   of them does not take: else they can divide their input in n ways.
 * - If something can fail behind an unbounded repetition, the expression begins with `^`, or with a character that the
 *   repetition does not take: else the search scans the same input again from each of its characters.
 */

import { RegExpParser, visitRegExpAST } from "@eslint-community/regexpp";
import type { AST } from "@eslint-community/regexpp";
import type { Node } from "oxc-parser";
import { toUnicodeSet } from "regexp-ast-analysis";
import { textOf, visit } from "../syntax.ts";
import { published } from "../workspace.ts";
import type { Finding, Module, Workspace } from "../workspace.ts";

/** Files that make an expression of a text: whose text it is. */
const ofTexts: Readonly<Record<string, string>> = {
  "packages/ropewalk/src/cli/permute/plan.ts": "patterns that the user gives as options",
};

export function checkRegularExpressions({ packages }: Workspace): Finding[] {
  return packages
    .filter(({ folder }) => folder.startsWith("packages/"))
    .flatMap((item) => published(item).flatMap(inModule));
}

function inModule({ file, program, lineOf }: Module): Finding[] {
  const findings: Finding[] = [];
  visit(program, (node) => {
    const given = expressionOf(node);
    if (given === undefined) return;
    const why = given === null ? madeAtRunTime(file) : whyNotLinear(given.pattern, given.flags);
    if (why !== undefined) findings.push({ rule: "linear-regular-expression", file, line: lineOf(node), message: why });
  });
  return findings;
}

function madeAtRunTime(file: string): string | undefined {
  if (Object.hasOwn(ofTexts, file)) return undefined;
  return "makes a regular expression of a text: expected a literal, whose time can be checked, or code.";
}

/** `null`: made of a text that is not known here. `undefined`: no regular expression. */
function expressionOf(node: Node): { readonly pattern: string; readonly flags: string } | null | undefined {
  if (node.type === "Literal" && "regex" in node) return node.regex;
  const isMade =
    (node.type === "NewExpression" || node.type === "CallExpression") &&
    node.callee.type === "Identifier" &&
    node.callee.name === "RegExp";
  if (!isMade) return undefined;
  const [pattern, flags] = node.arguments.map((argument) => textOf(argument));
  return pattern === undefined || (node.arguments.length > 1 && flags === undefined)
    ? null
    : { pattern, flags: flags ?? "" };
}

/** One character of the input. */
type Atom = AST.Character | AST.CharacterClass | AST.CharacterSet;

/** An unbounded repetition of one character. */
interface Repetition {
  readonly node: AST.Quantifier;
  readonly atom: Atom;
}

/** Why an expression may take more than linear time; `undefined` if it cannot. */
export function whyNotLinear(pattern: string, flags: string): string | undefined {
  const { pattern: root, flags: parsed } = new RegExpParser().parseLiteral(`/${pattern}/${flags}`);
  const setOf = (atom: Atom): ReturnType<typeof toUnicodeSet> => toUnicodeSet(atom, parsed);
  const share = (a: Atom, b: Atom): boolean => !setOf(a).isDisjointWith(setOf(b));

  const repetitions: Repetition[] = [];
  const problems: string[] = [];
  visitRegExpAST(root, {
    onQuantifierEnter(node) {
      if (node.max === Infinity && isAtom(node.element)) repetitions.push({ node, atom: node.element });
      else if (node.max === Infinity) problems.push(`repeats the group ${node.element.raw} without a bound`);
    },
    onBackreferenceEnter: ({ raw }) => void problems.push(`refers back with ${raw}`),
  });
  for (const { node } of repetitions) {
    const around = ancestors(node).find((outer) => outer.type === "Quantifier" && outer.max > 1);
    if (around !== undefined) problems.push(`repeats ${node.raw} inside of ${around.raw}`);
  }

  /** Whether an element always takes a character that one of the atoms does not take. */
  const separates = (element: AST.Element, atoms: readonly Atom[]): boolean => {
    if (isAtom(element)) return atoms.some((atom) => !share(element, atom));
    if (element.type === "Quantifier") return element.min > 0 && separates(element.element, atoms);
    if (element.type !== "Group" && element.type !== "CapturingGroup") return false;
    return element.alternatives.every(({ elements }) => elements.some((inner) => separates(inner, atoms)));
  };
  repetitions.forEach((first, i) => {
    for (const second of repetitions.slice(i + 1)) {
      const between = elementsBetween(first.node, second.node);
      if (between === undefined || !share(first.atom, second.atom)) continue;
      if (between.some((element) => separates(element, [first.atom, second.atom]))) continue;
      problems.push(`lets ${first.node.raw} and ${second.node.raw} divide the same text in many ways`);
    }
  });
  if (!parsed.sticky) {
    for (const { node, atom } of repetitions) {
      const canFail = siblings(node, "after").some((element) => element.type !== "Quantifier" || element.min > 0);
      const before = siblings(node, "before");
      const [start] = root.alternatives.find((alternative) => ancestors(node).includes(alternative))!.elements;
      const isAnchored =
        start?.type === "Assertion" && start.kind === "start" && (!parsed.multiline || !setOf(atom).chars.has(0x0a));
      if (!canFail || isAnchored || before.some((element) => separates(element, [atom]))) continue;
      problems.push(`scans the same text from each start, since it may fail behind ${node.raw}`);
    }
  }
  const [problem] = problems;
  return problem === undefined
    ? undefined
    : `/${pattern}/${flags} ${problem}: expected an expression that is seen to take linear time (tooling/lint/rules/regular-expressions.ts), or code.`;
}

function isAtom(element: AST.Element): element is Atom {
  return element.type === "Character" || element.type === "CharacterClass" || element.type === "CharacterSet";
}

/** The nodes around a node, the innermost first. */
function ancestors(node: AST.Node): AST.Node[] {
  const { parent } = node;
  return parent === null ? [] : [parent, ...ancestors(parent)];
}

/** The elements beside a node and beside what holds it, up to `top`: those that a match passes before or after it. */
function siblings(node: AST.Node, side: "before" | "after", top: AST.Node | null = null): AST.Element[] {
  const { parent } = node;
  if (parent === null || parent === top) return [];
  const further = siblings(parent, side, top);
  if (parent.type !== "Alternative") return further;
  const at = parent.elements.indexOf(node as AST.Element);
  return [...(side === "before" ? parent.elements.slice(0, at) : parent.elements.slice(at + 1)), ...further];
}

/** The elements between two nodes in the order of a match; `undefined` if no match has both. */
function elementsBetween(first: AST.Node, second: AST.Node): AST.Element[] | undefined {
  const around = new Set<AST.Node>(ancestors(second));
  const common = ancestors(first).find((node) => around.has(node))!;
  // In different alternatives of a group.
  if (common.type !== "Alternative") return undefined;
  const placeOf = (node: AST.Node): number =>
    common.elements.findIndex((element) => element === node || ancestors(node).includes(element));
  return [
    ...siblings(first, "after", common),
    ...common.elements.slice(placeOf(first) + 1, placeOf(second)),
    ...siblings(second, "before", common),
  ];
}
