// Checked by the compiler alone: only imported types can be requested, with their own parameters.

import { getRope } from "@ropewalk/core";
import "@ropewalk/yarn";

export function typeChecks(): void {
  getRope({ headDim: 64, parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } });
  getRope({
    headDim: 64,
    parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768, truncate: false, attentionFactor: null },
  });

  getRope({ headDim: 64, parameters: { ropeType: "telechat3-yarn", factor: 4, originalMaxPosition: 32768 } });

  // @ts-expect-error -- factor is missing
  getRope({ headDim: 64, parameters: { ropeType: "yarn", originalMaxPosition: 32768 } });
  // @ts-expect-error -- a number as text
  getRope({ headDim: 64, parameters: { ropeType: "yarn", factor: "4", originalMaxPosition: 32768 } });
  // @ts-expect-error -- no such parameter
  getRope({ headDim: 64, parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768, beta_fast: 32 } });
  // @ts-expect-error -- its package is not imported here
  getRope({ headDim: 64, parameters: { ropeType: "deepseek_yarn", factor: 4, originalMaxPosition: 32768 } });
  getRope({
    headDim: 64,
    // @ts-expect-error -- no such pairing
    pairing: "interleaved",
    parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 },
  });
  // @ts-expect-error -- headDim is missing
  getRope({ parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } });
}
