"""llama.cpp from end to end: a model of one narrow layer with a published config.json's rope goes through its own
converter into a GGUF file, is loaded, and decodes a few tokens. Recorded are the GGUF metadata about rope, the parameters
of every ROPE operator in the graph that ran, and what that operator answers. Nothing here computes a frequency, an angle
or a parameter.

`LLAMA_CPP_PYTHON` names the unpacked source archive of llama-cpp-python, `GGML_LIBRARIES` the folder of libllama.so."""

import ctypes
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers

from .ggml_run import BUILD, IMROPE, MODES, MROPE, NORMAL, Library, Tensor
from .paths import FIXTURES, MODELS, file_of
from .sampling import GRID, POSITIONS, cos_sin_of, sampled_pairs, unit_heads
from .writing import exact, write

ROOT = Path(os.environ.get("LLAMA_CPP_PYTHON", "."))
SOURCE = ROOT / "vendor" / "llama.cpp"
os.environ["LLAMA_CPP_LIB_PATH"] = os.environ.get("GGML_LIBRARIES", ".")
sys.path[:0] = [str(ROOT), str(SOURCE), str(SOURCE / "gguf-py")]

import conversion  # noqa: E402
import gguf  # noqa: E402
from llama_cpp import llama_cpp as bindings  # noqa: E402

ROPE_KEYS = (".rope.", ".context_length", ".attention.key_length", ".attention.sliding_window", ".attention.temperature")
VOCABULARY = 64


def narrow(config: dict) -> dict:
    """The same rope with one layer and few heads. What decides the head's width stays as it was published."""
    config = json.loads(json.dumps(config))
    config = {**config.pop("text_config"), "architectures": config["architectures"]} if "text_config" in config else config
    config.setdefault("num_attention_heads", 8)  # Gemma 3 leaves it to the class
    explicit = any(config.get(key) for key in ("head_dim", "qk_rope_head_dim"))
    width = config["hidden_size"] // config["num_attention_heads"]
    config["num_attention_heads"], config["num_key_value_heads"] = 2, 1 if "qk_rope_head_dim" not in config else 2
    config["hidden_size"] = 64 if explicit else 2 * width
    config["num_hidden_layers"] = LAYERS.get(config["model_type"], 1)
    config["intermediate_size"], config["vocab_size"] = 64, VOCABULARY
    for key, value in {
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "num_local_experts": 2, "num_experts_per_tok": 1,
        "n_routed_experts": 2, "moe_intermediate_size": 32, "q_lora_rank": 32, "kv_lora_rank": 32, "first_k_dense_replace": 1,
        "n_group": 1, "topk_group": 1, "num_experts": 2, "attention_head_dim": config.get("attention_head_dim"),
    }.items():
        if config.get(key) is not None or key in ("pad_token_id", "bos_token_id", "eos_token_id"):
            config[key] = value
    if "layer_types" in config:
        config["layer_types"] = config["layer_types"][: config["num_hidden_layers"]]
    config.update(EXTRA.get(config["model_type"], {}))
    return config


# Families whose layers do not all turn alike need several of them; the loader knows DeepSeek-V2-Lite by its 27.
LAYERS = {"gpt_oss": 2, "gemma3_text": 6, "olmo3": 4, "deepseek_v2": 27, "smollm3": 4}
EXTRA = {
    "gemma3_text": {"sliding_window": 16},
    "deepseek_v2": {"num_experts_per_tok": 1, "qk_nope_head_dim": 32, "v_head_dim": 32, "hidden_act": "silu", "topk_method": "greedy"},
    "hunyuan_v1_moe": {"hidden_size": 256, "moe_intermediate_size": [32], "moe_topk": [1], "num_shared_expert": [1]},
    "deepseek_v3": {"qk_nope_head_dim": 32, "v_head_dim": 32},
    "kimi_k2": {"qk_nope_head_dim": 32, "v_head_dim": 32},
}
ARCHITECTURES = {
    "gemma3_text": "Gemma3ForCausalLM", "ministral3": "Ministral3ForCausalLM",
}
# What transformers has no class for under its own name, and which class has the same weights.
CLASSES = {"kimi_k2": "deepseek_v3"}
IDS = {
    "meta-llama/Llama-3.1-8B": {}, "meta-llama/Llama-3.2-1B": {}, "lmsys/vicuna-7b-v1.5-16k": {},
    "Qwen/Qwen2.5-7B-Instruct": {}, "Qwen/Qwen2.5-7B-Instruct-yarn": {}, "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B": {},
    "openai/gpt-oss-20b": {}, "google/gemma-3-4b-it": {}, "google/gemma-3-1b-it": {},
    "microsoft/Phi-4-mini-instruct": {"n_ctx": 8192}, "microsoft/Phi-4-mini-instruct#short": {"n_ctx": 4096},
    "microsoft/Phi-3-mini-128k-instruct": {"n_ctx": 8192}, "microsoft/Phi-3-mini-4k-instruct": {},
    "deepseek-ai/DeepSeek-V2-Lite": {}, "deepseek-ai/DeepSeek-V3": {}, "moonshotai/Kimi-K2-Instruct": {},
    "mistralai/Mistral-7B-v0.3": {}, 
    "tencent/Hunyuan-7B-Instruct": {}, "tencent/Hunyuan-A13B-Instruct": {},
    "THUDM/GLM-4-9B-0414": {}, "stabilityai/stablelm-2-1_6b": {},
    "CohereForAI/c4ai-command-r-v01": {}, "allenai/Olmo-3-7B-Instruct": {}, "HuggingFaceTB/SmolLM3-3B": {},
    "swiss-ai/Apertus-class-defaults": {},
}


