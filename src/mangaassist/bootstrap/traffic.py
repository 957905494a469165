"""What answers which request on this machine: the base bundle and the variants of running experiments."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mangaassist.adapters.embedded.configuration import WatchedFileConfiguration
from mangaassist.bootstrap.releases import Releases
from mangaassist.bootstrap.settings import Settings
from mangaassist.domain.errors import ConfigurationError, ConflictError, NotFoundError
from mangaassist.domain.experiments import Arm, TrafficPlan
from mangaassist.ports.configuration import ConfigurationDocument
from mangaassist.serving.allocation import Allocator, VariantKey, Variants
from mangaassist.serving.experiment_plan import parse_plan, variant_choices
from mangaassist.serving.parts import PipelineParts

LOG: Final = logging.getLogger("mangaassist.bootstrap")


def experiments_file(settings: Settings) -> Path:
    """Where the plan of experiments is: beside the runtime configuration."""
    return settings.effective_config_file.with_name("experiments.yaml")


class Traffic:
    """Keeps base bundle and experiment variants in step: either changes whole, or the last good stays."""

    def __init__(self, *, releases: Releases, allocator: Allocator) -> None:
        self._releases = releases
        self._allocator = allocator
        self._content: dict[str, object] = {}

    def serve(self, content: dict[str, object]) -> PipelineParts:
        """Serve a configuration document as the base of every variant; raises `ConfigurationError`."""
        # first the variants: a base that one of them cannot be built on is refused, and nothing has changed
        variants = self._variants(self._allocator.plan, content)
        parts = self._releases.activate(content)
        self._content = content
        self._allocator.install(variants)
        return parts

    def take_up(self, document: ConfigurationDocument) -> None:
        """Run the experiments of a plan document; raises `ConfigurationError`."""
        plan = parse_plan(document.content)
        self._allocator.install(self._variants(plan, self._content))
        LOG.info("experiments taken up", extra={"running": [one.key for one in plan.running]})

    @property
    def running(self) -> int:
        """How many experiments assign units now."""
        return len(self._allocator.plan.running)

    def check(self, plan: TrafficPlan) -> None:
        """Raise `ConfigurationError` when a variant of a plan cannot be built here."""
        self._variants(plan, self._content)

    def _variants(self, plan: TrafficPlan, content: Mapping[str, object]) -> Variants:
        parts: dict[VariantKey, PipelineParts] = {}
        for choice in variant_choices(plan):
            key = frozenset((experiment, arm.name) for experiment, arm in choice)
            parts[key] = self._build(tuple(arm for _, arm in choice), content, where=sorted(key))
        return Variants(plan=plan, parts=parts)

    def _build(
        self, arms: tuple[Arm, ...], content: Mapping[str, object], *, where: list[tuple[str, str]]
    ) -> PipelineParts:
        name = ", ".join(f"{experiment}/{arm}" for experiment, arm in where)
        try:
            bundle = next((arm.bundle for arm in arms if arm.bundle is not None), None)
            if bundle is not None:
                return self._releases.parts_of(bundle)
            return self._releases.variant(content, [arm.overrides for arm in arms])
        except (ConfigurationError, NotFoundError, ConflictError) as error:
            raise ConfigurationError(f"experiment {name}: {error}") from error


def take_up_first_plan(plans: WatchedFileConfiguration, traffic: Traffic) -> None:
    """Run the stored plan; when it is wrong the last good one, when that is too, no experiment at all."""
    try:
        traffic.take_up(plans.current())
        plans.confirm()
    except ConfigurationError as error:
        LOG.error("the stored experiments are refused", extra={"problem": str(error)})
        plans.refuse(str(error))
        try:
            traffic.take_up(plans.current())
        except ConfigurationError as again:
            LOG.error("the last good experiments are refused too", extra={"problem": str(again)})
    plans.subscribe(traffic.take_up)
