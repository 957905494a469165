"""Which texts run together, and the thread on which concurrent queries meet."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.errors import DependencyUnavailableError

Vector = NDArray[np.float32]
RunQueries = Callable[[Sequence[str]], Iterator[tuple[int, Vector]]]
"""Yields (index, vector) for each text as soon as its batch is done."""

MAX_BATCH_TOKENS = 512
"""Padded tokens a run. Larger batches are no faster on a CPU and only hold more memory."""


def plan_batches(lengths: Sequence[int], *, max_tokens: int = MAX_BATCH_TOKENS) -> Iterator[list[int]]:
    """Yield every index once, sorted by length so that little is padded.

    A batch, padded to its longest text, holds at most `max_tokens` unless it is a single text.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > max_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@dataclass(slots=True)
class _Query:
    """One text on its way, and who waits for its vector."""

    text: str
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Vector]
    asked_at_s: float = field(default_factory=time.perf_counter)


class QueryBatcher:
    """One thread that embeds queries, together when several are waiting.

    A lone query runs at once. Only when others are queued too does the batch stay open for more, until its
    oldest query is `window_s` old or `max_queries` are in.
    """

    def __init__(self, run: RunQueries, *, window_s: float = 0.002, max_queries: int = 32) -> None:
        self._run = run
        self._window_s = window_s
        self._max_queries = max_queries
        self._queue: queue.SimpleQueue[_Query | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        # invariant: nothing is queued after the None that ends the thread
        self._lock = threading.Lock()

    async def submit(self, text: str) -> Vector:
        """Return the text's vector."""
        loop = asyncio.get_running_loop()
        query = _Query(text, loop, loop.create_future())
        with self._lock:
            if self._closed:
                raise DependencyUnavailableError("the encoder is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="encoder-queries", daemon=True)
                self._thread.start()
            self._queue.put(query)
        return await query.future

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        with self._lock:
            self._closed = True
            if self._thread is None:
                return
            self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        """Answer queries until closed."""
        ending = False
        while not ending:
            first = self._queue.get()
            if first is None:
                return
            batch, ending = self._gather(first)
            self._answer([query for query in batch if not query.future.cancelled()])

    def _gather(self, first: _Query) -> tuple[list[_Query], bool]:
        """Collect the queries that run together with `first`; the flag says that the end was queued."""
        batch = [first]
        while len(batch) < self._max_queries:
            left_s = first.asked_at_s + self._window_s - time.perf_counter()
            try:
                # a queue found empty is waited on only in company
                following = (
                    self._queue.get(timeout=left_s)
                    if len(batch) > 1 and left_s > 0
                    else (self._queue.get_nowait())
                )
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False

    def _answer(self, batch: list[_Query]) -> None:
        """Run a batch, and hand each vector, or the error, to the loop that waits for it."""
        waiting = dict(enumerate(batch))
        try:
            for index, vector in self._run([query.text for query in batch]):
                _resolve(waiting.pop(index), vector, None)
        except Exception as error:  # the boundary of the thread: whoever asked gets the error
            for query in waiting.values():
                _resolve(query, None, error)


def _resolve(query: _Query, vector: Vector | None, error: Exception | None) -> None:
    """Complete the future on its own loop; a loop or a caller that is gone is not an error."""

    def complete() -> None:
        if query.future.done():
            return
        if error is not None:
            query.future.set_exception(error)
        elif vector is not None:
            query.future.set_result(vector)

    try:
        query.loop.call_soon_threadsafe(complete)
    except RuntimeError:
        return
