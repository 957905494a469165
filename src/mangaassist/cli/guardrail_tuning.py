"""`mangaassist guardrails replay | suggest | review`: tuning over what was logged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mangaassist.cli.intents import PhaseBar
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.guardrail_reviews import ReviewLabel

if TYPE_CHECKING:
    from mangaassist.domain.guardrail_reviews import GuardrailReview

reviews = typer.Typer(
    help="Answers that the guardrails objected to: read them, label them.", no_args_is_help=True
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Only answers from this ISO date or time on.", show_default=False),
]
SHOWN_CHARS = 100


def register(group: typer.Typer) -> None:
    """Add the commands to `mangaassist guardrails`."""
    group.command(
        "replay",
        epilog="Examples: mangaassist guardrails replay --ruleset gr-2.yaml --since 2026-11-01 --plot it.png"
        " | mangaassist guardrails replay --threshold grounding_check:recommendation=0.95 --json",
    )(replay)
    group.command(
        "suggest",
        epilog="Examples: mangaassist guardrails suggest grounding_check --fpr 0.01 --unlabelled-are-fine",
    )(suggest)
    group.add_typer(reviews, name="review")


def replay(
    ruleset: Annotated[
        str | None,
        typer.Option(
            help="A ruleset file, or the name of one; by default the active one.", show_default=False
        ),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(help="STAGE[:INTENT]=VALUE, enforced; may be repeated.", show_default=False),
    ] = None,
    since: SinceOption = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a picture of the changes (extra `plots`).", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what another ruleset or threshold would have done to the answers that were logged.

    Recorded scores are compared with the new thresholds; stages whose rules changed run again over the stored
    words. By stage: what it objected to, whatever its mode. Overall, by rule and by intent: what was
    replaced or blocked. Labels from the review queue tell false positives and missed violations.
    """
    from mangaassist.bootstrap.guardrail_tuning import find_ruleset, open_tuning, replay_logged
    from mangaassist.bootstrap.settings import load_settings

    if ruleset is None and not threshold:
        raise InvalidRequestError("name what to compare with: --ruleset NAME or --threshold STAGE=VALUE")
    moment = parsed_moment(since)

    async def run() -> Any:
        async with open_tuning(load_settings()) as sources:
            new = find_ruleset(sources, ruleset, threshold or ())
            return await replay_logged(sources, new, since=moment, progress=bar.report)

    with PhaseBar(quiet=as_json) as bar:
        report = asyncio.run(run())
    document = report.document()
    if plot is not None:
        from mangaassist.cli.guardrail_plot import plot_replay

        plot_replay(report, plot)
    if as_json:
        print(json.dumps(document | {"since": since}, ensure_ascii=False))
        return
    print(f"{report.against} -> {report.ruleset}: {report.answers:,} answers, {report.labelled:,} labelled")
    for title in ("by_stage", "by_rule", "by_intent"):
        _show_changes(
            title, {**({"all": document["overall"]} if title == "by_intent" else {}), **document[title]}
        )
    if report.newly_blocked or report.released:
        print(f"newly blocked: {', '.join(report.newly_blocked) or 'none'}")
        print(f"released: {', '.join(report.released) or 'none'}")


