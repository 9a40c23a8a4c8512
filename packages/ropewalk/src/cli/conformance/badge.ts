/** The badge: a small SVG that shows the result, made without a service. */

import type { ConformanceReport } from "./report.ts";

/** Mean width of a character of 11-pixel Verdana and its usual substitutes. `textLength` fits the text into it. */
const CHARACTER = 6.6;
const MARGIN = 6;

/** The SVG of a report: the suite's name, and how many laws hold. */
export function badgeSvg({ counts, passed, suite, package: { name, version } }: ConformanceReport): string {
  const tested = counts.passed + counts.failed;
  const left = "ropewalk conformance";
  const right = passed ? `${counts.passed} of ${tested} passed` : `${counts.failed} of ${tested} failed`;
  const colour = passed ? "#2a7d3f" : "#b3261e";
  const title = `${name} ${version}: ${right} (${suite.name} ${suite.version})`;
  const [first, second] = [widthOf(left), widthOf(right)];
  const width = first + second;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="20" role="img" aria-label="${escaped(title)}">
<title>${escaped(title)}</title>
<rect width="${first}" height="20" fill="#444"/>
<rect x="${first}" width="${second}" height="20" fill="${colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
${textOf(left, 0, first)}
${textOf(right, first, second)}
</g>
</svg>
`;
}

const widthOf = (text: string): number => Math.round(text.length * CHARACTER) + 2 * MARGIN;

const textOf = (text: string, start: number, width: number): string =>
  `<text x="${start + MARGIN}" y="14" textLength="${width - 2 * MARGIN}">${escaped(text)}</text>`;

/** Text for elements and attributes of XML 1.0, which has no way to write control characters. */
function escaped(text: string): string {
  const names: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text
    .replace(/[\p{Cc}\p{Surrogate}\ufffe\uffff]/gu, "\ufffd")
    .replace(/[&<>"]/g, (character) => names[character]!);
}
