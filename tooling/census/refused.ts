/**
 * Model types that ropewalk refuses although their class rotates, or that it cannot read as the class does, each with
 * the reason. The check fails for a refusal that is not in this list, and for an entry that is not refused.
 */
export const refused: Readonly<Record<string, string>> = {
  glm4_moe: "the small config has heads of 42 elements, whose half is odd; published files have 128",
};
