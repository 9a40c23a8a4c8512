"""The v5 spelling of some model configs: transformers loads the published file and saves it; only the keys that a rope
depends on are kept."""

import json

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .hf import STAND_INS
from .paths import MODELS, file_of

TWINS = [
    "CohereForAI/c4ai-command-r-v01", "EleutherAI/pythia-6.9b-deduped", "HuggingFaceTB/SmolLM3-3B",
    "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct-yarn", "Qwen/Qwen2.5-VL-7B-Instruct",
    "Qwen/Qwen3-VL-30B-A3B-Instruct", "THUDM/glm-4-9b-chat-hf", "allenai/Olmo-3-7B-Instruct",
    "answerdotai/ModernBERT-base", "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "deepseek-ai/DeepSeek-V2-Lite",
    "deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-V4-Flash", "deepseek-ai/deepseek-coder-6.7b-instruct",
    "google/gemma-3-1b-it", "google/gemma-3-4b-it", "meta-llama/Llama-3.1-8B", "microsoft/Phi-3-mini-128k-instruct",
    "microsoft/Phi-4-mini-instruct", "microsoft/phi-2", "mistralai/Mistral-7B-v0.3", "moonshotai/Kimi-K2-Instruct",
    "openai/gpt-oss-20b", "tencent/Hunyuan-7B-Instruct",
]
ALWAYS = {
    "architectures", "dtype", "head_dim", "hidden_size", "kv_lora_rank", "layer_types", "max_position_embeddings",
    "model_type", "num_attention_heads", "num_hidden_layers", "num_key_value_heads", "original_max_position_embeddings",
    "partial_rotary_factor", "per_layer_config", "qk_nope_head_dim", "qk_rope_head_dim", "rope_interleave",
    "rope_parameters", "sliding_window", "transformers_version", "v_head_dim",
}


def kept(saved: dict, published: dict) -> dict:
    result = {}
    for key, value in saved.items():
        if key == "text_config":
            result[key] = kept(value, published.get(key, published))
        elif key == "vision_config":
            before = published.get(key) or {}
            result[key] = {k: v for k, v in value.items() if k in before or k in ("rope_parameters", "model_type")}
        elif key in ALWAYS or key in published:
            result[key] = value
    return result


def twin(model_id: str) -> dict:
    published = json.loads((MODELS / file_of(model_id)).read_text())
    given = dict(published)
    given["model_type"] = STAND_INS.get(published["model_type"], (published["model_type"],))[0]
    config = CONFIG_MAPPING[given["model_type"]].from_dict(given)
    saved = json.loads(config.to_json_string(use_diff=True))
    if model_id.startswith("moonshotai/"):  # the name of the published file, which transformers does not know
        saved["model_type"] = published["model_type"]
    return kept(saved, published)


def run() -> None:
    transformers.logging.set_verbosity_error()
    (MODELS / "v5").mkdir(exist_ok=True)
    for model_id in TWINS:
        text = json.dumps(dict(sorted(twin(model_id).items())), indent=2) + "\n"
        (MODELS / "v5" / file_of(model_id)).write_text(text)
        print(model_id)
