"""The injection model on disk: `model.npz`, `words.txt`, `manifest.json`; versioned by its content."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.array_files import Arrays, content_digest, expanded, packed, replace_file
from mangaassist.serving.guardrails.injection.decoding import Vocabulary
from mangaassist.serving.guardrails.injection.features import FeatureReader
from mangaassist.serving.guardrails.injection.model import Combination, EncoderHead, InjectionModel

FORMAT = 1
ARRAYS_FILE = "model.npz"
WORDS_FILE = "words.txt"
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionArtifact:
    """A model as it is stored; `provenance` says of what data and settings it was made."""

    arrays: Arrays
    words: tuple[str, ...]
    decisions: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def version(self) -> str:
        """`injection-` and 12 hex characters of the content."""
        steering = {**self.decisions, "words": list(self.words)}
        return f"injection-{content_digest(self.arrays, steering)}"

    def model(self) -> InjectionModel:
        """Return the model in working precision."""
        decisions = self.decisions
        head = None
        if decisions["encoder"] is not None:
            encoder = decisions["encoder"]
            head = EncoderHead(
                weights=expanded(self.arrays, "encoder_weights"),
                bias=encoder["bias"],
                embedder_version=encoder["embedder_version"],
                combination=Combination(**encoder["combination"]),
                ask_from=encoder["ask_from"],
                ask_to=encoder["ask_to"],
            )
        return InjectionModel(
            version=self.version,
            reader=FeatureReader(decisions["concepts"]),
            vocabulary=Vocabulary(self.words),
            weights=expanded(self.arrays, "weights"),
            bias=decisions["bias"],
            combination=Combination(**decisions["combination"]),
            head=head,
        )


def write_artifact(artifact: InjectionArtifact, directory: Path) -> None:
    """Replace the artifact in `directory`; a reader that comes in between sees a wrong hash and refuses."""
    directory.mkdir(parents=True, exist_ok=True)
    manifest = {
        "format": FORMAT,
        "version": artifact.version,
        "decisions": artifact.decisions,
        **artifact.provenance,
    }
    replace_file(directory / ARRAYS_FILE, packed(artifact.arrays))
    replace_file(directory / WORDS_FILE, "\n".join(artifact.words).encode())
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    replace_file(directory / MANIFEST_FILE, text.encode())


def read_artifact(directory: Path) -> InjectionArtifact:
    """Read and verify; raise `ConfigurationError` that says how to get a whole one."""
    try:
        manifest = json.loads((directory / MANIFEST_FILE).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']!r}, expected {FORMAT}")
        with np.load(directory / ARRAYS_FILE, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        artifact = InjectionArtifact(
            arrays=arrays,
            words=tuple((directory / WORDS_FILE).read_text(encoding="utf-8").split("\n")),
            decisions=manifest["decisions"],
            provenance={k: v for k, v in manifest.items() if k not in ("format", "version", "decisions")},
        )
        if artifact.version != manifest["version"]:
            raise ValueError(f"its content hashes to {artifact.version}, not {manifest['version']}")
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"the injection model in {str(directory)!r} cannot be used: {error}; "
            "run `mangaassist train injection`"
        ) from error
    return artifact
