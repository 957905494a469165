"""The metrics of an experiment that stored answers and feedback give, and the table made of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.experiments import Direction, Experiment, Metric, MetricKind, MetricRole
from mangaassist.ports.experiments import ExposureStore, ObservedAnswer

PAGE: Final = 2_000
LOOK_BACK: Final = timedelta(days=28)
"""How far behaviour before the experiment is read for CUPED."""

GUARDRAIL_SCORE: Final = "guardrail_score:"
DENOMINATOR: Final = "_of"

Value = Callable[[ObservedAnswer, int], float | None]
"""The value of one answer, given that it is the unit's n-th (from 1) since its exposure; None for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One metric of stored answers; `of` is the denominator of a ratio."""

    summary: str
    value: Value
    kind: MetricKind = "continuous"
    better: Direction = "lower"
    of: Value | None = None
    absent: float | None = None


def _rated(answer: ObservedAnswer, number: int) -> float | None:
    if "thumbs_up" in answer.feedback:
        return 1.0
    return 0.0 if "thumbs_down" in answer.feedback else None


def _given(value: str) -> Value:
    return lambda answer, number: float(value in answer.feedback)


def _ended_as(outcome: str) -> Value:
    return lambda answer, number: float(answer.record.outcome == outcome)


OUTCOMES: Final[Mapping[str, Outcome]] = {
    "thumbs_up_rate": Outcome(
        summary="thumbs up among rated answers", value=_rated, kind="binary", better="higher"
    ),
    "thumbs_down_rate": Outcome(
        summary="answers with a thumb down", value=_given("thumbs_down"), kind="binary"
    ),
    "escalation_rate": Outcome(
        summary="answers that hand over to a person, or are followed by asking for one",
        value=lambda answer, number: float(
            answer.record.intent == "escalation" or "escalation" in answer.feedback
        ),
        kind="binary",
    ),
    "cart_add_rate": Outcome(
        summary="answers followed by adding to the cart",
        value=_given("cart_add"),
        kind="binary",
        better="higher",
    ),
    "continuation_rate": Outcome(
        summary="units that ask again after their first answer",
        value=lambda answer, number: float(number == 2),
        kind="ratio",
        better="higher",
        of=lambda answer, number: float(number == 1),
    ),
    "answered_rate": Outcome(
        summary="answers that are neither fallback nor blocked; units left without any count as 0",
        value=_ended_as("answered"),
        kind="binary",
        better="higher",
        absent=0.0,
    ),
    "fallback_rate": Outcome(
        summary="answers from the fallback template; units left without any answer count as 1",
        value=_ended_as("fallback"),
        kind="binary",
        absent=1.0,
    ),
    "block_rate": Outcome(
        summary="answers that a guardrail blocked", value=_ended_as("blocked"), kind="binary"
    ),
    "latency_ms": Outcome(summary="mean latency", value=lambda answer, number: answer.record.latency_ms),
    "latency_p95_ms": Outcome(
        summary="share of answers slower than control's 95th percentile",
        value=lambda answer, number: answer.record.latency_ms,
        kind="quantile",
    ),
    "time_to_first_token_ms": Outcome(
        summary="mean time to the first token",
        value=lambda answer, number: answer.record.time_to_first_token_ms,
    ),
    "cost_usd": Outcome(
        summary="mean cost of an answer", value=lambda answer, number: answer.record.cost_usd
    ),
    "input_tokens": Outcome(
        summary="mean uncached input tokens", value=lambda answer, number: float(answer.record.input_tokens)
    ),
    "output_tokens": Outcome(
        summary="mean output tokens", value=lambda answer, number: float(answer.record.output_tokens)
    ),
}
"""By name; beside these, `guardrail_score:<stage>` is the mean score of a stage, higher is better."""


def outcome_of(name: str) -> Outcome:
    """Return the outcome behind a metric's name, or raise `InvalidRequestError` naming all there are."""
    if name.startswith(GUARDRAIL_SCORE):
        stage = name.removeprefix(GUARDRAIL_SCORE)
        return Outcome(
            summary=f"mean score of the guardrail stage {stage}",
            value=lambda answer, number: answer.record.guardrail_scores.get(stage),
            better="higher",
        )
    if name not in OUTCOMES:
        raise InvalidRequestError(
            f"there is no metric {name!r}; known: {', '.join(OUTCOMES)}, {GUARDRAIL_SCORE}<stage>"
        )
    return OUTCOMES[name]


