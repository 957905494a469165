"""The rollout policy: stages, what is watched, and how often a healthy candidate may be rolled back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mangaassist.domain.errors import ConfigurationError

SHIPPED = ("default", "cautious")

Alpha = Annotated[float, Field(gt=0.0, lt=0.5)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BinaryMonitor(_Section):
    """Good and bad answers, watched by the arm-of-outcome e-process.

    `canary_oversampling` says how many times as often a canary answer is scored as a control answer.
    """

    name: str = Field(min_length=1)
    kind: Literal["binary"]
    alpha: Alpha
    failure_strength: Positive = 500.0
    success_strength: Positive | None = None
    canary_oversampling: Positive = 1.0


class MeanMonitor(_Section):
    """A number per request, watched by the one-sided confidence sequence of its mean."""

    name: str = Field(min_length=1)
    kind: Literal["mean"]
    harm: Literal["higher", "lower"]
    alpha: Alpha
    planned_requests: Positive = 20_000.0
    min_canary_requests: Count = 100


Monitor = Annotated[BinaryMonitor | MeanMonitor, Field(discriminator="kind")]


class Floor(_Section):
    """A share of good answers below which a candidate is not kept, whatever the control does."""

    monitor: str
    at_least: Share
    alpha: Alpha
    strength: Positive = 500.0


class Burst(_Section):
    """So many failures among the first canary answers end the rollout at once."""

    monitor: str
    failures: Count
    among_first: Count
    control_below: Share

    @property
    def false_alarm_chance(self) -> float:
        """Chance of so many failures at the highest control rate for which the rule acts (binomial)."""
        rate, trials = self.control_below, self.among_first
        return sum(
            math.comb(trials, count) * rate**count * (1.0 - rate) ** (trials - count)
            for count in range(self.failures, trials + 1)
        )


class Promotion(_Section):
    """The monitor whose harm must be shown to lie within the margin of the stage."""

    monitor: str
    alpha: Alpha = 0.05
    planned_requests: Positive = 60_000.0


class Stage(_Section):
    """One stage: the canary's share, and what it takes to leave it; `margin` in units of the monitor."""

    name: str = Field(min_length=1)
    share: Share
    margin: Positive
    min_canary_requests: Count = 100
    min_hours: Annotated[float, Field(ge=0.0)] = 0.5
    max_days: Positive = 14.0


class RolloutPolicy(_Section):
    """One rollout policy; the error rates of its rules sum to no more than `false_rollback_budget`."""

    name: str = Field(min_length=1)
    false_rollback_budget: Alpha
    warm_up_requests: Annotated[int, Field(ge=0)] = 500
    sample_ratio_alpha: Alpha = 0.001
    monitors: tuple[Monitor, ...] = Field(min_length=1)
    floors: tuple[Floor, ...] = ()
    burst: Burst | None = None
    promotion: Promotion
    stages: tuple[Stage, ...] = Field(min_length=1)
    reference_harm: Mapping[str, float | str] = Field(min_length=1)

    @property
    def false_rollback_bound(self) -> float:
        """What the rules can roll back of healthy candidates altogether (union bound)."""
        rules = [*self.monitors, *self.floors]
        return sum(rule.alpha for rule in rules) + (self.burst.false_alarm_chance if self.burst else 0.0)

    @property
    def binary_monitors(self) -> tuple[BinaryMonitor, ...]:
        """The monitors of good and bad answers."""
        return tuple(one for one in self.monitors if isinstance(one, BinaryMonitor))

    @property
    def mean_monitors(self) -> tuple[MeanMonitor, ...]:
        """The monitors of means."""
        return tuple(one for one in self.monitors if isinstance(one, MeanMonitor))

    def monitor(self, name: str) -> BinaryMonitor | MeanMonitor:
        """Return a monitor by its name; raises `KeyError`."""
        return {one.name: one for one in self.monitors}[name]

    @model_validator(mode="after")
    def _fits_together(self) -> RolloutPolicy:
        problems = [*self._unknown_names()]
        for kind, names in (("monitor", self.monitors), ("stage", self.stages)):
            seen = [one.name for one in names]
            problems += [f"{kind} {name!r} appears twice" for name in {*seen} if seen.count(name) > 1]
        shares = [stage.share for stage in self.stages]
        if shares != sorted(shares):
            problems.append(f"the shares of the stages must not fall, got {shares}")
        if self.false_rollback_bound > self.false_rollback_budget * (1.0 + 1e-9):
            problems.append(
                f"the alphas of monitors, floors and burst sum to {self.false_rollback_bound:.5f}, more than "
                f"false_rollback_budget {self.false_rollback_budget}; lower an alpha or raise the budget"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _unknown_names(self) -> list[str]:
        binary = {one.name for one in self.binary_monitors}
        known = {one.name for one in self.monitors}
        watched = [floor.monitor for floor in self.floors] + ([self.burst.monitor] if self.burst else [])
        problems = [
            f"{name!r} is no binary monitor (there are: {', '.join(sorted(binary)) or 'none'})"
            for name in watched
            if name not in binary
        ]
        if self.promotion.monitor not in known:
            problems.append(f"promotion.monitor: no monitor {self.promotion.monitor!r}")
        return problems


def load_rollout_policy(source: str | Path = "default") -> RolloutPolicy:
    """Read a shipped policy by its name or a YAML file; raise `ConfigurationError` naming every fault."""
    if source in SHIPPED:
        text = resources.files(__package__).joinpath("policies", f"{source}.yaml").read_text("utf-8")
    else:
        try:
            text = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"rollout policy {str(source)!r}: {error.strerror}; give a YAML file or one of "
                f"{', '.join(SHIPPED)}"
            ) from error
    return parse_rollout_policy(text, name=str(source))


def parse_rollout_policy(text: str, *, name: str) -> RolloutPolicy:
    """Check a policy document; raise `ConfigurationError` naming every wrong field."""
    try:
        return RolloutPolicy.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"rollout policy {name!r} is not YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in issue['loc']) or 'policy'}: {issue['msg']}"
            for issue in error.errors()
        )
        raise ConfigurationError(f"rollout policy {name!r}: {problems}") from error
