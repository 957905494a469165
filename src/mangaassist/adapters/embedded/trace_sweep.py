"""Removes from the spool what nobody waits for any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mangaassist.adapters.embedded.trace_backlog import SpoolBacklog
from mangaassist.adapters.embedded.trace_counts import forget_counts
from mangaassist.adapters.embedded.trace_room import ended_segments
from mangaassist.adapters.embedded.trace_segments import (
    HELD,
    KEPT,
    LANES,
    REMOTE,
    cut_torn_tail,
    list_segments,
    size_of,
)

WRITER_GONE_S = 2 * 3_600.0
"""No writer still holds a segment this long after its last write: it leaves one after an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long (seconds) and how much stays: shipped traces, and what waits outside the sample."""

    shipped_s: float
    shipped_bytes: int
    held_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did."""

    segments: int = 0
    torn_bytes: int = 0


def sweep_spool(
    directory: Path, backlogs: Sequence[SpoolBacklog], *, now_s: float, retention: Retention
) -> Swept:
    """Remove what is old: shipped everywhere, or held beyond its window; cut torn tails off.

    Nothing that waits to be shipped is removed, and nothing that a writer may still hold.
    """
    torn = sum(cut_torn_tail(segment) for segment in _left_segments(directory, now_s))
    before_s = now_s - max(retention.held_s, WRITER_GONE_S)
    gone = _old(directory, HELD, before_s) + _old(directory, REMOTE, before_s)
    ended = set(ended_segments(directory, KEPT))
    kept_bytes = 0
    for segment in reversed(list_segments(directory, KEPT)):
        if not all(backlog.is_done(segment) for backlog in backlogs):
            continue
        kept_bytes += size_of(segment)
        changed_s = _changed_s(segment)
        surplus = kept_bytes > retention.shipped_bytes and segment in ended
        if changed_s < now_s - max(retention.shipped_s, WRITER_GONE_S) or surplus:
            gone.append(segment)
    for segment in gone:
        segment.unlink(missing_ok=True)
    if gone:
        for backlog in backlogs:
            backlog.forget(segment.name for segment in gone)
    forget_counts(directory, before_s=now_s - max(retention.shipped_s, WRITER_GONE_S))
    return Swept(segments=len(gone), torn_bytes=torn)


def _left_segments(directory: Path, now_s: float) -> list[Path]:
    """Return the segments whose writer has left them."""
    return [
        segment
        for lane in LANES
        for segment in list_segments(directory, lane)
        if _changed_s(segment) < now_s - WRITER_GONE_S
    ]


def _old(directory: Path, lane: str, before_s: float) -> list[Path]:
    return [segment for segment in list_segments(directory, lane) if _changed_s(segment) < before_s]


def _changed_s(segment: Path) -> float:
    try:
        return segment.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
