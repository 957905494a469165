"""The rollouts that are simulated on arrays end as `decide` ends them, answer by answer."""

from __future__ import annotations

import numpy as np
import pytest

from mangaassist.control.rollout.decision import decide
from mangaassist.control.rollout.evidence import (
    BinaryArms,
    MeanArms,
    RolloutEvidence,
    StageEvidence,
    Verdict,
)
from mangaassist.control.rollout.policy import RolloutPolicy, load_rollout_policy
from mangaassist.control.simulation.rollout import simulate_rollouts
from mangaassist.control.simulation.scenario import Baseline, failure_rates, parse_effect
from mangaassist.stats.moments import BinomialCounts, Moments
from tests.simulation.rates import observed

TRAFFIC, BATCH = 20_000.0, 100


class StageSums:
    """What one stage has seen; the arms in the order canary, control."""

    def __init__(self, names: list[str]) -> None:
        self.assigned = [0, 0]
        self.good = {name: [0, 0] for name in names}
        self.cost = [Moments.of([]), Moments.of([])]

    def evidence(self) -> StageEvidence:
        outcomes: dict[str, BinaryArms | MeanArms] = {
            name: BinaryArms(
                canary=BinomialCounts(n=self.assigned[0], successes=good[0]),
                control=BinomialCounts(n=self.assigned[1], successes=good[1]),
            )
            for name, good in self.good.items()
        }
        outcomes["cost_usd"] = MeanArms(canary=self.cost[0], control=self.cost[1])
        return StageEvidence(
            assigned_canary=self.assigned[0],
            assigned_control=self.assigned[1],
            elapsed_h=sum(self.assigned) / TRAFFIC * 24.0,
            outcomes=outcomes,
        )


def played_by_decide(
    policy: RolloutPolicy, effect_text: str, generator: np.random.Generator
) -> tuple[Verdict, int]:
    """Play one rollout, asking `decide` after every batch; return its end and the canary requests."""
    baseline, effect = Baseline(), parse_effect(effect_text)
    names = [one.name for one in policy.binary_monitors]
    rates = {
        name: failure_rates(name, baseline=baseline, effect=effect, size=1, generator=generator)
        for name in names
    }
    stages = [StageSums(names)]
    first = [0, 0]
    while True:
        current, share = stages[-1], policy.stages[len(stages) - 1].share
        canary = int(generator.binomial(BATCH, share))
        for arm, count in enumerate((canary, BATCH - canary)):
            current.assigned[arm] += count
            for name in names:
                rate = (rates[name].canary, rates[name].control)[arm][0]
                bad = int(generator.binomial(count, rate))
                current.good[name][arm] += count - bad
                if name == "errors" and arm == 0 and first[0] < 20:
                    taken = min(count, 20 - first[0])
                    first = [
                        first[0] + taken,
                        first[1] + int(generator.hypergeometric(bad, count - bad, taken)),
                    ]
            costs = np.exp(generator.standard_normal(count) - 0.5) * (effect.cost if arm == 0 else 1.0)
            current.cost[arm] = current.cost[arm].merge(Moments.of(costs))
        decision = decide(
            policy,
            RolloutEvidence(
                stages=tuple(one.evidence() for one in stages),
                first_answers=first[0],
                first_failures=first[1],
            ),
        )
        if decision.verdict is Verdict.PROMOTE and len(stages) < len(policy.stages):
            stages.append(StageSums(names))
        elif decision.verdict is not Verdict.HOLD:
            return decision.verdict, sum(one.assigned[0] for one in stages)


@pytest.mark.parametrize("effect", ["none", "quality=-0.08", "latency=1.3", "cost=+40%", "errors=+0.05"])
def test_both_ways_end_alike_and_after_as_many_requests(effect: str) -> None:
    policy = load_rollout_policy()
    one_by_one = [played_by_decide(policy, effect, np.random.default_rng(seed)) for seed in range(5)]
    runs = simulate_rollouts(
        policy,
        baseline=Baseline(),
        effect=parse_effect(effect),
        traffic_per_day=TRAFFIC,
        replicates=150,
        generator=np.random.default_rng(1),
        batch=BATCH,
    )
    usual = max({run.verdict for run in runs}, key=[run.verdict for run in runs].count)
    agreeing = sum(verdict is usual for verdict, _ in one_by_one)
    share = sum(run.verdict is usual for run in runs) / len(runs)
    assert observed(f"{effect}: {usual.value} by decide", agreeing, len(one_by_one)).high >= share
    # the median of five lies between the outer tenths of all, but for a chance of 2 in 100
    low, high = np.quantile([run.canary_requests for run in runs], [0.1, 0.9])
    assert low - BATCH <= float(np.median([count for _, count in one_by_one])) <= high + BATCH
