"""POST /v1/chat over real HTTP: JSON, events, problems, hang-ups."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.support.web import DEFAULT_TOKENS, WebWorld, client_of, served, sse_events

EVENTS = {"accept": "text/event-stream"}
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def world() -> WebWorld:
    return WebWorld()


@pytest.fixture
def client(world: WebWorld) -> Iterator[httpx.Client]:
    with client_of(world) as client:
        yield client


def ask(client: httpx.Client, message: str = "something like Berserk", **kwargs: object) -> httpx.Response:
    return client.post("/v1/chat", json={"message": message}, **kwargs)  # type: ignore[arg-type]  # httpx options


def test_an_answer_has_the_whole_contract(client: httpx.Client) -> None:
    response = ask(client)
    assert response.status_code == 200
    answer = response.json()
    assert {
        "response_id", "trace_id", "session_id", "text", "intent", "products", "sources", "prompt_version",
        "release_bundle", "usage",
    } <= answer.keys()  # fmt: skip
    assert answer["text"] == "".join(DEFAULT_TOKENS)
    assert answer["products"][1]["price_usd"] is None
    assert response.headers["x-trace-id"] == answer["trace_id"]
    assert response.headers["x-mangaassist-overhead-ms"] == "2.250"
    assert response.headers["cache-control"] == "no-store"


def test_events_end_with_the_answer_and_its_overhead(client: httpx.Client) -> None:
    response = ask(client, headers=EVENTS)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = sse_events(response.text)
    assert [name for name, _ in events] == ["token", "done"]
    done = events[-1][1]
    assert done["text"] == events[0][1]["text"] == "".join(DEFAULT_TOKENS)
    assert done["overhead_ms"] == 2.25
    assert response.headers["x-trace-id"] == done["trace_id"]


def test_the_query_asks_for_events_too(client: httpx.Client) -> None:
    response = client.post("/v1/chat?stream=true", json={"message": "hello"})
    assert response.headers["content-type"].startswith("text/event-stream")


def test_tokens_of_one_loop_tick_are_one_event(world: WebWorld, client: httpx.Client) -> None:
    world.answers.tokens = tuple(f"word{number} " for number in range(200))
    tokens = [data["text"] for name, data in sse_events(ask(client, headers=EVENTS).text) if name == "token"]
    assert len(tokens) == 1
    assert "".join(tokens) == "".join(world.answers.tokens)


def test_tokens_that_come_apart_leave_apart(world: WebWorld, client: httpx.Client) -> None:
    world.answers.pause_s = 0.001
    tokens = [data["text"] for name, data in sse_events(ask(client, headers=EVENTS).text) if name == "token"]
    assert tuple(tokens) == DEFAULT_TOKENS


def test_a_replacement_follows_the_tokens(client: httpx.Client) -> None:
    events = sse_events(ask(client, "replace", headers=EVENTS).text)
    assert [name for name, _ in events] == ["token", "replace", "done"]
    assert events[1][1] == {"text": "I would rather not say that.", "reason": "pii"}
    assert events[2][1]["text"] == "I would rather not say that."


@pytest.mark.parametrize("headers", [{}, EVENTS])
def test_a_failure_before_the_first_word_has_its_status(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    response = ask(client, "fail first", headers=headers)
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "5"
    problem = response.json()
    assert problem["type"] == "urn:mangaassist:problem:dependency-unavailable"
    assert problem["instance"] == "/v1/chat"
    assert problem["trace_id"] == response.headers["x-trace-id"]
    assert "10.0.0.7" not in response.text


def test_a_failure_in_the_middle_is_an_error_event(client: httpx.Client) -> None:
    events = sse_events(ask(client, "fail midway", headers=EVENTS).text)
    assert [name for name, _ in events] == ["token", "error"]
    assert events[1][1]["status"] == 503
    assert "10.0.0.8" not in str(events)


def test_a_bug_is_told_as_500_without_internals_and_logged_once(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    response = ask(client, "crash")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    records = [record for record in caplog.records if record.exc_info is not None]
    assert len(records) == 1
    assert vars(records[0])["trace_id"] == response.json()["trace_id"]


def test_a_bug_in_the_middle_is_an_error_event_and_logged_once(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    events = sse_events(ask(client, "crash", headers=EVENTS).text)
    assert [name for name, _ in events] == ["token", "error"]
    assert events[1][1]["status"] == 500
    assert "secret" not in str(events)
    assert len([record for record in caplog.records if record.exc_info is not None]) == 1


@pytest.mark.parametrize("headers", [{}, EVENTS])
def test_the_callers_trace_context_is_honoured(client: httpx.Client, headers: dict[str, str]) -> None:
    traceparent = f"00-{TRACE}-b7ad6b7169203331-01"
    response = ask(client, headers={**headers, "traceparent": traceparent})
    assert response.headers["x-trace-id"] == TRACE


@pytest.mark.parametrize("traceparent", ["", "garbage", f"00-{'0' * 32}-b7ad6b7169203331-01", "00-zz-b7-01"])
def test_a_malformed_trace_context_is_replaced(client: httpx.Client, traceparent: str) -> None:
    response = ask(client, headers={"traceparent": traceparent})
    assert response.status_code == 200
    assert len(response.headers["x-trace-id"]) == 32
    assert int(response.headers["x-trace-id"], 16) > 0


def test_a_session_goes_on_with_the_token_it_began_with(world: WebWorld, client: httpx.Client) -> None:
    first = ask(client)
    token = first.headers["x-session-token"]
    second = client.post(
        "/v1/chat",
        json={"message": "the second one", "session_id": first.json()["session_id"]},
        headers={"authorization": f"Bearer {token}"},
    )
    assert second.json()["session_id"] == first.json()["session_id"]
    assert "x-session-token" not in second.headers
    assert world.answers.asked[0].identity == world.answers.asked[1].identity


def test_the_page_context_reaches_the_pipeline(world: WebWorld, client: httpx.Client) -> None:
    page = {"page_type": "product", "locale": "de-DE", "asin": "1506711987"}
    client.post("/v1/chat", json={"message": "is it in stock?", "page_context": page})
    context = world.answers.asked[0].page_context
    assert (context.page_type, context.locale, context.asin) == ("product", "de-DE", "1506711987")


@pytest.mark.parametrize(
    ("accept", "status"),
    [("text/html", 406), ("*/*", 200), ("application/json;q=0.5", 200), ("text/html, application/*", 200)],
)
def test_what_can_not_be_accepted_is_406(client: httpx.Client, accept: str, status: int) -> None:
    assert ask(client, headers={"accept": accept}).status_code == status


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_client_that_hangs_up_cancels_the_pipeline(accept: str) -> None:
    world = WebWorld()
    body = b'{"message":"wait"}'
    head = (
        f"POST /v1/chat HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    with served(world) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + body)
            assert world.answers.waiting.wait(5)
            assert world.services.gate.running == 1
        assert world.answers.cancelled.wait(5)
    assert world.services.gate.running == 0