def declared(name: str, *, role: MetricRole, margin: float = 0.0, relative_margin: bool = False) -> Metric:
    """Return the declaration of a known outcome."""
    outcome = outcome_of(name)
    return Metric(
        name=name,
        role=role,
        kind=outcome.kind,
        better=outcome.better,
        margin=margin,
        relative_margin=relative_margin,
        denominator=name + DENOMINATOR if outcome.of is not None else None,
        absent=outcome.absent,
    )


async def write_observations(
    exposures: ExposureStore, experiment: Experiment, path: Path, *, now: datetime
) -> int:
    """Write the answers of an experiment as JSONL observations; return how many rows.

    A unit belongs to the phase that met it first, and its answers count until that phase ends. A unit that
    was exposed and then got no answer has a row without values.
    """
    outcomes = {metric.name: outcome_of(metric.name) for metric in experiment.metrics}
    ends = _phase_ends(experiment, now)
    seen: Counter[str] = Counter()
    history: dict[str, _History] = defaultdict(_History)
    since = experiment.phases[0].started_at - LOOK_BACK if experiment.phases else now
    rows, after = 0, ""
    with path.open("wb") as file:
        while page := await exposures.answers(experiment.key, since=since, after=after, limit=PAGE):
            for answer in page:
                unit = answer.exposure.unit_id
                if answer.before_exposure:
                    history[unit].add(answer, outcomes)
                elif answer.record.created_at < ends[answer.exposure.phase]:
                    seen[unit] += 1
                    before = history[unit].means() if unit in history else {}
                    file.write(orjson.dumps({**_row(answer, outcomes, seen[unit]), **before}) + b"\n")
                    rows += 1
            since, after = page[-1].record.created_at, page[-1].record.response_id
        met: set[str] = set()
        for exposure in await exposures.of_experiment(experiment.key):
            if exposure.unit_id not in met and exposure.unit_id not in seen:
                row = {
                    "unit": exposure.unit_id,
                    "arm": exposure.arm,
                    "phase": exposure.phase,
                    "at": exposure.exposed_at,
                    "intent": "",
                    **dict.fromkeys(_columns(outcomes)),
                }
                file.write(orjson.dumps(row) + b"\n")
                rows += 1
            met.add(exposure.unit_id)
    return rows


class _History:
    """What a unit did before it was exposed."""

    def __init__(self) -> None:
        self._totals: defaultdict[str, float] = defaultdict(float)
        self._counts: Counter[str] = Counter()

    def add(self, answer: ObservedAnswer, outcomes: Mapping[str, Outcome]) -> None:
        """Count one answer."""
        for name, outcome in outcomes.items():
            value = None if outcome.of is not None else outcome.value(answer, 0)
            if value is not None:
                self._totals[name] += value
                self._counts[name] += 1

    def means(self) -> dict[str, float]:
        """Return the mean of each metric, named as its covariate."""
        return {f"pre_{name}": total / self._counts[name] for name, total in self._totals.items()}


def _row(answer: ObservedAnswer, outcomes: Mapping[str, Outcome], number: int) -> dict[str, object]:
    row: dict[str, object] = {
        "unit": answer.exposure.unit_id,
        "arm": answer.exposure.arm,
        "phase": answer.exposure.phase,
        "at": answer.record.created_at,
        "intent": answer.record.intent,
    }
    for name, outcome in outcomes.items():
        row[name] = outcome.value(answer, number)
        if outcome.of is not None:
            row[name + DENOMINATOR] = outcome.of(answer, number)
    return row


def _columns(outcomes: Mapping[str, Outcome]) -> list[str]:
    return [
        column
        for name, outcome in outcomes.items()
        for column in ((name, name + DENOMINATOR) if outcome.of is not None else (name,))
    ]


def _phase_ends(experiment: Experiment, now: datetime) -> dict[int, datetime]:
    """Return when each phase ended; the last one when the experiment stopped, or a moment after now."""
    starts = [phase.started_at for phase in experiment.phases]
    last = experiment.stopped_at or now + timedelta(seconds=1)
    return {phase.number: end for phase, end in zip(experiment.phases, [*starts[1:], last], strict=True)}
