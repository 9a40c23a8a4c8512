/** The files made from a report, by their paths from the root. */

import { chart } from "./chart.ts";
import { page, withTable } from "./speed-page.ts";
import type { Report } from "./report.ts";

export function published(report: Report, readme: string): Record<string, string> {
  return {
    "docs/speed.json": `${JSON.stringify(report, null, 1)}\n`,
    "docs/speed.md": page(report),
    "docs/speed.svg": chart(report),
    "README.md": withTable(readme, report),
  };
}
