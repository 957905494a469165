"""Scenario 5 from end to end: one grounding threshold for all over-blocks recommendations.

The replay shows it by intent, thresholds by intent mend it, and both are visible in the traces.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mangaassist.bootstrap.container import Container, open_container
from mangaassist.bootstrap.guardrail_tuning import (
    find_ruleset,
    open_tuning,
    queue_sample,
    replay_logged,
    suggestions,
)
from mangaassist.bootstrap.settings import Settings
from mangaassist.domain.chat import AnswerDone, ChatAnswer, ChatRequest, Identity
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.trace import FinishedSpan
from mangaassist.ports.guardrail_reviews import Labelling, ReviewFilter
from tests.support.kept_answers import PACK, settings_for
from tests.support.scripted_text_model import ScriptedTextModel

RECOMMENDATIONS = (
    "dark horror manga please", "recommend something like Monster", "I want a fantasy manga under $15",
    "finished sports series with less than 20 volumes?", "good romance manga from the 2000s",
    "what should I read after Berserk?",
)  # fmt: skip
QUESTIONS = (
    "how much is Berserk volume 1?", "who wrote Monster?", "is Vagabond finished?",
    "how many volumes does Oresama Teacher have?", "what age is Vinland Saga for?", "is Akira in stock?",
)  # fmt: skip
GLOBAL_THRESHOLD = 0.55


def quiet(phase: str, done: int, total: int) -> None:
    """No bar."""


@dataclass(frozen=True)
class Shop:
    container: Container
    settings: Settings

    async def ask(self, *questions: str) -> list[ChatAnswer]:
        answers = []
        for question in questions:
            request = ChatRequest(
                request_id=self.container.ids.sortable("req"),
                session_id=self.container.ids.sortable("sess"),
                message=question,
                identity=Identity(owner="visitor:1"),
                channel="stream",
            )
            async with aclosing(self.container.pipeline.answer(request)) as events:
                answers += [event.answer async for event in events if isinstance(event, AnswerDone)]
        return answers

    def serve(self, name: str, **grounding: Any) -> None:
        """Write a ruleset of the operator's and name it in the configuration of the running server."""
        document = yaml.safe_load((PACK / "guardrails" / "ruleset.yaml").read_text())
        document["name"] = name
        document["stages"]["grounding_check"] = {"failure_policy": "open", **grounding}
        folder = self.settings.data_dir / "guardrails"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(json.dumps(document))
        self.settings.effective_config_file.write_text(f"guardrail_ruleset: {name}\n")
        self.container.configuration.poll()
        assert self.container.configuration.current().problem is None

    def grounding_span(self, answer: ChatAnswer) -> FinishedSpan:
        self.container.traces.flush(5)
        trace = self.container.archive.get(answer.trace_id)
        return next(span for span in trace.spans if span.name == "grounding_check")


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    settings = settings_for(tmp_path)
    async with open_container(settings) as container:
        yield Shop(container, settings)


def blocked(answers: Sequence[ChatAnswer], shop: Shop) -> int:
    spans = [shop.grounding_span(answer) for answer in answers]
    return sum(span.attributes["fallback_triggered"] is True for span in spans)


async def test_scenario_five_a_global_threshold_is_found_out_and_mended(shop: Shop) -> None:
    shop.serve("gr-global", mode="enforce", threshold=GLOBAL_THRESHOLD)
    recommended, answered = await shop.ask(*RECOMMENDATIONS), await shop.ask(*QUESTIONS)
    # the complaint: good recommendations are blocked, direct answers are not
    assert blocked(recommended, shop) >= len(recommended) - 1
    assert blocked(answered, shop) <= 1

    # the blocked ones wait for review with what is needed to judge them
    async with open_tuning(shop.settings) as sources:
        queue = await sources.reviews.find(ReviewFilter(intent="recommendation"), limit=50)
        assert len(queue) >= len(recommended) - 1
        finding = queue[0].findings["grounding_check"]
        assert queue[0].text not in {answer.text for answer in recommended}, "the text is what was blocked"
        assert finding["threshold"] == GLOBAL_THRESHOLD
        assert finding["claims"]
        for review in queue:
            await sources.reviews.label(
                Labelling(response_id=review.response_id, label="fine", labelled_by="ann")
            )

        # the replay: what thresholds by intent would change, and for whom
        suggested = await suggestions(
            sources, stage="grounding_check", rate=0.05, since=None, unlabelled_are_fine=True, progress=quiet
        )
        by_intent = {one.intent: one for one in suggested}
        own = by_intent["recommendation"].threshold
        assert own is not None
        assert own > GLOBAL_THRESHOLD
        assert by_intent["recommendation"].present_false_positive_rate == pytest.approx(1, abs=0.2)
        new = find_ruleset(sources, None, [f"grounding_check:recommendation={own}"])
        report = await replay_logged(sources, new, since=None, progress=quiet)
        changed = report.by_intent["recommendation"]
        assert changed.false_positives_before == changed.before == len(queue)
        assert (changed.after, changed.released) == (0, len(queue))
        assert report.by_intent["product_question"].before == report.by_intent["product_question"].after
        assert report.by_stage["grounding_check"].released == len(queue)
        assert set(report.released) == {review.response_id for review in queue}

    # the fix, taken up by the running server
    shop.serve(
        "gr-by-intent",
        mode="enforce",
        threshold=GLOBAL_THRESHOLD,
        thresholds_by_intent={"recommendation": own},
    )
    again = await shop.ask(*RECOMMENDATIONS)
    assert blocked(again, shop) == 0

    # both are in the traces
    before, after = shop.grounding_span(recommended[0]), shop.grounding_span(again[0])
    assert before.attributes["threshold"] == GLOBAL_THRESHOLD
    assert after.attributes["threshold"] == own
    assert before.attributes["score"] == pytest.approx(after.attributes["score"])
    assert (before.attributes["action"], after.attributes["action"]) == ("replace", "allow")
    assert before.attributes["grounding_score"] == pytest.approx(
        1 - float(str(before.attributes["score"])), abs=1e-3
    )
    assert recommended[0].release_bundle != again[0].release_bundle