def converted(config: dict, folder: Path) -> Path:
    architecture = ARCHITECTURES.get(config["model_type"], config["architectures"][0])
    config["architectures"] = [architecture]
    known = dict(config, model_type=CLASSES.get(config["model_type"], config["model_type"]))
    known.pop("quantization_config", None)
    class_config = transformers.CONFIG_MAPPING[known["model_type"]](**{k: v for k, v in known.items() if k != "model_type"})
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(class_config).float()
    model.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config))
    # Gemma's converter cuts the embedding to the words that this file names.
    words = {f"w{index}": index for index in range(VOCABULARY)}
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": [], "model": {"vocab": words}}))
    maker = conversion.get_model_class(architecture)
    out = folder / "model.gguf"

    def without_tokenizer(self) -> None:
        self._set_vocab_none()
        self.gguf_writer.add_vocab_size(VOCABULARY)

    maker.set_vocab = without_tokenizer
    with torch.inference_mode():
        maker(folder, gguf.LlamaFileType.ALL_F32, out, eager=True).write()
    return out


def metadata(path: Path) -> tuple[dict, dict]:
    reader = gguf.GGUFReader(path)
    found = {}
    for key, field in reader.fields.items():
        if any(part in key for part in ROPE_KEYS):
            value = field.contents()
            found[key] = exact([value])[0] if isinstance(value, float) else value
    tensors = {
        tensor.name: exact(np.array(tensor.data)) for tensor in reader.tensors
        if tensor.name.startswith("rope_") or ".rope_" in tensor.name
    }
    return {"architecture": reader.fields["general.architecture"].contents(), **found}, tensors


