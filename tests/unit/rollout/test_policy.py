"""The rollout policy: what ships, and the faults that are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mangaassist.control.rollout.policy import SHIPPED, load_rollout_policy, parse_rollout_policy
from mangaassist.domain.errors import ConfigurationError

DOCUMENT = load_rollout_policy().model_dump(mode="json")


def faults(**changes: object) -> str:
    with pytest.raises(ConfigurationError) as raised:
        parse_rollout_policy(yaml.safe_dump({**DOCUMENT, **changes}), name="mine.yaml")
    return str(raised.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_policy_rolls_back_at_most_one_healthy_canary_in_100(name: str) -> None:
    policy = load_rollout_policy(name)
    assert policy.false_rollback_budget == 0.01
    assert policy.false_rollback_bound <= 0.01
    assert policy.monitor("quality").alpha == 0.004


def test_the_chance_of_a_burst_is_that_of_the_binomial_distribution() -> None:
    burst = load_rollout_policy().burst
    assert burst is not None
    # P(X >= 5), X ~ Binomial(20, 0.02), by scipy.stats.binom.sf(4, 20, 0.02)
    assert burst.false_alarm_chance == pytest.approx(3.859e-05, abs=1e-8)


def test_alphas_beyond_the_budget_are_refused_with_their_sum() -> None:
    assert "sum to 0.00994, more than false_rollback_budget 0.005" in faults(false_rollback_budget=0.005)


def test_every_wrong_field_is_named() -> None:
    message = faults(warm_up_requests=-1, stagess=[], sample_ratio_alpha="often")
    assert all(name in message for name in ("warm_up_requests", "stagess", "sample_ratio_alpha"))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"promotion": {"monitor": "love"}}, "no monitor 'love'"),
        ({"floors": [{"monitor": "cost_usd", "at_least": 0.7, "alpha": 0.0005}]}, "no binary monitor"),
        ({"stages": [*reversed(DOCUMENT["stages"])]}, "must not fall"),
        ({"stages": [DOCUMENT["stages"][0]] * 2}, "appears twice"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, object], fault: str) -> None:
    assert fault in faults(**changes)


def test_a_missing_file_and_a_broken_one_say_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="default, cautious"):
        load_rollout_policy(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("stages: [", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="not YAML"):
        load_rollout_policy(broken)
