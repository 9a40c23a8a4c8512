import { afterAll, test } from "vitest";
import { newDevice } from "./node-device.ts";
import { agree, passRope, scene } from "./pass-body.ts";
const device = await newDevice((process.env.DRV ?? "swiftShader") as never);
afterAll(() => device.destroy());
const [from, to] = [Number(process.env.FROM ?? 40), Number(process.env.TO ?? 240)];
test("many", { timeout: 1e7 }, async () => {
  const failed: string[] = [];
  for (let seed = from; seed < to; seed++) {
    const { head, tokens, call, hidden } = scene(seed);
    using gpu = await passRope(device, head);
    const positions = Array.from({ length: tokens }, (_, t) => t * 131 + (t % 3));
    await agree(`scene ${seed}`, device, gpu, { positions }, call, { hidden, shared: true }).catch((e) => failed.push(`${seed}: ${String(e)}`));
  }
  console.log(failed.length, failed.slice(0, 5));
  if (failed.length) throw new Error("failed");
});
