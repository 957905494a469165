"""Every implementation of `TextModel` under the contract suite.

To add one: write an async context manager that yields a `TextModelCase` and append its
`module:function` to `TEXT_MODEL_FACTORIES`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from aiobotocore.session import AioSession

from mangaassist.adapters.aws.bedrock import BedrockTextModel, BedrockTimeouts
from mangaassist.adapters.openai_compatible.chat import OpenAICompatibleTextModel
from mangaassist.adapters.openai_compatible.http import HttpTimeouts
from mangaassist.domain.generation import GenerationRequest, Message, ModelParameters
from mangaassist.ports.text_models import TextModel
from tests.support.fake_bedrock import FakeBedrock
from tests.support.fake_openai import FakeOpenAI

TEXT_MODEL_FACTORIES: list[str] = [
    "tests.support.text_models:bedrock",
    "tests.support.text_models:openai_compatible",
]

PATIENCE_S = 20.0  # no busy machine is that slow
IMPATIENCE_S = 1.0  # for the claims about time limits; the fakes stall for longer


@dataclass(frozen=True, slots=True, kw_only=True)
class TextModelCase:
    """One implementation, ready to be asked; `impatient` is the same with short time limits.

    `endpoint` is the fake behind it, whose plan makes calls fail; None for an implementation that
    depends on nothing outside, for which the claims about failures are skipped.
    """

    model: TextModel
    request: GenerationRequest
    endpoint: FakeBedrock | FakeOpenAI | None = None
    impatient: TextModel | None = None


TextModelFactory = Callable[[], AbstractAsyncContextManager[TextModelCase]]


def text_model_factory(name: str) -> TextModelFactory:
    """Return the factory that a `module:function` names."""
    module, _, function = name.partition(":")
    return cast("TextModelFactory", getattr(import_module(module), function))


def a_request(model_id: str = "anthropic.claude-3-5-sonnet-20240620-v1:0") -> GenerationRequest:
    """Return a small prompt with a conversation behind it."""
    return GenerationRequest(
        model_id=model_id,
        system="You are the assistant of a manga store.",
        messages=(
            Message(role="user", text="Something dark?"),
            Message(role="assistant", text="How dark?"),
            Message(role="user", text="Very — 血 and all."),
        ),
        parameters=ModelParameters(temperature=0.2, max_tokens=300, top_p=0.9, stop_sequences=("END",)),
    )


def aws_session() -> AioSession:
    """Return a session with credentials that open nothing."""
    session = AioSession()
    session.set_credentials("AKIDEXAMPLE", "not-a-secret")
    return session


def bedrock_model(endpoint: FakeBedrock, patience_s: float = PATIENCE_S) -> BedrockTextModel:
    """Return the Bedrock adapter in front of a fake endpoint."""
    return BedrockTextModel(
        region="us-east-1",
        endpoint_url=endpoint.url,
        session=aws_session(),
        max_connections=4,
        timeouts=BedrockTimeouts(
            connect_s=patience_s, first_byte_s=patience_s, idle_s=patience_s, complete_s=patience_s
        ),
    )


def openai_model(
    base_url: str, api_key: str | None = None, patience_s: float = PATIENCE_S
) -> OpenAICompatibleTextModel:
    """Return the OpenAI-compatible adapter in front of an endpoint."""
    return OpenAICompatibleTextModel(
        base_url=base_url,
        api_key=api_key,
        timeouts=HttpTimeouts(connect_s=patience_s, first_byte_s=patience_s, idle_s=patience_s),
    )


@asynccontextmanager
async def bedrock() -> AsyncIterator[TextModelCase]:
    """Bedrock, through the real aiobotocore client."""
    with FakeBedrock() as endpoint:
        model = bedrock_model(endpoint)
        impatient = bedrock_model(endpoint, patience_s=IMPATIENCE_S)
        try:
            yield TextModelCase(model=model, request=a_request(), endpoint=endpoint, impatient=impatient)
        finally:
            await model.close()
            await impatient.close()


@asynccontextmanager
async def openai_compatible() -> AsyncIterator[TextModelCase]:
    """An OpenAI-compatible endpoint, through our own client."""
    with FakeOpenAI() as endpoint:
        model = openai_model(endpoint.url)
        impatient = openai_model(endpoint.url, patience_s=IMPATIENCE_S)
        try:
            yield TextModelCase(
                model=model, request=a_request("fake"), endpoint=endpoint, impatient=impatient
            )
        finally:
            await model.close()
            await impatient.close()
