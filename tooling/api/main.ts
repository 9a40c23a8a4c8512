/** `npm run api`: writes `api.md` of every published package from its built declarations. */

import { writeFileSync } from "node:fs";
import path from "node:path";
import { publishedPackages } from "@ropewalk/workspace";
import { report } from "./report.ts";

const root = path.join(import.meta.dirname, "../..");
for (const item of publishedPackages(root)) writeFileSync(path.join(root, item.folder, "api.md"), report(root, item));
