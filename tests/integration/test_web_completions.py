"""The OpenAI-compatible face."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.web import DEFAULT_TOKENS, WebWorld, client_of, sse_events

PATH = "/v1/chat/completions"


@pytest.fixture
def world() -> WebWorld:
    return WebWorld()


@pytest.fixture
def client(world: WebWorld) -> Iterator[httpx.Client]:
    with client_of(world) as client:
        yield client


def body(content: object = "something like Berserk", **more: object) -> dict[str, Any]:
    return {"model": "mangaassist", "messages": [{"role": "user", "content": content}], **more}


def test_a_completion_has_the_form_of_the_api(client: httpx.Client) -> None:
    response = client.post(PATH, json=body(temperature=0.2, n=1))
    completion = response.json()
    assert completion["id"].startswith("chatcmpl-")
    assert completion["object"] == "chat.completion"
    message = {"role": "assistant", "content": "".join(DEFAULT_TOKENS)}
    assert completion["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
    assert completion["usage"] == {
        "prompt_tokens": 912,
        "completion_tokens": 34,
        "total_tokens": 946,
        "prompt_tokens_details": {"cached_tokens": 100},
    }
    assert len(response.headers["x-trace-id"]) == 32


def test_a_stream_has_chunks_that_end_with_done(client: httpx.Client) -> None:
    response = client.post(PATH, json=body(stream=True))
    chunks = [data for _, data in sse_events(response.text)]
    assert chunks[-1] == "[DONE]"
    assert {chunk["id"] for chunk in chunks[:-1]} == {chunks[0]["id"]}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])
    assert text == "".join(DEFAULT_TOKENS)


def test_usage_comes_last_when_asked_for(client: httpx.Client) -> None:
    response = client.post(PATH, json=body(stream=True, stream_options={"include_usage": True}))
    usage = sse_events(response.text)[-2][1]
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 946


def test_the_last_user_message_is_the_question(world: WebWorld, client: httpx.Client) -> None:
    messages = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": [{"type": "text", "text": "and"}, {"type": "text", "text": "now?"}]},
        {"role": "assistant", "content": "Let me"},
    ]
    assert client.post(PATH, json={"messages": messages}).status_code == 200
    assert world.answers.asked[0].message == "and\nnow?"


def test_a_user_is_one_conversation_of_the_caller(world: WebWorld, client: httpx.Client) -> None:
    for user in ("anna@example.test", "anna@example.test", "bo"):
        client.post(PATH, json=body(user=user))
    first, second, third = (asked.session_id for asked in world.answers.asked)
    assert first == second != third


def test_a_session_can_be_named(world: WebWorld, client: httpx.Client) -> None:
    client.post(PATH, json=body(user="bo"), headers={"x-session-id": "sess_7"})
    assert world.answers.asked[0].session_id == "sess_7"


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (body("fail first"), 503, "server_error"),
        (body("fail first", stream=True), 503, "server_error"),
        (body("crash"), 500, "server_error"),
        (body(""), 422, "invalid_request_error"),
        (body([{"type": "image_url", "image_url": {"url": "x"}}]), 422, "invalid_request_error"),
        (body("a" * 4_001), 422, "invalid_request_error"),
        ({"messages": []}, 422, "invalid_request_error"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, 422, "invalid_request_error"),
        ([], 422, "invalid_request_error"),
    ],
)
def test_errors_have_the_form_of_the_api(
    client: httpx.Client, content: object, status: int, kind: str
) -> None:
    response = client.post(PATH, json=content)
    assert response.status_code == status
    error = response.json()["error"]
    assert error["type"] == kind
    assert error.keys() == {"message", "type", "param", "code"}


def test_a_bad_key_and_a_wrong_method_have_that_form_too(client: httpx.Client) -> None:
    refused = client.post(PATH, json=body(), headers={"authorization": "Bearer sk-nonsense"})
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    assert client.get(PATH).json()["error"]["code"] == "method-not-allowed"


def test_a_failure_in_the_middle_ends_the_stream_without_done(client: httpx.Client) -> None:
    events = [data for _, data in sse_events(client.post(PATH, json=body("fail midway", stream=True)).text)]
    assert events[-1]["error"]["type"] == "server_error"
    assert "[DONE]" not in events


def test_replaced_text_follows_after_a_break(client: httpx.Client) -> None:
    text = client.post(PATH, json=body("replace", stream=True)).text
    contents = [data["choices"][0]["delta"].get("content") for _, data in sse_events(text)[:-1]]
    assert "\n\nI would rather not say that." in contents


def test_there_is_one_model(client: httpx.Client) -> None:
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["mangaassist"]
