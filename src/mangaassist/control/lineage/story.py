"""The whole story of one answer, found from whichever id is at hand."""

from __future__ import annotations

from dataclasses import dataclass

from mangaassist.control.lineage.capsules import RecordedAnswer, recorded_answer
from mangaassist.domain.errors import DamagedContentError, NotFoundError
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.domain.records import RequestRecord
from mangaassist.domain.trace import Trace
from mangaassist.ports.feedback import FeedbackStore
from mangaassist.ports.records import RequestRecords
from mangaassist.ports.traces import TraceArchive
from mangaassist.serving.contents import Contents


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is known of an answer; each part may be gone, and `missing` says why.

    `others` are further responses of the same session when a session was asked for, newest first.
    """

    record: RequestRecord | None = None
    trace: Trace | None = None
    answer: RecordedAnswer | None = None
    feedback: tuple[FeedbackEvent, ...] = ()
    others: tuple[RequestRecord, ...] = ()
    missing: tuple[str, ...] = ()


class StoryTeller:
    """Finds stories."""

    def __init__(
        self,
        *,
        records: RequestRecords,
        feedback: FeedbackStore,
        archive: TraceArchive,
        contents: Contents,
    ) -> None:
        self._records = records
        self._feedback = feedback
        self._archive = archive
        self._contents = contents

    async def story_of(self, identifier: str) -> Story:
        """Return the story of a response, trace, session (its newest answer) or feedback id.

        Raises `NotFoundError` when there is neither a record nor a trace of it.
        """
        records = await self._records.find(identifier)
        if not records:
            try:
                trace = self._archive.get(identifier)
            except NotFoundError as error:
                raise NotFoundError(
                    f"no trace, response, session or feedback {identifier!r} is known here"
                ) from error
            # a request that ended before its turn was stored has a trace and nothing else
            return Story(trace=trace, missing=("no answer was stored",))
        record, missing = records[0], list[str]()
        return Story(
            record=record,
            trace=self._trace(record, missing),
            answer=await self._answer(record, missing),
            feedback=await self._feedback.of_response(record.response_id),
            others=tuple(other for other in records[1:] if other.session_id == identifier),
            missing=tuple(missing),
        )

    def _trace(self, record: RequestRecord, missing: list[str]) -> Trace | None:
        try:
            return self._archive.get(record.trace_id)
        except NotFoundError as error:
            missing.append(f"trace: {error}")
            return None

    async def _answer(self, record: RequestRecord, missing: list[str]) -> RecordedAnswer | None:
        try:
            return await recorded_answer(record, self._contents)
        except (NotFoundError, DamagedContentError) as error:
            missing.append(f"capsule: {error}")
            return None
