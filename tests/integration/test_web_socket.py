"""WS /v1/chat/ws with a real client: turns, feedback, refusals, disconnects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from socket import SHUT_RDWR
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.web import DEFAULT_TOKENS, WebWorld, served


@pytest.fixture
def world() -> WebWorld:
    return WebWorld()


@pytest.fixture
def address(world: WebWorld) -> Iterator[str]:
    with served(world) as address:
        yield address


def open_socket(address: str, **options: Any) -> AbstractContextManager[ClientConnection]:
    opened: AbstractContextManager[ClientConnection] = connect(
        f"ws://{address}/v1/chat/ws", open_timeout=5, close_timeout=2, **options
    )
    return opened


def say(socket: ClientConnection, **frame: object) -> None:
    socket.send(json.dumps(frame))


def hear(socket: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(socket.recv(timeout=5))
    return frame


def hear_until(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    frames = [hear(socket)]
    while frames[-1]["type"] != kind:
        frames.append(hear(socket))
    return frames


def test_several_turns_and_their_feedback_share_a_connection(world: WebWorld, address: str) -> None:
    with open_socket(address) as socket:
        say(socket, type="message", message="something like Berserk")
        first = hear_until(socket, "done")
        assert "".join(frame["text"] for frame in first[:-1]) == "".join(DEFAULT_TOKENS)
        done = first[-1]
        rating = {"response_id": done["response_id"], "trace_id": done["trace_id"], "feedback": "thumbs_up"}
        say(socket, type="feedback", **rating)
        assert hear(socket) == {"type": "feedback", "response_id": done["response_id"], "status": "stored"}
        say(socket, type="feedback", **rating)
        assert hear(socket)["status"] == "repeated"
        say(socket, type="message", message="replace", session_id=done["session_id"])
        second = hear_until(socket, "done")
        assert [frame["type"] for frame in second] == ["token", "replace", "done"]
        assert second[-1]["session_id"] == done["session_id"]
        assert second[-1]["trace_id"] != done["trace_id"]
    assert world.answers.asked[0].identity == world.answers.asked[1].identity


def test_a_second_message_has_to_wait_but_feedback_has_not(world: WebWorld, address: str) -> None:
    with open_socket(address) as socket:
        say(socket, type="message", message="hello")
        done = hear_until(socket, "done")[-1]
        say(socket, type="message", message="wait")
        assert hear(socket)["type"] == "token"
        say(socket, type="message", message="me too")
        error = hear(socket)
        assert error["type"] == "error"
        assert error["problem"]["status"] == 409
        say(
            socket,
            type="feedback",
            response_id=done["response_id"],
            trace_id=done["trace_id"],
            feedback="thumbs_up",
        )
        assert hear(socket)["type"] == "feedback"
    assert world.answers.cancelled.wait(5)


def test_leaving_cancels_the_answer(world: WebWorld, address: str) -> None:
    with open_socket(address) as socket:
        say(socket, type="message", message="wait")
        assert hear(socket)["type"] == "token"
    assert world.answers.cancelled.wait(5)


def test_dropping_the_line_cancels_the_answer(world: WebWorld, address: str) -> None:
    with open_socket(address) as socket:
        say(socket, type="message", message="wait")
        assert hear(socket)["type"] == "token"
        socket.socket.shutdown(SHUT_RDWR)
        assert world.answers.cancelled.wait(5)


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        ("{", 400),
        ('{"type":"message","message":"\\ud800"}', 400),
        (b"\xff", 400),
        ("[]", 422),
        ('{"type":"dance"}', 422),
        ('{"type":"message"}', 422),
        ('{"type":"message","message":"a","extra":1}', 422),
        ('{"type":"message","message":"' + "a" * 4_001 + '"}', 422),
        ('{"type":"message","message":"' + "a" * 70_000 + '"}', 413),
        ('{"type":"feedback","response_id":"r","trace_id":"' + "0" * 32 + '","feedback":"thumbs_up"}', 404),
        ('{"type":"message","message":"fail first"}', 503),
    ],
)
def test_a_bad_frame_is_a_problem_and_the_connection_goes_on(
    address: str, frame: str | bytes, status: int
) -> None:
    with open_socket(address) as socket:
        socket.send(frame)
        error = hear(socket)
        assert (error["type"], error["problem"]["status"]) == ("error", status)
        say(socket, type="message", message="hello")
        assert hear_until(socket, "done")


@pytest.mark.parametrize(("message", "status"), [("fail midway", 503), ("crash", 500)])
def test_a_failure_in_the_middle_is_a_problem_and_the_connection_goes_on(
    address: str, message: str, status: int
) -> None:
    with open_socket(address) as socket:
        say(socket, type="message", message=message)
        error = hear_until(socket, "error")[-1]["problem"]
        assert error["status"] == status
        assert "secret" not in str(error)
        say(socket, type="message", message="hello")
        assert hear_until(socket, "done")


def test_anothers_session_is_not_found(world: WebWorld, address: str) -> None:
    with open_socket(address) as mine, open_socket(address) as other:
        say(mine, type="message", message="hello", session_id="sess_mine")
        hear_until(mine, "done")
        say(other, type="message", message="hello", session_id="sess_mine")
        assert hear(other)["problem"]["status"] == 404


def test_a_token_is_taken_as_header_or_as_sub_protocol(world: WebWorld, address: str) -> None:
    token = world.customer_token()
    with open_socket(address, additional_headers={"authorization": f"Bearer {token}"}) as socket:
        say(socket, type="message", message="hello")
        hear_until(socket, "done")
    with open_socket(address, subprotocols=[Subprotocol("bearer"), Subprotocol(token)]) as socket:
        assert socket.subprotocol == "bearer"
        say(socket, type="message", message="hello")
        hear_until(socket, "done")
    assert [asked.identity.customer_id for asked in world.answers.asked] == ["C-1001", "C-1001"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer nonsense"}, 401),
        ({"cookie": "mangaassist_session={visitor}", "origin": "https://evil.example"}, 403),
    ],
)
def test_a_refused_handshake_says_why(
    world: WebWorld, address: str, headers: dict[str, str], status: int
) -> None:
    filled = {name: value.replace("{visitor}", world.visitor_token()) for name, value in headers.items()}
    with pytest.raises(InvalidStatus) as refused:
        open_socket(address, additional_headers=filled)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body or b"")["status"] == status


def test_a_new_visitor_gets_a_cookie_with_the_handshake(address: str) -> None:
    with open_socket(address) as socket:
        assert socket.response is not None
        token = socket.response.headers["x-session-token"]
    session = httpx.get(f"http://{address}/v1/session", headers={"authorization": f"Bearer {token}"})
    assert session.json()["user_type"] == "guest"
