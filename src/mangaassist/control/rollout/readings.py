"""How strongly each rule speaks against the canary; harm is positive where the canary is worse."""

from __future__ import annotations

from collections.abc import Sequence

from mangaassist.control.rollout.evidence import (
    BinaryArms,
    MeanArms,
    MonitorReading,
    RolloutEvidence,
)
from mangaassist.control.rollout.policy import BinaryMonitor, Floor, MeanMonitor, RolloutPolicy
from mangaassist.stats.arm_of_outcome import BinaryStage, anytime_p, log_e_harm, log_e_share
from mangaassist.stats.confidence_sequence import ArmValue, Phase, difference_sequence
from mangaassist.stats.estimates import EffectTest
from mangaassist.stats.moments import BinomialCounts, Moments
from mangaassist.stats.outcome import CannotCompute
from mangaassist.stats.sample_ratio import ArmCounts, log_e_sample_ratio


def read_rules(policy: RolloutPolicy, evidence: RolloutEvidence) -> tuple[MonitorReading, ...]:
    """Return the state of every monitor and floor."""
    return (
        *(
            _read_binary(policy, one, evidence)
            if isinstance(one, BinaryMonitor)
            else _read_mean(policy, one, evidence)
            for one in policy.monitors
        ),
        *(_read_floor(floor, evidence) for floor in policy.floors),
    )


def promotion_harm(policy: RolloutPolicy, evidence: RolloutEvidence) -> EffectTest | CannotCompute:
    """Return the harm on the promotion monitor with its upper bound, all stages together."""
    return difference_sequence(
        _phases(policy, policy.monitor(policy.promotion.monitor), evidence),
        alpha=policy.promotion.alpha,
        planned_count=policy.promotion.planned_requests,
        alternative="less",
    )


def sample_ratio_p(policy: RolloutPolicy, evidence: RolloutEvidence) -> float:
    """Return the anytime p-value of "the arms get their shares", of all requests and of the scored ones.

    The smallest of the monitors' values: one arm's answers that are scored less often mislead just as much.
    """
    begun = list(zip(policy.stages, evidence.stages, strict=False))
    assigned = [
        ArmCounts(
            counts=(seen.assigned_canary, seen.assigned_control), weights=(stage.share, 1.0 - stage.share)
        )
        for stage, seen in begun
    ]
    scored = [
        [
            ArmCounts(counts=(arms.canary.n, arms.control.n), weights=(share, 1.0 - share))
            for share, arms in _outcomes(policy, monitor, evidence)
        ]
        for monitor in policy.binary_monitors
    ]
    different = {tuple(phases) for phases in [assigned, *scored] if phases}
    return min((anytime_p(log_e_sample_ratio(phases)) for phases in different), default=1.0)


def _read_binary(policy: RolloutPolicy, monitor: BinaryMonitor, evidence: RolloutEvidence) -> MonitorReading:
    stages = [
        BinaryStage(share=share, treatment=arms.canary, control=arms.control)
        for share, arms in _outcomes(policy, monitor, evidence)
        if isinstance(arms, BinaryArms)
    ]
    log_e = log_e_harm(
        stages, failure_strength=monitor.failure_strength, success_strength=monitor.success_strength
    )
    canary, control = (
        BinomialCounts(n=sum(one.n for one in arm), successes=sum(one.successes for one in arm))
        for arm in ([one.treatment for one in stages], [one.control for one in stages])
    )
    both = canary.n > 0 and control.n > 0
    return MonitorReading(
        rule="harm",
        monitor=monitor.name,
        alpha=monitor.alpha,
        anytime_p=anytime_p(log_e) if both else None,
        effect=control.rate - canary.rate if both else None,
    )


def _read_mean(policy: RolloutPolicy, monitor: MeanMonitor, evidence: RolloutEvidence) -> MonitorReading:
    test = difference_sequence(
        _phases(policy, monitor, evidence),
        alpha=monitor.alpha,
        planned_count=monitor.planned_requests,
        alternative="greater",
        min_units=monitor.min_canary_requests,
    )
    known = None if isinstance(test, CannotCompute) else test
    return MonitorReading(
        rule="harm",
        monitor=monitor.name,
        alpha=monitor.alpha,
        anytime_p=known.p_value if known else None,
        effect=known.effect if known else None,
    )


def _read_floor(floor: Floor, evidence: RolloutEvidence) -> MonitorReading:
    seen = [stage.outcomes.get(floor.monitor) for stage in evidence.stages]
    canaries = [arms.canary for arms in seen if isinstance(arms, BinaryArms)]
    good, answers = sum(one.successes for one in canaries), sum(one.n for one in canaries)
    log_e = log_e_share(answers - good, good, share=1.0 - floor.at_least, strength=floor.strength)
    return MonitorReading(
        rule="floor",
        monitor=floor.monitor,
        alpha=floor.alpha,
        anytime_p=anytime_p(float(log_e)) if answers else None,
        effect=floor.at_least - good / answers if answers else None,
    )


def _phases(
    policy: RolloutPolicy, monitor: BinaryMonitor | MeanMonitor, evidence: RolloutEvidence
) -> list[Phase]:
    """Return the monitor's phases with values that are higher where things are worse."""
    sign = -1.0 if isinstance(monitor, MeanMonitor) and monitor.harm == "lower" else 1.0
    return [
        Phase(share=share, treatment=_value(arms.canary, sign), control=_value(arms.control, sign))
        for share, arms in _outcomes(policy, monitor, evidence)
        if min(arms.canary.n, arms.control.n) > 1
    ]


def _value(arm: BinomialCounts | Moments, sign: float) -> ArmValue:
    if isinstance(arm, BinomialCounts):
        return ArmValue.of_share(BinomialCounts(n=arm.n, successes=arm.failures))
    return ArmValue.of_mean(Moments(n=arm.n, mean=sign * arm.mean, squares=arm.squares))


def _outcomes(
    policy: RolloutPolicy, monitor: BinaryMonitor | MeanMonitor, evidence: RolloutEvidence
) -> Sequence[tuple[float, BinaryArms | MeanArms]]:
    """Return the monitor's outcomes by stage, each with the canary's share among the scored answers."""
    times = monitor.canary_oversampling if isinstance(monitor, BinaryMonitor) else 1.0
    return [
        (stage.share * times / (stage.share * times + 1.0 - stage.share), seen.outcomes[monitor.name])
        for stage, seen in zip(policy.stages, evidence.stages, strict=False)
        if monitor.name in seen.outcomes
    ]
