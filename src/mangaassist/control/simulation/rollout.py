"""Whole rollouts of one policy, many at a time: the rules of `control.rollout` on arrays of replicates.

Monitors are read after every single answer. Between looks only bounds are computed: the e-process of a batch
of answers cannot exceed its value for the worst order of that batch, nor the largest likelihood ratio; where
such a bound reaches the alarm, the batch is gone through answer by answer. Promotion is asked for at the end
of each batch. `tests/simulation` plays single replicates through `decide` as well and compares the verdicts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from mangaassist.control.rollout.evidence import Verdict
from mangaassist.control.rollout.policy import BinaryMonitor, Floor, MeanMonitor, RolloutPolicy
from mangaassist.control.simulation.scenario import (
    BINARY_QUANTITIES,
    MEAN_QUANTITIES,
    Baseline,
    Effect,
    FailureRates,
    failure_rates,
)
from mangaassist.domain.errors import ConfigurationError
from mangaassist.stats.arm_of_outcome import log_e_share, log_e_share_bound
from mangaassist.stats.confidence_sequence import MIN_UNITS, half_width
from mangaassist.stats.sample_ratio import PRIOR_STRENGTH

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRun:
    """One simulated rollout; `rule` is what rolled it back."""

    verdict: Verdict
    rule: str | None
    canary_requests: int
    requests: int


def check_simulable(policy: RolloutPolicy) -> None:
    """Raise `ConfigurationError` when a monitor watches what the simulated traffic does not have."""
    strange = [one.name for one in policy.binary_monitors if one.name not in BINARY_QUANTITIES]
    strange += [one.name for one in policy.mean_monitors if one.name not in MEAN_QUANTITIES]
    if strange or not isinstance(policy.monitor(policy.promotion.monitor), BinaryMonitor):
        known = ", ".join((*BINARY_QUANTITIES, *MEAN_QUANTITIES))
        raise ConfigurationError(
            f"simulated traffic has {known}, promotion on a binary one; not {', '.join(strange) or 'a mean'}"
        )


def simulate_rollouts(
    policy: RolloutPolicy,
    *,
    baseline: Baseline,
    effect: Effect,
    traffic_per_day: float,
    replicates: int,
    generator: np.random.Generator,
    batch: int | None = None,
) -> list[RolloutRun]:
    """Play `replicates` rollouts to their end; promotion is considered every `batch` requests."""
    check_simulable(policy)
    size = batch or max(50, round(traffic_per_day / 10_000))
    field = _Field(policy, baseline, effect, replicates, generator)
    while field.live:
        field.play(size, traffic_per_day)
    return field.runs()


class _Binary:
    """Counts of one binary monitor: failures and successes of canary and control, in the current stage."""

    def __init__(self, monitor: BinaryMonitor, rates: FailureRates) -> None:
        self.monitor = monitor
        self.rates = rates
        size = len(rates.control)
        self.counts = np.zeros((4, size))  # canary failures, control failures, canary and control successes
        self.earlier = np.zeros((4, size))
        self.log_e_earlier = np.zeros(size)

    def keep(self, mask: Flags) -> None:
        self.counts, self.earlier = self.counts[:, mask], self.earlier[:, mask]
        self.log_e_earlier = self.log_e_earlier[mask]
        self.rates = FailureRates(control=self.rates.control[mask], canary=self.rates.canary[mask])

    def log_e(self, counts: Floats, share: Floats) -> Floats:
        """Return the log e-value of the current stage, for counts along the first axis."""
        bad, bad_control, good, good_control = counts
        value = log_e_share(bad, bad_control, share=share, strength=self.monitor.failure_strength)
        if self.monitor.success_strength is not None:
            strength = self.monitor.success_strength
            value = value + log_e_share(good_control, good, share=1.0 - share, strength=strength)
        return value

    def log_e_bound(self, counts: Floats, share: Floats) -> Floats:
        bad, bad_control, good, good_control = counts
        value = log_e_share_bound(bad, bad_control, share=share)
        if self.monitor.success_strength is not None:
            value = value + log_e_share_bound(good_control, good, share=1.0 - share)
        return value

    def close_stage(self, mask: Flags, share: Floats) -> None:
        self.log_e_earlier[mask] += self.log_e(self.counts[:, mask], share[mask])
        self.earlier[:, mask] += self.counts[:, mask]
        self.counts[:, mask] = 0.0


class _Pool:
    """A difference of means pooled over stages: sums of weight, weight * difference, weight^2 * variance."""

    def __init__(self, size: int) -> None:
        self.sums = np.zeros((3, size))

    def keep(self, mask: Flags) -> None:
        self.sums = self.sums[:, mask]

    def with_stage(
        self,
        weight: Floats,
        difference: Floats,
        squared_error: Floats,
        *,
        rows: npt.NDArray[np.int64] | slice = slice(None),
    ) -> tuple[Floats, Floats, Floats]:
        """Return difference, unit variance and count of the earlier stages and this one together."""
        earlier = self.sums[:, rows] if weight.ndim == 1 else self.sums[:, rows, None]
        total = earlier[0] + weight
        safe = np.maximum(total, 1e-300)
        return (
            (earlier[1] + weight * difference) / safe,
            (earlier[2] + weight * weight * squared_error) / safe,
            total,
        )

    def close_stage(self, mask: Flags, terms: tuple[Floats, Floats, Floats]) -> None:
        weight, difference, squared_error = (one[mask] for one in terms)
        self.sums[:, mask] += np.stack([weight, weight * difference, weight**2 * squared_error])


class _Mean:
    """Sums of one mean monitor in the current stage: count, sum and sum of squares of both arms."""

    def __init__(self, monitor: MeanMonitor, size: int) -> None:
        self.monitor = monitor
        self.sums = np.zeros((6, size))
        self.pool = _Pool(size)
        self.earlier_smaller = np.zeros(size)

    def keep(self, mask: Flags) -> None:
        self.sums, self.earlier_smaller = self.sums[:, mask], self.earlier_smaller[mask]
        self.pool.keep(mask)

    @staticmethod
    def terms(sums: Floats, information: Floats) -> tuple[Floats, Floats, Floats]:
        """Return weight, difference and squared error of a stage; weight 0 below two values an arm."""
        n, total, squares, n_control, total_control, squares_control = sums
        ready = np.minimum(n, n_control) > 1.0
        one, other = np.maximum(n, 2.0), np.maximum(n_control, 2.0)
        mean, mean_control = total / one, total_control / other
        error = (squares - total * mean) / (one * (one - 1.0))
        error = error + (squares_control - total_control * mean_control) / (other * (other - 1.0))
        weight = np.where(ready, (n + n_control) * information, 0.0)
        return weight, mean - mean_control, np.maximum(error, 0.0)


def _mean_steps(arms: Flags, values: Floats) -> tuple[Floats, ...]:
    """Return what each answer adds to the six sums of a mean monitor."""
    ours = np.where(arms, values, 0.0)
    theirs = values - ours
    count = arms.astype(np.float64)
    return count, ours, ours * values, 1.0 - count, theirs, theirs * values


class _Field:
    """The replicates still running; those that ended are written down and dropped."""

    def __init__(
        self,
        policy: RolloutPolicy,
        baseline: Baseline,
        effect: Effect,
        replicates: int,
        generator: np.random.Generator,
    ) -> None:
        self.policy, self.baseline, self.effect, self.generator = policy, baseline, effect, generator
        self.binary = [
            _Binary(
                one,
                failure_rates(
                    one.name, baseline=baseline, effect=effect, size=replicates, generator=generator
                ),
            )
            for one in policy.binary_monitors
        ]
        self.means = [_Mean(one, replicates) for one in policy.mean_monitors]
        self.by_name = {one.monitor.name: one for one in self.binary}
        self.promotion = self.by_name[policy.promotion.monitor]
        self.promotion_pool = _Pool(replicates)
        self.promotion_smaller = np.zeros(replicates)
        self.index = np.arange(replicates)
        self.stage = np.zeros(replicates, dtype=np.int64)
        self.canary = np.zeros(replicates, dtype=np.int64)
        self.requests = np.zeros(replicates, dtype=np.int64)
        self.stage_counts = np.zeros((2, replicates))  # canary and all requests of the current stage
        self.ratio_earlier = np.zeros(replicates)
        self.first = np.zeros((2, replicates), dtype=np.int64)  # first canary answers, failures among them
        self.ended: dict[int, RolloutRun] = {}
        shares = np.array([stage.share for stage in policy.stages])
        information = shares * (1.0 - shares)
        self.shares, self.information = shares, information / information[0]

    @property
    def live(self) -> int:
        return len(self.index)

    def runs(self) -> list[RolloutRun]:
        return [self.ended[position] for position in sorted(self.ended)]

    def play(self, batch: int, traffic_per_day: float) -> None:
        """Send one batch of requests to every live rollout and act on what is seen."""
        share = self.shares[self.stage]
        arms = self.generator.random((self.live, batch)) < share[:, None]
        canary = arms.sum(axis=1)
        alarm_at = np.full(self.live, NEVER)
        rule = np.full(self.live, -1)
        number = 0
        for monitor in self.binary:
            drawn = self._drawn(monitor, canary, batch)
            number = self._watch(monitor, drawn, arms, alarm_at=alarm_at, rule=rule, number=number)
            monitor.counts += drawn
        self._burst(canary, batch, alarm_at=alarm_at, rule=rule, number=number)
        for place, mean in enumerate(self.means):
            self._watch_mean(mean, arms, alarm_at=alarm_at, rule=rule, number=number + 1 + place)
        seen = np.where(alarm_at < NEVER, np.minimum(alarm_at, batch), batch)
        upto = np.arange(batch) < seen[:, None]
        self.canary += (arms & upto).sum(axis=1)
        self.requests += seen
        self.stage_counts += np.stack([canary, np.full(self.live, batch)])
        self._act(alarm_at < NEVER, rule, traffic_per_day)

    def _drawn(self, monitor: _Binary, canary: npt.NDArray[np.int64], batch: int) -> Floats:
        bad = self.generator.binomial(canary, monitor.rates.canary)
        bad_control = self.generator.binomial(batch - canary, monitor.rates.control)
        return np.stack([bad, bad_control, canary - bad, batch - canary - bad_control]).astype(np.float64)

    def _watch(
        self,
        monitor: _Binary,
        drawn: Floats,
        arms: Flags,
        *,
        alarm_at: npt.NDArray[np.int64],
        rule: npt.NDArray[np.int64],
        number: int,
    ) -> int:
        """Read a monitor and its floor after every answer of the batch."""
        share = self.shares[self.stage]
        worst = monitor.counts + drawn * np.array([[1.0], [0.0], [0.0], [1.0]])
        needed = -math.log(monitor.monitor.alpha) - monitor.log_e_earlier
        possible = np.flatnonzero(monitor.log_e_bound(worst, share) >= needed)
        if len(possible):
            sure = monitor.log_e(worst[:, possible], share[possible]) >= needed[possible]
            possible = possible[sure]
        floors = [floor for floor in self.policy.floors if floor.monitor == monitor.monitor.name]
        broken = [self._floor_possible(monitor, drawn, floor) for floor in floors]
        for row in np.unique(np.concatenate([possible, *broken])):
            path = monitor.counts[:, row, None] + self._path(arms[row], drawn[:, row])
            crossed = [monitor.log_e(path, np.full(path.shape[1], share[row])) >= needed[row]]
            for floor in floors:
                whole = path + monitor.earlier[:, row, None]
                log_e = log_e_share(whole[0], whole[2], share=1.0 - floor.at_least, strength=floor.strength)
                crossed.append(log_e >= -math.log(floor.alpha))
            for place, crossing in enumerate(crossed):
                if crossing.any() and crossing.argmax() + 1 < alarm_at[row]:
                    alarm_at[row], rule[row] = crossing.argmax() + 1, number + place
        return number + 1 + len(floors)

    def _floor_possible(self, monitor: _Binary, drawn: Floats, floor: Floor) -> npt.NDArray[np.int64]:
        bad = monitor.earlier[0] + monitor.counts[0] + drawn[0]
        good = monitor.earlier[2] + monitor.counts[2]
        bound = log_e_share_bound(bad, good, share=np.full(len(bad), 1.0 - floor.at_least))
        return np.flatnonzero(bound >= -math.log(floor.alpha))

    def _path(self, arms: Flags, drawn: Floats) -> Floats:
        """Return running counts of one batch in a random order that agrees with its arms and totals."""
        bad = np.zeros(len(arms), dtype=bool)
        for places, count in ((np.flatnonzero(arms), drawn[0]), (np.flatnonzero(~arms), drawn[1])):
            bad[self.generator.choice(places, int(count), replace=False)] = True
        steps = np.stack([arms & bad, ~arms & bad, arms & ~bad, ~arms & ~bad])
        return np.cumsum(steps, axis=1).astype(np.float64)

    def _burst(
        self,
        canary: npt.NDArray[np.int64],
        batch: int,
        *,
        alarm_at: npt.NDArray[np.int64],
        rule: npt.NDArray[np.int64],
        number: int,
    ) -> None:
        burst = self.policy.burst
        if burst is None or not (self.first[0] < burst.among_first).any():
            return
        monitor = self.by_name[burst.monitor]
        take = np.minimum(canary, burst.among_first - self.first[0])
        # the batch is counted already: its failures are what came on top of the first ones
        fresh = np.where(take > 0, monitor.counts[0] + monitor.earlier[0] - self.first[1], 0).astype(np.int64)
        failed = self.generator.hypergeometric(fresh, np.maximum(canary - fresh, 0), take)
        self.first += np.stack([take, failed])
        control = monitor.counts + monitor.earlier
        calm = control[1] < burst.control_below * np.maximum(control[1] + control[3], 1.0)
        sudden = (self.first[1] >= burst.failures) & calm & (take > 0) & (alarm_at == NEVER)
        alarm_at[sudden], rule[sudden] = batch, number

    def _watch_mean(
        self,
        mean: _Mean,
        arms: Flags,
        *,
        alarm_at: npt.NDArray[np.int64],
        rule: npt.NDArray[np.int64],
        number: int,
    ) -> None:
        """Read the confidence sequence of a mean, answer by answer where the batch ends halfway to an alarm.

        A batch adds a few per cent to what is known, so that a path cannot reach the alarm and come back by
        more than half the way within one.
        """
        spread = self.baseline.cost_log_sd
        values = np.exp(spread * self.generator.standard_normal(arms.shape) - spread**2 / 2.0)
        values *= np.where(arms, self.effect.cost, 1.0) * (1.0 if mean.monitor.harm == "higher" else -1.0)
        before = mean.sums
        mean.sums = before + np.stack([one.sum(axis=1) for one in _mean_steps(arms, values)])
        nearness = self._nearness(mean, mean.sums, np.arange(self.live))
        near = np.flatnonzero(nearness > 0.5)
        if not len(near):
            return
        steps = np.stack([one.cumsum(axis=1) for one in _mean_steps(arms[near], values[near])])
        shown = self._nearness(mean, before[:, near, None] + steps, near) > 1.0
        first = np.where(shown.any(axis=1), shown.argmax(axis=1) + 1, NEVER)
        sooner = first < alarm_at[near]
        alarm_at[near[sooner]], rule[near[sooner]] = first[sooner], number

    def _nearness(self, mean: _Mean, sums: Floats, rows: npt.NDArray[np.int64]) -> Floats:
        """Return harm over half-width, above 1 for an alarm; 0 while there are too few canary requests."""
        path = sums.ndim > 2
        information = self.information[self.stage[rows]]
        earlier = mean.earlier_smaller[rows]
        difference, variance, count = mean.pool.with_stage(
            *_Mean.terms(sums, information[:, None] if path else information), rows=rows
        )
        half = half_width(
            np.maximum(variance, 1e-300),
            np.maximum(count, 1.0),
            alpha=mean.monitor.alpha,
            planned_count=mean.monitor.planned_requests,
            one_sided=True,
        )
        reached = (earlier[:, None] if path else earlier) + np.minimum(sums[0], sums[3])
        return np.where(reached >= mean.monitor.min_canary_requests, difference / half, 0.0)

    def _act(self, alarmed: Flags, rule: npt.NDArray[np.int64], traffic_per_day: float) -> None:
        """End rollouts and move others to their next stage."""
        stages = self.policy.stages
        days = self.stage_counts[1] / traffic_per_day
        mismatch = self._sample_ratio() >= -math.log(self.policy.sample_ratio_alpha)
        terms = self._promotion_terms()
        difference, variance, count = self.promotion_pool.with_stage(*terms)
        bound = difference + half_width(
            variance,
            np.maximum(count, 1.0),
            alpha=self.policy.promotion.alpha,
            planned_count=self.policy.promotion.planned_requests,
            one_sided=True,
        )
        ready = (
            (bound < np.array([one.margin for one in stages])[self.stage])
            & (variance > 0.0)
            & (self._smaller() >= MIN_UNITS)
            & (self.stage_counts[0] >= np.array([one.min_canary_requests for one in stages])[self.stage])
            & (days * 24.0 >= np.array([one.min_hours for one in stages])[self.stage])
        )
        overdue = days >= np.array([one.max_days for one in stages])[self.stage]
        last = self.stage == len(stages) - 1
        advance = ready & ~alarmed & ~mismatch
        verdicts = np.full(self.live, "", dtype=object)
        verdicts[(overdue & ~advance) | mismatch] = Verdict.INCONCLUSIVE
        verdicts[advance & last] = Verdict.PROMOTE
        verdicts[alarmed] = Verdict.ROLLBACK
        self._next_stage(advance & ~last, terms)
        self._end(verdicts, rule)

    def _promotion_terms(self) -> tuple[Floats, Floats, Floats]:
        bad, bad_control, good, good_control = self.promotion.counts
        n, n_control = bad + good, bad_control + good_control
        one, other = np.maximum(n, 1.0), np.maximum(n_control, 1.0)
        rate, rate_control = bad / one, bad_control / other
        ready = np.minimum(n, n_control) > 1.0
        weight = np.where(ready, (n + n_control) * self.information[self.stage], 0.0)
        error = rate * (1.0 - rate) / one + rate_control * (1.0 - rate_control) / other
        return weight, rate - rate_control, error

    def _smaller(self) -> Floats:
        """Return the units of the smaller arm, summed over stages."""
        return self.promotion_smaller + np.minimum(*self._arm_sizes(self.promotion.counts))

    @staticmethod
    def _arm_sizes(counts: Floats) -> tuple[Floats, Floats]:
        return counts[0] + counts[2], counts[1] + counts[3]

    def _sample_ratio(self) -> Floats:
        """Return the log e-value of the arms' sizes against their shares (see `stats.sample_ratio`)."""
        share = self.shares[self.stage]
        return self.ratio_earlier + self._stage_ratio(share)

    def _stage_ratio(self, share: Floats) -> Floats:
        ours, every = self.stage_counts
        theirs = every - ours
        a, b = PRIOR_STRENGTH * share, PRIOR_STRENGTH * (1.0 - share)
        mixed = special.betaln(a + ours, b + theirs) - special.betaln(a, b)
        return np.asarray(mixed - ours * np.log(share) - theirs * np.log1p(-share))

    def _next_stage(self, mask: Flags, terms: tuple[Floats, Floats, Floats]) -> None:
        if not mask.any():
            return
        share = self.shares[self.stage]
        self.ratio_earlier[mask] += self._stage_ratio(share)[mask]
        self.promotion_pool.close_stage(mask, terms)
        self.promotion_smaller[mask] += np.minimum(*self._arm_sizes(self.promotion.counts))[mask]
        for monitor in self.binary:
            monitor.close_stage(mask, share)
        for mean in self.means:
            mean.pool.close_stage(mask, _Mean.terms(mean.sums, self.information[self.stage]))
            mean.earlier_smaller[mask] += np.minimum(mean.sums[0], mean.sums[3])[mask]
            mean.sums[:, mask] = 0.0
        self.stage_counts[:, mask] = 0.0
        self.stage[mask] += 1

    def _end(self, verdicts: npt.NDArray[np.object_], rule: npt.NDArray[np.int64]) -> None:
        over = np.array([verdict != "" for verdict in verdicts])
        if not over.any():
            return
        names = self._rule_names()
        for row in np.flatnonzero(over):
            verdict = Verdict(verdicts[row])
            self.ended[int(self.index[row])] = RolloutRun(
                verdict=verdict,
                rule=names[rule[row]] if verdict is Verdict.ROLLBACK else None,
                canary_requests=int(self.canary[row]),
                requests=int(self.requests[row]),
            )
        stay = ~over
        parts: list[_Binary | _Mean | _Pool] = [*self.binary, *self.means, self.promotion_pool]
        for part in parts:
            part.keep(stay)
        self.index, self.stage = self.index[stay], self.stage[stay]
        self.canary, self.requests = self.canary[stay], self.requests[stay]
        self.stage_counts, self.first = self.stage_counts[:, stay], self.first[:, stay]
        self.ratio_earlier = self.ratio_earlier[stay]
        self.promotion_smaller = self.promotion_smaller[stay]

    def _rule_names(self) -> list[str]:
        """Return the rules in the order in which `play` numbers them."""
        names = []
        for monitor in self.binary:
            name = monitor.monitor.name
            names += [name, *(f"{name} floor" for floor in self.policy.floors if floor.monitor == name)]
        return [*names, "failure burst", *(mean.monitor.name for mean in self.means)]
