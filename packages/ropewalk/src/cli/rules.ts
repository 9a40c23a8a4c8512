/** Why each number of a rope is what it is: what the file says of it, and what its type makes of that. */

import type { RopeRule } from "../index.ts";

/** Texts of core for numbers that a caller gave: where the file gave them says more. */
const saysNothing = /^(given(?!:)|the whole head$)/;

/**
 * One rule for each number: the place in the file, or the rule of the family, with the meaning that the rope's type adds.
 *
 * @param read rules of the reading (`parameters.factor`, …), of several layer types where they share the rope.
 * @param explained those of the rope (`factor`, …).
 */
export function mergedRules(read: readonly RopeRule[], explained: readonly RopeRule[]): RopeRule[] {
  const own = new Map(explained.map((rule) => [rule.name, rule]));
  // Layer types that share a rope may have it from different places.
  const places = new Map<string, RopeRule>();
  for (const rule of read) {
    const earlier = places.get(rule.name);
    if (earlier === undefined) places.set(rule.name, rule);
    else if (!earlier.rule.split("; ").includes(rule.rule)) {
      places.set(rule.name, { ...earlier, rule: `${earlier.rule}; ${rule.rule}` });
    }
  }
  const merged = Array.from(places.values(), (rule) => {
    const meaning = own.get(plainName(rule));
    // A parameter may be an input of the number that has its name, not the number.
    const isSame = meaning !== undefined && (plainName(rule) === rule.name || meaning.value === rule.value);
    if (!isSame) return { ...rule, name: meaning === undefined ? plainName(rule) : rule.name };
    own.delete(meaning.name);
    return joined(rule, meaning);
  });
  return [...merged, ...own.values()];
}

const plainName = ({ name }: RopeRule): string => name.replace(/^parameters\./, "");

function joined(read: RopeRule, { name, value, rule, source }: RopeRule): RopeRule {
  const meaning = saysNothing.test(rule) ? "" : rule.replace(/^given: /, "");
  const from = read.source ?? source;
  return {
    name,
    value,
    rule: meaning === "" ? read.rule : `${read.rule}; ${meaning}`,
    ...(from === undefined ? {} : { source: from }),
  };
}
