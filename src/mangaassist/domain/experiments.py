"""Experiments: who is in one, who gets which arm, and how arms change their share.

The hash is part of the contract, so that any other service can repeat it: the bucket of a unit is the
first eight bytes of SHA-256 over UTF-8 `salt`, U+001F, `unit`, read as a big-endian number, modulo 10,000.
Three independent salts decide: `ns:<namespace>` (which experiment may have the unit),
`cov:<key>:<randomisation>` (whether it takes part) and `<key>:<randomisation>` (which arm).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from mangaassist.domain.chat import Identity

BUCKETS: Final = 10_000
_SEPARATOR: Final = "\x1f"
_CUSTOMER: Final = "customer:"

ExperimentStatus = Literal["draft", "running", "stopped"]
MetricRole = Literal["primary", "guardrail", "secondary"]
MetricKind = Literal["binary", "continuous", "ratio", "quantile"]
Direction = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class BucketRange:
    """Buckets from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def count(self) -> int:
        """How many buckets it holds."""
        return self.stop - self.start

    def __contains__(self, bucket: int) -> bool:
        return self.start <= bucket < self.stop


ALL_BUCKETS: Final = (BucketRange(start=0, stop=BUCKETS),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to answer: the base configuration with `overrides`, or another release `bundle`.

    `buckets` are disjoint and sorted. An arm with neither overrides nor bundle answers like everyone else.
    """

    name: str
    buckets: tuple[BucketRange, ...]
    overrides: Mapping[str, object] = field(default_factory=dict)
    bundle: str | None = None

    @property
    def bucket_count(self) -> int:
        """How many buckets the arm owns."""
        return sum(part.count for part in self.buckets)

    @property
    def changes_something(self) -> bool:
        """Whether the arm answers differently from the base configuration."""
        return bool(self.overrides) or self.bundle is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One declared metric.

    `margin` is the harm that is tolerated: absolute, or a share of control's value when
    `relative_margin`. `denominator` names the second column of a ratio. `absent` is the value of a unit
    that has none (an arm that crashes must not look better for it); None leaves the unit out.
    """

    name: str
    role: MetricRole
    kind: MetricKind = "continuous"
    better: Direction = "higher"
    margin: float = 0.0
    relative_margin: bool = False
    denominator: str | None = None
    quantile: float = 0.95
    absent: float | None = None

    @property
    def label(self) -> str:
        """What its values are, for people: those of a quantile are shares above control's."""
        return (
            f"{self.name} above control's p{self.quantile * 100:g}" if self.kind == "quantile" else self.name
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of time with fixed arm shares; `moved` are the buckets that changed arm at its start."""

    number: int
    started_at: datetime
    shares: Mapping[str, float]
    moved: tuple[BucketRange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment as the traffic plan holds it.

    `coverage_ratio` of the eligible units take part. With `intents`, a unit is exposed by its first
    message of such an intent only. `planned_units` and `max_days` end it: from then on an open
    question goes to a person.
    """

    key: str
    hypothesis: str
    arms: tuple[Arm, ...]
    metrics: tuple[Metric, ...]
    control: str = "control"
    status: ExperimentStatus = "draft"
    namespace: str = "default"
    namespace_buckets: tuple[BucketRange, ...] = ALL_BUCKETS
    coverage_ratio: float = 1.0
    randomisation: int = 1
    intents: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    planned_units: int = 20_000
    max_days: int = 28
    stopped_at: datetime | None = None
    outcome: str | None = None

    @property
    def phase(self) -> int:
        """Number of the current phase; 0 before the first."""
        return self.phases[-1].number if self.phases else 0

    @property
    def shares(self) -> Mapping[str, float]:
        """Share of each arm among the units that take part."""
        total = sum(arm.bucket_count for arm in self.arms)
        return {arm.name: arm.bucket_count / total for arm in self.arms}

    def arm(self, name: str) -> Arm | None:
        """Return an arm by its name, or None."""
        return next((arm for arm in self.arms if arm.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPlan:
    """Every experiment known to the configuration service, by key."""

    experiments: Mapping[str, Experiment] = field(default_factory=dict)

    @property
    def running(self) -> tuple[Experiment, ...]:
        """The experiments that assign units now, ordered by key."""
        return tuple(one for _, one in sorted(self.experiments.items()) if one.status == "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The arm of one unit in one experiment."""

    experiment: str
    phase: int
    arm: str
    unit_id: str
    intents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A unit was first answered by its arm; (`experiment`, `phase`, `unit_id`) is stored once."""

    experiment: str
    phase: int
    unit_id: str
    arm: str
    release_bundle: str
    exposed_at: datetime


def bucket_of(salt: str, unit_id: str) -> int:
    """Return the bucket of a unit under a salt, 0 to 9,999; equal on every platform."""
    digest = hashlib.sha256(f"{salt}{_SEPARATOR}{unit_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def unit_of(identity: Identity, session_id: str) -> str:
    """Return the unit that is randomised: the customer when signed in, else the session."""
    return identity.customer_id or session_id


def unit_of_owner(owner: str, session_id: str) -> str:
    """Return the unit of a stored answer from its owner key; agrees with `unit_of`."""
    return owner.removeprefix(_CUSTOMER) if owner.startswith(_CUSTOMER) else session_id


def assign(experiment: Experiment, unit_id: str) -> Assignment | None:
    """Return the unit's arm, or None when it takes no part; the same unit always gets the same answer."""
    if not _within(bucket_of(f"ns:{experiment.namespace}", unit_id), experiment.namespace_buckets):
        return None
    salt = f"{experiment.key}:{experiment.randomisation}"
    if bucket_of(f"cov:{salt}", unit_id) >= round(experiment.coverage_ratio * BUCKETS):
        return None
    bucket = bucket_of(salt, unit_id)
    for arm in experiment.arms:
        if _within(bucket, arm.buckets):
            return Assignment(
                experiment=experiment.key,
                phase=experiment.phase,
                arm=arm.name,
                unit_id=unit_id,
                intents=experiment.intents,
            )
    return None


def allot(shares: Mapping[str, float], *, control: str) -> dict[str, tuple[BucketRange, ...]]:
    """Return adjoining ranges over all buckets for the shares of a new experiment; `control` first."""
    counts = _counts(shares, control=control)
    ranges: dict[str, tuple[BucketRange, ...]] = {}
    start = 0
    for name in sorted(counts, key=lambda name: (name != control, name)):
        ranges[name] = (BucketRange(start=start, stop=start + counts[name]),)
        start += counts[name]
    return ranges


def reallot(
    arms: Sequence[Arm], shares: Mapping[str, float], *, control: str
) -> tuple[dict[str, tuple[BucketRange, ...]], tuple[BucketRange, ...]]:
    """Return the ranges under new shares, and the buckets that moved: as few as possible.

    An arm that grows keeps every bucket it has; one that shrinks keeps its first ones. So a ramp that
    only grows an arm only ever adds units to it.
    """
    counts = _counts(shares, control=control)
    owned = {arm.name: _numbers(arm.buckets) for arm in arms}
    kept = {name: owned.get(name, [])[:count] for name, count in counts.items()}
    taken = {bucket for buckets in kept.values() for bucket in buckets}
    free = [bucket for bucket in range(BUCKETS) if bucket not in taken]
    moved: list[int] = []
    for name, count in counts.items():
        missing = count - len(kept[name])
        moved += free[:missing]
        kept[name] += free[:missing]
        free = free[missing:]
    return {name: ranges_of(buckets) for name, buckets in kept.items()}, ranges_of(moved)


def free_buckets(others: Iterable[Experiment], *, namespace: str) -> tuple[BucketRange, ...]:
    """Return the buckets of a namespace that none of the unfinished `others` owns."""
    taken = {
        bucket
        for other in others
        if other.namespace == namespace and other.status != "stopped"
        for bucket in _numbers(other.namespace_buckets)
    }
    return ranges_of(bucket for bucket in range(BUCKETS) if bucket not in taken)


def first_buckets(ranges: Iterable[BucketRange], count: int) -> tuple[BucketRange, ...]:
    """Return the first `count` buckets of some ranges, fewer when there are not so many."""
    return ranges_of(_numbers(ranges)[:count])


def ranges_of(buckets: Iterable[int]) -> tuple[BucketRange, ...]:
    """Return bucket numbers as sorted, disjoint ranges."""
    ranges: list[BucketRange] = []
    for bucket in sorted(buckets):
        if ranges and ranges[-1].stop == bucket:
            ranges[-1] = BucketRange(start=ranges[-1].start, stop=bucket + 1)
        else:
            ranges.append(BucketRange(start=bucket, stop=bucket + 1))
    return tuple(ranges)


def overlap(some: Iterable[BucketRange], others: Iterable[BucketRange]) -> bool:
    """Whether two sets of ranges share a bucket."""
    others = tuple(others)
    return any(one.start < other.stop and other.start < one.stop for one in some for other in others)


def _counts(shares: Mapping[str, float], *, control: str) -> dict[str, int]:
    """Return buckets by arm; rounding is monotone in an arm's share, and control takes what is left."""
    total = sum(shares.values())
    counts = {name: round(share / total * BUCKETS) for name, share in shares.items() if name != control}
    return {control: BUCKETS - sum(counts.values()), **counts}


def _numbers(ranges: Iterable[BucketRange]) -> list[int]:
    return [bucket for part in sorted(ranges) for bucket in range(part.start, part.stop)]


def _within(bucket: int, ranges: Iterable[BucketRange]) -> bool:
    return any(bucket in part for part in ranges)
