"""`mangaassist store`: check a store pack, take in another catalogue."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from mangaassist.bootstrap.store_pack import StoreValidation, validate_store
from mangaassist.domain.errors import MangaAssistError

app = typer.Typer(help="The store pack: check it, add a catalogue to it.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")]


@app.command()
def validate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the pack, with a store.yaml.")],
    as_json: JsonOption = False,
) -> None:
    """Report every problem of a store pack by file, line and field; the exit code is 1 when one is an error.

    Example: mangaassist store validate stores/jp-manga
    """
    try:
        validation = validate_store(directory)
    except MangaAssistError as error:
        _fail(str(error), as_json=as_json)
    if as_json:
        print(json.dumps(_validation_record(validation)))
    else:
        _show_validation(validation)
    if validation.error_count:
        raise typer.Exit(1)


def _validation_record(validation: StoreValidation) -> dict[str, object]:
    return {
        "name": validation.manifest.name,
        "valid": validation.error_count == 0,
        "errors": validation.error_count,
        "warnings": len(validation.problems) - validation.error_count,
        "counts": dict(validation.counts),
        "targets": dict(validation.targets),
        "problems": [asdict(problem) for problem in validation.problems],
    }


def _show_validation(validation: StoreValidation) -> None:
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


def _fail(message: str, *, as_json: bool) -> NoReturn:
    """End with exit code 1 and the reason."""
    if as_json:
        print(json.dumps({"error": message}))
    else:
        Console(stderr=True).print(message, style="red", markup=False)
    raise typer.Exit(1)
