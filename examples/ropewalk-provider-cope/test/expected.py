"""Writes conformance.json: requests, and the numbers that they must give.

Most numbers come from the authors' own code, run by PyTorch. It clips 20 pairs and no other number, so the cases with
`clippedPairs` come from the formula in 200 bits.

    git clone https://github.com/hrlics/CoPE && git -C CoPE checkout ed52ba5
    pip install transformers==4.50.0 torch==2.15.0 mpmath==1.3.0
    python test/expected.py CoPE/modeling_cope.py > conformance.json
"""

import importlib.util
import json
import sys

import mpmath
import torch
import transformers
from transformers import LlamaConfig

mpmath.mp.prec = 200


def authors(file):
    """The authors' file stands in for the file of the same module in transformers, as their README says."""
    name = "transformers.models.llama.modeling_llama"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.LlamaRotaryEmbedding


def run(rotary, head_dim, base, positions):
    config = LlamaConfig(hidden_size=head_dim, num_attention_heads=1, head_dim=head_dim, rope_theta=base)
    config.use_cope = True
    rope = rotary(config)
    cos, sin = rope(torch.zeros(1), torch.tensor([positions]))
    versions = f"transformers {transformers.__version__}, PyTorch {torch.__version__.split('+')[0]}"
    return {
        "source": f"hrlics/CoPE ed52ba5 modeling_cope.py on {versions}",
        "invFreq": rope.inv_freq.tolist(),
        "attentionFactor": rope.attention_scaling,
        "positions": positions,
        "cos": cos[0, :, : head_dim // 2].tolist(),
        "sin": sin[0, :, : head_dim // 2].tolist(),
    }


def exact(rotary_dim, base, count, hard=False):
    pairs = rotary_dim // 2
    first = pairs - count
    values = []
    for pair in range(pairs):
        weight = 1 if pair <= first else (1 + mpmath.cos(mpmath.pi * (pair - first) / (count - 1))) / 2
        # In 200 bits, cos π is not exactly −1.
        if pair == pairs - 1 or (hard and pair >= first):
            weight = 0
        values.append(float(mpmath.mpf(base) ** (-mpmath.mpf(2 * pair) / rotary_dim) * weight))
    return {"source": "the formula of hrlics/CoPE ed52ba5 in 200 bits, mpmath 1.3.0", "invFreq": values}


rotary = authors(sys.argv[1])
cases = [
    {
        "name": "Llama 3.2: 20 of 32 pairs",
        "request": {"headDim": 64, "base": 500000},
        "expected": run(rotary, 64, 500000.0, [1, 8191, 65535]),
    },
    {
        "name": "fewer than 20 pairs: all of them",
        "request": {"headDim": 16, "base": 10000},
        "expected": run(rotary, 16, 10000.0, [1, 127]),
    },
    {
        "name": "7 pairs, exact",
        "request": {"headDim": 24, "rotaryDim": 20, "base": 10000, "precision": "float64", "parameters": {"clippedPairs": 7}},
        "expected": exact(20, 10000, 7),
    },
    {
        "name": "hard clipping of 5 of 8 pairs, exact",
        "request": {"headDim": 16, "base": 10000, "precision": "float64", "parameters": {"clippedPairs": 5, "clipping": "hard"}},
        "expected": exact(16, 10000, 5, hard=True),
    },
]
json.dump({"cases": cases}, sys.stdout, indent=1, ensure_ascii=False)
print()
