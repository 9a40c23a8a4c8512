/** The rope that a config.json of diffusers gives takes the positions of its family, as they come. */

import { fixtures } from "@ropewalk/goldens";
import { diffusionPositions, getRope, ropesFromConfig } from "ropewalk";
import type { DiffusionFamily, DiffusionPrompt } from "ropewalk";
import { expect, test } from "vitest";

const classes: Readonly<Record<Exclude<DiffusionFamily, "cosmos-3">, string>> = {
  flux: "FluxTransformer2DModel",
  "flux-2": "Flux2Transformer2DModel",
  "flux-3": "Flux3Transformer2DModel",
  "longcat-image": "LongCatImageTransformer2DModel",
  "qwen-image": "QwenImageTransformer2DModel",
  "qwen-image-layered": "QwenImageTransformer2DModel",
  "qwen-image-2.1": "QwenImage21Transformer2DModel",
  "z-image": "ZImageTransformer2DModel",
  "lumina-2": "Lumina2Transformer2DModel",
  wan: "WanTransformer3DModel",
  "hunyuan-video": "HunyuanVideoTransformer3DModel",
  "hunyuan-video-framepack": "HunyuanVideoFramepackTransformer3DModel",
  "hunyuan-image": "HunyuanImageTransformer2DModel",
  ltx: "LTXVideoTransformer3DModel",
  "ltx-condition": "LTXVideoTransformer3DModel",
  "ltx-2": "LTX2VideoTransformer3DModel",
  "ltx-2-audio": "LTX2VideoTransformer3DModel",
  cosmos: "CosmosTransformer3DModel",
  "cogview-4": "CogView4Transformer2DModel",
  cogvideox: "CogVideoXTransformer3DModel",
};
const goldens = fixtures("positions/diffusion").map(({ cases, family }) => ({
  cases,
  family: family as DiffusionFamily,
}));

function ropeOf(family: DiffusionFamily) {
  if (family === "cosmos-3") {
    // The standards of its class; @ropewalk/config does not read it.
    const parameters = { ropeType: "mrope", sections: [24, 20, 20], order: "cyclic" } as const;
    return getRope({ headDim: 128, base: 5_000_000, fractionalPositions: true, parameters });
  }
  const config = { _class_name: classes[family], use_rotary_positional_embeddings: true };
  return ropesFromConfig(config, { part: family === "ltx-2-audio" ? "audio" : "vision" }).forLayer(0)!;
}

test.each(goldens)("$family", ({ cases, family }) => {
  const rope = ropeOf(family);
  for (const { prompt } of cases) {
    const positions = diffusionPositions({ family, ...prompt } as unknown as DiffusionPrompt);
    const query = new Float32Array(positions.shape[1]! * rope.headDim).fill(1);
    rope.apply({ positions, query });
    expect(query.every(Number.isFinite)).toBe(true);
  }
});
