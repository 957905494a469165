"""How much room the spool may take, and who gives way when it runs out.

Shed first: what has been shipped, oldest first; then what is only held, oldest first, counted. Refused first
when that is not enough: held traces, then ordinary ones, last those that some rule wants (errors, blocks,
fallbacks, slow answers, canaries, ...). Nothing that still has to be shipped is ever removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from mangaassist.adapters.embedded.trace_segments import HELD, KEPT, LANES, list_segments, size_of
from mangaassist.domain.sampling import ORDINARY
from mangaassist.domain.trace import Trace

Priority = Literal["wanted", "ordinary", "held"]
SHARES: Final[Mapping[Priority, float]] = {"wanted": 1.0, "ordinary": 0.9, "held": 0.8}
"""How full the spool may be for traces of a priority."""
SHED_TO: Final = 0.75


def priority_of(trace: Trace) -> Priority:
    """Return how much a trace is wanted."""
    if not trace.sampled:
        return "held"
    return "ordinary" if trace.sampling_reason == ORDINARY else "wanted"


class SpoolRoom:
    """Knows how full the spool is; measured now and then, counted on in between.

    `min_free_bytes` of the disk are left alone: turns need them more.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        min_free_bytes: int,
        shipped_offsets: Callable[[], Mapping[str, int]],
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._shipped_offsets = shipped_offsets
        self._limit = max_bytes
        self._used = 0

    def takes(self, size: int, priority: Priority) -> bool:
        """Whether a line of this size and priority still fits."""
        return self._used + size <= SHARES[priority] * self._limit

    def add(self, size: int) -> None:
        """Count a line that was written."""
        self._used += size

    def measure(self) -> int:
        """Look at the disk again and shed what has to go; return how many held traces that were."""
        sizes = {
            segment: size_of(segment) for lane in LANES for segment in list_segments(self._directory, lane)
        }
        used = sum(sizes.values())
        self._limit = min(self._max_bytes, used + self._free_bytes())
        held = 0
        if used > SHARES["held"] * self._limit:
            for segment in self._sheddable(sizes):
                if used <= SHED_TO * self._limit:
                    break
                lost = _lines(segment) if segment.suffix == HELD else 0
                try:
                    segment.unlink()
                except FileNotFoundError:
                    # another process was first, and counted it
                    lost = 0
                used -= sizes[segment]
                held += lost
        self._used = used
        return held

    def _free_bytes(self) -> int:
        try:
            return max(0, shutil.disk_usage(self._directory).free - self._min_free_bytes)
        except OSError:
            # the folder is not there yet
            return self._max_bytes

    def _sheddable(self, sizes: Mapping[Path, int]) -> Iterator[Path]:
        offsets = self._shipped_offsets()
        for segment in ended_segments(self._directory, KEPT):
            if offsets.get(segment.name, 0) >= sizes.get(segment, 0):
                yield segment
        yield from ended_segments(self._directory, HELD)


def ended_segments(directory: Path, lane: str) -> list[Path]:
    """Return the segments that nobody writes to any more, oldest first: all but every process's newest."""
    newest: dict[str, Path] = {}
    segments = list_segments(directory, lane)
    for segment in segments:
        newest[segment.stem.partition("-")[2]] = segment
    return [segment for segment in segments if newest[segment.stem.partition("-")[2]] != segment]


def _lines(segment: Path) -> int:
    try:
        return segment.read_bytes().count(b"\n")
    except OSError:
        return 0
