"""Why more answers are bad than before: what changed, and how much of the rise it explains."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mangaassist.control.monitoring.evidence import LAYER_OF_STEP, Layer
from mangaassist.domain.records import RequestRecord

FEWEST_BAD: Final = 5
SIGNIFICANT_Z: Final = 3.0
"""About one false factor in a thousand looked at; a population has tens to hundreds."""

COMPONENTS: Final[Mapping[str, Layer]] = {
    "prompt_version": "prompt",
    "prompt_template": "prompt",
    "model_id": "generation",
    "guardrail_stage": "guardrail",
    "guardrail_ruleset": "guardrail",
    "reranker": "rerank",
    "retriever_policy": "retrieval",
    "embedding": "retrieval",
    "intent_classifier": "intent",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """Something that the bad answers share.

    `explained` is the share of the bad answers in excess that have it, `rate` how often answers with it
    are bad, `rest_rate` how often those without it are (None when all have it).
    """

    layer: Layer
    name: str
    value: str
    answers: int
    bad: int
    rate: float
    rest_rate: float | None
    explained: float
    evidence: tuple[str, ...] = ()

    @property
    def weight(self) -> float:
        """How much it explains times how well it tells bad answers from good ones."""
        telling = 1.0 if self.rest_rate is None else max(0.0, 1.0 - self.rest_rate / self.rate)
        return self.explained * telling


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationDiagnosis:
    """Rates of bad answers before and now, and factors, strongest first; empty when nothing rose."""

    answers_before: int
    bad_before: int
    answers_now: int
    bad_now: int
    factors: tuple[Factor, ...]

    @property
    def layer(self) -> Layer | None:
        """The likely layer."""
        return self.factors[0].layer if self.factors else None


def diagnose_population(
    before: Sequence[RequestRecord],
    now: Sequence[RequestRecord],
    *,
    bad: Collection[str],
    stale: Callable[[str, str], str | None] = lambda chunk_id, sha256: None,
) -> PopulationDiagnosis:
    """Compare two times.

    `bad` are the response ids of bad answers of either time; `stale` says why a chunk, given by id and
    the SHA-256 of its text, is not what its source has, or None.
    """
    bad_before = sum(record.response_id in bad for record in before)
    bad_now = sum(record.response_id in bad for record in now)
    base = bad_before / len(before) if before else 0.0
    excess = bad_now - base * len(now)
    factors = []
    if bad_now >= FEWEST_BAD and excess > 0 and _z(bad_now, len(now), base) > SIGNIFICANT_Z:
        factors = sorted(
            _factors(before, now, bad=bad, base=base, excess=excess, stale=stale),
            key=lambda factor: -factor.weight,
        )
    return PopulationDiagnosis(
        answers_before=len(before),
        bad_before=bad_before,
        answers_now=len(now),
        bad_now=bad_now,
        factors=tuple(factors),
    )


def slowdown(before: Sequence[RequestRecord], now: Sequence[RequestRecord]) -> tuple[Factor, ...]:
    """Return the steps that take longer than before, by their share of the whole slowdown."""

    def mean(records: Sequence[RequestRecord], step: str) -> float:
        return sum(record.step_ms.get(step, 0.0) for record in records) / max(1, len(records))

    rise = {step: mean(now, step) - mean(before, step) for step in LAYER_OF_STEP}
    total = sum(value for value in rise.values() if value > 0)
    return tuple(
        Factor(
            layer=LAYER_OF_STEP[step],
            name="step",
            value=step,
            answers=len(now),
            bad=len(now),
            rate=1.0,
            rest_rate=None,
            explained=value / total,
            evidence=(f"mean {mean(before, step):.1f} ms before, {mean(now, step):.1f} ms now",),
        )
        for step, value in sorted(rise.items(), key=lambda item: -item[1])
        if value > 0.2 * total
    )


def _factors(
    before: Sequence[RequestRecord],
    now: Sequence[RequestRecord],
    *,
    bad: Collection[str],
    base: float,
    excess: float,
    stale: Callable[[str, str], str | None],
) -> Iterator[Factor]:
    bad_now = sum(record.response_id in bad for record in now)
    seen_before = Counter(key for record in before for key in set(_keys(record)))
    total, broken = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for record in now:
        for key in set(_keys(record)):
            total[key] += 1
            broken[key] += record.response_id in bad
    for (name, value), count in total.items():
        hits = broken[name, value]
        rest = len(now) - count
        rest_rate = (bad_now - hits) / rest if rest else None
        if hits < FEWEST_BAD or _z(hits, count, base) < SIGNIFICANT_Z:
            continue
        if rest_rate is None and seen_before[name, value] == len(before) > 0:
            continue  # everything has it now and had it then: it explains nothing
        layer, says = _blame(name, value, stale)
        if layer is None:
            continue
        since = (
            "new since" if not seen_before[name, value] else f"in {seen_before[name, value]} answers before"
        )
        yield Factor(
            layer=layer,
            name=name,
            value=value,
            answers=count,
            bad=hits,
            rate=hits / count,
            rest_rate=rest_rate,
            explained=min(1.0, max(0.0, (hits - base * count) / excess)),
            evidence=(*says, since),
        )


def _keys(record: RequestRecord) -> Iterator[tuple[str, str]]:
    """Yield what an answer shares with others: its components, and its chunks as they were."""
    for name in COMPONENTS:
        value = record.versions.get(name) or getattr(record, name, None)
        if isinstance(value, str) and value != "none":
            yield name, value
    for chunk_id, sha256 in zip(record.chunk_ids, record.chunk_hashes, strict=False):
        yield "chunk", f"{chunk_id}@{sha256}"


def _blame(
    name: str, value: str, stale: Callable[[str, str], str | None]
) -> tuple[Layer | None, tuple[str, ...]]:
    if name != "chunk":
        return COMPONENTS[name], ()
    chunk_id, _, sha256 = value.partition("@")
    reason = stale(chunk_id, sha256)
    return ("stale_chunk", (reason,)) if reason else ("retrieval", ())


def _z(hits: int, count: int, rate: float) -> float:
    """Return how far a count is above what a rate predicts, in standard errors (score test)."""
    # a rate of zero would make any single hit infinitely surprising: one more success, one more failure
    smoothed = (rate * count + 1.0) / (count + 2.0)
    return (hits / count - rate) / math.sqrt(smoothed * (1.0 - smoothed) / count)
