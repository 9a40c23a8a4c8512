"""Numbers that were printed by others, typed in. Nothing is computed here."""

from .paths import FIXTURES
from .writing import write


def printed(engine: str, version: str, note: str) -> dict:
    return {"engine": engine, "version": version, "command": "python -m goldens seeds", "note": note}


# Four decimals of torch's printing; a test allows half a unit of the last printed digit.
LLAMA_TABLE = {
    "source": printed(
        "huggingface/transformers, LlamaRotaryEmbedding",
        "the early class with inv_freq, cos_cached and sin_cached",
        "tensors printed in a public walk-through of the class: dim 8, base 10000, ten positions",
    ),
    "name": "llama-rotary-embedding",
    "request": {"headDim": 8, "rotaryDim": 8, "base": 10000, "parameters": {"ropeType": "default"}},
    "printedDecimals": 4,
    "invFreq": [1.0000, 0.1000, 0.0100, 0.0010],
    "positions": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    "angles": [
        [0.0, 0.0, 0.0, 0.0],
        [1.0, 0.1, 0.01, 0.001],
        [2.0, 0.2, 0.02, 0.002],
        [3.0, 0.3, 0.03, 0.003],
        [4.0, 0.4, 0.04, 0.004],
        [5.0, 0.5, 0.05, 0.005],
        [6.0, 0.6, 0.06, 0.006],
        [7.0, 0.7, 0.07, 0.007],
        [8.0, 0.8, 0.08, 0.008],
        [9.0, 0.9, 0.09, 0.009],
    ],
    "doubled": "the printed cos and sin tables repeat these columns: [angles, angles]",
    "rotateHalf": {
        "input": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        "output": [-6, -7, -8, -9, -10, 1, 2, 3, 4, 5],
    },
}

NDROPE = {
    "source": printed(
        "ndrope (Rust crate)",
        "not stated",
        "the assertion in the crate's own example: rope_nd, float32 data 0..7 of shape [1 head, 2 tokens, 4], grid [2], "
        "no section, base 10000",
    ),
    "name": "ndrope-example",
    "request": {
        "headDim": 4, "rotaryDim": 4, "base": 10000, "pairing": "adjacent", "parameters": {"ropeType": "default"},
    },
    "positions": [0, 1],
    "layout": "[heads, tokens, headDim]",
    "shape": [1, 2, 4],
    "input": [0, 1, 2, 3, 4, 5, 6, 7],
    "output": [0.0, 1.0, 2.0, 3.0, -2.0461454, 6.067395, 5.9297013, 7.059649],
}

YARN_TEST = {
    "source": printed(
        "huggingface/transformers, tests/utils/test_modeling_rope_utils.py",
        "4.57",
        "the numerical snapshot of its YaRN test: LlamaConfig() (head 128, base 10000, 2048 positions), factor 10, "
        "beta_fast 32, beta_slow 1; printed with five significant digits",
    ),
    "name": "hf-test-yarn",
    "request": {
        "headDim": 128, "rotaryDim": 128, "base": 10000, "maxPosition": 2048,
        "parameters": {
            "ropeType": "yarn", "factor": 10, "originalMaxPosition": 2048, "betaFast": 32, "betaSlow": 1,
        },
    },
    "significantDigits": 5,
    "attentionFactor": "0.1 ln(10) + 1",
    "correctionRange": [16, 41],
    "invFreq": [
        1.0000e+00, 8.6596e-01, 7.4989e-01, 6.4938e-01, 5.6234e-01, 4.8697e-01, 4.2170e-01, 3.6517e-01,
        3.1623e-01, 2.7384e-01, 2.3714e-01, 2.0535e-01, 1.7783e-01, 1.5399e-01, 1.3335e-01, 1.1548e-01,
        1.0000e-01, 8.3479e-02, 6.9590e-02, 5.7925e-02, 4.8136e-02, 3.9931e-02, 3.3061e-02, 2.7315e-02,
        2.2515e-02, 1.8512e-02, 1.5177e-02, 1.2403e-02, 1.0101e-02, 8.1924e-03, 6.6143e-03, 5.3120e-03,
        4.2400e-03, 3.3599e-03, 2.6396e-03, 2.0520e-03, 1.5746e-03, 1.1882e-03, 8.7713e-04, 6.2810e-04,
        4.3007e-04, 2.7384e-04, 2.3714e-04, 2.0535e-04, 1.7783e-04, 1.5399e-04, 1.3335e-04, 1.1548e-04,
        1.0000e-04, 8.6596e-05, 7.4989e-05, 6.4938e-05, 5.6234e-05, 4.8697e-05, 4.2170e-05, 3.6517e-05,
        3.1623e-05, 2.7384e-05, 2.3714e-05, 2.0535e-05, 1.7783e-05, 1.5399e-05, 1.3335e-05, 1.1548e-05,
    ],
}

DYNAMIC_TEST = {
    "source": printed(
        "huggingface/transformers, tests/utils/test_modeling_rope_utils.py",
        "4.57",
        "the numerical snapshot of its dynamic NTK test: LlamaConfig() (head 128, base 10000, 2048 positions), "
        "factor 10, sequence length 16384; printed with five significant digits",
    ),
    "name": "hf-test-dynamic",
    "request": {
        "headDim": 128, "rotaryDim": 128, "base": 10000, "maxPosition": 2048, "length": 16384,
        "parameters": {"ropeType": "dynamic", "factor": 10},
    },
    "significantDigits": 5,
    "invFreq": [
        1.0000e+00, 8.0931e-01, 6.5498e-01, 5.3008e-01, 4.2900e-01, 3.4720e-01, 2.8099e-01, 2.2741e-01,
        1.8404e-01, 1.4895e-01, 1.2055e-01, 9.7558e-02, 7.8955e-02, 6.3899e-02, 5.1714e-02, 4.1853e-02,
        3.3872e-02, 2.7413e-02, 2.2185e-02, 1.7955e-02, 1.4531e-02, 1.1760e-02, 9.5176e-03, 7.7027e-03,
        6.2339e-03, 5.0451e-03, 4.0831e-03, 3.3045e-03, 2.6744e-03, 2.1644e-03, 1.7517e-03, 1.4176e-03,
        1.1473e-03, 9.2852e-04, 7.5146e-04, 6.0817e-04, 4.9220e-04, 3.9834e-04, 3.2238e-04, 2.6091e-04,
        2.1115e-04, 1.7089e-04, 1.3830e-04, 1.1193e-04, 9.0585e-05, 7.3312e-05, 5.9332e-05, 4.8018e-05,
        3.8861e-05, 3.1451e-05, 2.5453e-05, 2.0600e-05, 1.6672e-05, 1.3492e-05, 1.0920e-05, 8.8374e-06,
        7.1522e-06, 5.7883e-06, 4.6845e-06, 3.7912e-06, 3.0683e-06, 2.4832e-06, 2.0097e-06, 1.6265e-06,
    ],
}


def run() -> None:
    for seed in (LLAMA_TABLE, NDROPE, YARN_TEST, DYNAMIC_TEST):
        write(FIXTURES / "seeds" / f"{seed['name']}.json", seed)
        print(seed["name"])
