import argparse
import importlib

# Each in an environment of its own: see README.md.
ENGINES = {
    "mlx": "mlx-lm on MLX's CPU backend",
    "ggml": "the rope operators of ggml (llama.cpp)",
    "llama.cpp": "llama.cpp from config.json to the operators of its graph",
    "vllm": "vLLM's rotary embedding modules, pure torch path",
    "sglang": "SGLang's rotary embedding modules, pure torch path",
    "diffusers": "the rotary embeddings of image and video transformers in diffusers",
    "onnxruntime": "onnxruntime's rotary operators",
    "prompts": "the position builders of transformers' multimodal models on random prompts",
    "vllm-prompts": "those of vLLM",
    "prompt-tokens": "transformers' positions of prompts, from token ids",
    "diffusion-positions": "the positions of image and video transformers in diffusers",
    "libraries": "timm, rotary-embedding-torch and flash-attn",
}
MODULES = {"prompts": "prompts", "vllm-prompts": "vllm_prompts", "mlx": "mlx_lm_run", "ggml": "ggml_run", "llama.cpp": "llama_cpp_run", "vllm": "vllm_run", "sglang": "sglang_run", "diffusers": "diffusers_run", "onnxruntime": "onnxruntime_run", "libraries": "libraries_run", "diffusion-positions": "diffusion_positions", "prompt-tokens": "prompt_tokens"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m goldens", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    hf = kinds.add_parser("hf", help="Hugging Face transformers, run on the CPU")
    hf.add_argument("--model", action="append", help="only this model id (may be given several times)")
    vision = kinds.add_parser("vision", help="its vision towers and position-id builders")
    vision.add_argument("--model", action="append", help="only this model id (may be given several times)")
    kinds.add_parser("v5", help="models/v5: configs loaded and saved again by transformers")
    truth = kinds.add_parser("truth", help="arbitrary-precision evaluation")
    truth.add_argument("--name", action="append", help="only this fixture (may be given several times)")
    kinds.add_parser("seeds", help="numbers printed in public documents and test suites")
    permute = kinds.add_parser("permute", help="scores of tiny random models in transformers, with their weights")
    permute.add_argument("--name", action="append", help="only this fixture (may be given several times)")
    attention = kinds.add_parser("pass", help="queries, keys and values of tiny random models in transformers, before and after norm and rotation")
    attention.add_argument("--name", action="append", help="only this fixture (may be given several times)")
    kinds.add_parser("onnx", help="the ONNX reference evaluator")
    for engine, text in ENGINES.items():
        kinds.add_parser(engine, help=text).add_argument("--name", action="append", help="only this fixture")
    kinds.add_parser("all", help="all of the above that the first environment runs: not the other engines")
    arguments = parser.parse_args()
    if arguments.kind in ENGINES:
        importlib.import_module(f".{MODULES[arguments.kind]}", __package__).run(arguments.name)
        return
    if arguments.kind in ("hf", "all"):
        from . import hf as module

        module.run(getattr(arguments, "model", None))
    if arguments.kind in ("vision", "all"):
        from . import vision as module

        module.run(getattr(arguments, "model", None))
    if arguments.kind in ("v5", "all"):
        from . import v5 as module

        module.run()
    if arguments.kind in ("truth", "all"):
        from . import truth as module

        module.run(getattr(arguments, "name", None))
    if arguments.kind in ("seeds", "all"):
        from . import seeds as module

        module.run()
    if arguments.kind in ("permute", "all"):
        from . import permute as module

        module.run(getattr(arguments, "name", None))
    if arguments.kind in ("pass", "all"):
        from . import attention_pass as module

        module.run(getattr(arguments, "name", None))
    if arguments.kind in ("onnx", "all"):
        from . import onnx as module

        module.run()


if __name__ == "__main__":
    main()
