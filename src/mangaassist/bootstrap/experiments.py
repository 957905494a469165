"""Experiments on this machine: changing the plan, reading what happened, analysing it or any file."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mangaassist.adapters.embedded.configuration import WatchedFileConfiguration, deep_merge
from mangaassist.adapters.embedded.experiment_plans import FileExperimentPlanStore
from mangaassist.adapters.embedded.prompt_files import load_prompts
from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.bootstrap.configured import configured_document
from mangaassist.bootstrap.settings import Settings, find_store_dir
from mangaassist.bootstrap.traffic import experiments_file
from mangaassist.control.experiments.analysis import Analysis, AnalysisRequest, Moment, analyze, over_time
from mangaassist.control.experiments.effects import AnalysisPolicy
from mangaassist.control.experiments.lifecycle import find
from mangaassist.control.experiments.outcomes import OUTCOMES, outcome_of, write_observations
from mangaassist.domain.errors import ConfigurationError, ConflictError, InvalidRequestError
from mangaassist.domain.experiments import Experiment, Metric, MetricKind, MetricRole, TrafficPlan
from mangaassist.ports.observations import ObservationTable, TableShape
from mangaassist.serving.experiment_plan import parse_plan, plan_document, variant_choices
from mangaassist.serving.runtime_configuration import parse_runtime_configuration
from mangaassist.stats.sample_ratio import ArmCounts, log_e_sample_ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """How many units an experiment has met, by phase and arm; the p-value of their ratio at any look."""

    experiment: Experiment
    units: Mapping[tuple[int, str], int]
    ratio_p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FileQuestion:
    """What to analyse in a file; without metrics, the first column is primary, the rest secondary.

    `quantiles` and `denominators` are by metric; `lower_is_better` names metrics whose direction is not
    that of the known outcome of their name.
    """

    path: Path
    key: str
    control: str | None = None
    weights: Mapping[str, float] | None = None
    roles: Mapping[str, MetricRole] | None = None
    margins: Mapping[str, tuple[float, bool]] | None = None
    quantiles: Mapping[str, float] | None = None
    denominators: Mapping[str, str] | None = None
    lower_is_better: frozenset[str] = frozenset()
    unit_column: str = "unit"
    arm_column: str = "arm"
    segment_column: str | None = None
    planned_units: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysed:
    """An analysis, and how its primary metric got there when that was asked for."""

    analysis: Analysis
    moments: tuple[Moment, ...] = ()


def read_plan(settings: Settings) -> TrafficPlan:
    """Return the stored plan; raises `ConfigurationError` for one that cannot be used."""
    return parse_plan(FileExperimentPlanStore(experiments_file(settings)).read().content)


def checked_plan(settings: Settings) -> TrafficPlan:
    """Return the stored plan when servers of this machine can run it, else raise `ConfigurationError`."""
    plan = read_plan(settings)
    _check_variants(settings, plan)
    return plan


def change_plan(settings: Settings, change: Callable[[TrafficPlan], TrafficPlan]) -> TrafficPlan:
    """Store a changed plan that servers of this machine can run; they take it up within a second.

    Raises what `change` raises, `ConfigurationError` for a plan that cannot be run, and `ConflictError`
    when someone else changed it at the same time.
    """
    store = FileExperimentPlanStore(experiments_file(settings))
    stored = store.read()
    plan = change(parse_plan(stored.content))
    content = plan_document(plan)
    # what is written is what servers will read
    _check_variants(settings, parse_plan(content))
    store.replace(content, expected_version=stored.version)
    return plan


def exposed(settings: Settings, keys: Sequence[str] = ()) -> list[Exposed]:
    """Return the units met by the experiments named, by default all; raises `NotFoundError`."""
    plan = read_plan(settings)
    chosen = [find(plan, key) for key in keys] or [one for _, one in sorted(plan.experiments.items())]
    return asyncio.run(_exposed(settings, chosen))


def analyse_experiment(settings: Settings, key: str, *, with_moments: bool = False) -> Analysed:
    """Analyse an experiment from its stored answers and feedback; raises `NotFoundError`."""
    experiment = find(read_plan(settings), key)
    if not experiment.phases:
        raise ConflictError(f"{key!r} has not been started; `mangaassist experiment start {key}`")
    with TemporaryDirectory(dir=_scratch(settings)) as folder:
        path = Path(folder) / "observations.jsonl"
        asyncio.run(_write(settings, experiment, path))
        if path.stat().st_size == 0:
            raise ConflictError(f"{key!r} has not met any unit yet")
        request = AnalysisRequest(
            key=key,
            control=experiment.control,
            metrics=experiment.metrics,
            shares={phase.number: phase.shares for phase in experiment.phases},
            policy=AnalysisPolicy(planned_units=experiment.planned_units),
            last_unit=experiment.planned_units,
            max_days=experiment.max_days,
            started_at=experiment.phases[0].started_at,
            now=SystemClock().now(),
        )
        with _table(path, scratch=Path(folder)) as table:
            if experiment.control not in table.shape().arms:
                raise ConflictError(f"{key!r} has not met any unit of {experiment.control!r} yet")
            return _analysed(table, request, with_moments=with_moments)


def analyse_file(
    settings: Settings, question: FileQuestion, *, with_moments: bool = False, threads: int | None = None
) -> Analysed:
    """Analyse any file of observations; raises `InvalidRequestError` saying what it lacks."""
    with (
        TemporaryDirectory(dir=_scratch(settings)) as folder,
        _table(
            question.path,
            scratch=Path(folder),
            unit=question.unit_column,
            arm=question.arm_column,
            segment=question.segment_column,
            threads=threads,
        ) as table,
    ):
        return _analysed(table, _request(question, table.shape()), with_moments=with_moments)


def _analysed(table: ObservationTable, request: AnalysisRequest, *, with_moments: bool) -> Analysed:
    return Analysed(
        analysis=analyze(table, request), moments=over_time(table, request) if with_moments else ()
    )


def _check_variants(settings: Settings, plan: TrafficPlan) -> None:
    """Refuse what servers would refuse: a wrong configuration, a missing prompt, an unknown bundle."""
    store_dir = find_store_dir(settings)
    base = configured_document(
        WatchedFileConfiguration(
            defaults=store_dir / "config.yaml", override=settings.effective_config_file
        ).current().content,
        settings,
    )  # fmt: skip
    prompts = {(one.intent, one.version) for one in load_prompts(store_dir / "prompts")}
    for experiment in plan.experiments.values():
        if experiment.status == "stopped":
            continue
        for metric in experiment.metrics:
            outcome_of(metric.name)
        for arm in experiment.arms:
            where = f"experiment {experiment.key}/{arm.name}"
            if arm.bundle is not None:
                if not (settings.data_dir / "bundles" / f"{arm.bundle}.json").is_file():
                    raise ConfigurationError(f"{where}: there is no release bundle {arm.bundle!r} here")
                continue
            wanted = parse_runtime_configuration({**deep_merge(base, arm.overrides), "bundle": None}).prompts
            missing = [f"{intent} v{version}" for intent, version in wanted.items()
                       if (intent, version) not in prompts]  # fmt: skip
            if missing:
                raise ConfigurationError(f"{where}: prompt files are missing: {', '.join(missing)}")
    variant_choices(plan)


async def _exposed(settings: Settings, experiments: Sequence[Experiment]) -> list[Exposed]:
    storage = await SqlStorage.open(settings.effective_database_url, clock=SystemClock(), ids=RandomIds())
    try:
        found = []
        for experiment in experiments:
            counts = Counter(
                (one.phase, one.arm) for one in await storage.exposures.of_experiment(experiment.key)
            )
            phases = [
                ArmCounts(
                    counts=tuple(counts[phase.number, arm] for arm in phase.shares),
                    weights=tuple(phase.shares.values()),
                )
                for phase in experiment.phases
            ]
            ratio_p = min(1.0, math.exp(-max(0.0, log_e_sample_ratio(phases))))
            found.append(Exposed(experiment=experiment, units=counts, ratio_p=ratio_p))
        return found
    finally:
        await storage.close()


async def _write(settings: Settings, experiment: Experiment, path: Path) -> None:
    clock = SystemClock()
    storage = await SqlStorage.open(settings.effective_database_url, clock=clock, ids=RandomIds())
    try:
        await write_observations(storage.exposures, experiment, path, now=clock.now())
    finally:
        await storage.close()


def _request(question: FileQuestion, shape: TableShape) -> AnalysisRequest:
    control = question.control or ("control" if "control" in shape.arms else shape.arms[0])
    weights = question.weights or dict.fromkeys(shape.arms, 1.0)
    if len(weights) < 2:
        raise InvalidRequestError(f"expected at least two arms, found {', '.join(shape.arms)}")
    return AnalysisRequest(
        key=question.key,
        control=control,
        metrics=_metrics(question, shape),
        shares=dict.fromkeys(shape.phases, weights),
        policy=AnalysisPolicy(planned_units=question.planned_units or AnalysisPolicy().planned_units),
        last_unit=question.planned_units,
    )


def _metrics(question: FileQuestion, shape: TableShape) -> tuple[Metric, ...]:
    denominators = question.denominators or {}
    quantiles, margins = question.quantiles or {}, question.margins or {}
    roles = dict(question.roles or {})
    named = [*roles, *quantiles, *denominators]
    unknown = [name for name in named if name not in shape.metrics]
    if unknown:
        raise InvalidRequestError(
            f"there is no metric {unknown[0]!r}; the file has {', '.join(shape.metrics)}"
        )
    if not roles:
        free = [name for name in shape.metrics if name not in denominators.values()]
        roles = {name: "primary" if name == free[0] else "secondary" for name in free}
    if sum(role == "primary" for role in roles.values()) != 1:
        raise InvalidRequestError("name exactly one primary metric with --primary")
    metrics = []
    for name, role in roles.items():
        known = OUTCOMES.get(name)
        lower = name in question.lower_is_better or (known is not None and known.better == "lower")
        margin, relative = margins.get(name, (0.0, False))
        kind: MetricKind = "binary" if name in shape.binary else "continuous"
        if name in quantiles or name in denominators:
            kind = "quantile" if name in quantiles else "ratio"
        metrics.append(
            Metric(
                name=name,
                role=role,
                kind=kind,
                better="lower" if lower else "higher",
                margin=margin,
                relative_margin=relative,
                denominator=denominators.get(name),
                quantile=quantiles.get(name, 0.95),
            )
        )
    return tuple(metrics)


@contextmanager
def _table(
    path: Path,
    *,
    scratch: Path,
    unit: str = "unit",
    arm: str = "arm",
    segment: str | None = None,
    threads: int | None = None,
) -> Iterator[ObservationTable]:
    from mangaassist.adapters.duckdb.layout import Columns
    from mangaassist.adapters.duckdb.observations import open_observations

    columns = Columns(unit=unit, arm=arm, segment=segment)
    with open_observations(path, columns=columns, scratch=scratch, threads=threads) as table:
        yield table


def _scratch(settings: Settings) -> Path:
    """Return the folder for what is too large for memory."""
    folder = settings.data_dir / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
