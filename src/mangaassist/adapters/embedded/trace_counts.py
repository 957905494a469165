"""What became of the traces of every process of this machine, told by each in a file of its own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import orjson

PATTERN: Final = "counts-*.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessCounts:
    """Counts since a process started; `held` of the accepted were outside the sample."""

    accepted: int = 0
    held: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


def write_counts(directory: Path, counts: ProcessCounts, *, process: str) -> None:
    """Replace the file of a process; raises `OSError`."""
    temporary = directory / f"counts-{process}.tmp"
    temporary.write_bytes(orjson.dumps(asdict(counts)))
    temporary.replace(directory / f"counts-{process}.json")


def total_counts(directory: Path) -> ProcessCounts:
    """Return the sums over all processes whose files are still there."""
    accepted = held = 0
    dropped: Counter[str] = Counter()
    for path in directory.glob(PATTERN):
        try:
            content = orjson.loads(path.read_bytes())
            accepted += content["accepted"]
            held += content["held"]
            dropped.update(content["dropped"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return ProcessCounts(accepted=accepted, held=held, dropped=dict(dropped))


def forget_counts(directory: Path, *, before_s: float) -> None:
    """Remove the files that were last written before a moment (seconds since the epoch)."""
    for path in directory.glob(PATTERN):
        try:
            if path.stat().st_mtime < before_s:
                os.unlink(path)
        except FileNotFoundError:
            continue
