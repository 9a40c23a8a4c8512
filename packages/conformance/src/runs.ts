/** The list of law and case pairs that a run of the suite consists of. */

import { backendLaws } from "./backend-laws.ts";
import { passLaws } from "./pass-laws.ts";
import { formulaLaws } from "./formula-laws.ts";
import { Kit } from "./kit.ts";
import type { Law, LawGroup, ProviderLaw } from "./law.ts";
import { memoryLaws } from "./memory-laws.ts";
import { numberLaws } from "./number-laws.ts";
import type { Run } from "./options.ts";
import { providerLaws, requestLaws } from "./provider-laws.ts";
import { rotationLaws } from "./rotation-laws.ts";
import { tableLaws } from "./table-laws.ts";

const caseLaws: readonly Law[] = [
  ...requestLaws,
  ...formulaLaws,
  ...numberLaws,
  ...tableLaws,
  ...rotationLaws,
  ...memoryLaws,
];

/** One law for one case, or for all cases of a provider together. */
export interface LawRun {
  readonly group: LawGroup;
  readonly law: string;
  /** The name of the case; `null` for a law about all cases. */
  readonly case: string | null;
  /** The name as a test: type, case and law. */
  readonly title: string;
  readonly remedy: string;
  /** Why the law says nothing here; `undefined` if it applies. */
  notApplicable(): string | undefined;
  run(): void | Promise<void>;
}

/** Every pair of law and case that the options choose, in the order of the suite. */
export function lawRuns({ target, cases, only }: Run): LawRun[] {
  const { ropeType, backend } = target;
  const kits = cases.map(
    ({ name, request, expected }) =>
      new Kit(target, name, { ...request, parameters: { ...request.parameters, ropeType } }, expected),
  );
  const title = backend === undefined ? ropeType : `${ropeType} on ${backend.name}`;
  const isChosen = ({ group }: Law | ProviderLaw): boolean => only.includes(group);
  const remedyOf = ({ remedy, group }: Law | ProviderLaw): string =>
    remedy ?? (backend === undefined ? providerRemedies[group] : backendRemedies[group]);

  const laws = backend === undefined ? caseLaws : [...caseLaws, ...backendLaws, ...passLaws];
  return [
    ...providerLaws.filter(isChosen).map((law) => ({
      group: law.group,
      law: law.name,
      case: null,
      title: `${title} ${law.name}`,
      remedy: remedyOf(law),
      notApplicable: () => undefined,
      run: () => law.run(kits),
    })),
    ...laws.filter(isChosen).flatMap((law) =>
      kits.map((kit) => ({
        group: law.group,
        law: law.name,
        case: kit.name,
        title: `${title} (${kit.name}) ${law.name}`,
        remedy: remedyOf(law),
        notApplicable: () => law.notApplicable?.(kit),
        run: () => law.run(kit),
      })),
    ),
  ];
}

/** Core makes tables and rotations of what a provider returns, so only that, or a wrong declaration, can break them. */
const fromFrequencies =
  "Core makes this from the result of frequencies and from the declared capabilities. Check that frequencies is pure and that isRotation, canShift, dependsOnLength, fractionalPositions and axisCount are true statements about it.";

const providerRemedies: Readonly<Record<LawGroup, string>> = {
  registration: "Declare specificationVersion, source, parameters and frequencies as RopeProvider says.",
  parameters: "Declare every parameter in the schema; keep frequencies pure.",
  numbers: "Compare the formula with the source of the numbers.",
  tables: fromFrequencies,
  rotation: fromFrequencies,
  memory: fromFrequencies,
  backend: fromFrequencies,
};

/** A backend executes tasks. rotateTask of core is the same in JavaScript. */
const fromTasks =
  "Compare the backend's result of this task with that of rotateTask in @ropewalk/core/backend, for the element type, layout and head size that the message names.";

const backendRemedies: Readonly<Record<LawGroup, string>> = {
  ...providerRemedies,
  tables: fromTasks,
  rotation: fromTasks,
  memory: `Write only the rotated elements of the output, through its strides and offset, and check everything before the first write. ${fromTasks}`,
  backend: `${fromTasks} A device that fuses multiplication and addition declares bitExact: false.`,
};
