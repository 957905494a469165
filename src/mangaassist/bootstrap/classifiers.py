"""The intent classifier of a store pack, with the encoder stage when the encoder is there."""

from __future__ import annotations

from pathlib import Path

from mangaassist.bootstrap.intent import load_cascade
from mangaassist.ports.embedder import TextEmbedder
from mangaassist.serving.intent.cascade import IntentCascade


class Classifiers:
    """Builds a cascade once for every encoder it meets."""

    def __init__(self, *, store_dir: Path) -> None:
        self._store_dir = store_dir
        self._built: dict[str | None, IntentCascade] = {}

    def current(self, embedder: TextEmbedder | None) -> IntentCascade:
        """Return the cascade for this encoder, or for none."""
        version = None if embedder is None else embedder.version
        if version not in self._built:
            self._built[version] = load_cascade(self._store_dir, embedder=embedder)
        return self._built[version]
