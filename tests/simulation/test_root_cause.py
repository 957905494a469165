"""Planted faults: how often the layer that a diagnosis names is the one that was broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from mangaassist.bootstrap.container import Container, open_container
from mangaassist.bootstrap.lineage import contents_of
from mangaassist.bootstrap.root_cause import FOUND
from mangaassist.control.lineage.story import StoryTeller
from mangaassist.control.monitoring.collector import KnowledgeSources, RootCauses
from mangaassist.control.monitoring.diagnosis import Diagnosis
from mangaassist.domain.chat import AnswerDone, ChatAnswer, ChatRequest, Identity, PageContext
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.serving.pipeline import ChatPipeline
from tests.support.kept_answers import settings_for
from tests.support.planted_faults import Faults

QUESTIONS = (
    "how long do I have to return a book?",
    "can I return an opened box set?",
    "how much is shipping within the United States?",
    "do you ship to Canada?",
    "what happens if a volume arrives damaged?",
    "how do I cancel an order?",
    "when will my card be charged for a preorder?",
    "how long does a refund take?",
    "can I change the delivery address?",
    "who pays for return postage?",
    "what if my parcel is lost?",
    "do you have gift wrap?",
    "how do gift cards work?",
    "can I exchange a misprinted book?",
    "do digital books have DRM?",
    "how do Club points work?",
)
FAULTS = {
    "stale_chunk": "stale_chunk",
    "missing_chunk": "missing_chunk",
    "retrieval": "retrieval",
    "rerank": "rerank",
    "slow rerank": "rerank",
    "prompt": "prompt",
    "generation": "generation",
    "guardrail": "guardrail",
    "provider_latency": "provider_latency",
}


async def answer_to(
    question: str, pipeline: ChatPipeline, container: Container, *, session_id: str
) -> ChatAnswer:
    request = ChatRequest(
        request_id=container.ids.sortable("req"),
        session_id=session_id,
        message=question,
        identity=Identity(owner="visitor:1"),
        page_context=PageContext(),
    )
    async with aclosing(pipeline.answer(request)) as events:
        async for event in events:
            if isinstance(event, AnswerDone):
                return event.answer
    raise AssertionError("no answer")


async def dislike(container: Container, answer: ChatAnswer) -> None:
    await container.storage.feedback.add(
        FeedbackEvent(
            feedback_id=container.ids.sortable("fb"),
            response_id=answer.response_id,
            trace_id=answer.trace_id,
            feedback="thumbs_down",
            timestamp=container.clock.now(),
        ),
        owner="visitor:1",
    )


def causes_of(container: Container, *, index_holds_it: bool = True) -> RootCauses:
    storage, store, contents = container.storage, container.store, contents_of(container)
    search = container.knowledge.search
    return RootCauses(
        teller=StoryTeller(
            records=storage.records, feedback=storage.feedback, archive=container.archive, contents=contents
        ),
        records=storage.records,
        feedback=storage.feedback,
        contents=contents,
        sources=KnowledgeSources(catalog=store.catalog, policies=store.policies, promotions=store.promotions),
        search=(lambda text: search(text, limit=FOUND)) if index_holds_it else (lambda text: []),
    )


async def healthy_answers(container: Container, faults: Faults) -> list[str]:
    """Answer every question twice as it should be; return those that a model answers from passages."""
    written = []
    for number, question in enumerate(QUESTIONS * 2):
        pipeline = faults.pipeline(faults.healthy)
        answer = await answer_to(question, pipeline, container, session_id=f"healthy-{number}")
        if answer.model_id != "none" and number < len(QUESTIONS):
            written.append(question)
    return written


async def diagnosed(
    container: Container, faults: Faults, fault: str, questions: Sequence[str], count: int
) -> list[Diagnosis]:
    """Answer `count` questions with a fault, dislike the answers, and diagnose them."""
    causes = causes_of(container, index_holds_it=fault != "missing_chunk")
    found = []
    for number in range(count):
        if number % len(questions) == 0:
            pipeline = faults.pipeline(faults.parts(fault))
        question = questions[number % len(questions)]
        answer = await answer_to(question, pipeline, container, session_id=f"{fault}-{number}")
        if fault not in ("slow rerank", "provider_latency", "guardrail"):
            await dislike(container, answer)
        found.append(await causes.of_answer(answer.response_id))
    return found


@pytest.mark.parametrize("count", [4, pytest.param(48, marks=pytest.mark.full_size)])
async def test_planted_faults_are_told_apart(tmp_path: Path, count: int) -> None:
    confusion: dict[str, Counter[str]] = {}
    async with open_container(settings_for(tmp_path)) as container:
        faults = Faults(container)
        questions = await healthy_answers(container, faults)
        for fault in FAULTS:
            found = await diagnosed(container, faults, fault, questions, count)
            confusion[fault] = Counter(str(one.layer) for one in found)
        faults.close()
    for fault, named in confusion.items():
        print(f"{fault:18}{dict(named)}")
    right = sum(named[FAULTS[fault]] for fault, named in confusion.items())
    assert right / (count * len(FAULTS)) >= 0.85, confusion
    for fault, named in confusion.items():
        assert named.most_common(1)[0][0] == FAULTS[fault], (fault, named)


async def test_a_healthy_answer_blames_nothing(tmp_path: Path) -> None:
    async with open_container(settings_for(tmp_path)) as container:
        faults = Faults(container)
        questions = await healthy_answers(container, faults)
        found = await diagnosed(container, faults, "none", questions, 16)
        faults.close()
    blamed = [one for one in found if one.findings and one.findings[0].weight > 0.7]
    assert len(blamed) <= 2, blamed
