"""`mangaassist store`: check a store pack, add a catalogue to it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mangaassist.bootstrap.store_import import ImportReport
    from mangaassist.bootstrap.store_validation import StoreValidation

SHOWN_FAULTS = 20

app = typer.Typer(help="The store pack: check it, add a catalogue to it.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")]


@app.command(epilog="Example: mangaassist store validate stores/jp-manga")
def validate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the pack, with a store.yaml.")],
    as_json: JsonOption = False,
) -> None:
    """Report every problem of a store pack by file, line and field; exit with 1 when one is an error."""
    from mangaassist.bootstrap.store_validation import validate_store

    validation = validate_store(directory)
    if as_json:
        print(json.dumps(validation_document(validation), ensure_ascii=False))
    else:
        _show_validation(validation)
    if validation.error_count:
        raise typer.Exit(1)


@app.command("import", epilog="Example: mangaassist store import manga.jsonl --json")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Catalogue: one JSON object a line.")],
    as_json: JsonOption = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where the index lives; by default MANGAASSIST_DATA_DIR, else var.", show_default=False
        ),
    ] = None,
) -> None:
    """Add a catalogue, searchable at once; rows that cannot be read are reported by line and left out."""
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.bootstrap.store_import import import_catalog

    with ImportBar(quiet=as_json) as bar:
        report = import_catalog(file, settings=load_settings(data_dir=data_dir), progress=bar)
    if as_json:
        print(json.dumps(import_document(report), ensure_ascii=False))
    else:
        _show_import(report)


@app.command(epilog="Example: mangaassist store index")
def index(
    as_json: JsonOption = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where the index lives; by default MANGAASSIST_DATA_DIR, else var.", show_default=False
        ),
    ] = None,
) -> None:
    """Build the search index of the store, with vectors when the encoder is there."""
    from mangaassist.bootstrap.knowledge import complete_index
    from mangaassist.bootstrap.settings import find_store_dir, load_settings

    settings = load_settings(data_dir=data_dir)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with ImportBar(quiet=as_json) as bar:
        report = complete_index(settings, find_store_dir(settings), on_start=bar.start, on_chunks=bar.advance)
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        legs = f"vectors of {report.embedding_version}" if report.embedding_version else "lexical only"
        print(f"{report.chunk_count} chunks in generation {report.generation} ({legs})")


def validation_document(validation: StoreValidation) -> dict[str, object]:
    """Return what `store validate --json` prints."""
    return {
        "name": validation.manifest.name,
        "valid": validation.error_count == 0,
        "errors": validation.error_count,
        "warnings": len(validation.problems) - validation.error_count,
        "counts": dict(validation.counts),
        "targets": dict(validation.targets),
        "problems": [asdict(problem) for problem in validation.problems],
    }


def import_document(report: ImportReport) -> dict[str, object]:
    """Return what `store import --json` prints."""
    return {
        "source": report.source,
        "rows": report.row_count,
        "added": report.added_count,
        "replaced": report.replaced_count,
        "merged_with_store": report.merged_count,
        "repeated": report.repeated_count,
        "malformed": report.malformed_count,
        "faults": [asdict(fault) for fault in report.faults],
        "series": report.series_count,
        "chunks": report.chunk_count,
        "generation": report.generation,
        "embedding_version": report.embedding_version,
        "duration_s": round(report.duration_s, 2),
    }


class ImportBar:
    """The progress of an import, on stderr."""

    def __init__(self, *, quiet: bool) -> None:
        self._progress = _progress(quiet=quiet)
        self._task: TaskID | None = None

    def __enter__(self) -> ImportBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, phase: str, total: int) -> None:
        """Show a new phase in place of the last one."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(phase, total=total)

    def advance(self, steps: int) -> None:
        """Move the bar of the phase."""
        if self._task is not None:
            self._progress.advance(self._task, steps)


def _progress(*, quiet: bool) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet,
    )


def _show_validation(validation: StoreValidation) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("records", "count", "demo store aims at", title=validation.manifest.title)
    for name, count in validation.counts.items():
        target = validation.targets.get(name)
        table.add_row(name, f"{count:,}", "" if target is None else f"at least {target:,}")
    console.print(table)
    for problem in validation.problems:
        style = "red" if problem.severity == "error" else "yellow"
        console.print(f"{problem.severity}: {problem}", style=style, markup=False, soft_wrap=True)
    warnings = len(validation.problems) - validation.error_count
    verdict = "valid" if validation.error_count == 0 else "not valid"
    console.print(f"{verdict}: {validation.error_count} errors, {warnings} warnings")


def _show_import(report: ImportReport) -> None:
    for fault in report.faults[:SHOWN_FAULTS]:
        where = f"line {fault.line}" if fault.field is None else f"line {fault.line}, {fault.field}"
        print(f"left out {where}: {fault.message}")
    if len(report.faults) > SHOWN_FAULTS:
        print(f"and {len(report.faults) - SHOWN_FAULTS:,} more; --json lists them all")
    print(
        f"{report.row_count:,} rows in {report.duration_s:.1f} s: {report.added_count:,} added, "
        f"{report.replaced_count:,} replaced, {report.merged_count:,} already in the store, "
        f"{report.malformed_count:,} left out"
    )
    how = "lexically only: no encoder is cached, run `mangaassist models fetch` and import again"
    if report.embedding_version is not None:
        how = f"lexically and by meaning ({report.embedding_version})"
    print(f"{report.series_count:,} series can now be searched, {how}")
