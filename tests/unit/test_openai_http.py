"""The HTTP client under the OpenAI-compatible adapter: kept connections, framings, TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mangaassist.adapters.openai_compatible.chat import OpenAICompatibleTextModel
from mangaassist.adapters.openai_compatible.http import HttpTimeouts
from mangaassist.domain.errors import (
    ConfigurationError,
    DependencyError,
    DependencyRejectedError,
    DependencyThrottledError,
    DependencyTimeoutError,
    DependencyUnavailableError,
)
from mangaassist.domain.generation import GenerationEvent, GenerationFinished, TextDelta, TokenUsage
from mangaassist.domain.throttling import RetryAfterError
from tests.support.fake_openai import FakeOpenAI, answer_events
from tests.support.text_models import a_request, openai_model
from tests.support.wire_server import Fault

ANSWER = b"".join(answer_events(("Try ", "Berserk.")))
WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + ANSWER
OLD_VERSION = b"HTTP/1.0 200 OK\r\n\r\n" + ANSWER
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"
    + b"%X;name=value\r\n" % len(ANSWER)
    + ANSWER
    + b"\r\n0\r\nTrailer: yes\r\n\r\n"
)
AFTER_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + WITH_LENGTH

Respond = Callable[[int, asyncio.StreamWriter], Awaitable[bool]]


@asynccontextmanager
async def raw_server(
    respond: Respond, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[int]]]:
    """Serve bytes by hand: `respond(n-th request of the connection, writer)` says whether to go on."""
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(0)
        mine = len(connections) - 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                await reader.readexactly(length)
                connections[mine] += 1
                if not await respond(connections[mine], writer):
                    break
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1", connections


async def ask(model: OpenAICompatibleTextModel) -> list[GenerationEvent]:
    return [event async for event in model.stream(a_request("m"))]


def text_of(events: list[GenerationEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def always(response: bytes, *, go_on: bool = True) -> Respond:
    async def respond(_: int, writer: asyncio.StreamWriter) -> bool:
        writer.write(response)
        return go_on

    return respond


@pytest.mark.parametrize("response", [WITH_LENGTH, CHUNKED, AFTER_HINTS])
async def test_connection_is_kept_for_the_next_call(response: bytes) -> None:
    async with raw_server(always(response)) as (url, connections):
        model = openai_model(url)
        for _ in range(3):
            assert text_of(await ask(model)) == "Try Berserk."
        await model.close()

    assert connections == [3]


async def test_late_end_of_the_body_does_not_cost_the_connection() -> None:
    async def respond(_: int, writer: asyncio.StreamWriter) -> bool:
        writer.write(CHUNKED.removesuffix(b"0\r\nTrailer: yes\r\n\r\n"))
        await writer.drain()
        await asyncio.sleep(0.005)
        writer.write(b"0\r\n\r\n")
        return True

    async with raw_server(respond) as (url, connections):
        model = openai_model(url)
        for _ in range(3):
            assert text_of(await ask(model)) == "Try Berserk."
        await model.close()

    assert connections == [3]


@pytest.mark.parametrize("response", [UNTIL_CLOSE, OLD_VERSION])
async def test_body_until_close_takes_a_connection_each(response: bytes) -> None:
    async with raw_server(always(response, go_on=False)) as (url, connections):
        model = openai_model(url)
        for _ in range(2):
            assert text_of(await ask(model)) == "Try Berserk."
        await model.close()

    assert connections == [1, 1]


async def test_all_text_of_one_read_is_one_delta() -> None:
    async with raw_server(always(WITH_LENGTH)) as (url, _):
        model = openai_model(url)
        first, finished = await ask(model)
        await model.close()

    assert first == TextDelta(text="Try Berserk.")
    assert isinstance(finished, GenerationFinished)


async def test_kept_connection_that_proves_dead_is_replaced_once() -> None:
    async def respond(request: int, writer: asyncio.StreamWriter) -> bool:
        if request == 2:
            return False  # take the request and close without a byte
        writer.write(WITH_LENGTH)
        return True

    async with raw_server(respond) as (url, connections):
        model = openai_model(url)
        await ask(model)
        assert text_of(await ask(model)) == "Try Berserk."
        await model.close()

    assert connections == [2, 1]


async def test_fresh_connection_closed_without_a_byte_is_an_error_at_once() -> None:
    async with raw_server(always(b"", go_on=False)) as (url, connections):
        model = openai_model(url)
        with pytest.raises(DependencyUnavailableError):
            await ask(model)

    assert connections == [1]


async def test_reused_connection_that_broke_inside_the_answer_is_not_asked_again() -> None:
    async def respond(request: int, writer: asyncio.StreamWriter) -> bool:
        writer.write(WITH_LENGTH if request == 1 else WITH_LENGTH[:20])
        return request == 1

    async with raw_server(respond) as (url, connections):
        model = openai_model(url)
        await ask(model)
        with pytest.raises(DependencyUnavailableError):
            await ask(model)

    assert connections == [2]


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\ndata: {broken\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\ndata: ["list"]\n',
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_nonsense_from_the_server_is_unavailable(response: bytes) -> None:
    async with raw_server(always(response, go_on=False)) as (url, _):
        model = openai_model(url)
        with pytest.raises(DependencyUnavailableError):
            await ask(model)
        await model.close()


async def test_server_that_accepts_but_never_answers_is_a_timeout() -> None:
    async def respond(_: int, writer: asyncio.StreamWriter) -> bool:
        return True

    async with raw_server(respond) as (url, _):
        with pytest.raises(DependencyTimeoutError):
            await ask(openai_model(url, patience_s=0.2))


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (429, b'{"error":{"code":"insufficient_quota","message":"pay"}}', b"", DependencyRejectedError),
        (429, b"<html>busy</html>", b"Retry-After: 2.5\r\n", RetryAfterError),
        (503, b"", b"Retry-After: 3\r\n", RetryAfterError),
        (503, b"", b"", DependencyUnavailableError),
        (504, b"[]", b"", DependencyTimeoutError),
        (529, b'"overloaded"', b"", DependencyThrottledError),
        (302, b"", b"Location: /elsewhere\r\n", DependencyRejectedError),
        (204, b"", b"", DependencyRejectedError),
    ],
)
async def test_every_refusal_has_a_place_in_the_tree(
    status: int, body: bytes, headers: bytes, expected: type[DependencyError]
) -> None:
    response = (
        b"HTTP/1.1 %d Reason\r\nContent-Length: %d\r\n" % (status, len(body)) + headers + b"\r\n" + body
    )
    async with raw_server(always(response)) as (url, _):
        model = openai_model(url)
        with pytest.raises(expected) as raised:
            await ask(model)
        await model.close()

    assert type(raised.value) is expected


async def test_retry_after_as_a_date_counts_from_the_servers_own_date() -> None:
    response = (
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n"
        b"Retry-After: Sat, 21 Nov 2026 10:00:09 GMT\r\n\r\n"
    )
    async with raw_server(always(response)) as (url, _):
        model = openai_model(url)
        with pytest.raises(RetryAfterError) as raised:
            await ask(model)
        await model.close()

    assert raised.value.retry_after_s == 9


async def test_key_is_sent_and_never_shown() -> None:
    with FakeOpenAI() as endpoint:
        endpoint.plan.reset(at={1: Fault(status=401, error_type="authentication_error", message="bad key")})
        model = openai_model(endpoint.url, api_key="sk-hidden")
        with pytest.raises(DependencyRejectedError) as raised:
            await ask(model)
        await ask(model)
        await model.close()

    assert endpoint.calls[0].headers["authorization"] == "Bearer sk-hidden"
    assert "sk-hidden" not in str(raised.value) + repr(model)


async def test_no_authorization_without_a_key() -> None:
    with FakeOpenAI() as endpoint:
        model = openai_model(endpoint.url)
        await ask(model)
        await model.close()

    assert "authorization" not in endpoint.calls[0].headers


async def test_cached_tokens_are_not_counted_twice() -> None:
    with FakeOpenAI() as endpoint:
        endpoint.cached_tokens = 6
        model = openai_model(endpoint.url)
        *_, finished = await ask(model)
        await model.close()

    assert isinstance(finished, GenerationFinished)
    # 8 words of system and 9 of conversation make prompt_tokens, of which 6 came from the cache
    assert finished.usage == TokenUsage(input_tokens=11, output_tokens=4, cached_input_tokens=6)


async def test_usage_is_estimated_for_a_server_that_reports_none() -> None:
    with FakeOpenAI() as endpoint:
        endpoint.reports_usage = False
        model = openai_model(endpoint.url)
        *_, finished = await ask(model)
        await model.close()

    assert isinstance(finished, GenerationFinished)
    assert finished.usage.estimated
    assert finished.usage.output_tokens == -(-len(endpoint.text) // 4)


async def test_lone_surrogate_in_the_prompt_is_rejected_not_sent() -> None:
    request = a_request("bad \ud800 id")

    async with raw_server(always(WITH_LENGTH)) as (url, connections):
        model = openai_model(url)
        with pytest.raises(DependencyRejectedError):
            await anext(aiter(model.stream(request)))

    assert connections == []


@pytest.mark.parametrize(
    "base_url", ["ftp://host/v1", "host:8000", "http://", "http://user:pass@host/v1", "http://host/v1?x=1"]
)
def test_unusable_base_url_is_refused_when_configured(base_url: str) -> None:
    with pytest.raises(ConfigurationError):
        OpenAICompatibleTextModel(base_url=base_url)


def test_key_that_no_header_can_carry_is_refused_when_configured() -> None:
    with pytest.raises(ConfigurationError) as raised:
        OpenAICompatibleTextModel(base_url="http://host/v1", api_key="sk\r\nX-Evil: 1")

    assert "sk" not in str(raised.value)


def certificate_for_localhost(folder: Path) -> Path:
    """Write a self-signed certificate with its key and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "localhost.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


async def test_https_is_verified(tmp_path: Path) -> None:
    file = certificate_for_localhost(tmp_path)
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(file)
    async with raw_server(always(WITH_LENGTH), server_tls) as (url, _):
        stranger = openai_model(url)
        with pytest.raises(DependencyUnavailableError, match="certificate"):
            await ask(stranger)
        model = OpenAICompatibleTextModel(
            base_url=url, tls=ssl.create_default_context(cafile=str(file)), timeouts=HttpTimeouts()
        )
        assert text_of(await ask(model)) == "Try Berserk."
        await model.close()
