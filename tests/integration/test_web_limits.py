"""Rate limits, load shedding and the headers that every response carries."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.domain.errors import RateLimitedError
from mangaassist.web.limits import RateLimiter
from tests.support.clock import FakeClock
from tests.support.web import WebWorld, client_of


def ask(client: httpx.Client, message: str = "hello", **options: object) -> httpx.Response:
    return client.post("/v1/chat", json={"message": message}, **options)  # type: ignore[arg-type]  # httpx options


def test_too_many_requests_are_429_until_the_bucket_refills() -> None:
    world = WebWorld(per_minute=3)
    with client_of(world) as client:
        assert [ask(client).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = ask(client)
        assert refused.headers["retry-after"] == "20"
        assert refused.headers["content-type"] == "application/problem+json"
        world.clock.advance(20)
        assert ask(client).status_code == 200


def test_a_new_token_for_every_request_does_not_escape_the_limit_of_the_address() -> None:
    with client_of(WebWorld(per_minute=3)) as client:
        statuses = []
        for _ in range(4):
            client.cookies.clear()
            statuses.append(ask(client).status_code)
        assert statuses == [200, 200, 200, 429]


def test_guessing_tokens_is_limited_too() -> None:
    with client_of(WebWorld(per_minute=3)) as client:
        wrong = {"authorization": "Bearer nonsense"}
        assert [ask(client, headers=wrong).status_code for _ in range(4)] == [401, 401, 401, 429]


@given(gaps=st.lists(st.floats(0, 30), min_size=1, max_size=60), per_minute=st.integers(1, 120))
def test_a_bucket_never_gives_more_than_its_rate(gaps: list[float], per_minute: int) -> None:
    clock = FakeClock()
    limiter = RateLimiter(per_minute=per_minute, clock=clock)
    given_out = 0
    waits = []
    for gap in gaps:
        clock.advance(gap)
        try:
            limiter.take("me")
        except RateLimitedError as error:
            waits.append(error.retry_after_s)
        else:
            given_out += 1
    assert all(0 < wait <= 60 / per_minute + 1e-6 for wait in waits)
    assert given_out <= per_minute + sum(gaps) * per_minute / 60 + 1e-6


def test_more_answers_at_once_than_allowed_are_503() -> None:
    world = WebWorld(concurrent=1)
    with client_of(world) as client:
        with client.stream(
            "POST", "/v1/chat", json={"message": "wait"}, headers={"accept": "text/event-stream"}
        ) as first:
            lines = first.iter_lines()
            assert next(lines) == "event: token"
            for accept in ("application/json", "text/event-stream"):
                shed = ask(client, headers={"accept": accept})
                assert (shed.status_code, shed.headers["retry-after"]) == (503, "1")
            completions = client.post(
                "/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]}
            )
            assert completions.status_code == 503
            assert client.get("/healthz").status_code == 200
        assert world.answers.cancelled.wait(5)


@pytest.mark.parametrize("path", ["/", "/healthz", "/nowhere", "/status", "/static/shop.js"])
def test_every_response_carries_the_security_headers(path: str) -> None:
    with client_of(WebWorld()) as client:
        headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers
