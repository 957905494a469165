"""Evidence of rollouts, with the parts that do not matter filled in."""

from __future__ import annotations

from mangaassist.control.rollout.evidence import BinaryArms, MeanArms, RolloutEvidence, StageEvidence
from mangaassist.stats.moments import BinomialCounts, Moments

COST_USD = 0.008


def stage_evidence(
    canary: int,
    control: int,
    *,
    hours: float = 2.0,
    quality: tuple[float, float] = (0.85, 0.85),
    errors: tuple[float, float] = (0.01, 0.01),
    cost_ratio: float = 1.0,
) -> StageEvidence:
    """A stage whose rates, of canary and control, are met exactly."""

    def binary(bad_canary: float, bad_control: float) -> BinaryArms:
        return BinaryArms(
            canary=BinomialCounts(n=canary, successes=canary - round(canary * bad_canary)),
            control=BinomialCounts(n=control, successes=control - round(control * bad_control)),
        )

    def cost(count: int, mean: float) -> Moments:
        return Moments(n=count, mean=mean, squares=count * COST_USD**2)

    return StageEvidence(
        assigned_canary=canary,
        assigned_control=control,
        elapsed_h=hours,
        outcomes={
            "quality": binary(1.0 - quality[0], 1.0 - quality[1]),
            "errors": binary(*errors),
            "latency_p95": binary(0.05, 0.05),
            "latency_slo": binary(0.01, 0.01),
            "cost_usd": MeanArms(canary=cost(canary, COST_USD * cost_ratio), control=cost(control, COST_USD)),
        },
    )


def rollout_evidence(*stages: StageEvidence, first_failures: int = 0) -> RolloutEvidence:
    """The stages of one rollout."""
    return RolloutEvidence(stages=stages, first_answers=20, first_failures=first_failures)
