"""The pictures of an experiment's report as SVG; needs the `plots` extra."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mangaassist.control.experiments.analysis import Analysis, ArmAnalysis, Moment
from mangaassist.control.experiments.effects import MetricEffect
from mangaassist.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES, HEIGHT_INCHES = 7.0, 3.2
BLUE, GREY = "#1f5f9e", "#777777"


def pictures(analysis: Analysis, moments: Sequence[Moment]) -> dict[str, str]:
    """Return every picture there is something to show for, by the name under which reports ask for it."""
    found = {"sizes": _svg(partial(_sizes, analysis=analysis))}
    for arm in analysis.arms:
        known = [
            (moment, moment.effect)
            for moment in moments
            if moment.arm == arm.arm and isinstance(moment.effect, MetricEffect)
        ]
        if known:
            found[f"over-time-{arm.arm}"] = _svg(partial(_over_time, known=known))
        main = _primary(arm)
        if main is not None and main.posterior is not None:
            found[f"posterior-{arm.arm}"] = _svg(partial(_posterior, effect=main))
    return found


def _svg(draw: Callable[[Axes], None]) -> str:
    """Return the SVG element of one drawing, the same for the same data."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigurationError("`matplotlib` is not installed; install the `plots` extra") from error

    with mpl.rc_context({"svg.hashsalt": "mangaassist", "svg.fonttype": "none"}):
        figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
        draw(figure.subplots())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    content = buffer.getvalue()
    return content[content.index("<svg") :]


def _over_time(axes: Axes, *, known: Sequence[tuple[Moment, MetricEffect]]) -> None:
    at: Any = [moment.at for moment, _ in known]
    tests = [effect.test for _, effect in known]
    axes.fill_between(at, [test.low for test in tests], [test.high for test in tests], color=BLUE, alpha=0.2)
    axes.plot(at, [test.effect for test in tests], color=BLUE, marker="o", markersize=3)
    axes.axhline(0.0, color=GREY, linewidth=1)
    metric = known[0][1].metric
    axes.set(
        ylabel=f"difference in {metric.label}",
        title=f"valid at every look ({tests[-1].confidence:.0%}); {metric.better} is better",
    )
    axes.tick_params(axis="x", rotation=30)


def _posterior(axes: Axes, *, effect: MetricEffect) -> None:
    posterior = effect.posterior
    assert posterior is not None, "drawn only where there is one"
    # drawn as the normal with the same centre and credible interval
    deviation = (posterior.high - posterior.low) / (2 * 1.959964)
    points = np.linspace(posterior.difference - 4 * deviation, posterior.difference + 4 * deviation, 200)
    density = np.exp(-0.5 * ((points - posterior.difference) / deviation) ** 2)
    density /= deviation * math.sqrt(2 * math.pi)
    good = points > 0 if effect.sign > 0 else points < 0
    axes.fill_between(points, density, where=good.tolist(), color=BLUE, alpha=0.3)
    axes.plot(points, density, color=BLUE)
    axes.axvline(0.0, color=GREY, linewidth=1)
    for end in (posterior.low, posterior.high):
        axes.axvline(end, color=BLUE, linewidth=1, linestyle=":")
    axes.set(
        xlabel=f"difference in {effect.metric.label}",
        title=f"P(better) = {effect.chance_better:.1%};"
        f" dotted: {posterior.credibility:.0%} credible interval",
    )
    axes.set_yticks([])


def _sizes(axes: Axes, *, analysis: Analysis) -> None:
    sizes = analysis.sizes
    total = max(1, sum(sizes.units.values()))
    names = list(sizes.units)
    axes.bar(names, [sizes.units[name] / total for name in names], color=BLUE, alpha=0.5, label="seen")
    axes.scatter(
        names, [sizes.expected[name] for name in names], color=GREY, marker="_", s=2_000, label="assigned"
    )
    axes.set(ylabel="share of units", title=f"arm sizes: anytime-valid p = {sizes.p_value:.3g}")
    axes.legend(loc="lower right")


def _primary(arm: ArmAnalysis) -> MetricEffect | None:
    return next(
        (
            effect
            for effect in arm.effects.values()
            if isinstance(effect, MetricEffect) and effect.metric.role == "primary"
        ),
        None,
    )
