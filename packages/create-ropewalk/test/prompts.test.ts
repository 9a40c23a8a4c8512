import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { ask } from "../src/prompts.ts";
import type { Given } from "../src/proposals.ts";

const ENTER = "\r";
const DOWN = "\u001b[B";
const CONTROL_C = "\u0003";

/** Answers each question, when its text is there, with keys. */
async function conversation(
  given: Given,
  keys: Readonly<Record<string, string>>,
): Promise<{ answers: Given; said: string }> {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const waiting = Object.entries(keys);
  let said = "";
  let seen = 0;
  output.on("data", (chunk: Buffer) => {
    said += stripVTControlCharacters(chunk.toString("utf8"));
    const [question, answer] = waiting[0] ?? [];
    if (question === undefined || !said.slice(seen).includes(question)) return;
    seen = said.length;
    waiting.shift();
    setImmediate(() => input.write(answer));
  });
  return { answers: await ask(given, { input, output }), said };
}

test("asks for everything, and proposes what it can", async () => {
  const { answers } = await conversation(
    {},
    {
      Where: `rope-half-speed${ENTER}`,
      "What is it?": DOWN + ENTER,
      "which language": ENTER,
      "package's name": ENTER,
      "name of the rope type": ENTER,
      "in a sentence": ENTER,
      copyright: ENTER,
      workflow: ENTER,
    },
  );
  expect(answers).toEqual({
    folder: "rope-half-speed",
    kind: "backend",
    language: "typescript",
    name: "rope-half-speed",
    type: "half_speed",
    description: "The backend half_speed for ropewalk.",
    author: "the authors of rope-half-speed",
    workflow: true,
  });
});

test("asks only for what is missing, and says what is wrong with an answer", async () => {
  const given = {
    folder: "step",
    kind: "provider",
    language: "javascript",
    name: "rope-step",
    description: "A step.",
    author: "somebody",
    workflow: false,
  } as const;
  const { answers, said } = await conversation(given, {
    "name of the rope type": `!${ENTER}`,
    "expected words": `\u007f${ENTER}`,
  });
  expect(answers).toEqual({ ...given, type: "step" });
  expect(said).not.toContain("Where?");
});

test("leaving is a failure that says so", async () => {
  await expect(conversation({}, { Where: CONTROL_C })).rejects.toThrow("stopped. Nothing was written.");
});
