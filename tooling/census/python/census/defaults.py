"""What each configuration class of transformers sets where a file is silent, as JSON on standard output.

Run: python -m census.defaults > ../results/class-defaults.json

Nothing is read from source text. Every class is made without arguments, with other widths (a head dimension that does not
move is a constant of the class) and with several numbers of layers (how its lists go by layer).
"""

import json
import sys
import warnings

import transformers
from transformers import CONFIG_MAPPING

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()

# Numbers that decide the rope of a head, by their names in files.
SCALARS = """
hidden_size n_embd d_model num_attention_heads n_head n_heads num_heads num_key_value_heads head_dim kv_channels global_head_dim
swa_head_dim qk_rope_head_dim qk_nope_head_dim kv_lora_rank q_lora_rank v_head_dim index_head_dim indexer_head_dim
num_hidden_layers n_layer n_layers num_layers max_position_embeddings n_positions max_seq_len sliding_window
partial_rotary_factor rotary_dim rope_theta compress_rope_theta position_embedding_type position_embeddings_type
rotary_embedding_base rotary_value use_rotary_embedding use_mem_rope rope_interleave original_max_position_embeddings
encoder_num_attention_heads decoder_num_attention_heads encoder_num_hidden_layers decoder_num_hidden_layers
""".split()
# Lists with an entry for each layer, or of layers.
LISTS = ["layer_types", "layers_block_type", "no_rope_layers", "layer_rope_theta", "rope_scaling_layers", "cross_attention_layers", "indexer_types"]
# Those of them that list layers by their number.
INDICES = ["rope_scaling_layers", "cross_attention_layers"]
# Names under which files state the share of a head that rotates, beside the rope dictionary.
SHARES = ["partial_rotary_factor", "rotary_pct", "rope_pct", "rotary_percent", "rotary_emb_fraction"]
COUNTS = [24, 25, 47, 48, 49]


def made(config_class, **changes):
    try:
        return config_class(**changes).to_dict()
    except Exception:
        return None


def constant(config_class, key, plain, moved):
    """Whether a size stays when the sizes that it could follow from change."""
    others = [made(config_class, **{name: plain[name] * 2}) for name in moved if isinstance(plain.get(name), int)]
    seen = [other for other in others if other is not None]
    return all(other.get(key) == plain[key] for other in seen)


def by_layer(config_class, key, count_key):
    """How a list goes by layer: `prefix`, then `period` again and again, counted from the first layer or from the last."""
    lists = {n: (made(config_class, **{count_key: n}) or {}).get(key) for n in COUNTS}
    if any(not isinstance(each, list) for each in lists.values()):
        return None
    if all(each == lists[COUNTS[0]] for each in lists.values()):
        # It does not follow the number of layers.
        return {"constant": lists[COUNTS[0]]} if key in INDICES else None
    if key in INDICES:
        lists = {n: [layer in each for layer in range(n)] for n, each in lists.items()}
    if any(len(each) != n for n, each in lists.items()):
        return None
    for anchor in ("first", "last"):
        turned = {n: each if anchor == "first" else each[::-1] for n, each in lists.items()}
        for prefix in range(4):
            for period in range(1, 13):
                head = turned[COUNTS[-1]][:prefix]
                cycle = turned[COUNTS[-1]][prefix : prefix + period]
                if all(each == (head + cycle * n)[:n] for n, each in turned.items()):
                    return {"from": anchor, **({"prefix": head} if head else {}), "period": cycle}
                if anchor == "first":
                    last = {each[-1] if isinstance(each[-1], (str, int, float)) else None for each in turned.values()}
                    if len(last) == 1 and all(each[:-1] == (head + cycle * n)[: n - 1] for n, each in turned.items()):
                        return {"from": anchor, **({"prefix": head} if head else {}), "period": cycle, "end": last.pop()}
    return {"unknown": True}


def base_of(config_class, **file):
    rope = (made(config_class, **file) or {}).get("rope_parameters")
    return rope.get("rope_theta") if isinstance(rope, dict) else None


def bases(config_class, rope):
    """Which base a file gets that has a dictionary without one, and whether a base beside the dictionary counts."""
    if not isinstance(rope, dict) or "rope_theta" not in rope:
        return {}
    inside = base_of(config_class, rope_parameters={"rope_type": "default"})
    beside = base_of(config_class, rope_theta=54321.0)
    found = {} if inside in (None, rope["rope_theta"]) else {"dictionaryBase": inside}
    return found if beside in (None, 54321.0) else {**found, "ignoresBaseBeside": True}


def shares(config_class, rope):
    """Which of the names of the share a class reads that has a share in its own dictionary."""
    if not isinstance(rope, dict) or "partial_rotary_factor" not in json.dumps(rope):
        return {}

    def read(key):
        found = (made(config_class, **{key: 0.8125}) or {}).get("rope_parameters")
        return isinstance(found, dict) and '"partial_rotary_factor": 0.8125' in json.dumps(found)

    return {"shareKeys": [key for key in SHARES if read(key)]}


def facts(config_class):
    plain = config_class().to_dict()
    nested = {
        key: plain[key]["model_type"]
        for key in config_class.sub_configs or {}
        if isinstance(plain.get(key), dict) and plain[key].get("model_type")
    }
    values = {key: plain[key] for key in SCALARS if isinstance(plain.get(key), (int, float, str)) and plain[key] != ""}
    heads = [key for key in ("num_attention_heads", "n_head", "n_heads", "num_heads") if key in values]
    widths = [key for key in ("hidden_size", "n_embd", "d_model") if key in values]
    sizes = widths + heads + ["qk_rope_head_dim"]
    for key, moved in (("head_dim", sizes), ("kv_channels", sizes), ("num_key_value_heads", heads)):
        if key in values and not constant(config_class, key, plain, moved):
            del values[key]
    rope = plain.get("rope_parameters")
    if rope:
        values["rope_parameters"] = rope
    counts = [key for key in ("num_hidden_layers", "n_layer", "n_layers", "num_layers") if key in values]
    lists = {key: by_layer(config_class, key, counts[0]) for key in LISTS if counts and isinstance(plain.get(key), list)}
    return {"values": values, **bases(config_class, rope), **shares(config_class, rope), "lists": {key: found for key, found in lists.items() if found}, "nested": nested}


def main():
    table, failed = {}, {}
    for model_type in sorted(CONFIG_MAPPING.keys()):
        try:
            table[model_type] = facts(CONFIG_MAPPING[model_type])
        except Exception as error:
            failed[model_type] = f"{type(error).__name__}: {error}".splitlines()[0][:160]
    source = {
        "engine": "Hugging Face transformers",
        "version": transformers.__version__,
        "command": "python -m census.defaults > ../results/class-defaults.json",
    }
    lines = [f"{json.dumps(name)}: {json.dumps(row, sort_keys=True, separators=(',', ':'))}" for name, row in table.items()]
    print('{"source": ' + json.dumps(source) + ',\n"failed": ' + json.dumps(failed) + ',\n"classes": {')
    print(",\n".join(lines) + "}}")
    print(f"{len(table)} classes, {len(failed)} failed", file=sys.stderr)


if __name__ == "__main__":
    main()
