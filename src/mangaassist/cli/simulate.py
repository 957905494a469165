"""`mangaassist simulate`: the error rates and delays of a policy with this team's traffic."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mangaassist.domain.errors import InvalidRequestError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mangaassist.control.simulation.report import Rate, RuleReport

app = typer.Typer(
    help="Simulate a policy with your traffic: false alarms, detections, delays, needed days; beside it the "
    "rules of the source documents.",
    no_args_is_help=True,
)

PolicyOption = Annotated[
    Path | None, typer.Option("--policy", help="YAML with the policy's fields; by default as shipped.")
]
ReplicatesOption = Annotated[int, typer.Option(min=20, help="Simulated runs of each kind.")]
SeedOption = Annotated[int, typer.Option(help="The same seed gives the same figures.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", help="Write false alarms and delays to this PNG (`plots` extra).")
]

ROLLOUT_EXAMPLES = """
Examples:

  mangaassist simulate rollout

  mangaassist simulate rollout --traffic 5000/day --baseline 0.9 --effect -0.05 --json

  mangaassist simulate rollout --policy cautious --effect latency=x2 --plot rollout.png

  mangaassist simulate rollout --policy mine.yaml --effect quality=-0.02,cost=+25%,slow=0.12x3.2
"""


@app.callback()
def group() -> None:
    """Simulate policies; every option has a default."""


@app.command(epilog=ROLLOUT_EXAMPLES)
def rollout(
    policy: Annotated[
        str,
        typer.Option(help="A YAML file, or a shipped policy: default (5-25-50-100), cautious (1-10-50-100)."),
    ] = "default",
    traffic: Annotated[
        str, typer.Option(help="Scored answers, such as 5000/day, 20k/day, 1M/day.")
    ] = "100k/day",
    baseline: Annotated[
        str,
        typer.Option(help="Quality, or NAME=VALUE of quality, errors, p50_ms, p95_ms, slo_ms, cost_usd."),
    ] = "0.85",
    effect: Annotated[
        str,
        typer.Option(
            help="The candidate: none (healthy), a change of quality such as -0.05, or NAME=VALUE of "
            "quality, errors, latency (x2), cost (+25%), slow (0.12x3.2). Detection is measured with it, or, "
            "when it is healthy, with the policy's reference harm."
        ),
    ] = "none",
    replicates: ReplicatesOption = 1_000,
    seed: SeedOption = 1,
    processes: Annotated[int, typer.Option(min=0, help="Processes; 0 takes every core.")] = 0,
    as_json: JsonOption = False,
    plot: PlotOption = None,
) -> None:
    """Play whole rollouts, healthy and harmful, with the rules read after every answer."""
    from mangaassist.control.rollout.policy import load_rollout_policy
    from mangaassist.control.simulation.rollout_study import study_rollout
    from mangaassist.control.simulation.scenario import Baseline, effect_of, parse_baseline, parse_effect

    rules = load_rollout_policy(policy)
    control = parse_baseline(baseline, default=Baseline())
    candidate = parse_effect(effect)
    harm = effect_of(rules.reference_harm) if candidate.healthy else candidate
    per_day = parse_traffic(traffic)
    with SimulationBar(quiet=as_json) as bar:
        study = study_rollout(
            rules,
            baseline=control,
            harm=harm,
            traffic_per_day=per_day,
            replicates=replicates,
            seed=seed,
            processes=processes or os.cpu_count() or 1,
            progress=bar.report,
        )
    detected = (
        f"{effect} (given)" if not candidate.healthy else f"{dict(rules.reference_harm)} (reference harm)"
    )
    head = {
        "policy": rules.name,
        "traffic_per_day": per_day,
        "candidate": effect,
        "detection_measured_with": detected,
        "requests_unit": "canary requests",
        "replicates": replicates,
        "seed": seed,
        "false_rollbacks_by_rule": {name: _rate(rate) for name, rate in sorted(study.by_rule.items())},
    }
    _show((study.policy, *study.sources), head, as_json=as_json, plot=plot)


@app.command(
    epilog="Example: mangaassist simulate experiment --traffic 500/day --baseline 0.7 --effect -0.04"
)
def experiment(
    policy: PolicyOption = None,
    traffic: Annotated[str, typer.Option(help="Units (sessions or customers) of both arms.")] = "1000/day",
    baseline: Annotated[float, typer.Option(help="Control's rate of the primary metric.")] = 0.70,
    effect: Annotated[
        float, typer.Option(help="Change of the primary metric; 0 measures detection with -0.04.")
    ] = 0.0,
    days: Annotated[
        int, typer.Option(min=1, help="Days the experiment runs; it is looked at every day.")
    ] = 28,
    share: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="The treatment's share of the units.")
    ] = 0.5,
    replicates: ReplicatesOption = 1_000,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    plot: PlotOption = None,
) -> None:
    """Play A/A and A/B experiments with three binary metrics, looked at every day."""
    from dataclasses import replace

    import numpy as np

    from mangaassist.control.experiments.effects import AnalysisPolicy
    from mangaassist.control.simulation.experiment import (
        DEFAULT_METRICS,
        ExperimentTraffic,
        study_experiment,
    )
    from mangaassist.control.simulation.policy_files import load_policy

    harm = effect or DEFAULT_METRICS[0].harm
    primary = replace(DEFAULT_METRICS[0], control=baseline, harm=harm)
    per_day = parse_traffic(traffic)
    with SimulationBar(quiet=as_json) as bar:
        reports = study_experiment(
            load_policy(AnalysisPolicy, policy),
            (primary, *DEFAULT_METRICS[1:]),
            traffic=ExperimentTraffic(units_per_day=per_day, days=days, share=share),
            replicates=replicates,
            generator=np.random.default_rng(seed),
            progress=bar.report,
        )
    head = {
        "policy": "shipped" if policy is None else str(policy),
        "traffic_per_day": per_day,
        "candidate": effect,
        "detection_measured_with": f"{primary.metric.name} {harm:+g}",
        "requests_unit": "units of both arms",
        "replicates": replicates,
        "seed": seed,
    }
    _show(reports, head, as_json=as_json, plot=plot)


@app.command(epilog="Example: mangaassist simulate gate --baseline 0.9 --discordance 0.1 --cases 2000")
def gate(
    policy: PolicyOption = None,
    traffic: Annotated[str, typer.Option(help="Cases that are judged.")] = "500/day",
    baseline: Annotated[float, typer.Option(min=0, max=1, help="The champion's accuracy.")] = 0.91,
    effect: Annotated[
        float, typer.Option(help="The candidate's change; 0 measures detection with twice the margin.")
    ] = 0.0,
    discordance: Annotated[
        float, typer.Option(min=0.001, max=1, help="Share of cases on which the two systems differ.")
    ] = 0.06,
    cases: Annotated[int | None, typer.Option(min=2, help="Cases; by default as many as planned.")] = None,
    replicates: ReplicatesOption = 2_000,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    plot: PlotOption = None,
) -> None:
    """Play the offline gate: an equal candidate should pass, a worse one should not."""
    import numpy as np

    from mangaassist.control.simulation.gate import GateTraffic, study_gate
    from mangaassist.control.simulation.policy_files import load_policy
    from mangaassist.stats.gate import GatePolicy, plan
    from mangaassist.stats.outcome import CannotCompute

    rules = load_policy(GatePolicy, policy)
    planned = cases or plan(discordance, {}, policy=rules)
    if isinstance(planned, CannotCompute):
        raise InvalidRequestError(f"no number of cases can be planned: {planned.detail}; give --cases")
    harm, per_day = effect or -2.0 * rules.margin, parse_traffic(traffic)
    with SimulationBar(quiet=as_json) as bar:
        reports = study_gate(
            rules,
            traffic=GateTraffic(
                accuracy=baseline, discordance=discordance, cases=planned, cases_per_day=per_day
            ),
            harm=harm,
            replicates=replicates,
            generator=np.random.default_rng(seed),
            progress=bar.report,
        )
    head = {
        "policy": "shipped" if policy is None else str(policy),
        "traffic_per_day": per_day,
        "candidate": effect,
        "detection_measured_with": f"accuracy {harm:+g}",
        "requests_unit": "cases",
        "replicates": replicates,
        "seed": seed,
    }
    _show(reports, head, as_json=as_json, plot=plot)


@app.command(epilog="Example: mangaassist simulate drift --traffic 200/day --effect escalation=+0.04")
def drift(
    policy: PolicyOption = None,
    traffic: Annotated[str, typer.Option(help="Requests; the mix is checked once a week.")] = "10k/day",
    baseline: Annotated[
        str | None,
        typer.Option(help="The usual mix, NAME=SHARE,...; by default that of the source documents."),
    ] = None,
    effect: Annotated[
        str, typer.Option(help="Changed shares, NAME=CHANGE,...; the others shrink or grow alike.")
    ] = "escalation=+0.04",
    baseline_requests: Annotated[
        int, typer.Option(min=1, help="Requests the usual mix was counted on.")
    ] = 20_000,
    replicates: ReplicatesOption = 1_000,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    plot: PlotOption = None,
) -> None:
    """Play weekly checks of the intent mix, beside one that always alarms and one by the calendar."""
    import numpy as np

    from mangaassist.control.simulation.drift import SOURCE_MIX, DriftTraffic, drifted_mix, study_drift
    from mangaassist.control.simulation.policy_files import load_policy
    from mangaassist.stats.categorical_drift import DriftThresholds

    mix = SOURCE_MIX if baseline is None else parse_shares(baseline, option="--baseline")
    per_day = parse_traffic(traffic)
    with SimulationBar(quiet=as_json) as bar:
        reports = study_drift(
            load_policy(DriftThresholds, policy),
            traffic=DriftTraffic(
                mix=mix,
                drifted=drifted_mix(mix, parse_shares(effect, option="--effect")),
                requests_per_week=round(7 * per_day),
                baseline_requests=baseline_requests,
            ),
            replicates=replicates,
            generator=np.random.default_rng(seed),
            progress=bar.report,
        )
    head = {
        "policy": "shipped" if policy is None else str(policy),
        "traffic_per_day": per_day,
        "candidate": effect,
        "detection_measured_with": f"{effect}, in the first week",
        "requests_unit": "requests",
        "replicates": replicates,
        "seed": seed,
    }
    _show(reports, head, as_json=as_json, plot=plot)


def parse_traffic(text: str) -> float:
    """Read `5000/day`, `20k/day`, `1M/day`, `700/hour` or a number of a day; raises `InvalidRequestError`."""
    found = re.fullmatch(r"\s*([\d.]+)\s*([kKmM]?)\s*(?:/?\s*(day|d|hour|h))?\s*", text)
    if found is None or found[1].count(".") > 1 or float(found[1] or 0) <= 0.0:
        raise InvalidRequestError(
            f"--traffic {text!r}: expected a number above 0, such as 5000/day or 1M/day"
        )
    scale = {"": 1.0, "k": 1e3, "m": 1e6}[found[2].lower()] * (24.0 if (found[3] or "d")[0] == "h" else 1.0)
    return float(found[1]) * scale


def parse_shares(text: str, *, option: str) -> dict[str, float]:
    """Read `NAME=NUMBER,...`; raises `InvalidRequestError`."""
    shares = {}
    for part in text.split(","):
        name, sign, value = (one.strip() for one in part.partition("="))
        try:
            shares[name] = float(value)
        except ValueError as error:
            raise InvalidRequestError(f"{option} {part!r}: expected NAME=NUMBER") from error
        if not sign or not name:
            raise InvalidRequestError(f"{option} {part!r}: expected NAME=NUMBER")
    return shares


def report_document(report: RuleReport) -> dict[str, Any]:
    """Return one rule as JSON; None where a figure cannot be given."""
    return {
        "rule": report.rule,
        "false_rollback_rate": report.false_alarms.value,
        "false_rollback_interval_95": [report.false_alarms.low, report.false_alarms.high],
        "detection_rate": report.detections.value,
        "detection_interval_95": [report.detections.low, report.detections.high],
        "median_requests_to_detect": report.requests_to_detect(0.5),
        "p90_requests_to_detect": report.requests_to_detect(0.9),
        "median_days_to_detect": report.days_to_detect(0.5),
        "p90_days_to_detect": report.days_to_detect(0.9),
        "healthy_outcomes": report.outcomes,
        **report.notes,
    }


def _rate(rate: Rate) -> dict[str, float]:
    return {"rate": rate.value, "low": rate.low, "high": rate.high}


def _show(
    reports: Sequence[RuleReport], head: Mapping[str, Any], *, as_json: bool, plot: Path | None
) -> None:
    """Print the first report as the policy's and the others beside it."""
    own, *others = reports
    if plot is not None:
        from mangaassist.cli.simulate_plot import plot_reports

        plot_reports(reports, plot, unit=str(head["requests_unit"]))
    if as_json:
        document = {**head, **report_document(own), "compared": [report_document(one) for one in others]}
        print(json.dumps(document, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    unit = head["requests_unit"]
    table = Table(title=f"{head['replicates']:,} runs at {head['traffic_per_day']:,.0f} a day")
    for column in (
        "rule",
        "false alarms (95 %)",
        "found",
        f"{unit} to find: median",
        "90 %",
        "days: median",
        "90 %",
    ):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for report in reports:
        alarms = report.false_alarms
        table.add_row(
            report.rule,
            f"{alarms.value:.2%} ({alarms.low:.2%} - {alarms.high:.2%})",
            f"{report.detections.value:.1%}",
            *(_figure(report.requests_to_detect(share)) for share in (0.5, 0.9)),
            *(_figure(report.days_to_detect(share)) for share in (0.5, 0.9)),
        )
    console = Console()
    console.print(table)
    console.print(f"found: candidates with {head['detection_measured_with']}")
    for name, value in own.notes.items():
        console.print(f"{name.replace('_', ' ')}: {_figure(value)}")


def _figure(value: float | None) -> str:
    if value is None:
        return "not within the run"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


class SimulationBar:
    """A progress bar on standard error, or nothing."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> SimulationBar:
        if not self._quiet:
            from rich.console import Console
            from rich.progress import Progress

            self._progress = Progress(console=Console(stderr=True), transient=True)
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def report(self, done: int, total: int) -> None:
        """Show how much has been simulated."""
        if self._progress is None:
            return
        if self._task is None:
            self._task = self._progress.add_task("simulating", total=total)
        self._progress.update(self._task, completed=done)
