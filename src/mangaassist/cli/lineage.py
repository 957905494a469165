"""`mangaassist lineage`: the whole story of one answer on one screen."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mangaassist.cli.waterfall import TAG_ROWS, show_waterfall, snapshot_of, trace_document

if TYPE_CHECKING:
    from rich.console import Console

    from mangaassist.control.lineage.story import Story
    from mangaassist.domain.records import RequestRecord

SHOWN_CHUNKS = 10


def register(parent: typer.Typer) -> None:
    """Add the command."""
    parent.command()(lineage)


def lineage(
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="A response, trace, session or feedback id.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show where an answer came from: bundle, versions, chunks, scores, verdicts, tokens, cost, timing.

    Example: mangaassist lineage resp_01jabc...
    """
    show_lineage(identifier, as_json=as_json)


def show_lineage(identifier: str, *, as_json: bool) -> None:
    """Print the story of an id; also behind `mangaassist trace show`."""
    from mangaassist.bootstrap.lineage import tell
    from mangaassist.bootstrap.settings import load_settings

    told = asyncio.run(tell(load_settings(), identifier))
    if as_json:
        document = {**document_of(told.story), "mlflow_url": told.mlflow_url}
        print(json.dumps(document, ensure_ascii=False, indent=2, default=str))
        return
    from rich.console import Console

    show_story(told.story, link=told.mlflow_url, console=Console())


def document_of(story: Story) -> dict[str, Any]:
    """Return everything a story holds; the members of its trace stand at the top."""
    answer = story.answer
    return {
        **(trace_document(story.trace) if story.trace else {}),
        "record": asdict(story.record) if story.record else None,
        "capsule": asdict(answer.capsule) if answer else None,
        "chunks": [asdict(chunk) for chunk in answer.chunks] if answer else [],
        "feedback": [asdict(event) for event in story.feedback],
        "other_responses": [record.response_id for record in story.others],
        "missing": list(story.missing),
    }


def show_story(story: Story, *, link: str | None, console: Console) -> None:
    """Print a story for people."""
    from rich.text import Text

    answer, trace, record = story.answer, story.trace, story.record
    question = answer.capsule.request.message if answer else trace.request_preview if trace else ""
    text = answer.capsule.text if answer else trace.response_preview if trace else ""
    console.print(Text(f"“{question}”", style="bold"))
    console.print(Text(text), soft_wrap=True)
    console.print()
    if trace is not None:
        show_waterfall(trace, console)
        console.print()
    rows = _record_rows(record) if record else _tag_rows(story)
    for title, value in (*rows, *_chunk_rows(story), *_feedback_rows(story)):
        console.print(Text(f"{title:<10}{value}"), soft_wrap=True)
    for reason in story.missing:
        console.print(Text(f"{'missing':<10}{reason}", style="yellow"), soft_wrap=True)
    for other in story.others:
        console.print(Text(f"{'session':<10}{other.response_id}  {other.intent}"), soft_wrap=True)
    console.print(
        Text(f"{'MLflow':<10}{link or 'not known until the worker has reached MLflow'}"), soft_wrap=True
    )
    if answer is not None:
        again = f"mangaassist replay {answer.capsule.response_id} --mode rebuild"
        console.print(Text(f"{'again':<10}{again}", style="dim"), soft_wrap=True)


def _record_rows(record: RequestRecord) -> list[tuple[str, str]]:
    cost = "price not known" if record.cost_usd is None else f"${record.cost_usd:.6f}"
    first = record.time_to_first_token_ms
    verdicts = [
        f"{stage}={action}"
        + (f"({record.guardrail_scores[stage]:.2f})" if stage in record.guardrail_scores else "")
        for stage, action in record.guardrail_actions.items()
    ]
    rows = [
        ("asked", _named(record, "intent", "page_type", "user_type", "locale", "session_id", "request_id")),
        ("answered", _named(record, "route", "outcome", "service_level", "cache_hit", "guardrail_action")),
        ("versions", _named(record, "release_bundle", "prompt_version", "model_id", "deployment_stage")),
        ("", "  ".join(f"{name}={version}" for name, version in record.versions.items())),
        ("checked", "  ".join(verdicts)),
        (
            "used",
            f"tokens {record.input_tokens} in, {record.cached_input_tokens} cached,"
            f" {record.output_tokens} out  {cost}  {record.latency_ms:.1f} ms"
            + (f"  first token {first:.1f} ms" if first is not None else ""),
        ),
        (
            "ids",
            f"response {record.response_id}  trace {record.trace_id}  kept because: {record.sampling_reason}",
        ),
    ]
    if record.assignments:
        rows.append(("tests", "  ".join(f"{name}={arm}" for name, arm in record.assignments.items())))
    return rows


def _tag_rows(story: Story) -> list[tuple[str, str]]:
    trace = story.trace
    if trace is None:
        return []
    rows = [
        (title, "  ".join(f"{name}={trace.tags[name]}" for name in names if name in trace.tags))
        for title, names in TAG_ROWS
    ]
    return [*rows, ("trace", f"{trace.trace_id}  response {trace.response_id}")]


def _chunk_rows(story: Story) -> list[tuple[str, str]]:
    if story.answer is not None:
        shown = [
            (chunk.chunk_id, chunk.title, captured.score, captured.dense_score, captured.lexical_score)
            for chunk, captured in zip(story.answer.chunks, story.answer.capsule.chunks, strict=True)
        ]
    elif story.trace is not None:
        shown = [
            (one["chunk_id"], one["title"], one["score"], None, None) for one in snapshot_of(story.trace)
        ]
    else:
        shown = []
    return [
        ("chunk", f"{chunk_id}  {title}  {_scores(score, dense, lexical)}")
        for chunk_id, title, score, dense, lexical in shown[:SHOWN_CHUNKS]
    ]


def _scores(score: float, dense: float | None, lexical: float | None) -> str:
    named = (("rank", score), ("dense", dense), ("lexical", lexical))
    return "  ".join(f"{name} {value:.3f}" for name, value in named if value is not None)


def _feedback_rows(story: Story) -> list[tuple[str, str]]:
    return [
        (
            "feedback",
            "  ".join(
                str(part) for part in (event.feedback, event.reason_code, event.comment, event.value) if part
            ),
        )
        for event in story.feedback
    ]


def _named(record: RequestRecord, *names: str) -> str:
    return "  ".join(f"{name}={getattr(record, name)}" for name in names)
