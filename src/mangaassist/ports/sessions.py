"""Sessions: ownership, recent turns, dialogue state, and the durable write of a turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mangaassist.domain.chat import Turn
from mangaassist.domain.contents import SealedContent
from mangaassist.domain.dialogue import DialogueState
from mangaassist.domain.guardrail_reviews import GuardrailReview
from mangaassist.domain.records import RequestRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """What is known of a session before the message; `turns` oldest first."""

    session_id: str
    owner: str
    turns: tuple[Turn, ...] = ()
    state: DialogueState = field(default_factory=DialogueState)
    exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnWrite:
    """One finished exchange with everything that is stored for it in one transaction.

    A `review` enters the review queue of the guardrails. A `capsule` whose customer key was destroyed
    meanwhile is left out.
    """

    session_id: str
    owner: str
    turn: Turn
    state: DialogueState
    record: RequestRecord
    capsule: SealedContent | None = None
    review: GuardrailReview | None = None


class SessionStore(Protocol):
    """Keeps sessions and turns.

    Every implementation promises: a session belongs to the owner that wrote its first turn;
    `load` of another owner's session raises `NotFoundError` (existence is not revealed);
    `append` returns only when the turn is durable (fsync), with turn, state and record in one
    transaction; appending the same response id again changes nothing; concurrent appends of one session
    are all kept, ordered by commit.
    """

    async def load(self, session_id: str, *, owner: str, last_turns: int) -> SessionContext:
        """Return the session as `owner` sees it; a new session has `exists=False` and no turns."""
        ...

    async def append(self, write: TurnWrite) -> None:
        """Store a turn durably."""
        ...

    async def record(self, response_id: str) -> RequestRecord:
        """Return the record of a response, or raise `NotFoundError`."""
        ...
