"""The intent model on disk: `model.npz` with 8-bit weights, `manifest.json` with everything else.

The version is the hash of the arrays and of what steers decisions; metrics and provenance do not change it.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.array_files import (
    Arrays,
    content_digest,
    expanded,
    packed,
    quantised,
    replace_file,
)
from mangaassist.serving.intent.decision import Calibration
from mangaassist.serving.intent.encoder_head import EncodingView, KernelHead, KernelTerm
from mangaassist.serving.intent.first_stage import LinearHead, NgramWeights
from mangaassist.serving.intent.model import IntentModel

FORMAT = 2
ARRAYS_FILE = "model.npz"
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentArtifact:
    """A model as it is stored; `provenance` says of what data, settings and code it was made."""

    arrays: Arrays
    decisions: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def version(self) -> str:
        """`intent-` and 12 hex characters of the content."""
        return f"intent-{content_digest(self.arrays, self.decisions)}"

    def model(self) -> IntentModel:
        """Return the model in working precision."""
        decisions, arrays = self.decisions, self.arrays
        head = None
        if "encoding_width" in decisions:
            head = KernelHead(
                encoding_width=decisions["encoding_width"],
                terms=[_term(arrays, name, record) for name, record in decisions["kernel"].items()],
                coefficients=expanded(arrays, "coefficients"),
                ngrams=LinearHead(rows=expanded(arrays, "encoder_rows")),
            )
        return IntentModel(
            version=self.version,
            labels=tuple(decisions["labels"]),
            outside_label=decisions["outside_label"],
            ngrams=NgramWeights(idf=expanded(arrays, "idf")),
            first_stage=LinearHead(rows=expanded(arrays, "first_rows")),
            first_calibration=_calibration(decisions["first_calibration"]),
            encoder_head=head,
            encoder_calibration=_calibration(decisions["encoder_calibration"]) if head else None,
            encoder_version=decisions["encoder_version"],
        )


def stored_term(name: str, term: KernelTerm) -> tuple[Arrays, dict[str, Any]]:
    """Return a kernel's term as arrays and as the record that goes with them."""
    arrays = {
        **quantised(f"{name}_support", term.support, axis=1),
        **quantised(f"{name}_axes", term.view.axes, axis=0),
        f"{name}_centre": term.view.centre,
    }
    return arrays, {"first_column": term.view.first_column, "width": term.width, "weight": term.weight}


def _term(arrays: Arrays, name: str, record: Mapping[str, Any]) -> KernelTerm:
    view = EncodingView(
        first_column=record["first_column"],
        centre=expanded(arrays, f"{name}_centre"),
        axes=expanded(arrays, f"{name}_axes"),
    )
    return KernelTerm(
        view=view,
        width=record["width"],
        weight=record["weight"],
        support=expanded(arrays, f"{name}_support"),
    )


def write_artifact(artifact: IntentArtifact, directory: Path) -> None:
    """Replace the artifact in `directory`; a reader that comes in between sees a wrong hash and refuses."""
    directory.mkdir(parents=True, exist_ok=True)
    manifest = {
        "format": FORMAT,
        "version": artifact.version,
        "decisions": artifact.decisions,
        **artifact.provenance,
    }
    replace_file(directory / ARRAYS_FILE, packed(artifact.arrays))
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    replace_file(directory / MANIFEST_FILE, text.encode())


def read_artifact(directory: Path) -> IntentArtifact:
    """Read and verify; raise `ConfigurationError` that says how to get a whole one."""
    try:
        manifest = json.loads((directory / MANIFEST_FILE).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']!r}, expected {FORMAT}")
        with np.load(directory / ARRAYS_FILE, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        provenance = {
            key: value for key, value in manifest.items() if key not in ("format", "version", "decisions")
        }
        artifact = IntentArtifact(arrays=arrays, decisions=manifest["decisions"], provenance=provenance)
        if artifact.version != manifest["version"]:
            raise ValueError(f"its content hashes to {artifact.version}, not {manifest['version']}")
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"the intent model in {str(directory)!r} cannot be used: {error}; run `mangaassist train intent`"
        ) from error
    return artifact


def calibration_record(calibration: Calibration) -> dict[str, Any]:
    """Return a calibration as JSON; a threshold that is never reached is null."""
    record = asdict(calibration)
    return {key: None if value == math.inf else value for key, value in record.items()}


def _calibration(record: Mapping[str, Any]) -> Calibration:
    weights = record["outside_weights"]
    return Calibration(
        temperature=record["temperature"],
        outside_weights=None if weights is None else tuple(weights),
        outside_threshold=math.inf if record["outside_threshold"] is None else record["outside_threshold"],
        recall_thresholds=record["recall_thresholds"],
        sure_at=math.inf if record["sure_at"] is None else record["sure_at"],
    )
