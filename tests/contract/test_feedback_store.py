"""What every feedback store promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from mangaassist.domain.errors import InvalidRequestError, NotFoundError
from tests.support.stored import MOMENT, make_feedback, make_write
from tests.support.stores import BACKENDS, Stores, open_stores


@pytest.fixture(params=BACKENDS)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    async with open_stores(request, tmp_path) as stores:
        await stores.sessions.append(make_write("res_1"))
        yield stores


async def test_feedback_comes_back_oldest_first(stores: Stores) -> None:
    late = make_feedback("res_1", feedback_id="fb_1", timestamp=MOMENT + timedelta(seconds=1))
    early = make_feedback("res_1", feedback_id="fb_2", feedback="escalation")

    assert await stores.feedback.add(late, owner="visitor:1") == "stored"
    assert await stores.feedback.add(early, owner="visitor:1") == "stored"

    assert await stores.feedback.of_response("res_1") == (early, late)


async def test_the_same_value_again_changes_nothing(stores: Stores) -> None:
    first = make_feedback("res_1", feedback_id="fb_1")
    await stores.feedback.add(first, owner="visitor:1")

    assert await stores.feedback.add(first, owner="visitor:1") == "repeated"
    again = make_feedback("res_1", feedback_id="fb_2", timestamp=MOMENT + timedelta(days=1))
    assert await stores.feedback.add(again, owner="visitor:1") == "repeated"

    assert await stores.feedback.of_response("res_1") == (first,)


async def test_disliked_are_those_with_a_thumbs_down_or_an_escalation(stores: Stores) -> None:
    for name in ("res_2", "res_3", "res_4"):
        await stores.sessions.append(make_write(name))
    await stores.feedback.add(make_feedback("res_1"), owner="visitor:1")
    await stores.feedback.add(
        make_feedback("res_2", feedback_id="fb_2", feedback="thumbs_up"), owner="visitor:1"
    )
    await stores.feedback.add(
        make_feedback("res_3", feedback_id="fb_3", feedback="escalation"), owner="visitor:1"
    )

    assert await stores.feedback.disliked(["res_1", "res_2", "res_3", "res_4"]) == {"res_1", "res_3"}
    assert await stores.feedback.disliked(["res_2"]) == frozenset()
    assert await stores.feedback.disliked([]) == frozenset()


@pytest.mark.parametrize(("response_id", "owner"), [("res_2", "visitor:1"), ("res_1", "visitor:2")])
async def test_only_ones_own_responses_take_feedback(stores: Stores, response_id: str, owner: str) -> None:
    with pytest.raises(NotFoundError):
        await stores.feedback.add(make_feedback(response_id), owner=owner)

    assert await stores.feedback.of_response(response_id) == ()


async def test_a_foreign_trace_is_refused(stores: Stores) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        await stores.feedback.add(make_feedback("res_1", trace_id="trace_other"), owner="visitor:1")

    assert refusal.value.field == "trace_id"
    assert await stores.feedback.of_response("res_1") == ()
