"""An analysis for people and for programs: Markdown, HTML with its pictures inside, and plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape

from mangaassist.control.experiments.analysis import Analysis, ArmAnalysis, Effect
from mangaassist.control.experiments.effects import MetricEffect
from mangaassist.stats.outcome import CannotCompute

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}"
    "td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:right}"
    "td{white-space:nowrap}td:first-child,th:first-child{text-align:left}.wide{overflow-x:auto}"
    "svg{max-width:100%;height:auto}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a report: text, a table whose first row is its head, and the name of a picture."""

    title: str
    paragraphs: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    picture: str | None = None


def sections(analysis: Analysis, *, answers_per_day: float | None = None) -> list[Section]:
    """Return the report of an analysis."""
    found = [_decision(analysis), _sizes(analysis)]
    for arm in analysis.arms:
        found += [
            _metrics(arm),
            Section(title=f"{arm.arm}: the primary metric over time", picture=f"over-time-{arm.arm}"),
            Section(title=f"{arm.arm}: posterior of the primary metric", picture=f"posterior-{arm.arm}"),
        ]
        if arm.cost is not None:
            found.append(_cost(arm, answers_per_day))
        if arm.segments:
            found.append(_segments(arm))
    if analysis.quantiles:
        found.append(_quantiles(analysis))
    found.append(_method(analysis))
    return found


def markdown(analysis: Analysis, *, answers_per_day: float | None = None) -> str:
    """Return the report in Markdown, without pictures."""
    lines = [f"# Experiment {analysis.key}", ""]
    for section in sections(analysis, answers_per_day=answers_per_day):
        if not section.paragraphs and not section.table:
            continue
        lines += [f"## {section.title}", ""]
        for paragraph in section.paragraphs:
            lines += [paragraph, ""]
        if section.table:
            head, *rows = section.table
            lines += [_row(head), _row(["---"] * len(head)), *map(_row, rows), ""]
    return "\n".join(lines)


def html(analysis: Analysis, pictures: Mapping[str, str], *, answers_per_day: float | None = None) -> str:
    """Return the report as one page; `pictures` are SVG elements by name."""
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(analysis.key)}</title>'
        f"<style>{_STYLE}</style><h1>Experiment {escape(analysis.key)}</h1>"
    ]
    for section in sections(analysis, answers_per_day=answers_per_day):
        picture = pictures.get(section.picture or "")
        if not section.paragraphs and not section.table and picture is None:
            continue
        parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += [f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs]
        if section.table:
            parts.append(_html_table(section.table))
        if picture is not None:
            parts.append(picture)
    return "".join(parts)


def document(analysis: Analysis, *, answers_per_day: float | None = None) -> dict[str, object]:
    """Return the analysis as plain data."""
    request = analysis.request
    return {
        "experiment": analysis.key,
        "decision": analysis.decision.value,
        "arm": analysis.arm,
        "reasons": list(analysis.reasons),
        "observations": analysis.observations,
        "sample_ratio": {
            "units": dict(analysis.sizes.units),
            "expected": dict(analysis.sizes.expected),
            "p_value": analysis.sizes.p_value,
            "mixed_units": analysis.sizes.mixed_units,
            "ok": analysis.sizes.problem(request.policy) is None,
        },
        "arms": {arm.arm: _arm_document(arm, answers_per_day) for arm in analysis.arms},
        "quantiles": [asdict(one) for one in analysis.quantiles],
        "policy": asdict(request.policy),
    }


def _decision(analysis: Analysis) -> Section:
    about = f" ({analysis.arm})" if analysis.arm else ""
    return Section(title=f"{analysis.decision}{about}", paragraphs=analysis.reasons)


def _sizes(analysis: Analysis) -> Section:
    sizes = analysis.sizes
    total = sum(sizes.units.values())
    rows = tuple(
        (arm, f"{count:,}", f"{count / total:.2%}" if total else "", f"{sizes.expected[arm]:.2%}")
        for arm, count in sizes.units.items()
    )
    verdict = "as assigned" if sizes.problem(analysis.request.policy) is None else "NOT as assigned"
    return Section(
        title="Units by arm",
        paragraphs=(
            f"{total:,} units, {analysis.observations:,} observations. Sizes {verdict}: anytime-valid p ="
            f" {sizes.p_value:.3g}; {sizes.mixed_units:,} units in several arms.",
        ),
        table=(("arm", "units", "share", "assigned"), *rows),
        picture="sizes",
    )


def _metrics(arm: ArmAnalysis) -> Section:
    head = (
        "metric", "role", "control", arm.arm, "difference", "interval", "relative", "P(better)",
        "expected loss", "p, any look", "CUPED",
    )  # fmt: skip
    rows = []
    for name, effect in arm.effects.items():
        if isinstance(effect, CannotCompute):
            rows.append((name, "", effect.detail, *[""] * (len(head) - 3)))
            continue
        p_value = effect.test.p_value if effect.adjusted_p is None else effect.adjusted_p
        rows.append(
            (
                effect.metric.label,
                effect.metric.role,
                _number(effect.control),
                _number(effect.treatment),
                _signed(effect.test.effect),
                f"{_signed(effect.test.low)} to {_signed(effect.test.high)}",
                _share(effect.relative),
                "" if effect.chance_better is None else f"{effect.chance_better:.1%}",
                "" if effect.expected_loss is None else f"{effect.expected_loss:.2g}",
                f"{p_value:.3g}",
                "" if effect.variance_reduction is None else f"-{effect.variance_reduction:.0%} variance",
            )
        )
    return Section(
        title=f"{arm.arm} beside control: {arm.verdict.decision}",
        paragraphs=arm.verdict.reasons,
        table=(head, *rows),
    )


