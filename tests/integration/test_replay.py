"""Kept answers are made again byte for byte, and whatever was changed since is named."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
import yaml

from mangaassist.bootstrap.container import open_container
from mangaassist.bootstrap.lineage import build_replayer, contents_of
from mangaassist.bootstrap.lineage import replay as replay_command
from mangaassist.control.lineage.capsules import recorded_answer
from mangaassist.control.lineage.replay import ReplayMode
from mangaassist.domain.errors import NotFoundError
from tests.support.kept_answers import (
    Kept,
    ask,
    copied_store,
    kept_answers,
    settings_for,
    with_other_chunk,
    with_other_model,
    with_other_parameter,
    with_other_prompt,
    with_other_rule,
)

MODES: tuple[ReplayMode, ...] = ("exact", "rebuild", "full")
FULL = pytest.param(300, 500, marks=pytest.mark.full_size)


async def unequal(kept: Kept, mode: ReplayMode) -> list[str]:
    """Return what is not the same when every kept answer is replayed with its own bundle."""
    problems = []
    for answer in kept.answers:
        recorded = await kept.recorded(answer)
        report = await kept.replayer.replay(recorded, kept.parts(answer.release_bundle), mode=mode)
        if not report.text_equal or report.prompt_equal is False or report.recorded_text != answer.text:
            problems.append(f"{recorded.capsule.request.message!r}: {report}")
        if (report.prompt_equal is None) is not (recorded.capsule.prompt is None):
            problems.append(f"{recorded.capsule.request.message!r}: not compared")
    return problems


async def misnamed(kept: Kept, count: int) -> tuple[Counter[str], list[str]]:
    """Plant `count` changes, one at a time; return how many of each kind, and those not named exactly."""
    random = Random(11)
    written = [one for one in kept.answers if one.model_id != "none" and not one.cache_hit]
    planted, problems = Counter[str](), list[str]()
    for number in range(count):
        kind = ("prompt", "chunk", "parameter", "ruleset", "model")[number % 5]
        recorded = await kept.recorded(random.choice(written))
        while kind == "chunk" and not recorded.chunks:
            recorded = await kept.recorded(random.choice(written))
        prompt = recorded.capsule.prompt
        assert prompt is not None
        parts = kept.parts(recorded.capsule.release_bundle)
        replayer, wanted = kept.replayer, None
        if kind == "prompt":
            parts = with_other_prompt(parts, prompt.prompt_version, random)
        elif kind == "chunk":
            wanted = random.choice(recorded.chunks).chunk_id
            replayer = kept.replayer_with(with_other_chunk(wanted, random))
        elif kind == "parameter":
            parts, wanted = with_other_parameter(parts, prompt.model_key, random)
        elif kind == "ruleset":
            parts = with_other_rule(parts, kept.container, random)
        else:
            parts = with_other_model(parts, prompt.model_key, random)
        report = await replayer.replay(recorded, parts, mode="rebuild")
        planted[kind] += 1
        named = [one.name for one in report.differences]
        if report.components != (kind,) or (wanted is not None and named != [wanted]):
            problems.append(f"{kind} {wanted}: {report.differences}")
    return planted, problems


@pytest.mark.parametrize(("answers", "mutations"), [(63, 25), FULL])
async def test_kept_answers_replay_byte_for_byte_and_planted_changes_are_named(
    tmp_path: Path, answers: int, mutations: int
) -> None:
    async with kept_answers(settings_for(tmp_path), answers) as kept:
        for mode in MODES:
            assert await unequal(kept, mode) == []
        planted, problems = await misnamed(kept, mutations)
    assert problems == []
    assert sum(planted.values()) == mutations
    assert set(planted) == {"prompt", "chunk", "parameter", "ruleset", "model"}


@pytest.mark.parametrize(("answers", "mutations"), [(30, 10), FULL])
async def test_replay_still_holds_after_the_index_was_swapped(
    tmp_path: Path, answers: int, mutations: int
) -> None:
    store = copied_store(tmp_path)
    settings = settings_for(tmp_path / "var", store)
    async with kept_answers(settings, answers) as kept:
        before = kept.container.releases.parts_of(None).bundle.knowledge_version
        answered = kept.answers
    articles = store / "policies" / "articles.jsonl"
    # one article more: every version of the knowledge changes, no chunk that was used does
    extra = articles.read_text().splitlines()[0].replace('"article_id": "', '"article_id": "zz-new-')
    articles.write_text(articles.read_text() + extra + "\n")

    async with open_container(settings) as container:
        kept = Kept(container=container, answers=answered, replayer=build_replayer(container))
        assert container.releases.parts_of(None).bundle.knowledge_version != before
        assert await unequal(kept, "exact") == []
        assert await unequal(kept, "rebuild") == []
        planted, problems = await misnamed(kept, mutations)
    assert problems == []
    assert sum(planted.values()) == mutations


async def test_a_changed_chunk_is_named_after_a_swap_and_the_old_answer_still_made_again(
    tmp_path: Path,
) -> None:
    store = copied_store(tmp_path)
    settings = settings_for(tmp_path / "var", store)
    async with open_container(settings) as container:
        answer = await ask(container, "what is your return policy?", session_id="s1")
    articles = store / "policies" / "articles.jsonl"
    articles.write_text(articles.read_text().replace("30 days", "45 days").replace("30-day", "45-day"))

    exact = await replay_command(settings, answer.response_id, mode="exact")
    rebuilt = await replay_command(settings, answer.response_id, mode="rebuild")
    full = await replay_command(settings, answer.response_id, mode="full")

    assert exact.text_equal
    assert exact.prompt_equal
    assert rebuilt.text_equal
    assert rebuilt.prompt_equal
    assert rebuilt.components == full.components == ("chunk",)
    assert "knowledge" in rebuilt.versions
    assert not full.prompt_equal


async def test_a_trace_opens_with_the_prompt_of_another_bundle(tmp_path: Path) -> None:
    store = copied_store(tmp_path)
    settings = settings_for(tmp_path / "var", store)
    async with open_container(settings) as container:
        answer = await ask(container, "something like Berserk but less grim", session_id="s1")
    prompts = store / "prompts" / "recommendation"
    (old,) = [path for path in prompts.iterdir() if path.name.startswith("v1.0")]
    content = yaml.safe_load(old.read_text())
    limits = {**content.get("limits", {}), "max_titles": 1}
    new = {**content, "version": "2.0", "limits": limits}
    (prompts / "v2.0.yaml").write_text(yaml.safe_dump(new))
    settings.effective_config_file.write_text('prompts: {recommendation: "2.0"}\n')
    async with open_container(settings) as container:
        other = container.releases.parts_of(None).bundle.version

    report = await replay_command(settings, answer.response_id, mode="rebuild", bundle=other)

    assert report.used_bundle == other != report.recorded_bundle
    assert report.components == ("prompt",)
    assert report.differences[0].recorded == "recommendation-1.0"
    assert report.differences[0].replayed == "recommendation-2.0"
    assert not report.text_equal
    assert 0 < report.similarity < 1


async def test_what_was_forgotten_or_never_known_cannot_be_replayed(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    async with open_container(settings) as container:
        answer = await ask(container, "any deals on box sets?", session_id="s1", owner="visitor:7")
        (record,) = await container.storage.records.find(answer.response_id)
        keys = contents_of(container)._keys
        assert await keys.forget("visitor:7")
        with pytest.raises(NotFoundError, match="not kept any more"):
            await recorded_answer(record, contents_of(container))
    with pytest.raises(NotFoundError, match="no response"):
        await replay_command(settings, "resp_unknown", mode="exact")
