"""The canary decision: roll back on shown harm, promote on shown safety, else hold and say how long."""

from __future__ import annotations

import math

from mangaassist.control.rollout.evidence import (
    BinaryArms,
    MonitorReading,
    Reason,
    ReasonCode,
    RolloutDecision,
    RolloutEvidence,
    Verdict,
)
from mangaassist.control.rollout.policy import RolloutPolicy
from mangaassist.control.rollout.readings import promotion_harm, read_rules, sample_ratio_p
from mangaassist.stats.confidence_sequence import count_until
from mangaassist.stats.estimates import EffectTest
from mangaassist.stats.outcome import CannotCompute

HOURS_PER_DAY = 24.0


def decide(policy: RolloutPolicy, evidence: RolloutEvidence) -> RolloutDecision:
    """Return what to do now; may be asked after every answer, the error rates of the policy hold.

    Harm counts over all stages of the rollout. Missing data is never a reason to promote or to roll back.
    Raises `ValueError` for evidence of more stages than the policy has.
    """
    if len(evidence.stages) > len(policy.stages):
        raise ValueError(f"evidence of {len(evidence.stages)} stages, the policy has {len(policy.stages)}")
    readings = read_rules(policy, evidence)
    mismatch = _sample_ratio(policy, evidence)
    # the e-process takes the shares for true: where they are not, it says nothing
    void = {monitor.name for monitor in policy.binary_monitors} if mismatch else set()
    worse = [
        _alarm(reading)
        for reading in readings
        if reading.alarms and (reading.rule == "floor" or reading.monitor not in void)
    ]
    worse += _burst(policy, evidence)
    stage = policy.stages[max(len(evidence.stages), 1) - 1]
    if worse:
        return RolloutDecision(
            verdict=Verdict.ROLLBACK, stage=stage.name, reasons=tuple(worse), readings=readings
        )
    if mismatch is not None:
        return RolloutDecision(
            verdict=Verdict.INCONCLUSIVE, stage=stage.name, reasons=(mismatch,), readings=readings
        )
    harm = promotion_harm(policy, evidence)
    missing = _missing(policy, evidence, harm=harm)
    if not missing and isinstance(harm, EffectTest):
        text = f"harm is at most {harm.high:.4f}, less than {stage.margin}"
        missing_nothing = Reason(code=ReasonCode.MARGIN_MET, text=text, monitor=policy.promotion.monitor)
        return RolloutDecision(
            verdict=Verdict.PROMOTE,
            stage=stage.name,
            reasons=(missing_nothing,),
            readings=readings,
            harm_bound=harm.high,
            more_canary_requests=0,
        )
    overdue = _overdue(policy, evidence)
    return RolloutDecision(
        verdict=Verdict.INCONCLUSIVE if overdue else Verdict.HOLD,
        stage=stage.name,
        reasons=(*overdue, *missing),
        readings=readings,
        harm_bound=None if isinstance(harm, CannotCompute) else harm.high,
        more_canary_requests=_still_needed(policy, evidence, harm=harm),
    )


def _alarm(reading: MonitorReading) -> Reason:
    if reading.rule == "floor":
        text = f"the canary is {reading.effect:.4f} below its floor (p = {reading.anytime_p:.2g})"
        return Reason(code=ReasonCode.FLOOR_BROKEN, text=text, monitor=reading.monitor)
    text = f"the canary is worse by {reading.effect:.4g} (p = {reading.anytime_p:.2g} <= {reading.alpha})"
    return Reason(code=ReasonCode.HARM_SHOWN, text=text, monitor=reading.monitor)


def _burst(policy: RolloutPolicy, evidence: RolloutEvidence) -> list[Reason]:
    rule = policy.burst
    if rule is None or evidence.first_failures < rule.failures:
        return []
    arms = [stage.outcomes.get(rule.monitor) for stage in evidence.stages]
    controls = [one.control for one in arms if isinstance(one, BinaryArms)]
    answers = sum(one.n for one in controls)
    if answers == 0 or sum(one.failures for one in controls) >= rule.control_below * answers:
        return []
    text = (
        f"{evidence.first_failures} of the first {evidence.first_answers} canary answers failed, "
        f"while the control fails in less than {rule.control_below}"
    )
    return [Reason(code=ReasonCode.FAILURE_BURST, text=text, monitor=rule.monitor)]


