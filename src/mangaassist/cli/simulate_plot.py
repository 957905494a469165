"""The picture of a simulation; needs the `plots` extra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mangaassist.control.simulation.report import RuleReport
from mangaassist.domain.errors import ConfigurationError


def plot_reports(reports: Sequence[RuleReport], path: Path, *, unit: str) -> None:
    """Write false alarms with their intervals, and the share of harm found over requests."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigurationError("`matplotlib` is not installed; install the `plots` extra") from error

    figure = Figure(figsize=(15, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    rates = [report.false_alarms for report in reports]
    places = np.arange(len(reports))[::-1]
    values = np.array([rate.value for rate in rates])
    around = np.array([[rate.value - rate.low, rate.high - rate.value] for rate in rates]).T
    colours = [f"C{number}" for number in range(len(reports))]
    left.barh(places, values, color=colours)
    left.errorbar(values, places, xerr=np.maximum(around, 0.0), fmt="none", ecolor="black", capsize=4)
    left.set_yticks(places, [report.rule for report in reports])
    left.set(xlabel="healthy candidates that are turned down (95 % interval)", xlim=(0.0, 1.0))
    for report, colour in zip(reports, colours, strict=True):
        found = np.sort([delay for delay in report.delays if np.isfinite(delay)])
        shares = np.arange(1, len(found) + 1) / len(report.delays)
        right.step(found, shares, where="post", color=colour, label=report.rule)
    right.set(xlabel=unit, ylabel="harmful candidates found", ylim=(0.0, 1.02))
    right.set_xscale("log")
    right.grid(visible=True, alpha=0.3)
    right.legend(loc="upper left", fontsize="small")
    figure.savefig(path, dpi=120)
