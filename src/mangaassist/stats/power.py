"""Sample sizes and power of fixed-sample tests: proportions, means, pairs, non-inferiority.

`sides` counts the tails of the test; a one-sided plan looks in the direction of the effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtr
from scipy.stats import nct
from scipy.stats import t as student

from mangaassist.stats.mcnemar import constrained_variance
from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.outcome import CannotCompute, Reason
from mangaassist.stats.proportions import clopper_pearson
from mangaassist.stats.wald import normal_quantile

Sides = Literal[1, 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSizes:
    """Units needed in each arm."""

    control: int
    treatment: int

    @property
    def total(self) -> int:
        """Units in both arms."""
        return self.control + self.treatment


def size_for_proportions(
    baseline: float,
    effect: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    control_per_treatment: float = 1.0,
    sides: Sides = 2,
) -> ArmSizes | CannotCompute:
    """Return the arms that find a change of `baseline` by `effect` (Fleiss 1981, uncorrected)."""
    if effect == 0.0:
        return _no_effect()
    changed = baseline + effect
    if not (0.0 <= baseline <= 1.0 and 0.0 <= changed <= 1.0):
        raise ValueError(f"both rates must lie in [0, 1], got {baseline!r} and {changed!r}")
    share = 1.0 / control_per_treatment
    pooled = (changed + control_per_treatment * baseline) / (1 + control_per_treatment)
    null_deviation = math.sqrt(pooled * (1 - pooled) * (1 + share))
    deviation = math.sqrt(changed * (1 - changed) + share * baseline * (1 - baseline))
    treatment = _normal_size(effect, null_deviation, deviation, alpha=alpha, power=power, sides=sides)
    return _arms(treatment, control_per_treatment)


def size_for_means(
    deviation: float,
    effect: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    control_per_treatment: float = 1.0,
    sides: Sides = 2,
) -> ArmSizes | CannotCompute:
    """Return the arms that find a difference `effect` of means with the given deviation (exact t)."""
    if effect == 0.0:
        return _no_effect()
    spread = deviation * math.sqrt(1 + 1 / control_per_treatment)
    treatment = max(2, _normal_size(effect, spread, spread, alpha=alpha, power=power, sides=sides) - 2)
    arms = _arms(treatment, control_per_treatment)
    while power_for_means(deviation, effect, arms, alpha=alpha, sides=sides) < power:
        treatment += 1
        arms = _arms(treatment, control_per_treatment)
    return arms


def power_for_means(
    deviation: float, effect: float, arms: ArmSizes, *, alpha: float = 0.05, sides: Sides = 2
) -> float:
    """Return the chance of a significant t test of two means (noncentral t, equal variances)."""
    df = arms.total - 2
    shift = abs(effect) / (deviation * math.sqrt(1 / arms.control + 1 / arms.treatment))
    critical = student.isf(alpha / sides, df)
    wrong_direction = nct.cdf(-critical, df, shift) if sides == 2 else 0.0
    # far out the tail that is not asked for underflows to NaN in scipy; it is zero there
    return float(nct.sf(critical, df, shift) + (0.0 if math.isnan(wrong_direction) else wrong_direction))


def power_for_proportions(
    baseline: float, effect: float, arms: ArmSizes, *, alpha: float = 0.05, sides: Sides = 2
) -> float:
    """Return the chance of a significant score test of two proportions (normal approximation)."""
    changed = baseline + effect
    pooled = (baseline * arms.control + changed * arms.treatment) / arms.total
    null_error = math.sqrt(pooled * (1 - pooled) * (1 / arms.control + 1 / arms.treatment))
    error = math.sqrt(baseline * (1 - baseline) / arms.control + changed * (1 - changed) / arms.treatment)
    critical = -normal_quantile(alpha / sides) * null_error
    found = ndtr((abs(effect) - critical) / error)
    return float(found + (ndtr((-abs(effect) - critical) / error) if sides == 2 else 0.0))


def size_for_pairs(
    discordance: float, effect: float, *, alpha: float = 0.05, power: float = 0.8, sides: Sides = 2
) -> int | CannotCompute:
    """Return the pairs that find a difference `effect` when a share `discordance` of pairs differ.

    The deviation is sqrt(discordance - effect²) under both hypotheses (Wald test).
    """
    if effect == 0.0:
        return _no_effect()
    deviation = math.sqrt(_paired_variance(discordance, effect))
    return _normal_size(effect, deviation, deviation, alpha=alpha, power=power, sides=sides)


def size_for_noninferiority(
    deviation: float, margin: float, *, difference: float = 0.0, alpha: float = 0.05, power: float = 0.9
) -> int | CannotCompute:
    """Return the units whose one-sided interval clears -`margin` when the true difference is `difference`.

    `deviation` is that of one unit's difference; for two arms of 1 to r units it is s · sqrt(1 + 1/r) and the
    answer counts the smaller arm.
    """
    if margin + difference <= 0.0:
        return _beyond_margin(margin, difference)
    return _normal_size(margin + difference, deviation, deviation, alpha=alpha, power=power, sides=1)


def size_for_paired_noninferiority(
    discordance: float, margin: float, *, difference: float = 0.0, alpha: float = 0.05, power: float = 0.9
) -> int | CannotCompute:
    """Return the pairs whose score bound clears -`margin` when a share `discordance` of pairs differ."""
    if margin + difference <= 0.0:
        return _beyond_margin(margin, difference)
    gained, lost = (discordance + difference) / 2, (discordance - difference) / 2
    null_deviation = math.sqrt(constrained_variance(gained, lost, -margin))
    deviation = paired_deviation(discordance, difference)
    return _normal_size(margin + difference, null_deviation, deviation, alpha=alpha, power=power, sides=1)


def paired_deviation(discordance: float, difference: float = 0.0) -> float:
    """Return the deviation of one pair's difference (-1, 0, 1) for the given share of discordant pairs."""
    return math.sqrt(_paired_variance(discordance, difference))