async def test_a_changed_rule_is_run_again_over_the_stored_words(shop: Shop) -> None:
    await shop.ask("how much is Berserk volume 1?", "who wrote Monster?")
    async with open_tuning(shop.settings) as sources:
        active = sources.active
        policy = active.stages["competitor_filter"]
        stages = {**active.stages, "competitor_filter": policy.model_copy(update={"names": ("berserk",)})}
        new = active.model_copy(update={"stages": stages})
        report = await replay_logged(sources, new, since=None, progress=quiet)
    assert report.run_again["competitor_filter"] == 2
    assert report.by_stage["competitor_filter"].newly == 1
    assert report.overall.newly == 1


async def test_passed_answers_can_be_drawn_for_labels(shop: Shop) -> None:
    await shop.ask(*QUESTIONS)
    async with open_tuning(shop.settings) as sources:
        from random import Random

        queued = await queue_sample(sources, count=3, intent=None, since=None, random=Random(1))
        reviews = await sources.reviews.find(ReviewFilter(), limit=50)
    sampled = [review for review in reviews if review.reason == "sampled"]
    assert queued == len(sampled) == 3
    assert all(review.question in QUESTIONS and review.text for review in sampled)


async def test_a_broken_ruleset_keeps_the_last_good_one(shop: Shop) -> None:
    shop.serve("gr-mine", mode="observe")
    good = shop.container.releases.parts_of(None).bundle.version
    path = shop.settings.data_dir / "guardrails" / "gr-mine.yaml"
    path.write_text("name: gr-mine\nstages: {grounding_check: {threshold: 7}}\n")
    shop.container.configuration.poll()
    problem = shop.container.configuration.current().problem
    assert problem is not None
    assert "stages.grounding_check.threshold" in problem
    assert shop.container.releases.parts_of(None).bundle.version == good


async def test_a_bundle_is_served_again_with_the_ruleset_it_was_made_with(shop: Shop) -> None:
    shop.serve("gr-mine", mode="observe", threshold=0.7)
    first = shop.container.releases.parts_of(None).bundle
    shop.serve("gr-mine", mode="observe", threshold=0.8)
    assert shop.container.releases.parts_of(None).bundle.version != first.version
    again = shop.container.releases.parts_of(first.version)
    assert again.bundle.guardrail_ruleset_version == first.guardrail_ruleset_version
    assert again.guardrails.ruleset.stages["grounding_check"].threshold == 0.7


async def test_a_threshold_on_the_command_line_names_its_stage(shop: Shop) -> None:
    async with open_tuning(shop.settings) as sources:
        for wrong in ("nobody=0.5", "grounding_check", "grounding_check=much"):
            with pytest.raises(InvalidRequestError):
                find_ruleset(sources, None, [wrong])
        assert (
            find_ruleset(sources, None, ["grounding_check=0.3"]).stages["grounding_check"].mode == "enforce"
        )


async def test_a_stopped_stream_waits_for_review_with_the_text_nobody_saw(shop: Shop) -> None:
    parts = shop.container.releases.parts_of(None)
    model = ScriptedTextModel(["You can also buy it at Ama", "zon for less. "])
    # the same bundle, written by a model that names another shop
    shop.container.releases._current = replace(parts, models=dict.fromkeys(parts.models, model))
    (answer,) = await shop.ask("recommend something like Monster")
    assert "Ama" not in answer.text
    async with open_tuning(shop.settings) as sources:
        review = await sources.reviews.get(answer.response_id)
        report = await replay_logged(sources, sources.active, since=None, progress=quiet)
    assert (review.stage, review.rule_id, review.phase) == ("stream_guard", "amazon", "stream")
    assert "Amazon" in review.text
    assert (report.overall.before, report.overall.after) == (1, 1)