def ropes_of(path: Path, library: Library, n_ctx: int) -> list[dict]:
    """Every ROPE operator that runs when three tokens are decoded and then the first of them is dropped."""
    library.signature(library.base.ggml_op_name, ctypes.c_char_p, [ctypes.c_int])
    seen: list[dict] = []

    def floats(params, at):
        return ctypes.c_float.from_buffer_copy(ctypes.c_int32(params[at])).value

    def callback(pointer, ask, _):
        tensor = ctypes.cast(pointer, ctypes.POINTER(Tensor)).contents
        if library.base.ggml_op_name(tensor.op) != b"ROPE":
            return not ask
        if ask:
            return True
        p = tensor.op_params
        factors = tensor.src[2]
        seen.append({
            "tensor": tensor.name.decode(),
            "n_dims": p[1], "mode": p[2], "n_ctx_orig": p[4], "freq_base": floats(p, 5), "freq_scale": floats(p, 6),
            "ext_factor": floats(p, 7), "attn_factor": floats(p, 8), "beta_fast": floats(p, 9), "beta_slow": floats(p, 10),
            "sections": list(p[11:15]), "n_offs": p[15],
            "freq_factors": np.ctypeslib.as_array(
                ctypes.cast(factors.contents.data, ctypes.POINTER(ctypes.c_float)), (p[1] // 2,)).copy().tolist()
            if factors else None,
        })
        return True

    kept = bindings.ggml_backend_sched_eval_callback(callback)
    model_params = bindings.llama_model_default_params()
    model = bindings.llama_model_load_from_file(str(path).encode(), model_params)
    if not model:
        raise RuntimeError("libllama does not load the file")
    params = bindings.llama_context_default_params()
    params.n_ctx, params.n_seq_max, params.kv_unified = n_ctx, 8, True
    params.n_threads = params.n_threads_batch = 1
    params.cb_eval = kept
    context = bindings.llama_init_from_model(model, params)
    if not context:
        bindings.llama_model_free(model)
        raise RuntimeError("libllama makes no context")
    try:
        tokens = 3
        batch = bindings.llama_batch_init(tokens * 4, 0, 1)
        batch.n_tokens = tokens
        for index in range(tokens):
            batch.token[index], batch.pos[index], batch.n_seq_id[index] = 5 + index, index, 1
            batch.seq_id[index][0], batch.logits[index] = 0, 1
        if bindings.llama_decode(context, batch) != 0:
            raise RuntimeError("llama_decode fails")
        ran = list(seen)
        memory = bindings.llama_get_memory(context)
        if bindings.llama_memory_can_shift(memory):
            seen.clear()
            bindings.llama_memory_seq_rm(memory, 0, 0, 1)
            bindings.llama_memory_seq_add(memory, 0, 1, -1, -1)
            batch.n_tokens, batch.pos[0] = 1, tokens - 1
            bindings.llama_decode(context, batch)
            ran += [{**rope, "shift": True} for rope in seen if rope["tensor"].startswith("cache_k")]
        return ran
    finally:
        bindings.llama_free(context)
        bindings.llama_model_free(model)


def fixture(library: Library, name: str) -> dict:
    model_id = name.split("#")[0]
    options = IDS[name]
    config = json.loads((MODELS / file_of(model_id)).read_text(encoding="utf-8"))
    small = narrow(config)
    with tempfile.TemporaryDirectory() as folder:
        path = converted(small, Path(folder))
        keys, tensors = metadata(path)
        ran = ropes_of(path, library, options.get("n_ctx", 512))
    groups: dict[str, dict] = {}
    for rope in ran:
        label = rope.pop("tensor")
        groups.setdefault(json.dumps(rope), {"tensors": [], "operator": rope})["tensors"].append(label)
    ropes = []
    for group in groups.values():
        operator = group["operator"]
        shift = operator.pop("shift", False)
        n_dims, mode = operator["n_dims"], operator["mode"]
        pairing = "adjacent" if mode == NORMAL else "half"
        multi = mode in (MROPE, IMROPE)
        if not multi:
            operator.pop("sections")
        if operator["freq_factors"] is None:
            operator.pop("freq_factors")
        stated = {**operator, "mode": MODES[mode]}
        if "freq_factors" in stated:  # a tensor of the file, by its name
            match = [k for k, v in tensors.items() if v[: n_dims // 2] == stated["freq_factors"]]
            assert match, "freq_factors that are no tensor of the file"
            stated["freq_factors"] = match[0]
        if shift:  # what turns cached keys when their positions move; its numbers are those of any operator so given
            ropes.append({"tensors": sorted(set(group["tensors"])), "shift": True, "operator": stated})
            continue
        offset = operator["n_offs"]
        head_dim = n_dims + offset
        unit = unit_heads(5 if multi else len(POSITIONS), head_dim, n_dims, pairing, offset)
        where = np.array(GRID if multi else POSITIONS)
        cos, sin = cos_sin_of(library.rope(unit, where, operator), n_dims, pairing, offset)
        pairs = list(range(n_dims // 2)) if multi else sampled_pairs(np.arctan2(sin[1], cos[1]), None)
        ropes.append({
            "tensors": sorted(set(group["tensors"])),
            "operator": stated,
            "rotaryDim": n_dims,
            "pairing": pairing,
            "positions": where.tolist(),
            "pairs": pairs,
            "cos": [exact(row) for row in cos[:, pairs]],
            "sin": [exact(row) for row in sin[:, pairs]],
        })
    return {
        "source": {
            "engine": "ggml-org/llama.cpp: converter, loader and graph",
            "version": f"ggml {library.base.ggml_version().decode()} ({library.base.ggml_commit().decode().removesuffix('-dirty')})",
            "package": "llama-cpp-python 0.3.36",
            "transformers": transformers.__version__,
            "build": BUILD,
            "command": f"LLAMA_CPP_PYTHON=<folder> GGML_LIBRARIES=<folder> python -m goldens llama.cpp --name {name}",
        },
        "name": name,
        "model": model_id,
        "config": f"models/{file_of(model_id)}",
        "n_ctx": options.get("n_ctx", 512),
        "gguf": keys,
        "ggufTensors": tensors,
        "ropes": ropes,
    }


def run(names: list[str] | None) -> None:
    if names is None or len(names) > 1:
        run_each(names or list(IDS))
        return
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    quiet = bindings.llama_log_callback(lambda level, text, _: sys.stderr.write(text.decode()) if level == 4 else None)
    bindings.llama_log_set(quiet, ctypes.c_void_p(0))
    bindings.llama_backend_init()
    library = Library()
    for name in names:
        file = name.replace("/", "--").replace("#", "-")
        print(f"{name}: {write(FIXTURES / 'llama.cpp' / f'{file}.json', fixture(library, name))} bytes", flush=True)


def run_each(names: list[str]) -> None:
    """One process for each model: libllama ends the process on a file that it does not like."""
    failed = []
    for name in names:
        done = subprocess.run(
            [sys.executable, "-m", "goldens", "llama.cpp", "--name", name], capture_output=True, text=True,
            env={**os.environ, "GGML_NO_BACKTRACE": "1", "TQDM_DISABLE": "1"},
        )
        if done.returncode == 0:
            print(done.stdout.strip(), flush=True)
        else:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            telling = [line for line in lines if any(word in line for word in ("GGML_ASSERT", "GGML_ABORT", "error", "Error"))]
            failed.append(name)
            print(f"{name}: FAILED {(telling or lines or [done.returncode])[-1]}", flush=True)
    if failed:
        raise SystemExit(f"failed: {failed}")
