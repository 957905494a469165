"""Moves traces from the spool to MLflow: at least once, in order, idempotent by trace id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson

from mangaassist.adapters.mlflow.client import MlflowClient
from mangaassist.domain.errors import DependencyError, DependencyRejectedError
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.domain.trace import Trace

BATCH_TRACES = 50


class TraceReader(Protocol):
    """Reads the spool's segments; see `adapters.embedded.trace_spool`."""

    def segments(self) -> list[Path]:
        """Return the segments, oldest first."""
        ...

    def read_from(self, segment: Path, offset: int) -> Iterator[tuple[Trace | None, int]]:
        """Yield traces with the offset after them; None for a damaged line."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingReport:
    """What one pass did."""

    shipped: int = 0
    damaged: int = 0
    rejected: int = 0
    pending: bool = False
    problem: str | None = None


class Cursor:
    """How far each segment has been shipped; written after the server's acknowledgement."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets: dict[str, int] = orjson.loads(path.read_bytes()) if path.is_file() else {}

    def offset(self, segment: Path) -> int:
        """Return the first byte of the segment that was not shipped."""
        return self._offsets.get(segment.name, 0)

    def advance(self, segment: Path, offset: int) -> None:
        """Remember durably that everything before `offset` was shipped."""
        self._offsets[segment.name] = offset
        temporary = self._path.with_suffix(".tmp")
        temporary.write_bytes(orjson.dumps(self._offsets))
        temporary.replace(self._path)

    def forget(self, known: Iterable[Path]) -> None:
        """Drop the offsets of segments that are gone."""
        names = {segment.name for segment in known}
        self._offsets = {name: offset for name, offset in self._offsets.items() if name in names}


class TraceShipper:
    """One pass at a time: `ship` sends what is new and says how it went; it never raises."""

    def __init__(self, reader: TraceReader, client: MlflowClient, cursor: Cursor) -> None:
        self._reader = reader
        self._client = client
        self._cursor = cursor

    def ship(self, *, should_stop: Callable[[], bool] = lambda: False) -> ShippingReport:
        """Ship until the spool is empty, the server fails or `should_stop`."""
        shipped = damaged = rejected = 0
        known = self._reader.segments()
        for segment in known:
            while not should_stop():
                batch, lost, offset = self._batch(segment)
                if not batch and not lost:
                    break
                try:
                    refused = self._send(batch)
                except DependencyError as error:
                    return ShippingReport(
                        shipped=shipped, damaged=damaged, rejected=rejected, pending=True, problem=str(error)
                    )
                self._cursor.advance(segment, offset)
                shipped += len(batch) - refused
                damaged += lost
                rejected += refused
        self._cursor.forget(known)
        return ShippingReport(shipped=shipped, damaged=damaged, rejected=rejected)

    def _batch(self, segment: Path) -> tuple[list[Trace], int, int]:
        batch: list[Trace] = []
        damaged = 0
        offset = self._cursor.offset(segment)
        for trace, after in self._reader.read_from(segment, offset):
            offset = after
            if trace is None:
                damaged += 1
            else:
                batch.append(trace)
            if len(batch) >= BATCH_TRACES:
                break
        return batch, damaged, offset

    def _send(self, batch: list[Trace]) -> int:
        if not batch:
            return 0
        self._client.send_spans(batch)
        refused = 0
        for trace in batch:
            try:
                uris = {
                    f"{name.rsplit('.', 1)[0]}_uri": self._client.put_artifact(trace, name, content)
                    for name, content in trace.artifacts.items()
                }
                self._client.send_info(trace, artifact_uris=uris)
            except DependencyRejectedError:
                # sending it again would be refused again; its spans are there, its tags are not
                refused += 1
        return refused


def ship_feedback(client: MlflowClient, events: Iterable[FeedbackEvent]) -> list[str]:
    """Attach feedback to traces; return the ids of the events that are there now.

    An event whose trace has not arrived yet is left for the next pass.
    """
    done: list[str] = []
    for event in events:
        try:
            client.send_feedback(event)
        except DependencyRejectedError:
            continue
        except DependencyError:
            break
        done.append(event.feedback_id)
    return done
