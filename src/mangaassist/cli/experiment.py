"""`mangaassist experiment`: from a draft to a decision."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mangaassist.domain.errors import InvalidRequestError

if TYPE_CHECKING:
    from mangaassist.bootstrap.experiments import Analysed, Exposed
    from mangaassist.domain.experiments import Experiment, Metric, MetricRole

app = typer.Typer(help="Run experiments and analyse them.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(metavar="KEY", help="Lower-case name of the experiment.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")]
Weights = Annotated[
    str | None, typer.Option(help="Shares of the arms, e.g. control=90,treatment=10.", metavar="ARM=N,...")
]


@app.command(
    epilog="Examples: mangaassist experiment create shorter --set treatment:models.main.max_tokens=300"
    " --primary thumbs_up_rate --guardrail fallback_rate:0.01 --guardrail latency_ms:10%"
    " | mangaassist experiment create next --bundle treatment=2026.12.01-1a2b3c4d --primary cart_add_rate"
    " --weights control=90,treatment=10 --coverage 0.2"
)
def create(
    key: Key,
    primary: Annotated[str, typer.Option(help="The metric that decides; see `experiment metrics`.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="ARM:PATH=VALUE", help="What an arm changes in the configuration."),
    ] = None,
    bundle: Annotated[
        list[str] | None, typer.Option(metavar="ARM=VERSION", help="The release bundle of an arm.")
    ] = None,
    guardrail: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC[:MARGIN]", help="Must not get worse by more than a margin (0.01 or 5%)."
        ),
    ] = None,
    secondary: Annotated[list[str] | None, typer.Option(metavar="METRIC", help="Reported, adjusted.")] = None,
    weights: Weights = None,
    coverage: Annotated[float, typer.Option(help="Share of the eligible units that take part.")] = 1.0,
    namespace: Annotated[
        str | None,
        typer.Option(help="Experiments of one namespace exclude each other; by default one of its own."),
    ] = None,
    namespace_share: Annotated[
        float | None, typer.Option(help="Share of the namespace; by default all that is free.")
    ] = None,
    intent: Annotated[list[str] | None, typer.Option(help="Expose at messages of this intent only.")] = None,
    hypothesis: Annotated[str, typer.Option(help="What you expect, for the report.")] = "",
    planned_units: Annotated[
        int, typer.Option(help="Units at which a person decides at the latest.")
    ] = 20_000,
    max_days: Annotated[int, typer.Option(help="Days after which a person decides at the latest.")] = 28,
    as_json: Json = False,
) -> None:
    """Add a draft to the plan; nothing is assigned before it is started."""
    from mangaassist.bootstrap.experiments import change_plan
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.control.experiments.lifecycle import Draft
    from mangaassist.control.experiments.lifecycle import create as created

    overrides = _overrides(changes or [])
    bundles = dict(_pair(item, "--bundle") for item in bundle or [])
    arms = ["control", *dict.fromkeys([*overrides, *bundles])]
    shares = _shares(weights) or dict.fromkeys(dict.fromkeys(arms), 1.0)
    if len(shares) < 2:
        raise InvalidRequestError("name what the treatment changes with --set or --bundle, or give --weights")
    draft = Draft(
        key=key,
        hypothesis=hypothesis,
        changes=overrides,
        bundles=bundles,
        shares=shares,
        metrics=_declared(primary, guardrail or [], secondary or []),
        namespace=namespace or key,
        namespace_ratio=namespace_share,
        coverage_ratio=coverage,
        intents=tuple(intent or ()),
        planned_units=planned_units,
        max_days=max_days,
    )
    plan = change_plan(load_settings(), lambda stored: created(stored, draft))
    _show(plan.experiments[key], as_json=as_json)


@app.command(epilog="Example: mangaassist experiment metrics --json")
def metrics(as_json: Json = False) -> None:
    """List the metrics that stored answers and feedback give."""
    from mangaassist.control.experiments.outcomes import OUTCOMES

    if as_json:
        listed = {
            name: {"kind": one.kind, "better": one.better, "summary": one.summary}
            for name, one in OUTCOMES.items()
        }
        print(json.dumps({"metrics": listed}, ensure_ascii=False))
        return
    for name, one in OUTCOMES.items():
        print(f"{name:24} {one.kind:10} {one.better:6} is better: {one.summary}")
    print(f"{'guardrail_score:<stage>':24} {'continuous':10} {'higher':6} is better: mean score of a stage")


@app.command(epilog="Example: mangaassist experiment start shorter")
def start(key: Key, as_json: Json = False) -> None:
    """Assign units from now on; running servers follow within a second."""
    from mangaassist.bootstrap.clock import SystemClock
    from mangaassist.bootstrap.experiments import change_plan
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.control.experiments.lifecycle import start as started

    now = SystemClock().now()
    plan = change_plan(load_settings(), lambda stored: started(stored, key, now=now))
    _show(plan.experiments[key], as_json=as_json)


@app.command(
    epilog="Examples: mangaassist experiment ramp shorter --coverage 0.5"
    " | mangaassist experiment ramp shorter --weights control=50,treatment=50"
)
def ramp(
    key: Key,
    coverage: Annotated[float | None, typer.Option(help="New share of units that take part.")] = None,
    weights: Weights = None,
    as_json: Json = False,
) -> None:
    """Let more units take part, or change the arms' shares (a new phase; as few units move as possible)."""
    from mangaassist.bootstrap.clock import SystemClock
    from mangaassist.bootstrap.experiments import change_plan
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.control.experiments.lifecycle import ramp as ramped

    if coverage is None and weights is None:
        raise InvalidRequestError("give --coverage, --weights or both")
    now, shares = SystemClock().now(), _shares(weights)
    plan = change_plan(
        load_settings(),
        lambda stored: ramped(stored, key, now=now, coverage_ratio=coverage, shares=shares),
    )
    _show(plan.experiments[key], as_json=as_json)


