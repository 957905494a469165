"""Tuning of the guardrails over what was logged: replay, thresholds, and the review queue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from mangaassist.adapters.embedded.configuration import WatchedFileConfiguration
from mangaassist.adapters.embedded.store_pack import load_store_pack
from mangaassist.adapters.embedded.store_services import PackCatalog
from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.bootstrap.guardrail_models import load_guardrail_models
from mangaassist.bootstrap.guardrail_rulesets import RulesetFolders
from mangaassist.bootstrap.guardrails import build_guardrails, load_ruleset
from mangaassist.bootstrap.settings import Settings, find_store_dir
from mangaassist.control.evaluation.guardrail_replay import (
    LoggedAnswer,
    ReplayReport,
    Rescored,
    replay,
    stages_to_run_again,
)
from mangaassist.control.evaluation.guardrail_thresholds import ThresholdSuggestion, suggest_thresholds
from mangaassist.domain.errors import InvalidRequestError, NotFoundError
from mangaassist.domain.guardrail_reviews import GuardrailReview
from mangaassist.domain.intents import Intent
from mangaassist.domain.records import RequestRecord
from mangaassist.ports.guardrail_reviews import AnswerWords, GuardrailReviews, ReviewFilter
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.pipeline import GuardrailPipeline
from mangaassist.serving.guardrails.ruleset import Ruleset, parse_ruleset
from mangaassist.serving.runtime_configuration import parse_runtime_configuration

PAGE = 500
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
NEEDS_FACTS = frozenset({"asin_validation", "price_validation", "fact_validation", "grounding_check"})
"""Stages that need what the answer was made from; words alone do not run them again."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningSources:
    """The stores and rulesets that tuning reads."""

    settings: Settings
    storage: SqlStorage
    rulesets: RulesetFolders
    active: Ruleset

    @property
    def reviews(self) -> GuardrailReviews:
        """The review queue."""
        return self.storage.reviews


@asynccontextmanager
async def open_tuning(settings: Settings) -> AsyncIterator[TuningSources]:
    """Open the database and the rulesets of an installation; the server may run."""
    store_dir = find_store_dir(settings)
    rulesets = RulesetFolders(
        own=settings.data_dir / "guardrails",
        pack=store_dir / "guardrails",
        kept=settings.data_dir / "bundles" / "rulesets",
    )
    configuration = WatchedFileConfiguration(
        defaults=store_dir / "config.yaml", override=settings.effective_config_file
    )
    name = parse_runtime_configuration(configuration.current().content).guardrail_ruleset
    storage = await SqlStorage.open(settings.effective_database_url, clock=SystemClock(), ids=RandomIds())
    try:
        yield TuningSources(settings=settings, storage=storage, rulesets=rulesets, active=rulesets.find(name))
    finally:
        await storage.close()


def find_ruleset(sources: TuningSources, name: str | None, thresholds: Sequence[str] = ()) -> Ruleset:
    """Return a ruleset by file or name (None: the active one), with single thresholds changed.

    A threshold is written `stage=0.7` or `stage:intent=0.7`.
    """
    if name is None:
        ruleset = sources.active
    elif Path(name).is_file():
        ruleset = load_ruleset(Path(name))
    else:
        ruleset = sources.rulesets.find(name)
    for change in thresholds:
        ruleset = with_threshold(ruleset, change)
    return ruleset


def with_threshold(ruleset: Ruleset, change: str) -> Ruleset:
    """Return the ruleset with one threshold of one stage (`stage[:intent]=value`) changed and enforced."""
    target, equals, value = change.partition("=")
    stage, _, intent = target.partition(":")
    if not equals or stage not in ruleset.stages:
        known = ", ".join(ruleset.stages)
        raise InvalidRequestError(
            f"--threshold must read STAGE[:INTENT]=VALUE, got {change!r}; stages: {known}"
        )
    document = ruleset.model_dump(mode="json")
    policy = document["stages"][stage]
    policy["mode"] = "enforce"
    try:
        number = float(value)
    except ValueError as error:
        raise InvalidRequestError(f"--threshold {change!r}: {value!r} is no number") from error
    if intent:
        policy["thresholds_by_intent"][intent] = number
    else:
        policy["threshold"] = number
    return parse_ruleset(document)


async def replay_logged(
    sources: TuningSources, ruleset: Ruleset, *, since: datetime | None, progress: Progress
) -> ReplayReport:
    """Return what `ruleset` would have done to the answers logged since then."""
    answers = await logged_answers(sources, since=since, progress=progress)
    wanted = stages_to_run_again(sources.active, ruleset) - NEEDS_FACTS
    again: Mapping[tuple[str, str], Rescored] = {}
    if wanted:
        again = await _run_again(sources, ruleset, answers, wanted, since=since, progress=progress)
    return replay(answers, old=sources.active, new=ruleset, again=again)


