"""The picture of an intent evaluation; needs the `plots` extra."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mangaassist.control.evaluation.intents import IntentReport
from mangaassist.domain.errors import ConfigurationError

FEW_LABELS = 40


def plot_report(report: IntentReport, path: Path) -> None:
    """Write the confusion matrix and, where there is one, the rejection curve."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigurationError("`matplotlib` is not installed; install the `plots` extra") from error

    figure = Figure(figsize=(16, 7) if report.curve else (9, 7), layout="constrained")
    axes = figure.subplots(1, 2 if report.curve else 1, squeeze=False)[0]
    confusion = np.array(report.confusion, dtype=float)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes[0].imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes[0].set(xlabel="decided", ylabel="true", title=f"Confusion, {report.count:,} texts")
    if len(report.labels) <= FEW_LABELS:
        positions = range(len(report.labels))
        axes[0].set_xticks(positions, report.labels, rotation=60, ha="right")
        axes[0].set_yticks(positions, report.labels)
    figure.colorbar(image, ax=axes[0], label="share of the true intent")
    if report.curve:
        inside = [point.in_scope_accuracy for point in report.curve]
        axes[1].plot(inside, [point.out_of_scope_recall for point in report.curve], marker="o")
        axes[1].set(xlabel="in-scope accuracy", ylabel="out-of-scope recall", title="Rejection")
        axes[1].grid(visible=True, alpha=0.3)
    figure.savefig(path, dpi=120)
