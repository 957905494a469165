"""Spans that the team's other services sent for our traces: a lane of the spool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mangaassist.adapters.embedded.trace_codec import decode_remote, encode_remote
from mangaassist.adapters.embedded.trace_search import documents_with, find_trace
from mangaassist.adapters.embedded.trace_segments import (
    KEPT,
    REMOTE,
    SegmentWriter,
    checksummed,
    list_segments,
    read_lines,
)
from mangaassist.domain.errors import DependencyUnavailableError
from mangaassist.domain.trace import RemoteSpans
from mangaassist.ports.clock import Clock


class SpoolRemoteSpans:
    """Takes spans of other services in; not for the event loop, because it waits for the disk."""

    def __init__(self, directory: Path, *, clock: Clock, process_id: int, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._writer = SegmentWriter(
            directory,
            lane=REMOTE,
            clock=clock,
            process=str(process_id),
        )

    def add(self, received: Sequence[RemoteSpans]) -> None:
        """Store spans durably; raises `DependencyUnavailableError` without room or when the disk refuses."""
        lines = b"".join(checksummed(encode_remote(remote)) for remote in received)
        used = sum(segment.stat().st_size for segment in list_segments(self._directory, REMOTE))
        if used + len(lines) > self._max_bytes:
            raise DependencyUnavailableError("there is no room for more spans of other services")
        try:
            self._writer.append(lines)
            unsynced = self._writer.take_unsynced()
            if unsynced is not None and unsynced.sync():
                raise OSError("the disk did not confirm")
        except OSError as error:
            raise DependencyUnavailableError(f"the spool cannot be written: {error}") from error

    def close(self) -> None:
        """End the current segment."""
        self._writer.close()


class SpoolRemoteSpanSource:
    """A `RemoteSpanSource` over the lane; a restarted one begins again: its reader must not mind repeats."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._offsets: dict[str, int] = {}
        self._known: set[str] = set()

    def take(self) -> list[RemoteSpans]:
        """Return what arrived since the last call, as far as its trace is to be shipped or was.

        The spans of a trace that is kept later go with it (`of`).
        """
        arrived: list[RemoteSpans] = []
        segments = list_segments(self._directory, REMOTE)
        for segment in segments:
            for document, end in read_lines(segment, self._offsets.get(segment.name, 0)):
                self._offsets[segment.name] = end
                remote = _decoded(document)
                if remote is not None:
                    self._known.add(remote.trace_id)
                    if self._is_kept(remote):
                        arrived.append(remote)
        names = {segment.name for segment in segments}
        self._offsets = {name: offset for name, offset in self._offsets.items() if name in names}
        if not names:
            self._known.clear()
        return arrived

    def of(self, trace_id: str) -> list[RemoteSpans]:
        """Return everything that is there of one trace."""
        return remote_spans_of(self._directory, trace_id) if trace_id in self._known else []

    def _is_kept(self, remote: RemoteSpans) -> bool:
        moment_ns = remote.received_at_ns
        return find_trace(self._directory, KEPT, remote.trace_id, around_ns=moment_ns) is not None


def remote_spans_of(directory: Path, trace_id: str) -> list[RemoteSpans]:
    """Return what other services sent for a trace, oldest first."""
    found: list[RemoteSpans] = []
    for segment in list_segments(directory, REMOTE):
        found += [
            remote
            for document in reversed(list(documents_with(segment, trace_id)))
            if (remote := _decoded(document)) is not None and remote.trace_id == trace_id
        ]
    return found


def _decoded(document: bytes | None) -> RemoteSpans | None:
    try:
        return decode_remote(document) if document is not None else None
    except ValueError:
        return None
