"""G1, G2, G3: a rollout policy rolls back few healthy canaries and finds harmful ones in time."""

from __future__ import annotations

import numpy as np
import pytest

from mangaassist.control.rollout.evidence import Verdict
from mangaassist.control.rollout.policy import RolloutPolicy, Stage, load_rollout_policy
from mangaassist.control.simulation.report import quantile
from mangaassist.control.simulation.rollout import RolloutRun, simulate_rollouts
from mangaassist.control.simulation.scenario import Baseline, parse_effect
from mangaassist.control.simulation.source_rollouts import SOURCE_RULES, simulate_source_rule
from tests.simulation.rates import observed

CANARY_REQUESTS, SHARE = 10_000, 0.05
SIZES = [pytest.param(40, id="small"), pytest.param(2_000, id="full", marks=pytest.mark.full_size)]
HARM_SIZES = [pytest.param(80, id="small"), pytest.param(2_000, id="full", marks=pytest.mark.full_size)]


def held_at_five_percent() -> RolloutPolicy:
    """The shipped policy with one stage that is never left before 10,000 canary requests."""
    stage = Stage(name="canary", share=SHARE, margin=1e-9, min_canary_requests=1, min_hours=0.0, max_days=1.0)
    return load_rollout_policy().model_copy(update={"stages": (stage,)})


def play(policy: RolloutPolicy, baseline: Baseline, effect: str, replicates: int) -> list[RolloutRun]:
    return simulate_rollouts(
        policy,
        baseline=baseline,
        effect=parse_effect(effect),
        traffic_per_day=CANARY_REQUESTS / SHARE,
        replicates=replicates,
        generator=np.random.default_rng(20_265),
        batch=100,
    )


def delays(runs: list[RolloutRun]) -> list[float]:
    return [float(run.canary_requests) if run.verdict is Verdict.ROLLBACK else float("inf") for run in runs]


@pytest.mark.parametrize("replicates", SIZES)
@pytest.mark.parametrize("quality", [0.70, 0.90])
def test_a_healthy_canary_read_after_each_of_10000_answers_is_kept_in_99_of_100_rollouts(
    quality: float, replicates: int
) -> None:
    policy = held_at_five_percent()
    runs = play(policy, Baseline(quality=quality), "none", replicates)
    rate = observed(f"A/A at quality {quality}", sum(map(_rolled_back, runs)), replicates)
    assert rate.low <= 0.01
    alphas = {one.name: one.alpha for one in policy.monitors} | {"quality floor": policy.floors[0].alpha}
    for rule in sorted({run.rule for run in runs if run.rule}):
        count = sum(run.rule == rule for run in runs)
        shown = observed(f"  by {rule}", count, replicates)
        alpha = alphas.get(rule, 0.001)
        assert shown.value <= alpha + 3 * (alpha / replicates) ** 0.5 + 1 / replicates
    if replicates >= 2_000:
        assert rate.value <= 0.01


@pytest.mark.parametrize("replicates", SIZES)
def test_a_healthy_canary_passes_all_stages_of_the_shipped_policies(replicates: int) -> None:
    for name in ("default", "cautious"):
        policy = load_rollout_policy(name)
        runs = play(policy, Baseline(), "none", replicates)
        rate = observed(f"{name}: false rollbacks", sum(map(_rolled_back, runs)), replicates)
        done = sum(run.verdict is Verdict.PROMOTE for run in runs)
        promoted = observed(f"{name}: promoted", done, replicates)
        assert rate.low <= policy.false_rollback_bound
        assert promoted.high >= 0.98


@pytest.mark.parametrize("replicates", HARM_SIZES)
@pytest.mark.parametrize(
    ("quality", "effect", "median", "nine_of_ten"),
    [
        (0.70, "-0.05", 1_150, 2_200),
        (0.90, "-0.05", 700, 1_150),
        (0.70, "-0.10", 800, 800),
        (0.85, "latency=x2", 200, 200),
        (0.85, "slow=0.12x3.2", 450, 450),
        (0.85, "cost=+25%", 1_000, 1_000),
    ],
)
def test_harm_is_found_within_the_stated_canary_requests(
    quality: float, effect: str, median: float, nine_of_ten: float, replicates: int
) -> None:
    found = delays(play(held_at_five_percent(), Baseline(quality=quality), effect, replicates))
    half, most = quantile(found, 0.5), quantile(found, 0.9)
    print(f"{quality} {effect}: median {half}, 90 % {most} of {replicates}")
    # the small version is allowed the noise of its own 80 replicates
    slack = 1.0 if replicates >= 2_000 else 1.25
    assert half is not None
    assert half <= median * slack
    assert most is not None
    assert most <= nine_of_ten * slack


@pytest.mark.parametrize("replicates", HARM_SIZES)
def test_a_canary_worse_than_the_last_margin_is_hardly_ever_promoted(replicates: int) -> None:
    policy = load_rollout_policy()
    harm = -policy.stages[-1].margin
    runs = play(policy, Baseline(), f"quality={harm}", replicates)
    promoted = observed(
        f"promoted at {harm}", sum(run.verdict is Verdict.PROMOTE for run in runs), replicates
    )
    assert promoted.low <= policy.promotion.alpha


@pytest.mark.parametrize("replicates", SIZES)
def test_the_rules_of_the_sources_roll_back_healthy_canaries(replicates: int) -> None:
    for rule in SOURCE_RULES:
        report = simulate_source_rule(
            rule,
            baseline=Baseline(quality=0.70),
            harm=parse_effect("-0.05"),
            traffic_per_day=200_000,
            replicates=replicates,
            generator=np.random.default_rng(5),
        )
        print(f"{rule.name}: {report.false_alarms.value:.1%}")
        assert report.false_alarms.high > 0.15


def _rolled_back(run: RolloutRun) -> bool:
    return run.verdict is Verdict.ROLLBACK
