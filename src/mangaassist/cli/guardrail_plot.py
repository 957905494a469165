"""The picture of a guardrail replay; needs the `plots` extra."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mangaassist.control.evaluation.guardrail_replay import ChangeCounts, ReplayReport
from mangaassist.domain.errors import ConfigurationError


def plot_replay(report: ReplayReport, path: Path) -> None:
    """Write the shares that were and would be objected to, by intent and by stage."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigurationError("`matplotlib` is not installed; install the `plots` extra") from error

    figure = Figure(figsize=(14, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _bars(left, {"all": report.overall, **report.by_intent}, title="replaced or blocked, by intent")
    _bars(right, report.by_stage, title="objected to, by stage")
    figure.suptitle(f"{report.against} → {report.ruleset}, {report.answers:,} answers")
    figure.savefig(path, dpi=120)


def _bars(axes: Any, rows: Mapping[str, ChangeCounts], *, title: str) -> None:
    names = list(rows)
    for shift, (label, values) in enumerate(
        (
            ("before", [100 * row.before / max(1, row.answers) for row in rows.values()]),
            ("after", [100 * row.after / max(1, row.answers) for row in rows.values()]),
        )
    ):
        places = [number + 0.4 * shift for number in range(len(names))]
        bars = axes.barh(places, values, height=0.38, label=label)
        axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.set_yticks([number + 0.2 for number in range(len(names))], names)
    axes.invert_yaxis()
    axes.set(xlabel="% of answers", title=title)
    axes.legend()