@app.command(epilog="Example: mangaassist experiment stop shorter --outcome 'promoted treatment'")
def stop(
    key: Key,
    outcome: Annotated[str | None, typer.Option(help="What was decided, for the record.")] = None,
    as_json: Json = False,
) -> None:
    """End an experiment: everyone gets the base bundle again."""
    from mangaassist.bootstrap.clock import SystemClock
    from mangaassist.bootstrap.experiments import change_plan
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.control.experiments.lifecycle import stop as stopped

    now = SystemClock().now()
    plan = change_plan(load_settings(), lambda stored: stopped(stored, key, now=now, outcome=outcome))
    _show(plan.experiments[key], as_json=as_json)


@app.command(epilog="Examples: mangaassist experiment status | mangaassist experiment status shorter --json")
def status(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="One experiment; by default all.")] = None,
    as_json: Json = False,
) -> None:
    """Show what runs and how many units each arm has met."""
    from mangaassist.bootstrap.experiments import exposed
    from mangaassist.bootstrap.settings import load_settings

    found = exposed(load_settings(), [key] if key else [])
    if as_json:
        print(json.dumps({"experiments": [_status_document(one) for one in found]}, ensure_ascii=False))
        return
    _show_status(found)


@app.command(
    epilog="Examples: mangaassist experiment analyze shorter --report var/shorter"
    " | mangaassist experiment analyze --observations mine.parquet --json"
    " | mangaassist experiment analyze --observations mine.csv --primary cart_add --guardrail errors:0.01"
    " --lower errors --quantile latency_ms:0.95 --weights control=90,treatment=10"
)
def analyze(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="An experiment of this server.")] = None,
    observations: Annotated[
        Path | None,
        typer.Option(help="Any .parquet, .csv or .jsonl with columns unit, arm and metrics instead."),
    ] = None,
    control: Annotated[str | None, typer.Option(help="The arm to compare with.")] = None,
    weights: Weights = None,
    primary: Annotated[str | None, typer.Option(help="The metric that decides.")] = None,
    guardrail: Annotated[
        list[str] | None, typer.Option(metavar="METRIC[:MARGIN]", help="Must not get worse.")
    ] = None,
    secondary: Annotated[list[str] | None, typer.Option(metavar="METRIC")] = None,
    lower: Annotated[list[str] | None, typer.Option(metavar="METRIC", help="Lower is better.")] = None,
    quantile: Annotated[
        list[str] | None, typer.Option(metavar="METRIC:Q", help="Compare a quantile, not the mean.")
    ] = None,
    ratio: Annotated[
        list[str] | None, typer.Option(metavar="METRIC/COLUMN", help="Compare a ratio of two sums.")
    ] = None,
    unit_column: Annotated[str, typer.Option(help="Column of what was randomised.")] = "unit",
    arm_column: Annotated[str, typer.Option(help="Column of the arm.")] = "arm",
    segment_column: Annotated[
        str | None, typer.Option(help="Column to split by; by default `intent` or `segment`.")
    ] = None,
    planned_units: Annotated[int | None, typer.Option(help="Units at which a person decides.")] = None,
    answers_per_day: Annotated[float | None, typer.Option(help="Projects the cost to 30 days.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for report.md and report.html, with plots.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Decide PROMOTE, CONTINUE, ROLLBACK, REVIEW or INVALID, and say why."""
    from mangaassist.bootstrap.experiments import FileQuestion, analyse_experiment, analyse_file
    from mangaassist.bootstrap.settings import load_settings

    if (key is None) == (observations is None):
        raise InvalidRequestError("name an experiment or give --observations FILE, one of them")
    with_moments = report is not None
    if observations is None:
        analysed = analyse_experiment(load_settings(), str(key), with_moments=with_moments)
    else:
        roles, margins = _roles(primary, guardrail or [], secondary or [])
        question = FileQuestion(
            path=observations,
            key=observations.stem,
            control=control,
            weights=_shares(weights),
            roles=roles,
            margins=margins,
            quantiles={name: _number(q) for name, q in (_split(one, ":") for one in quantile or [])},
            denominators=dict(_split(one, "/") for one in ratio or []),
            lower_is_better=frozenset(lower or ()),
            unit_column=unit_column,
            arm_column=arm_column,
            segment_column=segment_column,
            planned_units=planned_units,
        )
        analysed = analyse_file(load_settings(), question, with_moments=with_moments)
    _present(analysed, report=report, answers_per_day=answers_per_day, as_json=as_json)


def _present(
    analysed: Analysed, *, report: Path | None, answers_per_day: float | None, as_json: bool
) -> None:
    from mangaassist.control.experiments.report import document, markdown

    analysis = analysed.analysis
    if report is not None:
        _write_report(analysed, report, answers_per_day)
    if as_json:
        print(json.dumps(_finite(document(analysis, answers_per_day=answers_per_day)), ensure_ascii=False))
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(markdown(analysis, answers_per_day=answers_per_day)))
    if report is not None:
        print(f"report in {report / 'report.md'} and {report / 'report.html'}")


def _write_report(analysed: Analysed, folder: Path, answers_per_day: float | None) -> None:
    from mangaassist.control.experiments.plots import pictures
    from mangaassist.control.experiments.report import html, markdown

    drawn = pictures(analysed.analysis, analysed.moments)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(
        markdown(analysed.analysis, answers_per_day=answers_per_day), encoding="utf-8"
    )
    (folder / "report.html").write_text(
        html(analysed.analysis, drawn, answers_per_day=answers_per_day), encoding="utf-8"
    )


def _show(experiment: Experiment, *, as_json: bool) -> None:
    document = _document(experiment)
    if as_json:
        print(json.dumps(document, ensure_ascii=False))
        return
    arms = ", ".join(f"{name} {share:.2%}" for name, share in experiment.shares.items())
    print(f"{experiment.key}: {experiment.status}, phase {experiment.phase}, {arms}")
    print(f"  takes part: {document['eligible_ratio']:.2%} of units ({experiment.namespace})")
    if experiment.phases and experiment.phases[-1].moved:
        print(f"  moved: {document['moved_buckets']:,} of 10,000 buckets")


def _document(experiment: Experiment) -> dict[str, Any]:
    from mangaassist.domain.experiments import BUCKETS, TrafficPlan
    from mangaassist.serving.experiment_plan import plan_document

    plan = cast("dict[str, Any]", plan_document(TrafficPlan(experiments={experiment.key: experiment})))
    owned = sum(part.count for part in experiment.namespace_buckets) / BUCKETS
    last = experiment.phases[-1] if experiment.phases else None
    return {
        "experiment": experiment.key,
        "status": experiment.status,
        "phase": experiment.phase,
        "shares": dict(experiment.shares),
        "coverage_ratio": experiment.coverage_ratio,
        "eligible_ratio": owned * experiment.coverage_ratio,
        "moved_buckets": sum(part.count for part in last.moved) if last else 0,
        "plan": plan["experiments"][experiment.key],
    }


def _status_document(one: Exposed) -> dict[str, Any]:
    return {
        **_document(one.experiment),
        "units": [
            {"phase": phase, "arm": arm, "units": count} for (phase, arm), count in sorted(one.units.items())
        ],
        "sample_ratio_p": one.ratio_p,
    }


def _show_status(found: Sequence[Exposed]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("experiment", "status", "phase", "arm", "assigned", "units", "ratio p")
    for one in found:
        experiment = one.experiment
        for arm, share in experiment.shares.items():
            units = sum(count for (_, name), count in one.units.items() if name == arm)
            table.add_row(
                experiment.key,
                experiment.status,
                str(experiment.phase),
                arm,
                f"{share:.2%}",
                f"{units:,}",
                f"{one.ratio_p:.3g}",
            )
    Console().print(table if found else "no experiments; `mangaassist experiment create --help`")


def _declared(primary: str, guardrails: Sequence[str], secondary: Sequence[str]) -> tuple[Metric, ...]:
    from mangaassist.control.experiments.outcomes import declared

    roles, margins = _roles(primary, guardrails, secondary)
    return tuple(
        declared(name, role=role, margin=margins[name][0], relative_margin=margins[name][1])
        for name, role in (roles or {}).items()
    )


def _roles(
    primary: str | None, guardrails: Sequence[str], secondary: Sequence[str]
) -> tuple[dict[str, MetricRole] | None, dict[str, tuple[float, bool]]]:
    """Return role and (margin, relative) by metric; no roles when none was named."""
    roles: dict[str, MetricRole] = {}
    margins: dict[str, tuple[float, bool]] = {}
    named: list[tuple[str, MetricRole]] = [(primary, "primary")] if primary is not None else []
    named += [(item, "guardrail") for item in guardrails] + [(item, "secondary") for item in secondary]
    for item, role in named:
        # a name may hold a colon itself (guardrail_score:<stage>), a margin is a number
        name, _, margin = item.rpartition(":")
        if not name or not margin[:1].isdigit():
            name, margin = item, "0"
        if name in roles:
            raise InvalidRequestError(f"metric {name!r} has two roles")
        roles[name] = role
        relative = margin.endswith("%")
        margins[name] = (_number(margin.rstrip("%")) / (100 if relative else 1), relative)
    return roles or None, margins


def _overrides(items: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return the changes of each arm as nested mappings; values are YAML."""
    import yaml

    overrides: dict[str, dict[str, object]] = {}
    for item in items:
        arm, _, rest = item.partition(":")
        path, equals, value = rest.partition("=")
        if not arm or not path or not equals:
            raise InvalidRequestError(f"expected ARM:PATH=VALUE for --set, got {item!r}")
        target = overrides.setdefault(arm, {})
        *above, last = path.split(".")
        for name in above:
            target = cast("dict[str, object]", target.setdefault(name, {}))
        target[last] = yaml.safe_load(value)
    return overrides


def _shares(weights: str | None) -> dict[str, float] | None:
    if weights is None:
        return None
    return {name: _number(value) for name, value in (_pair(one, "--weights") for one in weights.split(","))}


def _pair(item: str, option: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals or not name or not value:
        raise InvalidRequestError(f"expected NAME=VALUE for {option}, got {item!r}")
    return name.strip(), value.strip()


def _split(item: str, mark: str) -> tuple[str, str]:
    name, found, rest = item.rpartition(mark)
    if not found:
        raise InvalidRequestError(f"expected a {mark!r} in {item!r}")
    return name, rest


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InvalidRequestError(f"expected a number, got {text!r}") from error


def _finite(value: Any) -> Any:
    """Return a document with null in the place of what JSON has no number for."""
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
