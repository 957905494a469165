"""load_context: the session's recent turns and state, and the message read in their light."""

from __future__ import annotations

from mangaassist.domain.dialogue import Reading
from mangaassist.ports.clock import Clock
from mangaassist.ports.sessions import SessionContext, SessionStore
from mangaassist.serving.dialogue.reader import DialogueReader
from mangaassist.serving.exchange import Exchange


async def load_context(
    exchange: Exchange, *, sessions: SessionStore, reader: DialogueReader, clock: Clock, last_turns: int
) -> tuple[SessionContext, Reading]:
    """Return the session and the reading; raise `NotFoundError` for another owner's session."""
    request = exchange.request
    with exchange.recorder.span("load_context") as span:
        session = await sessions.load(request.session_id, owner=request.identity.owner, last_turns=last_turns)
        exchange.session = session
        reading = reader.read(request.message, session, request.page_context, clock.now())
        span.set(
            turns=len(session.turns),
            session_exists=session.exists,
            follow_up=reading.follow_up,
            mentioned_series=reading.mentioned_series,
        )
    return session, reading
