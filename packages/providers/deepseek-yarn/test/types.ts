// Checked by the compiler alone: `deepseek_yarn` is known; `yarn`, whose formula it uses, is not.

import { getRope } from "@ropewalk/core";
import "@ropewalk/deepseek-yarn";

export function typeChecks(): void {
  getRope({
    headDim: 64,
    parameters: { ropeType: "deepseek_yarn", factor: 40, originalMaxPosition: 4096, mscale: 1, mscaleAllDim: 1 },
  });
  getRope({
    headDim: 64,
    parameters: { ropeType: "deepseek_llama_scaling", factor: 40, originalMaxPosition: 4096, mscaleAllDim: 1 },
  });

  // @ts-expect-error -- originalMaxPosition is missing
  getRope({ headDim: 64, parameters: { ropeType: "deepseek_yarn", factor: 40 } });
  getRope({
    headDim: 64,
    // @ts-expect-error -- mscale is a number here, not null
    parameters: { ropeType: "deepseek_yarn", factor: 40, originalMaxPosition: 4096, mscale: null },
  });
  // @ts-expect-error -- its package is not imported here
  getRope({ headDim: 64, parameters: { ropeType: "yarn", factor: 40, originalMaxPosition: 4096 } });
}
