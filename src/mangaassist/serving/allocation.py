"""Which parts answer a request: the base bundle, or the variant of the arms its unit is in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mangaassist.domain.chat import ChatRequest
from mangaassist.domain.errors import DependencyError
from mangaassist.domain.experiments import Assignment, Exposure, TrafficPlan, assign, unit_of
from mangaassist.ports.clock import Clock
from mangaassist.ports.experiments import ExposureStore
from mangaassist.serving.exchange import Exchange
from mangaassist.serving.parts import PipelineParts

REMEMBERED_EXPOSURES: Final = 100_000

VariantKey = frozenset[tuple[str, str]]
"""Pairs of experiment and arm, of the arms that change something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """A plan with the parts of every variant that it can lead to; swapped as one."""

    plan: TrafficPlan = field(default_factory=TrafficPlan)
    parts: Mapping[VariantKey, PipelineParts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The parts that answer one request, and the arms they come from."""

    parts: PipelineParts
    assignments: tuple[Assignment, ...] = ()


class Allocator:
    """Assigns units to arms; the plan is swapped by one assignment, running requests keep what they have."""

    def __init__(self, parts_of: Callable[[str | None], PipelineParts]) -> None:
        self._parts_of = parts_of
        self._variants = Variants()

    @property
    def plan(self) -> TrafficPlan:
        """The plan that assigns now."""
        return self._variants.plan

    def install(self, variants: Variants) -> None:
        """Assign by another plan from now on."""
        self._variants = variants

    def allocate(self, request: ChatRequest) -> Allocation:
        """Return the parts of a request; one that names its bundle takes part in no experiment.

        Raises `NotFoundError` for an unknown bundle.
        """
        variants = self._variants
        running = variants.plan.running
        if request.release_bundle is not None or not running:
            return Allocation(parts=self._parts_of(request.release_bundle))
        unit_id = unit_of(request.identity, request.session_id)
        assignments = tuple(
            found for experiment in running if (found := assign(experiment, unit_id)) is not None
        )
        changing = frozenset(
            (one.experiment, one.arm)
            for one in assignments
            if (arm := variants.plan.experiments[one.experiment].arm(one.arm)) and arm.changes_something
        )
        parts = variants.parts[changing] if changing else self._parts_of(None)
        return Allocation(parts=parts, assignments=assignments)


class ExposureLog:
    """Stores the exposure of a unit before it is answered, once per unit and phase."""

    def __init__(self, store: ExposureStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[tuple[str, int, str], None] = OrderedDict()

    async def record(self, exchange: Exchange, *, intent: str) -> None:
        """Store what is new; a store that fails degrades the answer and is asked again next time."""
        new = [
            one
            for one in exchange.assignments
            if (not one.intents or intent in one.intents)
            and (one.experiment, one.phase, one.unit_id) not in self._known
        ]
        if not new:
            return
        now = self._clock.now()
        try:
            await self._store.record(
                [
                    Exposure(
                        experiment=one.experiment,
                        phase=one.phase,
                        unit_id=one.unit_id,
                        arm=one.arm,
                        release_bundle=exchange.parts.bundle.version,
                        exposed_at=now,
                    )
                    for one in new
                ]
            )
        except DependencyError as error:
            exchange.degraded.append(f"experiments: {error}")
            return
        self._known.update(((one.experiment, one.phase, one.unit_id), None) for one in new)
        while len(self._known) > REMEMBERED_EXPOSURES:
            self._known.popitem(last=False)
