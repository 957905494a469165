"""A random BERT of three layers, written as files, and its forward pass in plain numpy."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from mangaassist.adapters.embedded.encoder.graph import BertShape
from mangaassist.adapters.embedded.encoder.pins import EncoderPin
from mangaassist.adapters.embedded.encoder.safetensors import Weights

TINY_SHAPE = BertShape(hidden_size=32, num_hidden_layers=3, num_attention_heads=4, layer_norm_eps=1e-12)
_INNER = 64
_POSITIONS = 300
WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", *(f"w{number}" for number in range(60)))


def tiny_weights(seed: int = 7) -> Weights:
    """Random weights under the names of the Hugging Face BERT."""
    random = np.random.default_rng(seed)
    size = TINY_SHAPE.hidden_size

    def normal(*shape: int, around: float = 0.0, spread: float = 0.2) -> NDArray[np.float32]:
        return random.normal(around, spread, shape).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": normal(len(WORDS), size, spread=1),
        "embeddings.position_embeddings.weight": normal(_POSITIONS, size),
        "embeddings.token_type_embeddings.weight": normal(2, size),
    }
    norms = ["embeddings"]
    for layer in range(TINY_SHAPE.num_hidden_layers):
        prefix = f"encoder.layer.{layer}"
        norms += [f"{prefix}.attention.output", f"{prefix}.output"]
        for name, outputs, inputs in (
            ("attention.self.query", size, size),
            ("attention.self.key", size, size),
            ("attention.self.value", size, size),
            ("attention.output.dense", size, size),
            ("intermediate.dense", _INNER, size),
            ("output.dense", size, _INNER),
        ):
            weights[f"{prefix}.{name}.weight"] = normal(outputs, inputs)
            weights[f"{prefix}.{name}.bias"] = normal(outputs)
    for name in norms:
        weights[f"{name}.LayerNorm.weight"] = normal(size, around=1)
        weights[f"{name}.LayerNorm.bias"] = normal(size)
    return weights


def reference_forward(
    weights: Weights, shape: BertShape, tokens: list[int], *, int8: bool = False
) -> NDArray[np.float64]:
    """Encode one text as Devlin et al. 2019 and Reimers & Gurevych 2019 write it down, in float64.

    The unit-length mean of the last layer is followed by the means of the middle ones.

    With `int8`, tables and products are quantised as `graph.py` says, and summed in exact integers.
    """
    w = {name: value.astype(np.float64) for name, value in weights.items()}

    def dense(x: NDArray[np.float64], name: str, *, follows_gelu: bool = False) -> NDArray[np.float64]:
        bias = w[f"{name}.bias"]
        if not int8:
            return np.asarray(x @ w[f"{name}.weight"].T + bias)
        values, scales = _columns_as_int8(w[f"{name}.weight"].T)
        shift, levels = (0.17, 255) if follows_gelu else (0.0, 127)
        row_scales = np.abs(x + shift).max(-1, keepdims=True) / levels
        product = np.rint((x + shift) / row_scales) @ values * scales * row_scales
        return np.asarray(product - shift * values.sum(0) * scales + bias)

    def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + shape.layer_norm_eps)
        return np.asarray(scaled * w[f"{name}.LayerNorm.weight"] + w[f"{name}.LayerNorm.bias"])

    erf = np.vectorize(math.erf)
    heads, width = shape.num_attention_heads, shape.hidden_size // shape.num_attention_heads
    words = w["embeddings.word_embeddings.weight"]
    if int8:
        values, scales = _columns_as_int8(words.T)
        words = (values * scales).T
    x = words[tokens]
    x = x + w["embeddings.position_embeddings.weight"][: len(tokens)]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings")
    middle = []
    for layer in range(shape.num_hidden_layers):
        prefix = f"encoder.layer.{layer}"
        query, key, value = (
            dense(x, f"{prefix}.attention.self.{name}").reshape(len(tokens), heads, width).swapaxes(0, 1)
            for name in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / math.sqrt(width)
        exponents = np.exp(scores - scores.max(-1, keepdims=True))
        attended = exponents / exponents.sum(-1, keepdims=True) @ value
        joined = attended.swapaxes(0, 1).reshape(len(tokens), shape.hidden_size)
        x = norm(dense(joined, f"{prefix}.attention.output.dense") + x, f"{prefix}.attention.output")
        inner = dense(x, f"{prefix}.intermediate.dense")
        inner = inner * (1 + erf(inner / math.sqrt(2))) / 2
        x = norm(dense(inner, f"{prefix}.output.dense", follows_gelu=True) + x, f"{prefix}.output")
        if layer in shape.middle_layers:
            middle.append(x.mean(0))
    mean = x.mean(0)
    return np.concatenate([mean / np.linalg.norm(mean), *middle])


def _columns_as_int8(weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return whole numbers from -127 to 127 and one scale a column.

    In float32 like the conversion: in float64 one weight of seed 7, at -36.5000002, rounds the other way.
    """
    narrow = weight.astype(np.float32)
    scales = np.abs(narrow).max(0) / np.float32(127)
    return np.rint(narrow / scales).astype(np.float64), scales.astype(np.float64)


def write_safetensors(path: Path, weights: Weights) -> None:
    """Write the format by hand, so that the reader is tested against its description."""
    table: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, value in weights.items():
        data = value.astype("<f4").tobytes()
        table[name] = {
            "dtype": "F32",
            "shape": list(value.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    head = json.dumps(table).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + body)


def write_tiny_model(folder: Path) -> EncoderPin:
    """Write weights, tokenizer and configuration, and return the pin that fits them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", tiny_weights())
    tokenizer = Tokenizer(WordPiece({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": TINY_SHAPE.hidden_size,
        "num_hidden_layers": TINY_SHAPE.num_hidden_layers,
        "num_attention_heads": TINY_SHAPE.num_attention_heads,
        "layer_norm_eps": TINY_SHAPE.layer_norm_eps,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return EncoderPin(
        name="tiny",
        weights_sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        tokenizer_sha256=hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest(),
        hub_repository="nobody/tiny",
        package="tiny",
        package_version="1",
    )
