"""A rollout policy on this team's traffic: healthy and harmful candidates, over processes, with progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from mangaassist.control.rollout.evidence import Verdict
from mangaassist.control.rollout.policy import RolloutPolicy
from mangaassist.control.simulation.report import Rate, RuleReport, quantile
from mangaassist.control.simulation.rollout import RolloutRun, check_simulable, simulate_rollouts
from mangaassist.control.simulation.scenario import Baseline, Effect
from mangaassist.control.simulation.source_rollouts import SOURCE_RULES, simulate_source_rule

CHUNK = 250
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStudy:
    """The policy's report, and those of the sources' original rules on the same traffic."""

    policy: RuleReport
    sources: tuple[RuleReport, ...]
    by_rule: dict[str, Rate]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    policy: RolloutPolicy
    baseline: Baseline
    effect: Effect
    traffic_per_day: float
    replicates: int
    seed: np.random.SeedSequence


def study_rollout(
    policy: RolloutPolicy,
    *,
    baseline: Baseline,
    harm: Effect,
    traffic_per_day: float,
    replicates: int,
    seed: int,
    processes: int = 1,
    progress: Progress = lambda done, total: None,
) -> RolloutStudy:
    """Simulate healthy and harmful candidates; the same seed gives the same figures on any `processes`."""
    check_simulable(policy)
    seeds = np.random.SeedSequence(seed).spawn(3)
    sizes = [CHUNK] * (replicates // CHUNK) + ([replicates % CHUNK] if replicates % CHUNK else [])
    chunks = [
        _Chunk(
            policy=policy,
            baseline=baseline,
            effect=effect,
            traffic_per_day=traffic_per_day,
            replicates=size,
            seed=chunk_seed,
        )
        for effect, source in ((Effect(), seeds[0]), (harm, seeds[1]))
        for size, chunk_seed in zip(sizes, source.spawn(len(sizes)), strict=True)
    ]
    played = _play(chunks, processes, progress)
    healthy = [run for runs in played[: len(sizes)] for run in runs]
    harmful = [run for runs in played[len(sizes) :] for run in runs]
    generator = np.random.default_rng(seeds[2])
    return RolloutStudy(
        policy=_report(policy, healthy, harmful, traffic_per_day),
        sources=tuple(
            simulate_source_rule(
                rule,
                baseline=baseline,
                harm=harm,
                traffic_per_day=traffic_per_day,
                replicates=replicates,
                generator=generator,
            )
            for rule in SOURCE_RULES
        ),
        by_rule={
            rule: Rate.of(count, len(healthy))
            for rule, count in Counter(run.rule for run in healthy if run.rule is not None).items()
        },
    )


def _play(chunks: Sequence[_Chunk], processes: int, progress: Progress) -> list[list[RolloutRun]]:
    total = sum(chunk.replicates for chunk in chunks)
    played: dict[int, list[RolloutRun]] = {}
    if processes <= 1:
        for place, chunk in enumerate(chunks):
            played[place] = _play_chunk(chunk)
            progress(sum(map(len, played.values())), total)
        return [played[place] for place in range(len(chunks))]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_play_chunk, chunk): place for place, chunk in enumerate(chunks)}
        for future in as_completed(futures):
            played[futures[future]] = future.result()
            progress(sum(map(len, played.values())), total)
    return [played[place] for place in range(len(chunks))]


def _play_chunk(chunk: _Chunk) -> list[RolloutRun]:
    return simulate_rollouts(
        chunk.policy,
        baseline=chunk.baseline,
        effect=chunk.effect,
        traffic_per_day=chunk.traffic_per_day,
        replicates=chunk.replicates,
        generator=np.random.default_rng(chunk.seed),
    )


def _report(
    policy: RolloutPolicy,
    healthy: Sequence[RolloutRun],
    harmful: Sequence[RolloutRun],
    traffic_per_day: float,
) -> RuleReport:
    rolled_back = sum(run.verdict is Verdict.ROLLBACK for run in healthy)
    found = [run.verdict is Verdict.ROLLBACK for run in harmful]
    promoted = [run.requests / traffic_per_day for run in healthy if run.verdict is Verdict.PROMOTE]
    return RuleReport(
        rule=f"policy {policy.name}",
        false_alarms=Rate.of(rolled_back, len(healthy)),
        detections=Rate.of(sum(found), len(harmful)),
        delays=tuple(
            float(run.canary_requests) if hit else float("inf")
            for run, hit in zip(harmful, found, strict=True)
        ),
        days=tuple(
            run.requests / traffic_per_day if hit else float("inf")
            for run, hit in zip(harmful, found, strict=True)
        ),
        outcomes=dict(Counter(run.verdict.value for run in healthy)),
        notes={
            "stated_false_rollback_bound": policy.false_rollback_bound,
            "median_days_to_promote": quantile(promoted, 0.5),
            "p90_days_to_promote": quantile(promoted, 0.9),
            "harmful_promoted_rate": sum(run.verdict is Verdict.PROMOTE for run in harmful) / len(harmful),
        },
    )
