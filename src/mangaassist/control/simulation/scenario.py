"""The traffic that is simulated: how the control answers, and what is wrong with the candidate."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy import special

from mangaassist.domain.errors import InvalidRequestError

Floats = npt.NDArray[np.float64]

Z_95 = 1.6448536269514722
BURN_IN = 2_000
BINARY_QUANTITIES = ("quality", "errors", "latency_p95", "latency_slo")
MEAN_QUANTITIES = ("cost_usd",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The control: shares of good answers and of errors, lognormal latency, lognormal cost per request."""

    quality: float = 0.85
    errors: float = 0.01
    p50_ms: float = 1_000.0
    p95_ms: float = 2_100.0
    slo_ms: float = 3_000.0
    cost_usd: float = 0.008
    cost_log_sd: float = 1.0

    def __post_init__(self) -> None:
        for name in ("quality", "errors"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidRequestError(f"baseline {name} must lie between 0 and 1", field=name)
        if not 0.0 < self.p50_ms < self.p95_ms:
            raise InvalidRequestError("baseline p50_ms must be above 0 and below p95_ms", field="p50_ms")

    def latency_above(self, limit_ms: Floats, ratio: float = 1.0) -> Floats:
        """Return the chance that an answer, slower by `ratio`, takes longer than the limit."""
        spread = math.log(self.p95_ms / self.p50_ms) / Z_95
        return np.asarray(special.ndtr(-(np.log(limit_ms / ratio) - math.log(self.p50_ms)) / spread))

    def latency_exceeded_by(self, share: Floats) -> Floats:
        """Return the latency in milliseconds that the given share of answers exceeds."""
        spread = math.log(self.p95_ms / self.p50_ms) / Z_95
        return np.asarray(np.exp(math.log(self.p50_ms) - spread * special.ndtri(share)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The candidate beside the control: differences of shares, ratios of latency and cost.

    `slow` of its answers take `slow_ratio` times as long.
    """

    quality: float = 0.0
    errors: float = 0.0
    latency: float = 1.0
    cost: float = 1.0
    slow: float = 0.0
    slow_ratio: float = 3.0

    @property
    def healthy(self) -> bool:
        """Whether the candidate is in no respect worse than the control."""
        slower = self.latency > 1.0 or (self.slow > 0.0 and self.slow_ratio > 1.0)
        return self.quality >= 0.0 and self.errors <= 0.0 and self.cost <= 1.0 and not slower


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRates:
    """Chance of a bad answer in each arm, one element a replicate."""

    control: Floats
    canary: Floats


def failure_rates(
    name: str, *, baseline: Baseline, effect: Effect, size: int, generator: np.random.Generator
) -> FailureRates:
    """Return the chances behind a binary quantity.

    The limit of `latency_p95` is the p95 of 2,000 control answers from before the rollout, so it differs from
    replicate to replicate: the share above an order statistic of independent values is Beta distributed.
    """
    if name == "quality":
        return _rates(1.0 - baseline.quality, 1.0 - baseline.quality - effect.quality, size)
    if name == "errors":
        return _rates(baseline.errors, baseline.errors + effect.errors, size)
    if name == "latency_p95":
        rank = math.ceil(0.95 * BURN_IN)
        above = generator.beta(BURN_IN - rank + 1, rank, size)
        limit_ms = baseline.latency_exceeded_by(above)
    else:
        limit_ms = np.full(size, baseline.slo_ms)
        above = baseline.latency_above(limit_ms)
    usual = baseline.latency_above(limit_ms, effect.latency)
    slow = baseline.latency_above(limit_ms, effect.latency * effect.slow_ratio)
    return FailureRates(control=above, canary=(1.0 - effect.slow) * usual + effect.slow * slow)


def parse_baseline(text: str, *, default: Baseline) -> Baseline:
    """Read `0.9` (quality) or `quality=0.9,errors=0.02,p95_ms=1800`; raise `InvalidRequestError`."""
    given = _pairs(text, plain="quality", known={one.name for one in fields(Baseline)}, what="baseline")
    values = {name: _number(value, what=f"baseline {name}") for name, value in given.items()}
    return Baseline(
        **{one.name: values.get(one.name, getattr(default, one.name)) for one in fields(Baseline)}
    )


def parse_effect(text: str) -> Effect:
    """Read `none`, `-0.05` (quality) or `quality=-0.05,latency=x2,cost=+25%,slow=0.12x3.2,errors=+0.02`."""
    if text.strip().lower() in ("", "none", "healthy", "0"):
        return Effect()
    known = {"quality", "errors", "latency", "cost", "slow"}
    return effect_of(_pairs(text, plain="quality", known=known, what="effect"))


def effect_of(given: Mapping[str, float | str]) -> Effect:
    """Return the effect of named changes, as a policy's `reference_harm` states them."""
    values: dict[str, float] = {}
    for name, value in given.items():
        text = str(value).strip()
        if name == "slow":
            share, _, ratio = text.partition("x")
            values["slow"] = _number(share, what="effect slow")
            values["slow_ratio"] = _number(ratio, what="effect slow") if ratio else 3.0
        elif name in ("latency", "cost"):
            values[name] = _ratio(text, what=f"effect {name}")
        elif name in ("quality", "errors"):
            values[name] = _number(text, what=f"effect {name}")
        else:
            raise InvalidRequestError(
                f"effect {name!r} is not known; expected quality, errors, latency, cost or slow", field=name
            )
    return Effect(**values)


def _rates(control: float, canary: float, size: int) -> FailureRates:
    if not 0.0 <= canary <= 1.0:
        raise InvalidRequestError(f"with this effect the canary's failure rate would be {canary:.4g}")
    return FailureRates(control=np.full(size, control), canary=np.full(size, min(1.0, canary)))


def _pairs(text: str, *, plain: str, known: set[str], what: str) -> dict[str, float | str]:
    if re.fullmatch(r"[+-]?[\d.]+%?", text.strip()):
        return {plain: text.strip()}
    found: dict[str, float | str] = {}
    for part in text.split(","):
        name, sign, value = (one.strip() for one in part.partition("="))
        if not sign or name not in known:
            raise InvalidRequestError(
                f"{what} {part.strip()!r}: expected a number or NAME=VALUE of {', '.join(sorted(known))}",
                field=what,
            )
        found[name] = value
    return found


def _number(text: float | str, *, what: str) -> float:
    shown = str(text)
    try:
        return float(shown.removesuffix("%")) / (100.0 if shown.endswith("%") else 1.0)
    except ValueError as error:
        raise InvalidRequestError(f"{what}: {shown!r} is no number") from error


def _ratio(text: str, *, what: str) -> float:
    """Read `x2` or `2` (times) or `+25%` (more)."""
    value = 1.0 + _number(text, what=what) if text.endswith("%") else _number(text.lstrip("x"), what=what)
    if value <= 0.0:
        raise InvalidRequestError(f"{what}: {text!r} is no ratio above 0, such as x2 or +25%")
    return value
