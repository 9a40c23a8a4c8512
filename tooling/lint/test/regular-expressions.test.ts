/** Which regular expressions are admitted. Those that are not took seconds on the input beside them, or would. */

import { expect, test } from "vitest";
import { whyNotLinear } from "../rules/regular-expressions.ts";

test.each<[expression: RegExp, why: RegExp]>([
  // Exponential on "aaaa…b".
  [/^(a+)+$/, /repeats/],
  [/^(?:a|a)*$/, /repeats the group/],
  [/^(?:a+b?){1,9}$/, /inside of/],
  // Quadratic on `"` and many `\"`: each quote starts a search to the end.
  [/"(?:[^"\\]|\\.)*"/g, /repeats the group/],
  // Quadratic on many spaces.
  [/\s*\n\s*(- )?/g, /divide/],
  [/ +$/gm, /scans .* fail behind/],
  [/\s*,\s*/, /fail behind/],
  [/^ggml | .*$/g, /fail behind/],
  [/^\s+$/gm, /fail behind/],
  [/x+y/, /fail behind/],
  [/ab.*c/, /fail behind/],
  // Quadratic on ".safetensors#.safetensors#…" and a new line.
  [/^(.*\.safetensors)(?:#(.+))?$/, /divide/],
  [/^a*a*$/, /divide/],
  [/^(?:a*b?)?[ab]*$/, /divide/],
  [/^(a*)\1$/, /refers back/],
])("%s is refused", (expression, why) => {
  expect(whyNotLinear(expression.source, expression.flags)).toMatch(why);
});

test.each([
  /\s+/g,
  /^\d{1,15}$/,
  /^(\d{1,15}):(\d{1,15})(?::(\d{1,15}))?$/,
  /^[^/\\\0]+\.safetensors$/,
  /-\d+-of-(\d+)\.safetensors$/,
  /^[LG]+$/,
  /^\w+:\s+\w+$/,
  /^a+(?:b|c)a+$/,
  /^(?:a+|a*b)$/,
  /^ +$/gm,
  / +$/y,
  /rope|rotary/,
])("%s is admitted", (expression) => {
  expect(whyNotLinear(expression.source, expression.flags)).toBeUndefined();
});
