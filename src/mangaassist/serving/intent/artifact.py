"""The intent model on disk: `model.npz` with 8-bit weights, `manifest.json` with everything else.

The version is the hash of the arrays and of what steers decisions; metrics and provenance do not change it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.intent.decision import Calibration
from mangaassist.serving.intent.encoder_head import KernelHead
from mangaassist.serving.intent.first_stage import Floats, LinearHead, NgramWeights
from mangaassist.serving.intent.model import IntentModel

FORMAT = 1
ARRAYS_FILE = "model.npz"
MANIFEST_FILE = "manifest.json"

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentArtifact:
    """A model as it is stored; `provenance` says of what data, settings and code it was made."""

    arrays: Arrays
    decisions: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def version(self) -> str:
        """`intent-` and 12 hex characters of the content."""
        digest = hashlib.sha256(json.dumps(self.decisions, sort_keys=True).encode())
        for name in sorted(self.arrays):
            array = self.arrays[name]
            digest.update(f"{name}:{array.dtype}:{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return f"intent-{digest.hexdigest()[:12]}"

    def model(self) -> IntentModel:
        """Return the model in working precision."""
        decisions, arrays = self.decisions, self.arrays
        head = None
        if "support" in arrays:
            head = KernelHead(
                support=_expand(arrays, "support"),
                coefficients=_expand(arrays, "coefficients"),
                width=float(decisions["kernel_width"]),
                ngrams=LinearHead(rows=_expand(arrays, "encoder_rows")),
            )
        return IntentModel(
            version=self.version,
            labels=tuple(decisions["labels"]),
            outside_label=decisions["outside_label"],
            ngrams=NgramWeights(idf=_expand(arrays, "idf")),
            first_stage=LinearHead(rows=_expand(arrays, "first_rows")),
            first_calibration=_calibration(decisions["first_calibration"]),
            encoder_head=head,
            encoder_calibration=_calibration(decisions["encoder_calibration"]) if head else None,
            embedder_version=decisions["embedder_version"],
        )


def quantised(name: str, values: Floats, *, axis: int) -> dict[str, NDArray[np.generic]]:
    """Return `values` as int8, with one scale for each line along the other axis."""
    scales = np.abs(values).max(axis=axis, keepdims=True) / np.float32(127)
    scales[scales == 0] = 1
    return {name: np.rint(values / scales).astype(np.int8), f"{name}_scale": scales.astype(np.float32)}


def write_artifact(artifact: IntentArtifact, directory: Path) -> None:
    """Replace the artifact in `directory`; a reader that comes in between sees a wrong hash and refuses."""
    directory.mkdir(parents=True, exist_ok=True)
    manifest = {
        "format": FORMAT,
        "version": artifact.version,
        "decisions": artifact.decisions,
        **artifact.provenance,
    }
    _replace(directory / ARRAYS_FILE, _packed(artifact.arrays))
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    _replace(directory / MANIFEST_FILE, text.encode())


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


def _expand(arrays: Arrays, name: str) -> Floats:
    values = arrays[name].astype(np.float32)
    scale = arrays.get(f"{name}_scale")
    if scale is not None:
        values *= scale.astype(np.float32)
    return values


def _packed(arrays: Arrays) -> bytes:
    """Return an npz whose bytes depend on nothing but the arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            archive.writestr(entry, content.getvalue())
    return buffer.getvalue()


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
