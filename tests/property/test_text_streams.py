"""However the network cuts a stream, the text is whole or the failure is loud."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangaassist.adapters.aws.bedrock import BedrockTextModel
from mangaassist.adapters.openai_compatible.http_body import ChunkedFraming
from mangaassist.adapters.openai_compatible.sse import ChatStreamParser
from mangaassist.domain.errors import DependencyUnavailableError
from mangaassist.domain.generation import GenerationFinished, TextDelta
from tests.support.fake_bedrock import FakeBedrock
from tests.support.fake_openai import chat_chunk
from tests.support.text_models import a_request, bedrock_model
from tests.support.wire_server import Fault

answers = st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=12)
cuts = st.lists(st.integers(0, 10_000), max_size=40)
line_ends = st.sampled_from([b"\n", b"\r\n"])
noise = st.sampled_from([b"", b": ping", b"event: message", b"id: 7", b"retry: 10", b"data:"])


def pieces_of(data: bytes, at: list[int]) -> Iterator[bytes]:
    """Cut the bytes at the given places."""
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    for start, end in pairwise(places):
        yield data[start:end]


def chat_stream(
    answer: list[str], line_end: bytes, between: list[bytes], space: bytes, escape: bool
) -> bytes:
    """Write an answer as a server might."""
    payloads = [chat_chunk({"content": piece}) for piece in answer] + [chat_chunk({}, finish_reason="stop")]
    lines: list[bytes] = []
    for number, payload in enumerate(payloads):
        if between:
            lines.append(between[number % len(between)])
        lines += [b"data:" + space + json.dumps(payload, ensure_ascii=escape).encode(), b""]
    return line_end.join([*lines, b"data:" + space + b"[DONE]", b"", b""])


@given(answers, line_ends, st.lists(noise, max_size=4), st.sampled_from([b"", b" "]), st.booleans(), cuts)
def test_text_is_the_same_whatever_the_chunking(
    answer: list[str], line_end: bytes, between: list[bytes], space: bytes, escape: bool, at: list[int]
) -> None:
    data = chat_stream(answer, line_end, between, space, escape)
    parser = ChatStreamParser()

    text = "".join(parser.feed(piece) for piece in pieces_of(data, at)) + parser.end()

    assert text == "".join(answer)
    assert parser.characters == len(text)
    assert parser.done
    assert parser.finish_reason == "stop"


@given(answers, line_ends, st.integers(0, 10_000))
def test_cut_event_stream_is_either_whole_or_known_to_be_incomplete(
    answer: list[str], line_end: bytes, cut: int
) -> None:
    data = chat_stream(answer, line_end, [], b" ", False)
    parser = ChatStreamParser()

    text = parser.feed(data[: cut % (len(data) + 1)])
    try:
        text += parser.end()
    except DependencyUnavailableError:
        assert not parser.is_complete

    assert "".join(answer).startswith(text)
    assert not parser.is_complete or text == "".join(answer)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.booleans(), cuts)
def test_chunked_body_is_the_same_whatever_the_reads(
    chunks: list[bytes], trailer: bool, at: list[int]
) -> None:
    data = b"".join(b"%x;ext\r\n" % len(chunk) + chunk + b"\r\n" for chunk in chunks)
    data += b"0\r\n" + (b"X: y\r\n" if trailer else b"") + b"\r\n"
    framing = ChunkedFraming()

    assert b"".join(framing.feed(piece) for piece in pieces_of(data, at)) == b"".join(chunks)
    assert framing.done


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.integers(0, 10_000))
def test_cut_chunked_body_is_never_taken_for_whole(chunks: list[bytes], cut: int) -> None:
    data = b"".join(b"%x\r\n" % len(chunk) + chunk + b"\r\n" for chunk in chunks) + b"0\r\n\r\n"
    framing = ChunkedFraming()
    framing.feed(data[: cut % len(data)])

    with pytest.raises(DependencyUnavailableError):
        framing.end()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[FakeBedrock]:
    with FakeBedrock() as running:
        yield running


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def model(endpoint: FakeBedrock, runner: asyncio.Runner) -> Iterator[BedrockTextModel]:
    ready = bedrock_model(endpoint)
    yield ready
    runner.run(ready.close())


@settings(max_examples=60, deadline=None)
@given(
    answer=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), max_size=5),
    cut_after=st.integers(0, 10),
    cut_inside=st.integers(0, 250),
    properly=st.booleans(),
)
def test_eventstream_cut_anywhere_is_whole_or_unavailable(
    endpoint: FakeBedrock,
    runner: asyncio.Runner,
    model: BedrockTextModel,
    answer: list[str],
    cut_after: int,
    cut_inside: int,
    properly: bool,
) -> None:
    endpoint.answer = tuple(answer)
    fault = Fault(end_after=cut_after) if properly else Fault(cut_after=cut_after, cut_inside=cut_inside)
    endpoint.plan.reset(always=fault)

    async def ask() -> tuple[str, bool]:
        text = ""
        try:
            async for event in model.stream(a_request()):
                if isinstance(event, TextDelta):
                    text += event.text
                else:
                    assert isinstance(event, GenerationFinished)
                    return text, True
        except DependencyUnavailableError:
            pass
        return text, False

    text, finished = runner.run(ask())

    assert endpoint.text.startswith(text)
    assert not finished or text == endpoint.text
    assert finished or cut_after <= len(answer) + 2  # `messageStop` is the frame after these