def _cost(arm: ArmAnalysis, answers_per_day: float | None) -> Section:
    cost = arm.cost
    assert cost is not None, "only arms with a cost have this section"
    lines = [
        f"An answer costs {_number(cost.treatment)} instead of {_number(cost.control)} US dollars:"
        f" {_signed(cost.difference)} ({_share(cost.relative)}), interval {_signed(cost.low)} to"
        f" {_signed(cost.high)}."
    ]
    if answers_per_day is not None:
        lines.append(
            f"At {answers_per_day:,.0f} answers a day that is {cost.per_month(answers_per_day):+,.0f}"
            f" US dollars in 30 days ({_signed(cost.difference)} x {answers_per_day:,.0f} x 30)."
        )
    return Section(title=f"{arm.arm}: cost", paragraphs=tuple(lines))


def _segments(arm: ArmAnalysis) -> Section:
    rows = []
    for one in arm.segments:
        effect = one.effect
        if isinstance(effect, CannotCompute):
            rows.append((one.segment or "(none)", one.metric, "", "", effect.detail, "", ""))
            continue
        rows.append(
            (
                one.segment or "(none)",
                effect.metric.label,
                _number(effect.control),
                _number(effect.treatment),
                f"{_signed(effect.test.low)} to {_signed(effect.test.high)}",
                _share(effect.relative),
                "" if one.adjusted_p is None else f"{one.adjusted_p:.3g}",
            )
        )
    return Section(
        title=f"{arm.arm}: by segment",
        paragraphs=("Explored, not decided on: adjusted p-values bound the share of false finds.",),
        table=(
            ("segment", "metric", "control", arm.arm, "interval of the difference", "relative", "adjusted p"),
            *rows,
        ),
    )


def _quantiles(analysis: Analysis) -> Section:
    rows = tuple(
        (
            one.metric,
            f"{one.quantile:g}",
            one.arm,
            _number(one.value),
            "too few units"
            if one.low is None or one.high is None
            else f"{_number(one.low)} to {_number(one.high)}",
        )
        for one in analysis.quantiles
    )
    return Section(
        title="Quantiles", table=(("metric", "quantile", "arm", "value", "95 % interval, clustered"), *rows)
    )


def _method(analysis: Analysis) -> Section:
    policy = analysis.request.policy
    return Section(
        title="How to read this",
        paragraphs=(
            "Intervals and p-values hold at every look: confidence sequences over units, clustered, within"
            f" phases and then combined. Primary metric two-sided at {policy.primary_alpha:g}; harm in the"
            f" guardrails together at {policy.harm_alpha:g}; arm sizes at {policy.srm_alpha:g}. Secondary"
            " metrics are adjusted for each other by Holm, segments by Benjamini and Hochberg.",
            "P(better) and expected loss are posterior figures for reading; the decision rests on the"
            f" intervals, and promoting also asks for an expected loss of at most"
            f" {policy.largest_loss_ratio:.1%}.",
        ),
    )


def _arm_document(arm: ArmAnalysis, answers_per_day: float | None) -> dict[str, object]:
    cost = arm.cost
    return {
        "decision": arm.verdict.decision.value,
        "reasons": list(arm.verdict.reasons),
        "metrics": {name: _effect_document(effect) for name, effect in arm.effects.items()},
        "cost_delta": None
        if cost is None
        else {
            **asdict(cost),
            "relative": cost.relative,
            "usd_per_month": None if answers_per_day is None else cost.per_month(answers_per_day),
        },
        "segments": [
            {
                "segment": one.segment,
                "metric": one.metric,
                "adjusted_p": one.adjusted_p,
                **_effect_document(one.effect),
            }
            for one in arm.segments
        ],
    }


def _effect_document(effect: Effect) -> dict[str, object]:
    if not isinstance(effect, MetricEffect):
        return {
            "cannot_compute": effect.reason.value,
            "detail": effect.detail,
            "more_needed": effect.more_needed,
        }
    posterior = effect.posterior
    return {
        "role": effect.metric.role,
        "kind": effect.metric.kind,
        "better": effect.metric.better,
        "control": effect.control,
        "treatment": effect.treatment,
        "units": {"control": effect.units_control, "treatment": effect.units_treatment},
        "difference": effect.test.effect,
        "relative": effect.relative,
        "interval": [effect.test.low, effect.test.high],
        "confidence": effect.test.confidence,
        "anytime_p": effect.test.p_value,
        "adjusted_p": effect.adjusted_p,
        "benefit_shown": effect.benefit_shown,
        "harm_shown": effect.harm_shown,
        "harm_level": effect.harm_alpha,
        "margin": effect.margin,
        "within_margin": effect.within_margin,
        "chance_better": effect.chance_better,
        "expected_loss": effect.expected_loss,
        "credible_interval": None if posterior is None else [posterior.low, posterior.high],
        "variance_reduction": effect.variance_reduction,
        "units_needed": effect.units_needed,
    }


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _html_table(table: Sequence[Sequence[str]]) -> str:
    head, *rows = table

    def cells(row: Sequence[str], tag: str) -> Iterator[str]:
        return (f"<{tag}>{escape(cell)}</{tag}>" for cell in row)

    body = "".join(f"<tr>{''.join(cells(row, 'td'))}</tr>" for row in rows)
    head_row = f"<thead><tr>{''.join(cells(head, 'th'))}</tr></thead>"
    return f'<div class="wide"><table>{head_row}<tbody>{body}</tbody></table></div>'


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _signed(value: float) -> str:
    return f"{value:+,.4g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:+.2%}"
