"""Whatever is sent, the answer is a 2xx or a 4xx problem: never a 500."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.web import WebWorld, client_of

JSON = {"content-type": "application/json"}
PATHS = ("/v1/chat", "/v1/chat/completions", "/v1/feedback", "/v1/demo/login")
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

any_text = st.text(st.characters(codec=None), max_size=40)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
KNOWN = ("message", "session_id", "page_context", "messages", "user", "stream", "response_id", "trace_id",
         "feedback", "comment", "reason_code", "timestamp", "customer_id", "role", "content")  # fmt: skip
almost_valid = st.dictionaries(
    st.sampled_from(KNOWN),
    any_json
    | st.sampled_from(["hello", "thumbs_up", "0" * 32, "C-1001"])
    | st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": any_json}), max_size=3),
    max_size=6,
)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with client_of(WebWorld()) as client:
        yield client


def assert_is_no_fault_of_ours(response: httpx.Response) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400 and "completions" not in response.url.path:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
        assert response.json()["trace_id"] == response.headers["x-trace-id"]


@FUZZ
@given(path=st.sampled_from(PATHS), body=st.binary(max_size=200))
def test_random_bytes_are_never_our_fault(client: httpx.Client, path: str, body: bytes) -> None:
    assert_is_no_fault_of_ours(client.post(path, content=body, headers=JSON))


@FUZZ
@given(path=st.sampled_from(PATHS), content=any_json | almost_valid)
def test_random_json_is_never_our_fault(client: httpx.Client, path: str, content: object) -> None:
    assert_is_no_fault_of_ours(client.post(path, content=json.dumps(content).encode(), headers=JSON))


@FUZZ
@given(message=any_text)
def test_any_message_is_answered_or_refused(client: httpx.Client, message: str) -> None:
    response = client.post("/v1/chat", content=json.dumps({"message": message}), headers=JSON)
    assert response.status_code in (200, 400, 422)


@FUZZ
@given(token=st.text(st.characters(min_codepoint=33, max_codepoint=255), min_size=1, max_size=80))
def test_any_bearer_token_is_refused_not_crashed(client: httpx.Client, token: str) -> None:
    header = b"Bearer " + token.encode("latin-1")
    response = client.post("/v1/chat", json={"message": "hi"}, headers={b"authorization": header})
    assert response.status_code in (400, 401)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 400, "bad-request"),
        (b"{", 400, "bad-request"),
        (b'{"message":"\xff\xfe"}', 400, "bad-request"),
        (b'{"message":"\\ud800"}', 400, "bad-request"),
        (b'{"\\udfff":1}', 400, "bad-request"),
        (b'{"message":NaN}', 400, "bad-request"),
        (b'{"message":"a","message":"b"}', 400, "bad-request"),
        (b'{"message":"a","page_context":{"page_type":"home","page_type":"cart"}}', 400, "bad-request"),
        (b"[" * 33 + b"]" * 33, 400, "bad-request"),
        (b"[" * 60_000, 400, "bad-request"),
        (b'{"message":' + b"9" * 5_000 + b"}", 400, "bad-request"),
        (b'\xef\xbb\xbf{"message":"a"}', 400, "bad-request"),
        (b'{"message":1e999}', 422, "invalid-request"),
        (b'{"message":"\\u0000"}', 422, "invalid-request"),
        (b'{"message":" \\n "}', 422, "invalid-request"),
        (b'{"message":""}', 422, "invalid-request"),
        (b'{"message":null}', 422, "invalid-request"),
        (b"[]", 422, "invalid-request"),
        (b'{"message":"a","extra":1}', 422, "invalid-request"),
        (b'{"message":"a","session_id":"a b"}', 422, "invalid-request"),
        (b'{"message":"a","page_context":{"page_type":"moon"}}', 422, "invalid-request"),
        (b'{"message":"' + b"a" * 4_001 + b'"}', 422, "invalid-request"),
        (b'{"message":"' + b"a" * 70_000 + b'"}', 413, "body-too-large"),
    ],
)
def test_each_defect_has_its_own_problem(client: httpx.Client, body: bytes, status: int, kind: str) -> None:
    response = client.post("/v1/chat", content=body, headers=JSON)
    assert (response.status_code, response.json()["type"]) == (status, f"urn:mangaassist:problem:{kind}")


def test_brackets_inside_strings_are_not_depth(client: httpx.Client) -> None:
    body = json.dumps({"message": '[[[ "quoted \\ [[[' + "[" * 100})
    assert client.post("/v1/chat", content=body, headers=JSON).status_code == 200


def test_a_message_of_exactly_the_limit_is_answered(client: httpx.Client) -> None:
    assert client.post("/v1/chat", json={"message": "ü" * 4_000}).status_code == 200


def test_field_errors_are_named_and_bounded(client: httpx.Client) -> None:
    problem = client.post("/v1/chat", json={f"x{number}": 1 for number in range(500)}).json()
    assert len(problem["errors"]) == 20
    assert problem["errors"][0] == {"field": "message", "message": "Field required"}


def test_a_chunked_body_is_bounded_too(client: httpx.Client) -> None:
    chunks = (b" " * 8_192 for _ in range(20))
    assert client.post("/v1/chat", content=chunks, headers=JSON).status_code == 413


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_forms_of_other_sites_are_415(client: httpx.Client, content_type: str) -> None:
    response = client.post("/v1/chat", content=b'{"message":"a"}', headers={"content-type": content_type})
    assert response.status_code == 415


def test_headers_are_bounded(client: httpx.Client) -> None:
    response = client.post("/v1/chat", json={"message": "a"}, headers={"x-long": "a" * 40_000})
    assert response.status_code == 431
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat", 405),
        ("PUT", "/v1/session", 405),
        ("POST", "/healthz", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/static/none", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/trace/%00%ff", 404),
    ],
)
def test_wrong_paths_and_methods_are_problems(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert response.json()["status"] == status
    assert (status == 405) == ("allow" in response.headers)
