"""Finds single traces in the segments of the spool.

There is no index to keep in step: a segment of 8 MB is searched in a few milliseconds, the traces that people
ask for are nearly always in the newest one, and a response id tells when its trace was made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mangaassist.adapters.embedded.trace_codec import decode_trace
from mangaassist.adapters.embedded.trace_segments import SEGMENT_AGE_S, checked, list_segments
from mangaassist.domain.trace import Trace

PROMOTED: Final = "promoted"
"""Segments of this process name hold traces that were made long before."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_RESPONSE_ID: Final = re.compile(r"resp_([0-9a-hjkmnp-tv-z]{26})\Z")
_CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_FIRST_MS: Final = 1_700_000_000_000
_SLACK_NS: Final = 15 * 60 * 10**9
"""How long after its response id was drawn a trace is written at the latest."""


def find_trace(directory: Path, lane: str, wanted: str, *, around_ns: int | None = None) -> Trace | None:
    """Return the trace of a trace id or response id from a lane, newest first, or None.

    `around_ns` says when it was made, give or take a quarter of an hour; a response id says so itself.
    """
    if not _ID.match(wanted):
        return None
    made_ns = around_ns if around_ns is not None else _made_ns(wanted)
    for segment in reversed(list_segments(directory, lane)):
        if made_ns is None or _may_hold(segment, made_ns):
            trace = _search(segment, wanted)
            if trace is not None:
                return trace
    return None


def documents_with(segment: Path, needle: str) -> Iterator[bytes]:
    """Yield the undamaged documents of a segment that mention the needle as a JSON string, newest first."""
    try:
        content = segment.read_bytes()
    except FileNotFoundError:
        # swept in the meantime
        return
    quoted = f'"{needle}"'.encode()
    position = content.rfind(quoted)
    while position >= 0:
        start = content.rfind(b"\n", 0, position) + 1
        end = content.find(b"\n", position)
        document = checked(content[start:end]) if end > 0 else None
        if document is not None:
            yield document
        position = content.rfind(quoted, 0, start)


def _search(segment: Path, wanted: str) -> Trace | None:
    # from the end: of a trace that was written twice, the last is the one that counts
    for document in documents_with(segment, wanted):
        try:
            trace = decode_trace(document)
        except ValueError:
            continue
        if wanted in (trace.trace_id, trace.response_id):
            return trace
    return None


def _made_ns(wanted: str) -> int | None:
    """Return when a response id was drawn, or None for other ids."""
    match = _RESPONSE_ID.match(wanted)
    if match is None:
        return None
    milliseconds = 0
    for character in match[1][:10]:
        milliseconds = milliseconds << 5 | _CROCKFORD.index(character)
    # an id of another maker tells no time
    return milliseconds * 1_000_000 if milliseconds > _FIRST_MS else None


def _may_hold(segment: Path, made_ns: int) -> bool:
    started, _, process = segment.stem.partition("-")
    if process.startswith(PROMOTED) or not started.isdigit():
        return True
    age_ns = made_ns - int(started)
    return -_SLACK_NS <= age_ns <= int(SEGMENT_AGE_S * 1e9) + _SLACK_NS
