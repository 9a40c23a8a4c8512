/**
 * The names and aliases that packages of this project register. Another source under one of them is refused as soon as
 * both are loaded. A test compares the list with what the packages register.
 */
export const takenNames: { readonly provider: readonly string[]; readonly backend: readonly string[] } = {
  provider: [
    "deepseek_llama_scaling",
    "deepseek_yarn",
    "default",
    "dynamic",
    "dynamic_alpha",
    "given",
    "linear",
    "llama3",
    "longrope",
    "mrope",
    "nd",
    "ntk",
    "proportional",
    "qwen_dynamic",
    "su",
    "telechat3-yarn",
    "yarn",
  ],
  backend: ["js", "wasm", "webgpu"],
};
