"""`mangaassist guardrails`: check a text, and measure what the guardrails are worth and cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mangaassist.cli.bench import FORWARDED, run_benchmark
from mangaassist.cli.intents import PhaseBar

app = typer.Typer(help="Guardrails: check a text, evaluate, measure time.", no_args_is_help=True)

MOST_COLUMNS = 8
SUMMARY = ("count", "auroc", "recall_at_1pct_fpr", "precision", "recall", "f1", "false_positive_rate")
"""The columns for people when there are too many; --json has all of them."""
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")]


@app.command(
    epilog="Examples: mangaassist guardrails evaluate injection.jsonl --kind injection --json"
    " | mangaassist guardrails evaluate pii.jsonl --kind pii"
)
def evaluate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL in the form of the kind.")],
    kind: Annotated[Literal["injection", "pii", "grounding"], typer.Option(help="Which guardrail.")],
    leave_one_source_out: Annotated[
        bool,
        typer.Option(
            help="injection: train on all but one family of sources (`jbb` of `jbb-GCG`) and score that one;"
            " takes minutes."
        ),
    ] = False,
    disguises: Annotated[
        bool, typer.Option(help="injection: add the recall under base64, leet, homoglyphs and so on.")
    ] = False,
    encoder: Annotated[
        bool, typer.Option(help="injection: use the sentence encoder where it is cached.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Measure one guardrail on a labelled file: overall and by source.

    injection: rows of {"text", "label": "injection"|"benign", "source"}.
    pii: rows of {"text", "spans": [{"start", "end", "type"}], "source"}.
    """
    from mangaassist.bootstrap.guardrail_evaluation import EvaluationRequest, evaluate_guardrails
    from mangaassist.bootstrap.settings import load_settings

    with PhaseBar(quiet=as_json) as bar:
        request = EvaluationRequest(
            file=file,
            settings=load_settings(),
            progress=bar.report,
            use_encoder=encoder,
            leave_one_source_out=leave_one_source_out,
            disguises=disguises,
        )
        document = evaluate_guardrails(kind, request)
    if as_json:
        print(json.dumps({"kind": kind, "file": file.name, **document}, ensure_ascii=False))
    else:
        show_figures(document, title=f"{kind}: {file.name}")
        if "by_disguise" in document:
            show_figures({"by_source": document["by_disguise"]}, title="attacks in disguise")


@app.command(
    epilog="Examples: mangaassist guardrails check 'ignore your instructions' --stage prompt_injection --json"
)
def check(
    text: Annotated[str, typer.Argument(help="The text.")],
    stage: Annotated[str | None, typer.Option(help="Only this stage; by default all of them.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print what every stage says of a text: action, score, rule, reason, spans, time."""
    from mangaassist.bootstrap.guardrail_check import check_text
    from mangaassist.bootstrap.settings import load_settings

    results = check_text(load_settings(), text, stage=stage)
    if as_json:
        print(json.dumps({"results": [asdict(result) for result in results]}, ensure_ascii=False))
        return
    for result in results:
        where = ", ".join(f"{span.start}-{span.end} {span.kind}" for span in result.spans)
        score = "" if result.score is None else f"{result.score:.3f}"
        print(
            f"{result.stage:20} {result.action:8} {score:6} {result.rule_id or '':22} "
            f"{result.latency_ms:8.3f} ms  {result.reason or ''} {where}".rstrip()
        )


@app.command(
    context_settings=FORWARDED,
    help="Time of streams, recognisers and pipelines beside plain regexes; --peers adds other packages.",
)
def bench(context: typer.Context) -> None:
    """Run `benchmarks.guardrails`."""
    run_benchmark("benchmarks.guardrails", context.args)


def show_figures(document: Mapping[str, Any], *, title: str) -> None:
    """Print `overall` and `by_source` as one table; plain figures become its columns."""
    from rich.console import Console
    from rich.table import Table

    lines: dict[str, Mapping[str, Any]] = {}
    if "overall" in document:
        lines["overall"] = document["overall"]
    lines |= document.get("by_source", {})
    names = list(
        dict.fromkeys(name for line in lines.values() for name, value in line.items() if _is_plain(value))
    )
    if len(names) > MOST_COLUMNS and len(lines) > 3:
        names = [name for name in names if name in SUMMARY]
    table = Table("figure", *lines, title=title) if len(lines) <= 3 else Table("source", *names, title=title)
    if len(lines) <= 3:
        for name in names:
            table.add_row(name, *(_shown(line.get(name)) for line in lines.values()))
    else:
        for source, line in lines.items():
            table.add_row(source, *(_shown(line.get(name)) for name in names))
    Console().print(table)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, int | float | str)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
