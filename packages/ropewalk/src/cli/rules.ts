/** The reason for each number of a rope: its place in the file, and what the rope's type computes from it. */

import type { RopeRule } from "../index.ts";

/** Core's texts for numbers that a caller gave. The place in the file says more. */
const saysNothing = /^(given(?!:)|the whole head$)/;

/**
 * Gives one rule for each number: the place in the file or the rule of the family, and the meaning from the rope's
 * type.
 *
 * @param read rules of reading (`parameters.factor`, …), for all layer types that share the rope.
 * @param explained rules of the rope (`factor`, …).
 */
export function mergedRules(read: readonly RopeRule[], explained: readonly RopeRule[]): RopeRule[] {
  const own = new Map(explained.map((rule) => [rule.name, rule]));
  // Layer types that share a rope may have it from different places in the file.
  const places = new Map<string, { readonly first: RopeRule; readonly all: Set<string> }>();
  for (const rule of read) {
    const known = places.get(rule.name);
    if (known === undefined) places.set(rule.name, { first: rule, all: new Set([rule.rule]) });
    else known.all.add(rule.rule);
  }
  const merged = Array.from(places.values(), ({ all, first }) => {
    const rule = { ...first, rule: listed(all) };
    const meaning = own.get(plainName(rule));
    // A parameter may be an input of the number with the same name, and not that number itself.
    const isSame = meaning !== undefined && (plainName(rule) === rule.name || meaning.value === rule.value);
    if (!isSame) return { ...rule, name: meaning === undefined ? plainName(rule) : rule.name };
    own.delete(meaning.name);
    return joined(rule, meaning);
  });
  return [...merged, ...own.values()];
}

const mostPlaces = 8;

function listed(places: ReadonlySet<string>): string {
  const more = places.size > mostPlaces ? [`… (${places.size} places)`] : [];
  return [...[...places].slice(0, mostPlaces), ...more].join("; ");
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