async def suggestions(
    sources: TuningSources,
    *,
    stage: str,
    rate: float,
    since: datetime | None,
    unlabelled_are_fine: bool,
    progress: Progress,
) -> list[ThresholdSuggestion]:
    """Return threshold suggestions for one stage; raises `NotFoundError` for an unknown one."""
    policy = sources.active.stages.get(stage)
    if policy is None:
        raise NotFoundError(f"no guardrail stage {stage!r}; there are {', '.join(sources.active.stages)}")
    if not 0 < rate < 1:
        raise InvalidRequestError(f"--fpr must lie between 0 and 1, got {rate}")
    answers = await logged_answers(sources, since=since, progress=progress)
    return suggest_thresholds(
        answers, stage=stage, policy=policy, rate=rate, unlabelled_are_fine=unlabelled_are_fine
    )


async def queue_sample(
    sources: TuningSources, *, count: int, intent: str | None, since: datetime | None, random: Random
) -> int:
    """Queue answers that passed, drawn at random, so that their labels tell the false-positive rate."""
    start = since or BEGINNING
    records = [
        record
        async for record in _records(sources, start)
        if record.guardrail_action == "allow" and intent in (None, record.intent)
    ]
    chosen = {record.response_id: record for record in random.sample(records, min(count, len(records)))}
    words = {one.response_id: one async for one in _words(sources, start) if one.response_id in chosen}
    queued = [
        GuardrailReview(
            response_id=response_id,
            created_at=record.created_at,
            reason="sampled",
            intent=record.intent,
            channel=record.channel,
            phase="output",
            stage=None,
            rule_id=None,
            action="allow",
            ruleset_version=record.versions.get("guardrail_ruleset", "unknown"),
            question=words[response_id].question,
            text=words[response_id].text,
            findings={name: {"score": score} for name, score in record.guardrail_scores.items()},
        )
        for response_id, record in chosen.items()
        if response_id in words
    ]
    return await sources.reviews.add(queued)


async def logged_answers(
    sources: TuningSources, *, since: datetime | None, progress: Progress
) -> list[LoggedAnswer]:
    """Return every answer logged since then with its label."""
    labels = {review.response_id: review.label async for review in _reviews(sources, since)}
    out: list[LoggedAnswer] = []
    async for record in _records(sources, since or BEGINNING):
        if len(out) % PAGE == 0:
            progress("reading answers", len(out), 0)
        out.append(_logged(record))
    return [replace(answer, label=labels.get(answer.response_id)) for answer in out]


def _logged(record: RequestRecord) -> LoggedAnswer:
    return LoggedAnswer(
        response_id=record.response_id,
        intent=record.intent,
        channel=record.channel,
        action=record.guardrail_action,
        stage=record.guardrail_stage,
        rule=record.guardrail_rule,
        scores=record.guardrail_scores,
        actions=record.guardrail_actions,
        rules=record.guardrail_rules,
        latency_ms=record.step_ms,
    )


async def _run_again(
    sources: TuningSources,
    ruleset: Ruleset,
    answers: Sequence[LoggedAnswer],
    wanted: frozenset[str],
    *,
    since: datetime | None,
    progress: Progress,
) -> dict[tuple[str, str], Rescored]:
    """Run the wanted stages over the stored words; of what was blocked, over the words in the queue."""
    pipeline = _pipeline(sources.settings, ruleset)
    blocked = {
        review.response_id: review.text
        async for review in _reviews(sources, since)
        if review.phase in ("stream", "output") and review.reason == "blocked"
    }
    by_id = {answer.response_id: answer for answer in answers}
    again: dict[tuple[str, str], Rescored] = {}
    done = 0
    async for words in _words(sources, since or BEGINNING):
        answer = by_id.get(words.response_id)
        if answer is None:
            continue
        done += 1
        if done % PAGE == 1:
            progress("running stages again", done, len(answers))
        intent = Intent(answer.intent) if answer.intent in set(Intent) else None
        context = GuardrailContext(question=words.question, intent=intent, channel=answer.channel)
        for stage in pipeline.stages:
            if stage.name not in wanted or stage.phase not in ("input", "output") or stage.waits:
                continue
            shown = blocked.get(words.response_id, words.text)
            text = words.question if stage.phase == "input" else shown
            finding = await stage.check(text, context, ruleset.stages[stage.name])
            again[words.response_id, stage.name] = Rescored(
                score=finding.score, action=finding.action, rule=finding.rule_id
            )
    return again


def _pipeline(settings: Settings, ruleset: Ruleset) -> GuardrailPipeline:
    store_dir = find_store_dir(settings)
    pack = load_store_pack(store_dir)
    return build_guardrails(
        ruleset,
        catalog=PackCatalog(pack.series.records, pack.products.records),
        models=load_guardrail_models(store_dir / "guardrails"),
    )


async def _records(sources: TuningSources, since: datetime) -> AsyncIterator[RequestRecord]:
    moment, after = since, ""
    while page := await sources.storage.records.since(moment, limit=PAGE, after=after):
        for record in page:
            yield record
        moment, after = page[-1].created_at, page[-1].response_id


async def _reviews(sources: TuningSources, since: datetime | None) -> AsyncIterator[GuardrailReview]:
    after = ""
    while page := await sources.reviews.find(ReviewFilter(since=since), limit=PAGE, after=after):
        for review in page:
            yield review
        after = page[-1].response_id


async def _words(sources: TuningSources, since: datetime) -> AsyncIterator[AnswerWords]:
    after = ""
    while page := await sources.reviews.words(since, limit=PAGE, after=after):
        for words in page:
            yield words
        after = page[-1].response_id
