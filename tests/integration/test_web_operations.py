"""Health, readiness, metrics, the status page and the published OpenAPI document."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mangaassist.web.openapi import openapi_document
from tests.support.web import WebWorld, client_of, take_down

GOLDEN = Path(__file__).parents[1] / "golden" / "openapi.json"


@pytest.fixture
def world() -> WebWorld:
    return WebWorld()


@pytest.fixture
def client(world: WebWorld) -> Iterator[httpx.Client]:
    with client_of(world) as client:
        yield client


def test_the_process_says_that_it_is_alive(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}


def test_a_missing_encoder_is_degraded_and_still_ready(client: httpx.Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    encoder = next(part for part in response.json()["components"] if part["name"] == "encoder")
    assert "models fetch" in encoder["detail"]


def test_a_component_that_is_down_is_not_ready(world: WebWorld, client: httpx.Client) -> None:
    take_down(world, "sessions")
    assert client.get("/readyz").status_code == 503
    assert "Not able to answer" in client.get("/status").text


def test_metrics_count_what_happened(client: httpx.Client) -> None:
    client.post("/v1/chat", json={"message": "hello"})
    client.post("/v1/chat", json={})
    text = client.get("/metrics").text
    for line in (
        'mangaassist_answers_total{intent="recommendation",outcome="answered",route="llm"} 1.0',
        'mangaassist_tokens_total{direction="input",model_id="embedded-composer"} 812.0',
        'mangaassist_problems_total{status="422"} 1.0',
        'mangaassist_traces_total{state="accepted"} 12.0',
        "mangaassist_traces_pending 3.0",
        'mangaassist_traces_dropped_total{reason="spool_full_held"} 2.0',
        "mangaassist_traces_oldest_pending_seconds 4.5",
        'mangaassist_overhead_ms_count{route="llm"} 1.0',
    ):
        assert line in text


def test_the_pages_for_people_are_there(client: httpx.Client) -> None:
    for path in ("/", "/status", "/docs"):
        response = client.get(path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/html")


def test_the_published_document_is_the_reviewed_one(client: httpx.Client) -> None:
    """Set MANGAASSIST_TEST_UPDATE_GOLDEN=1 to write it anew; the diff is reviewed."""
    published = client.get("/openapi.json").json()
    text = json.dumps(published, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("MANGAASSIST_TEST_UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_every_documented_operation_is_served(client: httpx.Client) -> None:
    document = openapi_document()
    for path, operations in document["paths"].items():
        for method in operations:
            assert client.request(method, path).status_code not in (404, 405), (method, path)


def test_every_reference_of_the_document_resolves() -> None:
    text = json.dumps(openapi_document())
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= openapi_document()["components"]["schemas"].keys()


def test_an_answer_has_exactly_the_documented_members(client: httpx.Client) -> None:
    answer = client.post("/v1/chat", json={"message": "hello"}).json()
    schemas = openapi_document()["components"]["schemas"]
    assert answer.keys() == schemas["AnswerView"]["properties"].keys()
    assert answer["products"][0].keys() == schemas["ProductView"]["properties"].keys()
    assert answer["sources"][0].keys() == schemas["SourceView"]["properties"].keys()
    assert answer["usage"].keys() == schemas["UsageView"]["properties"].keys()


def test_the_documented_examples_are_valid(client: httpx.Client) -> None:
    for path, model in (("/v1/chat", "ChatBody"), ("/v1/chat/completions", "CompletionBody")):
        for example in openapi_document()["components"]["schemas"][model]["examples"]:
            assert client.post(path, json=example).status_code == 200
    feedback = openapi_document()["components"]["schemas"]["FeedbackBody"]["examples"][0]
    assert client.post("/v1/feedback", json=feedback).status_code == 404
