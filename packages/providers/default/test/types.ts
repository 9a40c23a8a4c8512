// Checked by the compiler alone: the original rope takes no parameters, and no other type is imported here.

import { getRope } from "@ropewalk/core";
import "@ropewalk/default";

export function typeChecks(): void {
  getRope({ headDim: 64, parameters: { ropeType: "default" } });

  // @ts-expect-error -- the original rope has no factor
  getRope({ headDim: 64, parameters: { ropeType: "default", factor: 4 } });
  // @ts-expect-error -- its package is not imported here
  getRope({ headDim: 64, parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } });
  // @ts-expect-error -- ropeType is missing
  getRope({ headDim: 64, parameters: {} });
}