def suggest(
    stage: Annotated[str, typer.Argument(help="The stage.")],
    fpr: Annotated[float, typer.Option(help="The share of benign answers that may be flagged.")] = 0.01,
    since: SinceOption = None,
    unlabelled_are_fine: Annotated[
        bool, typer.Option("--unlabelled-are-fine", help="Count answers without a label as benign.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Suggest a threshold for each intent at a stated false-positive rate, with the interval of that rate."""
    from mangaassist.bootstrap.guardrail_tuning import open_tuning, suggestions
    from mangaassist.bootstrap.settings import load_settings

    moment = parsed_moment(since)

    async def run() -> Any:
        async with open_tuning(load_settings()) as sources:
            return await suggestions(
                sources,
                stage=stage,
                rate=fpr,
                since=moment,
                unlabelled_are_fine=unlabelled_are_fine,
                progress=bar.report,
            )

    with PhaseBar(quiet=as_json) as bar:
        found = asyncio.run(run())
    if as_json:
        print(json.dumps({"stage": stage, "fpr": fpr, "suggestions": [one.document() for one in found]}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(
        *("intent", "fine", "bad", "threshold", "FPR", "95 % interval", "recall", "now", "FPR now", ""),
        box=None,
        pad_edge=False,
    )
    table.columns[0].no_wrap = True
    for one in found:
        interval = "" if one.low is None else f"{one.low:.4f} - {one.high:.4f}"
        table.add_row(
            one.intent or "all",
            f"{one.benign:,}",
            f"{one.violations:,}",
            _shown(one.threshold),
            _shown(one.false_positive_rate),
            interval,
            _shown(one.recall),
            _shown(one.present_threshold),
            _shown(one.present_false_positive_rate),
            one.detail,
        )
    Console().print(table)


@reviews.command(
    "list", epilog="Examples: mangaassist guardrails review list --unlabelled --intent recommendation"
)
def list_reviews(
    stage: Annotated[str | None, typer.Option(help="Only this stage's.", show_default=False)] = None,
    intent: Annotated[str | None, typer.Option(help="Only this intent's.", show_default=False)] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Only what nobody has judged yet.")
    ] = False,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 20,
    after: Annotated[str, typer.Option(help="Go on behind this response id.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the review queue, oldest first."""
    from mangaassist.bootstrap.guardrail_tuning import open_tuning
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.ports.guardrail_reviews import ReviewFilter

    wanted = ReviewFilter(
        stage=stage, intent=intent, labelled=False if unlabelled else None, since=parsed_moment(since)
    )

    async def run() -> Any:
        async with open_tuning(load_settings()) as sources:
            return await sources.reviews.find(wanted, limit=limit, after=after)

    found = asyncio.run(run())
    if as_json:
        print(json.dumps({"reviews": [_document(review) for review in found]}, ensure_ascii=False))
        return
    for review in found:
        rule = f"{review.stage or '-'}:{review.rule_id or '-'}"
        label = review.label or "unlabelled"
        print(f"{review.response_id}  {review.reason:8} {review.intent:17} {rule}  {label}")
        print(f"    asked: {review.question[:SHOWN_CHARS]}\n    text:  {review.text[:SHOWN_CHARS]}")


@reviews.command(epilog="Examples: mangaassist guardrails review show resp_01jabc...")
def show(
    response_id: Annotated[str, typer.Argument(metavar="RESPONSE_ID")], as_json: JsonOption = False
) -> None:
    """Show one answer with what every stage said of it, claim by claim."""
    from mangaassist.bootstrap.guardrail_tuning import open_tuning
    from mangaassist.bootstrap.settings import load_settings

    async def run() -> Any:
        async with open_tuning(load_settings()) as sources:
            return await sources.reviews.get(response_id)

    review = asyncio.run(run())
    if as_json:
        print(json.dumps(_document(review), ensure_ascii=False))
        return
    print(f"{review.response_id}  {review.created_at:%Y-%m-%d %H:%M}  {review.intent} over {review.channel}")
    print(f"asked: {review.question}\n\n{review.text}\n")
    for name, finding in review.findings.items():
        _show_finding(name, finding)
    by = f" by {review.labelled_by}: {review.note or ''}" if review.label else ""
    print(f"label: {review.label or 'none'}{by}")


@reviews.command(
    epilog="Examples: mangaassist guardrails review label resp_01jabc... fine --note 'it is in the article'"
)
def label(
    response_id: Annotated[str, typer.Argument(metavar="RESPONSE_ID")],
    verdict: Annotated[str, typer.Argument(metavar="violation|fine|unsure", help="What it was.")],
    note: Annotated[str | None, typer.Option(help="Why.", show_default=False)] = None,
    by: Annotated[str, typer.Option(help="Who says so.")] = "operator",
) -> None:
    """Say whether the guardrails were right: `violation` if so, `fine` for a false positive."""
    from mangaassist.bootstrap.guardrail_tuning import open_tuning
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.ports.guardrail_reviews import Labelling

    chosen = _as_label(verdict)

    async def run() -> None:
        async with open_tuning(load_settings()) as sources:
            await sources.reviews.label(
                Labelling(response_id=response_id, label=chosen, labelled_by=by, note=note)
            )

    asyncio.run(run())
    print(f"{response_id}: {chosen}")


@reviews.command(epilog="Examples: mangaassist guardrails review sample --count 200 --intent recommendation")
def sample(
    count: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    intent: Annotated[str | None, typer.Option(help="Only this intent's.", show_default=False)] = None,
    since: SinceOption = None,
    seed: Annotated[int, typer.Option(help="The draw; the same seed draws the same answers.")] = 0,
) -> None:
    """Queue answers that passed, drawn at random: their labels tell what `suggest` needs to know."""
    from random import Random

    from mangaassist.bootstrap.guardrail_tuning import open_tuning, queue_sample
    from mangaassist.bootstrap.settings import load_settings

    moment = parsed_moment(since)

    async def run() -> int:
        async with open_tuning(load_settings()) as sources:
            return await queue_sample(sources, count=count, intent=intent, since=moment, random=Random(seed))

    print(f"{asyncio.run(run()):,} queued")


def parsed_moment(text: str | None) -> datetime | None:
    """Return the time of an ISO date or time, UTC where it has no zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequestError(f"--since must be an ISO date or time, got {text!r}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _as_label(text: str) -> ReviewLabel:
    labels: tuple[ReviewLabel, ...] = ("violation", "fine", "unsure")
    for one in labels:
        if one == text:
            return one
    raise InvalidRequestError(f"a label is one of {', '.join(labels)}, got {text!r}")


def _document(review: GuardrailReview) -> dict[str, Any]:
    document = asdict(review)
    document["created_at"] = review.created_at.isoformat()
    document["labelled_at"] = review.labelled_at.isoformat() if review.labelled_at else None
    return document


def _show_finding(name: str, finding: Mapping[str, Any]) -> None:
    score = finding.get("score")
    shown = "" if score is None else f"{score:.3f} of {finding.get('threshold')}"
    print(f"{name:20} {finding.get('action') or '':8} {shown:16} {finding.get('reason') or ''}".rstrip())
    for claim in finding.get("claims") or ():
        print(f"    {claim['kind']} “{claim['text']}” {claim['reason'] or ''}")
        if claim["evidence"]:
            print(f"        closest: {claim['evidence']} ({claim['source_id'] or 'catalogue'})")


def _show_changes(title: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = {
        "n": "answers",
        "before": "before",
        "after": "after",
        "new": "newly",
        "gone": "released",
        "FP before": "false_positives_before",
        "FP after": "false_positives_after",
        "missed": "violations_missed_after",
    }
    if title == "by_stage":
        columns |= {"p95 ms": "p95_ms", "again": "run_again", "not": "not_replayed"}
    table = Table(*(title.replace("_", " "), *columns), box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for name, row in rows.items():
        table.add_row(name, *(str(row.get(column, "")) for column in columns.values()))
    Console().print(table)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
