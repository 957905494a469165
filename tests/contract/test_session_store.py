"""What every session store promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mangaassist.domain.dialogue import DialogueState
from mangaassist.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from mangaassist.domain.intents import Intent
from mangaassist.ports.sessions import SessionContext, SessionStore
from tests.support.stored import MOMENT, make_write
from tests.support.stores import BACKENDS, open_stores


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SessionStore]:
    async with open_stores(request, tmp_path) as stores:
        yield stores.sessions


async def test_a_new_session_is_empty(store: SessionStore) -> None:
    assert await store.load("ses_1", owner="visitor:1", last_turns=6) == SessionContext(
        session_id="ses_1", owner="visitor:1"
    )


async def test_an_appended_turn_comes_back_with_state_and_record(store: SessionStore) -> None:
    write = make_write("res_1")

    await store.append(write)

    assert await store.load("ses_1", owner="visitor:1", last_turns=6) == SessionContext(
        session_id="ses_1", owner="visitor:1", turns=(write.turn,), state=write.state, exists=True
    )
    assert await store.record("res_1") == write.record


@pytest.mark.parametrize(("last_turns", "expected"), [(0, []), (2, ["res_3", "res_4"]), (9, None)])
async def test_the_last_turns_come_oldest_first(
    store: SessionStore, last_turns: int, expected: list[str] | None
) -> None:
    names = [f"res_{number}" for number in range(5)]
    for number, name in enumerate(names):
        await store.append(make_write(name, created_at=MOMENT - timedelta(seconds=number)))

    session = await store.load("ses_1", owner="visitor:1", last_turns=last_turns)

    assert [turn.response_id for turn in session.turns] == (names if expected is None else expected)
    assert session.exists


async def test_the_state_of_the_last_turn_is_the_sessions_state(store: SessionStore) -> None:
    await store.append(make_write("res_1"))
    latest = DialogueState(topic=Intent.FAQ, focus_volume=3, turn_count=2)

    await store.append(replace(make_write("res_2"), state=latest))

    assert (await store.load("ses_1", owner="visitor:1", last_turns=1)).state == latest


async def test_appending_a_response_again_changes_nothing(store: SessionStore) -> None:
    await store.append(make_write("res_1"))
    await store.append(make_write("res_2"))
    before = await store.load("ses_1", owner="visitor:1", last_turns=9)

    await store.append(replace(make_write("res_1", user_text="changed"), state=DialogueState()))

    assert await store.load("ses_1", owner="visitor:1", last_turns=9) == before


async def test_a_session_is_invisible_to_everyone_but_its_owner(store: SessionStore) -> None:
    await store.append(make_write("res_1", owner="customer:1"))

    with pytest.raises(NotFoundError):
        await store.load("ses_1", owner="customer:2", last_turns=6)
    with pytest.raises(NotFoundError):
        await store.append(make_write("res_2", owner="customer:2"))

    session = await store.load("ses_1", owner="customer:1", last_turns=6)
    assert [turn.response_id for turn in session.turns] == ["res_1"]
    with pytest.raises(NotFoundError):
        await store.record("res_2")


async def test_a_response_stays_in_its_session(store: SessionStore) -> None:
    await store.append(make_write("res_1", session_id="ses_1"))

    with pytest.raises(ConflictError):
        await store.append(make_write("res_1", session_id="ses_2"))

    assert (await store.record("res_1")).session_id == "ses_1"


async def test_concurrent_appends_of_one_session_are_all_kept(store: SessionStore) -> None:
    names = {f"res_{number}" for number in range(100)}

    await asyncio.gather(*(store.append(make_write(name)) for name in names))

    session = await store.load("ses_1", owner="visitor:1", last_turns=1000)
    assert sorted(turn.response_id for turn in session.turns) == sorted(names)


async def test_an_unknown_response_has_no_record(store: SessionStore) -> None:
    with pytest.raises(NotFoundError):
        await store.record("res_unknown")


@pytest.mark.parametrize(
    "text", ["", "モンスター 🙂", "quote ' \" \\ % :name %(x)s", "line\nbreak", "x" * 100_000]
)
async def test_any_text_comes_back_unchanged(store: SessionStore, text: str) -> None:
    await store.append(make_write("res_1", user_text=text))

    assert (await store.load("ses_1", owner="visitor:1", last_turns=1)).turns[0].user_text == text


@pytest.mark.parametrize("store", BACKENDS[1:], indirect=True)
async def test_a_text_that_cannot_be_stored_takes_no_other_turn_with_it(store: SessionStore) -> None:
    writes = [
        make_write(f"res_{number}", user_text="\ud800" if number == 3 else "fine") for number in range(8)
    ]

    outcomes = await asyncio.gather(*(store.append(write) for write in writes), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [
        InvalidRequestError if number == 3 else type(None) for number in range(8)
    ]
    session = await store.load("ses_1", owner="visitor:1", last_turns=100)
    assert len(session.turns) == 7
