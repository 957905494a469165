"""How model endpoints are told of the trace that a call belongs to."""

from __future__ import annotations

from mangaassist.adapters.aws.bedrock import converse_arguments
from mangaassist.adapters.openai_compatible.chat import OpenAICompatibleTextModel
from mangaassist.domain.generation import GenerationRequest, Message
from mangaassist.domain.trace_context import TraceContext
from tests.support.fake_openai import FakeOpenAI

CONTEXT = TraceContext(
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="b7ad6b7169203331",
    baggage={"mangaassist.release_bundle": "2026.11-ab12", "note": "a b\r\nx-evil: 1", "emoji": "📚"},
)
REQUEST = GenerationRequest(
    model_id="m", system="s", messages=(Message(role="user", text="hi"),), context=CONTEXT
)


async def test_an_openai_compatible_endpoint_gets_the_w3c_headers_and_nothing_smuggled() -> None:
    with FakeOpenAI() as endpoint:
        model = OpenAICompatibleTextModel(base_url=endpoint.url)
        async for _ in model.stream(REQUEST):
            pass
        await model.close()
    (call,) = endpoint.calls
    assert call.headers["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert "mangaassist.release_bundle=2026.11-ab12" in call.headers["baggage"]
    assert "x-evil" not in call.headers


def test_bedrock_keeps_what_its_rules_allow_beside_the_invocation() -> None:
    assert converse_arguments(REQUEST)["requestMetadata"] == {
        "trace_id": CONTEXT.trace_id,
        "mangaassist.release_bundle": "2026.11-ab12",
        "note": "a b\r\nx-evil: 1",
    }
