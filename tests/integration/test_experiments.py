"""Experiments on a running product: who gets what, what is kept of it, and plans that change or break."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml

from mangaassist.adapters.embedded.experiment_plans import FileExperimentPlanStore
from mangaassist.bootstrap.clock import SystemClock
from mangaassist.bootstrap.container import Container, open_container
from mangaassist.bootstrap.experiments import analyse_experiment, change_plan, exposed
from mangaassist.bootstrap.settings import Settings, load_settings
from mangaassist.control.experiments.lifecycle import Draft, create, ramp, start, stop
from mangaassist.control.experiments.outcomes import declared
from mangaassist.domain.chat import ChatAnswer, ChatRequest, Identity
from mangaassist.domain.errors import ConfigurationError, DependencyUnavailableError
from mangaassist.domain.experiments import Experiment, TrafficPlan, assign
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.domain.records import RequestRecord
from mangaassist.domain.trace_contract import violations
from tests.support.kept_answers import ask, settings_for
from tests.support.product import running_product

SHORTER = {"models": {"main": {"max_tokens": 200}}}
QUESTION = "something like Berserk"


def draft(key: str = "shorter", **changes: object) -> Draft:
    values: dict[str, object] = {
        "key": key,
        "changes": {"treatment": SHORTER},
        "shares": {"control": 0.5, "treatment": 0.5},
        "metrics": (
            declared("thumbs_up_rate", role="primary"),
            declared("fallback_rate", role="guardrail", margin=0.02),
            declared("cart_add_rate", role="secondary"),
        ),
        "namespace": key,
        **changes,
    }
    return Draft(**values)  # type: ignore[arg-type]  # each has its field's type


def run(settings: Settings, *drafts: Draft) -> Experiment:
    """Start experiments as the command line does, before or while a server runs."""

    def change(plan: TrafficPlan) -> TrafficPlan:
        for one in drafts:
            plan = start(create(plan, one), one.key, now=SystemClock().now())
        return plan

    return change_plan(settings, change).experiments[drafts[0].key]


async def record_of(container: Container, answer: ChatAnswer) -> RequestRecord:
    return await container.storage.sessions.record(answer.response_id)


def session_in(experiment: Experiment, arm: str, number: int = 0) -> str:
    """Return the n-th session that is in an arm."""
    sessions = (f"sess_{at}" for at in range(100_000))
    found = [one for one in (next(sessions) for _ in range(200)) if arm_of(experiment, one) == arm]
    return found[number]


def arm_of(experiment: Experiment, unit: str) -> str | None:
    assignment = assign(experiment, unit)
    return assignment.arm if assignment else None


# --- one process ---


async def test_an_arm_answers_with_its_bundle_and_leaves_its_name_everywhere(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    experiment = run(settings, draft())
    async with open_container(settings) as container:
        base = container.releases.parts_of(None).bundle
        for arm in ("control", "treatment"):
            session = session_in(experiment, arm)
            answers = [await ask(container, QUESTION, session_id=session) for _ in range(2)]
            record = await record_of(container, answers[0])
            container.traces.flush(5)
            trace = container.archive.get(answers[0].trace_id)

            assert record.assignments == {"shorter": arm}
            assert (record.release_bundle == base.version) is (arm == "control")
            assert answers[0].release_bundle == answers[1].release_bundle == record.release_bundle
            assert (trace.tags["experiment_id"], trace.tags["variant"]) == ("shorter", arm)
            assert violations(trace) == []
        treatment = container.releases.parts_of(record.release_bundle).bundle
        assert treatment.models["main"].parameters.max_tokens == 200
        assert treatment.models["small"] == base.models["small"]


async def test_a_unit_is_exposed_once_and_before_its_first_answer(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    run(settings, draft())
    async with open_container(settings) as container:
        sessions = [f"sess_{number}" for number in range(12)]
        answers = [await ask(container, QUESTION, session_id=one) for one in sessions for _ in range(2)]
        exposures = {one.unit_id: one for one in await container.storage.exposures.of_experiment("shorter")}

        assert set(exposures) == set(sessions)
        for answer in answers:
            record = await record_of(container, answer)
            exposure = exposures[record.session_id]
            assert exposure.exposed_at <= record.created_at
            assert (exposure.arm, exposure.release_bundle) == (
                record.assignments["shorter"],
                record.release_bundle,
            )


async def test_a_customer_keeps_the_arm_in_every_session(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    experiment = run(settings, draft())
    async with open_container(settings) as container:
        customer = container.store.customers.customers()[0].customer_id
        answers = [
            await ask(container, QUESTION, session_id=f"s{number}", owner=f"customer:{customer}")
            for number in range(6)
        ]
        arms = {(await record_of(container, one)).assignments["shorter"] for one in answers}
        exposures = await container.storage.exposures.of_experiment("shorter")

    assert arms == {arm_of(experiment, customer)}
    assert [one.unit_id for one in exposures] == [customer]


async def test_only_messages_of_the_experiments_intents_expose(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    run(settings, draft(intents=("recommendation",)))
    async with open_container(settings) as container:
        await ask(container, "hello there", session_id="sess_1")
        assert await container.storage.exposures.of_experiment("shorter") == ()

        await ask(container, "recommend me a dark fantasy manga", session_id="sess_1")
        assert [one.unit_id for one in await container.storage.exposures.of_experiment("shorter")] == [
            "sess_1"
        ]


async def test_a_failing_arm_keeps_its_units(tmp_path: Path) -> None:
    """The treatment's model cannot be reached: its answers are fallbacks, and count as the treatment's."""
    settings = load_settings(
        data_dir=tmp_path, encoder="off", openai_base_url="http://127.0.0.1:9/v1", generation="auto"
    )
    dead = {"models": {"main": {"provider": "openai_compatible", "model_id": "nowhere"}}}
    experiment = run(settings, draft(changes={"treatment": dead}))
    async with open_container(settings) as container:
        answer = await ask(container, QUESTION, session_id=session_in(experiment, "treatment"))
        record = await record_of(container, answer)

    assert record.outcome == "fallback"
    assert record.assignments == {"shorter": "treatment"}
    (found,) = await asyncio.to_thread(exposed, settings)
    assert dict(found.units) == {(1, "treatment"): 1}


async def test_an_answer_that_cannot_be_stored_leaves_its_exposure_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path)
    run(settings, draft())

    async def refuse(write: object) -> None:
        raise DependencyUnavailableError("the disk is full")

    async with open_container(settings) as container:
        await ask(container, QUESTION, session_id="sess_1")
        monkeypatch.setattr(container.storage.sessions, "append", refuse)
        with pytest.raises(DependencyUnavailableError):
            await ask(container, QUESTION, session_id="sess_2")
        exposures = await container.storage.exposures.of_experiment("shorter")
    monkeypatch.undo()

    assert {one.unit_id for one in exposures} == {"sess_1", "sess_2"}
    analysis = (await asyncio.to_thread(analyse_experiment, settings, "shorter")).analysis
    assert sum(analysis.sizes.units.values()) == 2  # the unit without any answer counts


async def test_an_exposure_that_cannot_be_stored_degrades_the_answer_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path)
    run(settings, draft())

    async def refuse(exposures: object) -> None:
        raise DependencyUnavailableError("the disk is full")

    async with open_container(settings) as container:
        monkeypatch.setattr(container.storage.exposures, "record", refuse)
        first = await ask(container, QUESTION, session_id="sess_1")
        monkeypatch.undo()
        second = await ask(container, QUESTION, session_id="sess_1")
        exposures = await container.storage.exposures.of_experiment("shorter")

    assert "experiments: the disk is full" in first.degraded
    assert not any("experiments" in item for item in second.degraded)
    assert [one.unit_id for one in exposures] == ["sess_1"]


async def test_a_request_that_names_its_bundle_takes_no_part(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    run(settings, draft())
    async with open_container(settings) as container:
        base = container.releases.parts_of(None).bundle.version
        for number in range(6):
            allocation = container.pipeline.allocator.allocate(
                ChatRequest(
                    request_id="r",
                    session_id=f"sess_{number}",
                    message="hello",
                    identity=Identity(owner="visitor:1"),
                    release_bundle=base,
                )
            )
            assert allocation.assignments == ()
            assert allocation.parts.bundle.version == base


async def test_a_unit_in_two_experiments_gets_both_changes(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    warmer = draft("warmer", changes={"treatment": {"models": {"small": {"temperature": 0.9}}}})
    run(settings, draft(), warmer)
    async with open_container(settings) as container:
        bundles: dict[tuple[str, ...], set[str]] = {}
        for number in range(40):
            answer = await ask(container, "hello", session_id=f"sess_{number}")
            record = await record_of(container, answer)
            bundles.setdefault(tuple(record.assignments.values()), set()).add(record.release_bundle)
        both = container.releases.parts_of(*bundles["treatment", "treatment"]).bundle

    assert len(bundles) == 4
    assert all(len(versions) == 1 for versions in bundles.values())
    assert both.models["main"].parameters.max_tokens == 200
    assert both.models["small"].parameters.temperature == 0.9


async def test_a_configuration_that_a_running_variant_cannot_be_built_on_is_refused(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    run(settings, draft(changes={"treatment": {"routes": {"faq": {"handler": "llm"}}}}))
    async with open_container(settings) as container:
        before = container.releases.parts_of(None).bundle.version
        # by itself a good configuration; but the treatment would be left without a model
        template = {"handler": "template", "template": "fallback", "model": None}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({"routes": {"faq": template}}))
        container.configuration.poll()

        assert "experiment shorter/treatment" in str(container.configuration.current().problem)
        assert container.releases.parts_of(None).bundle.version == before


# --- the plan ---


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"prompts": {"recommendation": "9.9"}}, "prompt files are missing: recommendation v9.9"),
        ({"models": {"main": {"max_tokens": -1}}}, "max_tokens"),
        ({"routes": {"faq": {"model": "nowhere"}}}, "no model 'nowhere'"),
    ],
)
def test_a_plan_that_servers_would_refuse_is_not_written(
    changes: dict[str, object], problem: str, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path)

    with pytest.raises(ConfigurationError, match=problem):
        run(settings, draft(changes={"treatment": changes}))

    assert not (tmp_path / "experiments.yaml").exists()


async def test_a_start_with_a_broken_plan_uses_the_last_good_one(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    run(settings, draft())
    async with open_container(settings):
        pass
    (tmp_path / "experiments.yaml").write_text("experiments: {shorter: {status: running}}")

    async with open_container(settings) as container:
        (health,) = [one for one in container.health() if one.port == "experiments"]
        record = await record_of(container, await ask(container, QUESTION, session_id="sess_1"))

    assert health.state == "degraded"
    assert "last good plan" in health.detail
    assert record.assignments


def test_a_running_server_follows_the_plan_within_a_second_and_survives_a_broken_one(
    tmp_path: Path,
) -> None:
    settings = settings_for(tmp_path)
    with running_product(tmp_path, environment={"MANGAASSIST_ENCODER": "off"}) as product:
        headers = {"authorization": f"Bearer {product.visitor()}"}
        client = httpx.Client(base_url=product.url, headers=headers, timeout=30)

        def bundles() -> set[str]:
            return {
                client.post("/v1/chat", json={"message": "hello", "session_id": f"sess_{n}"}).json()[
                    "release_bundle"
                ]
                for n in range(8)
            }

        base = bundles()
        assert len(base) == 1

        experiment = run(settings, draft())
        assert until(lambda: len(bundles()) == 2) < 2.5
        ramped = change_plan(
            settings,
            lambda plan: ramp(
                plan, "shorter", now=SystemClock().now(), shares={"control": 0.01, "treatment": 0.99}
            ),
        )
        assert until(lambda: not bundles() & base) < 2.5

        good = (tmp_path / "experiments.yaml").read_text()
        (tmp_path / "experiments.yaml").write_text(good.replace("status: running", "status: runing"))
        until(lambda: "last good plan" in client.get("/readyz").text)
        assert not bundles() & base

        (tmp_path / "experiments.yaml").write_text(good)
        change_plan(settings, lambda plan: stop(plan, "shorter", now=SystemClock().now()))
        assert until(lambda: bundles() == base) < 2.5
        client.close()

    (found,) = exposed(settings)
    assert experiment.phase == 1
    assert ramped.experiments["shorter"].phase == 2
    assert sum(count for (phase, _), count in found.units.items() if phase == 1) == 8
    assert FileExperimentPlanStore(tmp_path / "experiments.yaml").read().content


def until(condition: Callable[[], bool], *, seconds: float = 10.0) -> float:
    """Return the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
    return time.monotonic() - began


# --- from answers to a decision ---


async def test_answers_and_feedback_become_the_metrics_of_their_arm(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    experiment = run(settings, draft())
    async with open_container(settings) as container:
        for number in range(30):
            answer = await ask(container, QUESTION, session_id=f"sess_{number}")
            liked = arm_of(experiment, f"sess_{number}") == "treatment"
            await container.storage.feedback.add(
                FeedbackEvent(
                    feedback_id=f"fb_{number}",
                    response_id=answer.response_id,
                    trace_id=answer.trace_id,
                    feedback="thumbs_up" if liked else "thumbs_down",
                    timestamp=container.clock.now(),
                ),
                owner="visitor:1",
            )
    analysis = (await asyncio.to_thread(analyse_experiment, settings, "shorter")).analysis

    (found,) = await asyncio.to_thread(exposed, settings)
    units = {arm: count for (_, arm), count in found.units.items()}
    assert dict(analysis.sizes.units) == units
    assert analysis.observations == 30
    assert analysis.decision == "CONTINUE"
    assert f"{min(units.values())} units in the smaller arm given" in analysis.reasons[0]
