"""Carries feedback to its traces: has them kept, then attaches the feedback where they have arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mangaassist.bootstrap.observability import WorkerServices
from mangaassist.domain.errors import DependencyError
from mangaassist.domain.feedback import FeedbackEvent

PAGE: Final = 200
GIVE_UP: Final = timedelta(days=7)
LONGEST_PAUSE: Final = timedelta(minutes=5)


@dataclass(slots=True)
class _Attempts:
    """How often an item did not find its trace, and when to look again."""

    count: int
    next_at: datetime
    kept: bool = False


@dataclass(slots=True, kw_only=True)
class DeliveryReport:
    """What one pass did."""

    kept: int = 0
    shipped: int = 0
    unjoined: int = 0
    problem: str | None = None


class FeedbackDelivery:
    """Works through the outbox; an item whose trace is not there is tried ever less often, then given up."""

    def __init__(self, services: WorkerServices) -> None:
        self._services = services
        self._attempts: dict[str, _Attempts] = {}

    async def keep_traces(self, *, should_stop: Callable[[], bool]) -> int:
        """Have the traces of new feedback kept, before traces are shipped; return how many."""
        kept = 0
        async for item_id, _, events in self._waiting(should_stop):
            attempts = self._attempts.setdefault(item_id, _Attempts(0, self._services.clock.now()))
            if attempts.kept:
                continue
            for event in events:
                reason = "escalation" if event.feedback == "escalation" else "feedback"
                try:
                    # the spool on another machine may have it: then the worker there keeps it
                    found = await asyncio.to_thread(
                        self._services.keeper.keep, event.response_id, reason=reason
                    )
                except DependencyError:
                    # a disk that refuses must not keep what is written from being shipped
                    return kept
                attempts.kept = found != "gone"
                kept += found == "promoted"
        return kept

    async def deliver(self, *, should_stop: Callable[[], bool]) -> DeliveryReport:
        """Attach feedback to the traces that have arrived."""
        services, report = self._services, DeliveryReport()
        async for item_id, created_at, events in self._waiting(should_stop):
            try:
                arrived = await asyncio.to_thread(services.ship_feedback, events)
            except DependencyError as error:
                report.problem = str(error)
                break
            now = services.clock.now()
            if len(arrived) == len(events):
                report.shipped += len(events)
            elif now - created_at < GIVE_UP:
                self._put_off(item_id, now)
                continue
            else:
                report.unjoined += 1
            await services.outbox.done(item_id)
            self._attempts.pop(item_id, None)
        return report

    async def _waiting(
        self, should_stop: Callable[[], bool]
    ) -> AsyncIterator[tuple[str, datetime, list[FeedbackEvent]]]:
        """Yield what is due of the outbox: its id, when it was stored, and the feedback it names."""
        after = ""
        while page := await self._services.outbox.pending(limit=PAGE, after=after):
            after = page[-1].item_id
            for item in page:
                attempts = self._attempts.get(item.item_id)
                if should_stop():
                    return
                if item.kind != "feedback" or (attempts and attempts.next_at > self._services.clock.now()):
                    continue
                stored = await self._services.feedback.of_response(item.payload["response_id"])
                wanted = item.payload["feedback_id"]
                yield (
                    item.item_id,
                    item.created_at,
                    [event for event in stored if event.feedback_id == wanted],
                )

    def _put_off(self, item_id: str, now: datetime) -> None:
        attempts = self._attempts.setdefault(item_id, _Attempts(0, now))
        attempts.count += 1
        # the first tries come with every pass: the trace is on its way
        pause = timedelta(seconds=2 ** (attempts.count - 10)) if attempts.count > 10 else timedelta(0)
        attempts.next_at = now + min(pause, LONGEST_PAUSE)
