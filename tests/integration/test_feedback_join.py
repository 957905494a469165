"""Feedback is joined to its answer at once, sampled or not, before its trace is anywhere."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mangaassist.bootstrap.container import open_container
from mangaassist.bootstrap.lineage import tell
from mangaassist.cli import diagnose, lineage, records, replay
from mangaassist.cli.main import typer_app
from mangaassist.domain.errors import InvalidRequestError, NotFoundError
from mangaassist.domain.feedback import FeedbackEvent, FeedbackValue
from tests.support.kept_answers import ask, settings_for


def said(answer_id: str, trace_id: str, value: FeedbackValue, moment: object) -> FeedbackEvent:
    return FeedbackEvent(
        feedback_id=f"fb_{value}",
        response_id=answer_id,
        trace_id=trace_id,
        feedback=value,
        timestamp=moment,  # type: ignore[arg-type]  # a time
        value=9.99 if value == "cart_add" else None,
    )


async def test_feedback_and_outcomes_are_in_the_story_within_a_second_by_every_id(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    async with open_container(settings) as container:
        answer = await ask(container, "any deals on box sets?", session_id="s1")
        earlier = time.perf_counter()
        for value in ("thumbs_down", "cart_add"):
            event = said(answer.response_id, answer.trace_id, value, container.clock.now())
            assert await container.storage.feedback.add(event, owner="visitor:1") == "stored"
            assert await container.storage.feedback.add(event, owner="visitor:1") == "repeated"
        stored_ms = (time.perf_counter() - earlier) * 1e3
        container.traces.flush(5.0)
        for identifier in (answer.response_id, answer.trace_id, answer.session_id, "fb_cart_add"):
            told = (await tell(settings, identifier)).story
            assert told.record is not None
            assert told.record.response_id == answer.response_id
            assert {event.feedback: event.value for event in told.feedback} == {
                "thumbs_down": None,
                "cart_add": 9.99,
            }
            assert told.trace is not None
            assert told.missing == ()
        with pytest.raises(NotFoundError, match="no trace, response, session or feedback"):
            await tell(settings, "fb_unknown")
    assert stored_ms < 1_000


def test_the_commands_tell_replay_report_and_diagnose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("DATA_DIR", str(tmp_path)), ("ENCODER", "off")):
        monkeypatch.setenv(f"MANGAASSIST_{name}", value)

    async def answered() -> str:
        async with open_container(settings_for(tmp_path)) as container:
            answer = await ask(container, "what is your return policy?", session_id="s1")
            event = said(answer.response_id, answer.trace_id, "thumbs_down", container.clock.now())
            await container.storage.feedback.add(event, owner="visitor:1")
            return answer.response_id

    response_id = asyncio.run(answered())

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(typer_app, list(arguments), env={"COLUMNS": "200"})
        assert done.exit_code == 0, done.output
        return done.output

    story = run("lineage", response_id)
    for piece in (
        "“what is your return policy?”",
        "release_bundle=",
        "grounding_check=",
        "thumbs_down",
        "tokens ",
    ):
        assert piece in story
    assert json.loads(run("lineage", "fb_thumbs_down", "--json"))["record"]["response_id"] == response_id
    assert json.loads(run("replay", response_id, "--mode", "rebuild", "--json"))["prompt_equal"] is True
    assert "no component differs" in run("replay", response_id)
    assert json.loads(run("records", "copy", "--json")) == {"records": 1, "feedback": 1, "merged_files": 0}
    counted = run("query", "SELECT count(*) AS n FROM records", "--json")
    assert json.loads(counted) == [{"n": 1}]
    (rates,) = json.loads(run("report", "thumbs-down", "--json"))
    assert (rates["answers"], rates["thumbs_down"], rates["thumbs_down_per_answer"]) == (1, 1, 1.0)
    assert "latency by intent and prompt version" in run("report")
    assert json.loads(run("diagnose", response_id, "--json"))["complaints"] == ["disliked"]
    assert "bad answers: 0 of 0 before, 1 of 1 now" in run("diagnose", "--population")
    refused = CliRunner().invoke(typer_app, ["diagnose"])
    assert isinstance(refused.exception, InvalidRequestError)
    for module in (diagnose, lineage, records, replay):
        assert module.__doc__
