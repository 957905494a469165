"""Reads a safetensors file: an 8-byte length, a JSON table, then the tensors' bytes.

Format: https://github.com/huggingface/safetensors#format. Only float32 is read, which is what MiniLM has.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.errors import InvalidRequestError

Weights = dict[str, NDArray[np.float32]]

_MAX_TABLE_BYTES = 100_000_000


def read_safetensors(path: Path) -> Weights:
    """Return every float32 tensor, mapped from the file rather than copied; others are left out."""
    data = np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else np.zeros(0, np.uint8)
    if data.size < 8:
        raise InvalidRequestError(f"{path.name} is no safetensors file: it is {data.size} bytes long")
    length = int(data[:8].view("<u8")[0])
    if length > min(_MAX_TABLE_BYTES, data.size - 8):
        raise InvalidRequestError(f"{path.name} is cut: its table should be {length} bytes long")
    body = data[8 + length :]
    weights: Weights = {}
    try:
        table = json.loads(data[8 : 8 + length].tobytes())
        for name, entry in table.items():
            if name == "__metadata__" or entry["dtype"] != "F32":
                continue
            begin, end = entry["data_offsets"]
            shape = tuple(entry["shape"])
            if not 0 <= begin <= end <= body.size or end - begin != 4 * math.prod(shape):
                raise InvalidRequestError(f"tensor {name!r} does not fit into {path.name}")
            # frombuffer, not view: offsets behind a table of any length need not be aligned
            weights[name] = np.frombuffer(body, "<f4", count=math.prod(shape), offset=begin).reshape(shape)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequestError(f"the table of {path.name} cannot be read: {error}") from error
    return weights
