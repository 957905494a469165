"""Fetches, inspects and opens the sentence encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mangaassist.adapters.embedded.encoder.cache import EncoderFiles, FetchResult, find_encoder
from mangaassist.adapters.embedded.encoder.pins import MINILM
from mangaassist.adapters.embedded.encoder.progress import FetchProgress, Report

if TYPE_CHECKING:
    from mangaassist.adapters.embedded.encoder.onnx_embedder import OnnxTextEmbedder

__all__ = [
    "EncoderFiles",
    "FetchProgress",
    "FetchResult",
    "default_cache_dir",
    "fetch_encoder",
    "find_cached_encoder",
    "open_embedder",
]


def default_cache_dir() -> Path:
    """Return the cache that is used when no other is configured."""
    return Path.home() / ".cache" / "mangaassist"


def fetch_encoder(
    cache_dir: Path | None = None, *, path: Path | None = None, report: Report = lambda _: None
) -> FetchResult:
    """Return the encoder, fetching and converting it first when it is not cached.

    Raises `DependencyUnavailableError` with the reason of each source when none can deliver.
    """
    from mangaassist.adapters.embedded.encoder import graph, weights

    return weights.fetch_encoder(
        cache_dir or default_cache_dir(), convert=graph.convert_weights, path=path, report=report
    )


def find_cached_encoder(cache_dir: Path | None = None, *, read_contents: bool = False) -> EncoderFiles | None:
    """Return the cached encoder, or None; `read_contents` compares the digests too."""
    return find_encoder(cache_dir or default_cache_dir(), MINILM, read_contents=read_contents)


def open_embedder(cache_dir: Path | None = None, *, workers: int = 1) -> OnnxTextEmbedder | None:
    """Return the embedder, or None when the encoder is not cached; callers then search lexically."""
    files = find_cached_encoder(cache_dir)
    if files is None:
        return None
    from mangaassist.adapters.embedded.encoder.onnx_embedder import OnnxTextEmbedder

    return OnnxTextEmbedder(files, workers=workers)
