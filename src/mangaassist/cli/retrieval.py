"""`mangaassist retrieval`: how well the right texts are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mangaassist.bootstrap.retrieval import RetrievalReport
    from mangaassist.control.evaluation.retrieval import SystemScores
    from mangaassist.stats.resampling import Estimate

METRICS = ("ndcg_at_10", "recall_at_3", "mrr_at_10")

app = typer.Typer(help="Retrieval: evaluate it on judged queries.", no_args_is_help=True)

EXAMPLES = """
Examples:

  mangaassist retrieval evaluate data/scifact --json

  mangaassist retrieval evaluate data/faq --no-dense --limit 200
"""


@app.callback()
def group() -> None:
    """Retrieval: evaluate it on judged queries."""


@app.command(epilog=EXAMPLES)
def evaluate(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder with corpus.jsonl, queries.jsonl, qrels.jsonl; queries.train.jsonl and "
            "qrels.train.jsonl where there are training queries.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation.")] = 5,
    dense: Annotated[bool, typer.Option("--dense/--no-dense", help="Use the encoder, or words only.")] = True,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many queries.")] = None,
) -> None:
    """Measure nDCG@10, recall@3 and MRR@10 of the fused ranking and of each leg, with 95 % intervals.

    With training queries the fusion is fitted on them and measured on queries.jsonl; where only training
    queries exist it is cross-validated over them; without any the shipped fusion needs no labels.
    """
    from mangaassist.bootstrap.retrieval import evaluate_retrieval
    from mangaassist.bootstrap.settings import load_settings

    with EvaluationBar() as bar:
        report = evaluate_retrieval(
            directory, settings=load_settings(), progress=bar, folds=folds, dense=dense, limit=limit
        )
    if as_json:
        print(json.dumps(report_document(report)))
    else:
        _show(report)


def report_document(report: RetrievalReport) -> dict[str, object]:
    """Return what `retrieval evaluate --json` prints."""
    return {
        **_system(report.fused),
        "legs": {name: _system(scores) for name, scores in report.legs.items()},
        "unlabelled": _system(report.unlabelled),
        "fusion": report.fusion,
        "ranker_versions": list(report.ranker_versions),
        "embedding_version": report.embedding_version,
        "best_leg": report.best_leg,
        "ndcg_at_10_over_best_leg": _estimate(report.over_best_leg),
        "unlabelled_ndcg_at_10_over_best_leg": _estimate(report.unlabelled_over_best_leg),
        "documents": report.document_count,
        "queries": report.query_count,
        "training_queries": report.training_query_count,
        "latency_ms": {"p50": round(report.latency_p50_ms, 2), "p95": round(report.latency_p95_ms, 2)},
    }


def _system(scores: SystemScores) -> dict[str, object]:
    intervals = {
        name: [round(scores.estimates[name].low, 4), round(scores.estimates[name].high, 4)]
        for name in METRICS
    }
    means: dict[str, object] = {name: round(scores.estimates[name].mean, 4) for name in METRICS}
    return {**means, "intervals_95": intervals}


def _estimate(estimate: Estimate) -> dict[str, float]:
    return {
        "mean": round(estimate.mean, 4),
        "low": round(estimate.low, 4),
        "high": round(estimate.high, 4),
    }


def _show(report: RetrievalReport) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report.query_count} queries over {report.document_count} documents")
    table.add_column("ranking")
    for name in METRICS:
        table.add_column(f"{name} (95 %)", justify="right")
    systems = {f"fused ({report.fusion})": report.fused, "without labels": report.unlabelled, **report.legs}
    for label, scores in systems.items():
        cells = [scores.estimates[name] for name in METRICS]
        table.add_row(label, *(f"{one.mean:.4f} ({one.low:.3f}–{one.high:.3f})" for one in cells))
    console = Console()
    console.print(table)
    over = report.over_best_leg
    console.print(
        f"fused over {report.best_leg}: {over.mean:+.4f} nDCG@10 ({over.low:+.4f} to {over.high:+.4f}); "
        f"latency p50 {report.latency_p50_ms:.1f} ms, p95 {report.latency_p95_ms:.1f} ms"
    )


class EvaluationBar:
    """A progress bar on standard error."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> EvaluationBar:
        from rich.console import Console
        from rich.progress import Progress

        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def start(self, phase: str, total: int) -> None:
        """Show the next phase."""
        if self._progress is not None:
            self._task = self._progress.add_task(phase, total=total)

    def advance(self, steps: int) -> None:
        """Move the bar of the running phase."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, steps)
