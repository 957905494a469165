"""Sessions and turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import orjson

from mangaassist.adapters.sql.contents import INSERT_CAPSULE, content_parameters
from mangaassist.adapters.sql.database import Database, Parameter, Row, Write, moment_of, timestamp
from mangaassist.adapters.sql.guardrail_reviews import INSERT_REVIEW, review_parameters
from mangaassist.adapters.sql.records import INSERT_RECORD, SELECT_RECORD, decoded_record, record_parameters
from mangaassist.domain.chat import Turn
from mangaassist.domain.dialogue import Constraints, DialogueState
from mangaassist.domain.errors import ConflictError, NotFoundError
from mangaassist.domain.intents import Intent
from mangaassist.domain.records import RequestRecord
from mangaassist.ports.sessions import SessionContext, TurnWrite

# The session's row is locked first, so that turns of one session are numbered one after the other, and no
# turn is added to someone else's. The later statements do nothing unless the turn is the one just added.
_APPEND: Final = (
    "INSERT INTO sessions (session_id, owner, state, created_at, updated_at, turn_count)"
    " VALUES (:session_id, :owner, :state, :created_at, :created_at, 0)"
    " ON CONFLICT (session_id) DO UPDATE SET updated_at = sessions.updated_at"
    " WHERE sessions.owner = excluded.owner",
    "INSERT INTO turns (response_id, session_id, seq, user_text, assistant_text, intent, created_at)"
    " SELECT :response_id, session_id, turn_count + 1, :user_text, :assistant_text, :intent, :created_at"
    " FROM sessions WHERE session_id = :session_id AND owner = :owner"
    " ON CONFLICT (response_id) DO NOTHING RETURNING seq",
    "INSERT INTO copy_outbox (kind, subject_id) SELECT 'record', response_id"
    " FROM turns JOIN sessions ON sessions.session_id = turns.session_id"
    " WHERE response_id = :response_id AND turns.session_id = :session_id AND seq = turn_count + 1"
    " ON CONFLICT DO NOTHING",
    "UPDATE sessions SET state = :state, updated_at = :created_at, turn_count = turn_count + 1"
    " WHERE session_id = :session_id AND EXISTS (SELECT 1 FROM turns"
    " WHERE response_id = :response_id AND turns.session_id = :session_id AND seq = turn_count + 1)",
    INSERT_RECORD + " WHERE EXISTS (SELECT 1 FROM turns"
    " WHERE response_id = :response_id AND session_id = :session_id)"
    " ON CONFLICT (response_id) DO NOTHING",
)

_WHERE_STORED: Final = (
    "SELECT owner, (SELECT session_id FROM turns WHERE response_id = :response_id)"
    " FROM sessions WHERE session_id = :session_id"
)

_LOAD: Final = (
    "SELECT owner, state, response_id, user_text, assistant_text, intent, recent.created_at"
    " FROM sessions LEFT JOIN (SELECT * FROM turns WHERE session_id = :session_id"
    " ORDER BY seq DESC LIMIT :last_turns) AS recent ON recent.session_id = sessions.session_id"
    " WHERE sessions.session_id = :session_id ORDER BY seq"
)


class SqlSessionStore:
    """A `SessionStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, session_id: str, *, owner: str, last_turns: int) -> SessionContext:
        """Return the session as `owner` sees it, in one query."""
        rows = await self._database.read(_LOAD, {"session_id": session_id, "last_turns": last_turns})
        if not rows:
            return SessionContext(session_id=session_id, owner=owner)
        if rows[0][0] != owner:
            raise NotFoundError(f"no session {session_id!r}")
        return SessionContext(
            session_id=session_id,
            owner=owner,
            turns=tuple(_turn(row) for row in rows if row[2] is not None),
            state=decoded_state(rows[0][1]),
            exists=True,
        )

    async def append(self, write: TurnWrite) -> None:
        """Store turn, state and record in one durable transaction."""
        turn = write.turn
        parameters: dict[str, Parameter] = {
            **record_parameters(write.record),
            "session_id": write.session_id,
            "owner": write.owner,
            "state": orjson.dumps(write.state).decode(),
            "response_id": turn.response_id,
            "user_text": turn.user_text,
            "assistant_text": turn.assistant_text,
            "intent": turn.intent.value,
            "created_at": timestamp(turn.created_at),
        }
        statements: tuple[str, ...] = _APPEND
        if write.capsule is not None:
            statements = (*_APPEND, INSERT_CAPSULE)
            parameters |= content_parameters(write.capsule, "capsule_")
        if write.review is not None:
            statements = (*statements, INSERT_REVIEW)
            parameters |= review_parameters(write.review)
        added = await self._database.write(
            Write(
                statements=statements,
                parameters=parameters,
                lock_key=write.session_id,
                outcome=lambda results: bool(results[1]),
            )
        )
        if not added:
            await self._explain(write)

    async def _explain(self, write: TurnWrite) -> None:
        """Return if the turn was already stored; raise why it may not be."""
        response_id = write.turn.response_id
        ids = {"response_id": response_id, "session_id": write.session_id}
        rows = await self._database.read(_WHERE_STORED, ids)
        if not rows or rows[0][0] != write.owner:
            raise NotFoundError(f"no session {write.session_id!r}")
        if rows[0][1] != write.session_id:
            raise ConflictError(f"response {response_id!r} belongs to another session")

    async def record(self, response_id: str) -> RequestRecord:
        """Return the record of a response, or raise `NotFoundError`."""
        rows = await self._database.read(
            SELECT_RECORD + " WHERE response_id = :response_id", {"response_id": response_id}
        )
        if not rows:
            raise NotFoundError(f"no response {response_id!r}")
        return decoded_record(rows[0])


def decoded_state(document: str) -> DialogueState:
    """Return the stored state; fields that this version does not know are left out."""
    stored = orjson.loads(document)
    topic = stored.get("topic")
    return DialogueState(
        **{
            **_known(DialogueState, stored),
            "topic": None if topic is None else Intent(topic),
            "constraints": Constraints(**_known(Constraints, stored.get("constraints", {}))),
        }
    )


def _known(kind: type, stored: Mapping[str, object]) -> dict[str, Any]:
    """Return the values for the fields of `kind`, lists as tuples."""
    return {
        field.name: tuple(value) if isinstance(value := stored[field.name], list) else value
        for field in fields(kind)
        if field.name in stored
    }


def _turn(row: Row) -> Turn:
    return Turn(
        response_id=row[2],
        user_text=row[3],
        assistant_text=row[4],
        intent=Intent(row[5]),
        created_at=moment_of(row[6]),
    )
