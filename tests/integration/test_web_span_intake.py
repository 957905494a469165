"""POST /v1/traces: who may send spans of other services, and in what form."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from tests.support.web import INTAKE_TOKEN, WebWorld, client_of

PROTOBUF = {"authorization": f"Bearer {INTAKE_TOKEN}", "content-type": "application/x-protobuf"}
JSON = {**PROTOBUF, "content-type": "application/json"}


@pytest.fixture
def world() -> WebWorld:
    return WebWorld()


@pytest.fixture
def client(world: WebWorld) -> Iterator[httpx.Client]:
    with client_of(world) as client:
        yield client


def test_spans_are_taken_as_protobuf_json_and_gzip(world: WebWorld, client: httpx.Client) -> None:
    assert client.post("/v1/traces", content=b"one", headers=PROTOBUF).content == b""
    assert client.post("/v1/traces", content=b"{}", headers=JSON).json() == {}
    packed = client.post(
        "/v1/traces", content=gzip.compress(b"two"), headers={**PROTOBUF, "content-encoding": "gzip"}
    )
    assert packed.status_code == 200
    assert world.spans_taken == [(b"one", False), (b"{}", True), (b"two", False)]


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", f"Basic {INTAKE_TOKEN}", "Bearer"])
def test_without_the_token_nothing_is_taken(
    world: WebWorld, client: httpx.Client, authorization: str
) -> None:
    response = client.post("/v1/traces", content=b"x", headers={**PROTOBUF, "authorization": authorization})
    assert response.status_code == 401
    assert world.spans_taken == []


@pytest.mark.parametrize(
    ("content", "changes", "status"),
    [
        (b"x", {"content-type": "text/plain"}, 415),
        (b"x", {"content-encoding": "br"}, 415),
        (b"no gzip at all", {"content-encoding": "gzip"}, 400),
        (b"nonsense", {}, 422),
        (b"x" * (2 * 1024 * 1024 + 1), {}, 413),
        (gzip.compress(b"x" * (9 * 1024 * 1024)), {"content-encoding": "gzip"}, 413),
        (gzip.compress(b"cut short")[:-9], {"content-encoding": "gzip"}, 400),
    ],
)
def test_what_cannot_be_taken_is_refused_with_the_reason(
    world: WebWorld, client: httpx.Client, content: bytes, changes: dict[str, str], status: int
) -> None:
    response = client.post("/v1/traces", content=content, headers={**PROTOBUF, **changes})
    assert response.status_code == status
    assert response.json()["detail"]
    assert world.spans_taken == []


def test_without_a_configured_token_there_is_no_such_page(world: WebWorld) -> None:
    world.services = replace(world.services, span_intake=None)
    with client_of(world) as client:
        response = client.post("/v1/traces", content=b"x", headers=PROTOBUF)
    assert response.status_code == 404
    assert "MANGAASSIST_OTLP_INGEST_TOKEN" in response.json()["detail"]
