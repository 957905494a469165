"""`mangaassist intents`: what the intent classifier is worth on a labelled file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mangaassist.control.evaluation.intents import IntentReport, RatioEstimate

app = typer.Typer(help="Evaluate intent classification.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `intents` a group of commands, also while it has only one."""


@app.command(
    epilog="Examples: mangaassist intents evaluate mine.jsonl --json"
    " | mangaassist intents evaluate clinc150.jsonl --train-split train --split val"
    " | mangaassist intents evaluate banking77.jsonl --folds 5"
)
def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help='JSONL of {"text", "intent"}; the intents oos and out_of_scope mark texts out of scope.',
        ),
    ],
    train: Annotated[
        Path | None,
        typer.Option(help="Train on this file first; by default the store's model is evaluated."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Evaluate only the rows with this `split`.")] = None,
    train_split: Annotated[
        str | None, typer.Option(help="Train on the rows with this `split`, of --train or else of FILE.")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Cross-validate on FILE with so many folds.")] = None,
    encoder: Annotated[bool, typer.Option(help="Use the sentence encoder where it is cached.")] = True,
    plot: Annotated[
        Path | None, typer.Option(help="Write confusion matrix and rejection curve to this PNG.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")] = False,
) -> None:
    """Print accuracy, rejection, calibration and CPU time per decision, one at a time."""
    from mangaassist.bootstrap.intent import evaluate_intents
    from mangaassist.bootstrap.settings import find_store_dir, load_settings

    settings = load_settings()
    with PhaseBar(quiet=as_json) as bar:
        evaluation = evaluate_intents(
            file,
            store_dir=find_store_dir(settings),
            cache_dir=settings.cache_dir,
            train=train,
            split=split,
            train_split=train_split,
            folds=folds,
            use_encoder=encoder,
            progress=bar.report,
        )
    if plot is not None:
        from mangaassist.cli.intent_plot import plot_report

        plot_report(evaluation.report, plot)
    latency = evaluation.latency
    if as_json:
        document = {
            "classifier": evaluation.classifier,
            "trained_on": evaluation.trained_on,
            **report_document(evaluation.report),
            "p50_ms": latency.p50_ms if latency else None,
            "p95_ms": latency.p95_ms if latency else None,
            "first_stage_p95_ms": latency.first_stage_p95_ms if latency else None,
        }
        print(json.dumps(document, ensure_ascii=False))
        return
    print(f"{evaluation.classifier}, trained on {evaluation.trained_on}")
    show_report(evaluation.report)
    if latency is not None:
        print(
            f"CPU per decision: p50 {latency.p50_ms:.2f} ms, p95 {latency.p95_ms:.2f} ms;"
            f" first stage p95 {latency.first_stage_p95_ms:.3f} ms ({latency.sample} texts)"
        )


def report_document(report: IntentReport) -> dict[str, Any]:
    """Return the report as JSON: shares as plain numbers, their intervals beside them."""
    ratios = (
        "accuracy",
        "in_scope_accuracy",
        "in_scope_accuracy_without_rejection",
        "out_of_scope_recall",
    )
    return {
        "count": report.count,
        **{name: getattr(report, name).value for name in ratios},
        "macro_f1": report.macro_f1,
        "per_class_f1": dict(report.per_class_f1),
        "per_class_recall": {label: share.value for label, share in report.per_class_recall.items()},
        "out_of_scope_auroc": report.out_of_scope_auroc,
        "ece": report.ece,
        "intervals_95": {name: [getattr(report, name).low, getattr(report, name).high] for name in ratios},
        "stage_shares": dict(report.stage_shares),
        "out_of_scope_curve": [asdict(point) for point in report.curve],
        "confusion": {"labels": list(report.labels), "rows": [list(row) for row in report.confusion]},
    }


def show_report(report: IntentReport) -> None:
    """Print the figures for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    summary = Table("figure", "value", "95 % interval", "of", title=f"{report.count:,} texts")
    for name, share in (
        ("accuracy", report.accuracy),
        ("in scope, rejected counts as wrong", report.in_scope_accuracy),
        ("in scope, without rejection", report.in_scope_accuracy_without_rejection),
        ("out of scope found", report.out_of_scope_recall),
    ):
        summary.add_row(name, _shown(share.value), _interval(share), f"{share.count:,}")
    summary.add_row("macro F1", _shown(report.macro_f1), "", "")
    summary.add_row("out-of-scope AUROC", _shown(report.out_of_scope_auroc), "", "")
    summary.add_row("calibration error", _shown(report.ece), "", "")
    console.print(summary)
    classes = Table("intent", "F1", "recall", "95 % interval", "texts", title="weakest intents")
    for label in sorted(report.per_class_f1, key=report.per_class_f1.__getitem__)[:15]:
        recall = report.per_class_recall[label]
        classes.add_row(
            label,
            _shown(report.per_class_f1[label]),
            _shown(recall.value),
            _interval(recall),
            f"{recall.count:,}",
        )
    console.print(classes)


class PhaseBar:
    """One bar on stderr that names the phase."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=quiet,
        )
        self._task = self._progress.add_task("reading", total=None)

    def __enter__(self) -> PhaseBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def report(self, phase: str, done: int, total: int) -> None:
        """Show how far the phase is; a phase of one step shows that it runs."""
        self._progress.update(
            self._task, description=phase, completed=done, total=total if total > 1 else None
        )


def _shown(value: float | None) -> str:
    return "not measurable" if value is None else f"{value:.4f}"


def _interval(share: RatioEstimate) -> str:
    if share.low is None or share.high is None:
        return ""
    return f"{share.low:.4f} - {share.high:.4f}"
