"""Arrays of trained models on disk: 8-bit weights, files whose bytes depend on nothing but the content."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.generic]]


def quantised(name: str, values: NDArray[np.float32], *, axis: int) -> dict[str, NDArray[np.generic]]:
    """Return `values` as int8, with one scale for each line along the other axis."""
    scales = np.abs(values).max(axis=axis, keepdims=True) / np.float32(127)
    scales[scales == 0] = 1
    return {name: np.rint(values / scales).astype(np.int8), f"{name}_scale": scales.astype(np.float32)}


def expanded(arrays: Arrays, name: str) -> NDArray[np.float32]:
    """Return an array in working precision, undoing `quantised`."""
    values = arrays[name].astype(np.float32)
    scale = arrays.get(f"{name}_scale")
    if scale is not None:
        values *= scale.astype(np.float32)
    return values


def content_digest(arrays: Arrays, decisions: Mapping[str, Any]) -> str:
    """Return 12 hex characters of the arrays and of what steers decisions."""
    digest = hashlib.sha256(json.dumps(decisions, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}:{array.dtype}:{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]


def packed(arrays: Arrays) -> bytes:
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


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
