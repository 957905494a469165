"""Experiments: the plan, who was exposed, and what they were answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mangaassist.domain.experiments import Exposure
from mangaassist.domain.records import RequestRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedAnswer:
    """One answer of an exposed unit; `feedback` holds every value given to it."""

    exposure: Exposure
    record: RequestRecord
    feedback: frozenset[str]

    @property
    def before_exposure(self) -> bool:
        """Whether the answer is behaviour from before the experiment could change it."""
        return self.record.created_at < self.exposure.exposed_at


class ExposureStore(Protocol):
    """Keeps who was exposed to which arm.

    Every implementation promises: the first exposure of a unit in a phase is kept, later ones change
    nothing; it is never less durable than an answer stored after it; a unit's exposure in its first
    phase is the one its answers are read with.
    """

    async def record(self, exposures: Sequence[Exposure]) -> None:
        """Store exposures."""
        ...

    async def of_experiment(self, experiment: str) -> tuple[Exposure, ...]:
        """Return every exposure, ordered by phase and unit."""
        ...

    async def answers(
        self, experiment: str, *, since: datetime, after: str = "", limit: int
    ) -> tuple[ObservedAnswer, ...]:
        """Return answers of exposed units from `since` on, oldest first; the next page starts `after` one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDocument:
    """The stored plan and the version to name when changing it."""

    content: dict[str, object]
    version: str


class ExperimentPlanStore(Protocol):
    """The traffic plan's experiments in the configuration service.

    Every implementation promises: readers see whole documents only; `replace` raises `ConflictError`
    when the stored version is no longer the expected one, and nothing is written then.
    """

    def read(self) -> PlanDocument:
        """Return the stored plan; an empty one when there is none. Raises `ConfigurationError`."""
        ...

    def replace(self, content: dict[str, object], *, expected_version: str) -> PlanDocument:
        """Store a new plan."""
        ...