def detectable_effect(
    deviation: float, n: int, *, alpha: float = 0.05, power: float = 0.8, sides: Sides = 2
) -> float | CannotCompute:
    """Return the least difference found with chance `power`, from the deviation of one unit's difference."""
    if n == 0:
        return CannotCompute(reason=Reason.NO_DATA, detail="no units", more_needed=1)
    return -(normal_quantile(alpha / sides) + normal_quantile(1 - power)) * deviation / math.sqrt(n)


def design_effect(mean_size: float, correlation: float, *, size_variation: float = 0.0) -> float:
    """Return the factor by which clusters inflate the variance of a mean (Kish 1965).

    `size_variation` is the coefficient of variation of the cluster sizes; divide a number of observations by
    the factor for the effective number.
    """
    return 1 + ((1 + size_variation**2) * mean_size - 1) * correlation


def size_for_rare_events(target: float, *, events: int = 0, confidence: float = 0.95) -> int:
    """Return the trials after which `events` events leave the one-sided exact bound below `target`.

    Without events about 3 / `target` trials (the rule of three).
    """

    def bound(n: int) -> float:
        counts = BinomialCounts(n=n, successes=events)
        interval = clopper_pearson(counts, confidence=confidence, alternative="less")
        return 1.0 if isinstance(interval, CannotCompute) else interval.high

    low, high = events, max(1, 2 * events)
    while bound(high) >= target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bound(middle) >= target else (low, middle)
    return high


def _normal_size(
    effect: float, null_deviation: float, deviation: float, *, alpha: float, power: float, sides: Sides
) -> int:
    """Return the least n with (z_alpha null + z_power alternative) / effect squared at most n."""
    reach = -normal_quantile(alpha / sides) * null_deviation + normal_quantile(power) * deviation
    return max(1, math.ceil((reach / effect) ** 2 - 1e-9))


def _paired_variance(discordance: float, difference: float) -> float:
    """Return the variance of a pair's difference; raises `ValueError` for an impossible combination."""
    if not abs(difference) <= discordance <= 1.0:
        raise ValueError(f"expected |difference| <= discordance <= 1, got {difference!r}, {discordance!r}")
    return discordance - difference**2


def _arms(treatment: int, control_per_treatment: float) -> ArmSizes:
    """Return both arms for a treatment arm and the ratio."""
    return ArmSizes(control=max(2, math.ceil(treatment * control_per_treatment)), treatment=treatment)


def _no_effect() -> CannotCompute:
    """Return the outcome of planning for an effect of zero."""
    return CannotCompute(reason=Reason.UNREACHABLE, detail="no sample size shows an effect of zero")


def _beyond_margin(margin: float, difference: float) -> CannotCompute:
    """Return the outcome of planning to show what is not so."""
    detail = f"a true difference of {difference:g} is not above the margin {-margin:g}: no size shows it"
    return CannotCompute(reason=Reason.UNREACHABLE, detail=detail)
