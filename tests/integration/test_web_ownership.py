"""Sessions, feedback and traces belong to who made them; cookies work on this site's pages alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.web import WebWorld, client_of


@pytest.fixture
def world() -> WebWorld:
    return WebWorld()


@pytest.fixture
def client(world: WebWorld) -> Iterator[httpx.Client]:
    with client_of(world) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def answer_for(client: httpx.Client, token: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/v1/chat", json={"message": "hello"}, headers=bearer(token)).json()
    return answer


def go_on(client: httpx.Client, answer: dict[str, Any], token: str) -> int:
    body = {"message": "more", "session_id": answer["session_id"]}
    return client.post("/v1/chat", json=body, headers=bearer(token)).status_code


def go_on_streaming(client: httpx.Client, answer: dict[str, Any], token: str) -> int:
    body = {"message": "more", "session_id": answer["session_id"]}
    return client.post("/v1/chat?stream=true", json=body, headers=bearer(token)).status_code


def go_on_in_openai(client: httpx.Client, answer: dict[str, Any], token: str) -> int:
    body = {"messages": [{"role": "user", "content": "more"}]}
    headers = {**bearer(token), "x-session-id": answer["session_id"]}
    return client.post("/v1/chat/completions", json=body, headers=headers).status_code


def rate(client: httpx.Client, answer: dict[str, Any], token: str) -> int:
    body = {name: answer[name] for name in ("response_id", "trace_id")} | {"feedback": "thumbs_down"}
    return client.post("/v1/feedback", json=body, headers=bearer(token)).status_code


def see_trace(client: httpx.Client, answer: dict[str, Any], token: str) -> int:
    return client.get(f"/trace/{answer['trace_id']}", headers=bearer(token)).status_code


ACTIONS = (go_on, go_on_streaming, go_on_in_openai, rate, see_trace)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("owner", ["visitor", "customer"])
@pytest.mark.parametrize("other", ["visitor", "customer"])
def test_nobody_reaches_what_is_anothers(
    world: WebWorld,
    client: httpx.Client,
    action: Callable[[httpx.Client, dict[str, Any], str], int],
    owner: str,
    other: str,
) -> None:
    mine = world.visitor_token() if owner == "visitor" else world.customer_token("C-1001")
    theirs = world.visitor_token() if other == "visitor" else world.customer_token("C-1002")
    answer = answer_for(client, mine)
    assert action(client, answer, theirs) == 404
    assert action(client, answer, mine) in (200, 202)


def test_a_trace_is_not_shown_to_nobody(world: WebWorld, client: httpx.Client) -> None:
    answer = answer_for(client, world.visitor_token())
    assert client.get(f"/trace/{answer['trace_id']}").status_code == 404


def test_a_trace_of_mine_tells_how_the_answer_was_made(world: WebWorld, client: httpx.Client) -> None:
    token = world.visitor_token()
    answer = client.post(
        "/v1/chat", json={"message": "<script>alert(1)</script>"}, headers=bearer(token)
    ).json()
    text = client.get(f"/trace/{answer['trace_id']}", headers=bearer(token)).text
    assert "bedrock_generate" in text
    assert "persist_response" in text
    assert "<script>alert" not in text


def test_feedback_twice_is_stored_once(world: WebWorld, client: httpx.Client) -> None:
    token = world.visitor_token()
    answer = answer_for(client, token)
    assert rate(client, answer, token) == 202
    assert rate(client, answer, token) == 200
    exposition = client.get("/metrics").text
    assert 'mangaassist_feedback_total{feedback="thumbs_down"} 1.0' in exposition


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"trace_id": "0" * 31 + "f"}, 422),
        ({"trace_id": "nonsense"}, 422),
        ({"response_id": "resp_unknown"}, 404),
        ({"feedback": "meh"}, 422),
        ({"comment": "x" * 2_001}, 422),
        ({"comment": "  "}, 422),
        ({"reason_code": "Not A Code"}, 422),
        ({"surprise": 1}, 422),
        ({"feedback": "cart_add", "value": 9.99}, 202),
        ({"feedback": "purchase", "value": -1}, 422),
        ({"feedback": "purchase", "value": "much"}, 422),
        ({"timestamp": "2026-11-21T10:00:00Z", "comment": "wrong series", "reason_code": "wrong_fact"}, 202),
    ],
)
def test_feedback_is_checked(
    world: WebWorld, client: httpx.Client, change: dict[str, object], status: int
) -> None:
    token = world.visitor_token()
    answer = answer_for(client, token)
    body = {name: answer[name] for name in ("response_id", "trace_id")} | {"feedback": "thumbs_down"}
    response = client.post("/v1/feedback", json={**body, **change}, headers=bearer(token))
    assert response.status_code == status


def test_the_same_user_of_two_callers_is_two_conversations(world: WebWorld, client: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "user": "alice"}
    for token in (world.visitor_token(), world.visitor_token()):
        assert client.post("/v1/chat/completions", json=body, headers=bearer(token)).status_code == 200
    first, second = world.answers.asked
    assert first.session_id != second.session_id


# --- cookies ---


def test_a_visitor_is_known_by_the_cookie(world: WebWorld, client: httpx.Client) -> None:
    first = client.post("/v1/chat", json={"message": "hello"})
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    client.post("/v1/chat", json={"message": "more", "session_id": first.json()["session_id"]})
    assert world.answers.asked[0].identity == world.answers.asked[1].identity


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("null", 403),
        ("https://partner.example", 200),
        (None, 200),
        ("same", 200),
    ],
)
def test_a_cookie_counts_on_our_own_pages_only(client: httpx.Client, origin: str | None, status: int) -> None:
    client.post("/v1/session")
    if origin == "same":
        origin = str(client.base_url).rstrip("/")
    headers = {} if origin is None else {"origin": origin}
    assert client.post("/v1/chat", json={"message": "hello"}, headers=headers).status_code == status


def test_an_expired_cookie_makes_a_new_visitor(world: WebWorld, client: httpx.Client) -> None:
    client.post("/v1/session")
    world.clock.advance(31 * 24 * 3600)
    response = client.post("/v1/chat", json={"message": "hello"})
    assert response.status_code == 200
    assert "set-cookie" in response.headers


def test_an_invalid_bearer_token_is_401_and_not_a_visitor(client: httpx.Client) -> None:
    response = client.post("/v1/chat", json={"message": "hello"}, headers=bearer("nonsense"))
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "set-cookie" not in response.headers


def test_signing_in_as_a_demo_customer_says_that_it_is_a_demo(client: httpx.Client) -> None:
    customers = client.get("/v1/demo/customers").json()
    assert "nvented" in customers["notice"]
    login = client.post("/v1/demo/login", json={"customer_id": customers["customers"][0]["customer_id"]})
    assert "no password" in login.json()["notice"]
    assert client.get("/v1/session").json() == {"user_type": "member", "customer_id": "C-1001"}
    client.delete("/v1/session")
    assert client.get("/v1/session").json() == {"user_type": "none", "customer_id": None}


def test_an_unknown_demo_customer_is_404(client: httpx.Client) -> None:
    assert client.post("/v1/demo/login", json={"customer_id": "C-9999"}).status_code == 404


def test_without_the_demo_nobody_can_sign_in_without_a_password() -> None:
    with client_of(WebWorld(demo=False)) as client:
        assert client.get("/v1/demo/customers").status_code == 404
        assert client.post("/v1/demo/login", json={"customer_id": "C-1001"}).status_code == 404