def _sample_ratio(policy: RolloutPolicy, evidence: RolloutEvidence) -> Reason | None:
    p_value = sample_ratio_p(policy, evidence)
    if p_value > policy.sample_ratio_alpha:
        return None
    text = f"the arms do not get the shares they were assigned (p = {p_value:.2g}): nothing can be concluded"
    return Reason(code=ReasonCode.SAMPLE_RATIO, text=text)


def _missing(
    policy: RolloutPolicy, evidence: RolloutEvidence, *, harm: EffectTest | CannotCompute
) -> list[Reason]:
    """Return what keeps the stage from being left, in the order in which it is usually met."""
    if not evidence.stages or evidence.stages[-1].assigned_canary == 0:
        return [Reason(code=ReasonCode.NO_DATA, text="the canary has answered nothing in this stage")]
    current, stage = evidence.stages[-1], policy.stages[len(evidence.stages) - 1]
    reasons = []
    if current.elapsed_h < stage.min_hours:
        text = f"{current.elapsed_h:.2f} h in the stage, it lasts at least {stage.min_hours} h"
        reasons.append(Reason(code=ReasonCode.TOO_EARLY, text=text))
    if current.assigned_canary < stage.min_canary_requests:
        text = f"{current.assigned_canary} canary requests, the stage needs {stage.min_canary_requests}"
        reasons.append(Reason(code=ReasonCode.TOO_FEW_REQUESTS, text=text))
    if isinstance(harm, CannotCompute) or harm.high >= stage.margin:
        known = harm.detail if isinstance(harm, CannotCompute) else f"harm may be up to {harm.high:.4f}"
        text = f"{known}; the stage asks for less than {stage.margin}"
        reasons.append(Reason(code=ReasonCode.MARGIN_OPEN, text=text, monitor=policy.promotion.monitor))
    return reasons


def _overdue(policy: RolloutPolicy, evidence: RolloutEvidence) -> list[Reason]:
    if not evidence.stages:
        return []
    elapsed_h, stage = evidence.stages[-1].elapsed_h, policy.stages[len(evidence.stages) - 1]
    if elapsed_h < stage.max_days * HOURS_PER_DAY:
        return []
    text = f"the stage has lasted {elapsed_h / HOURS_PER_DAY:.1f} days, at most {stage.max_days:g} are given"
    return [Reason(code=ReasonCode.DURATION_EXCEEDED, text=text)]


def _still_needed(
    policy: RolloutPolicy, evidence: RolloutEvidence, *, harm: EffectTest | CannotCompute
) -> int | None:
    """Return the canary requests until the stage can be left if the harm stays as seen (0 if it helps)."""
    stage = policy.stages[max(len(evidence.stages), 1) - 1]
    seen = evidence.stages[-1].assigned_canary if evidence.stages else 0
    least = max(0, stage.min_canary_requests - seen)
    if isinstance(harm, CannotCompute):
        return max(least, harm.more_needed) if harm.more_needed is not None else None
    if harm.high < stage.margin:
        return least
    information = [one.share * (1.0 - one.share) for one in policy.stages]
    weights = [one / information[0] for one in information]
    count = sum(
        weight * (one.assigned_canary + one.assigned_control)
        for weight, one in zip(weights, evidence.stages, strict=False)
    )
    needed = count_until(
        stage.margin - max(0.0, harm.effect),
        variance=(harm.standard_error or 0.0) ** 2 * count,
        alpha=policy.promotion.alpha,
        planned_count=policy.promotion.planned_requests,
    )
    if needed is None:
        return None
    more = max(0.0, needed - count) / weights[len(evidence.stages) - 1] * stage.share
    return max(least, math.ceil(more))
