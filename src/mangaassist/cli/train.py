"""`mangaassist train`: fit what is learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mangaassist.cli.intents import PhaseBar, report_document, show_report

app = typer.Typer(help="Train what is learned.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `train` a group of commands, also while it has only one."""


@app.command(
    epilog="Examples: mangaassist train intent --json"
    " | mangaassist train intent --data mine.jsonl --output var/intent"
)
def intent(
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            help='JSONL of {"text", "intent"}, may be repeated; by default the pack\'s own.',
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the model; by default the pack's, replaced.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")] = False,
) -> None:
    """Train the intent classifier and measure it on held-out utterances."""
    from mangaassist.bootstrap.intent import train_store_intents
    from mangaassist.bootstrap.settings import find_store_dir, load_settings

    settings = load_settings()
    with PhaseBar(quiet=as_json) as bar:
        training = train_store_intents(
            store_dir=find_store_dir(settings),
            cache_dir=settings.cache_dir,
            data=data or (),
            output=output,
            progress=bar.report,
        )
    artifact = training.artifact
    if as_json:
        document = {
            "version": artifact.version,
            "directory": str(training.directory),
            "dataset_hash": artifact.provenance["dataset_hash"],
            "encoder_version": artifact.decisions["encoder_version"],
            "examples": artifact.provenance["examples"],
            "left_out_accuracy": artifact.provenance["left_out_accuracy"],
            "held_out": report_document(training.held_out),
        }
        print(json.dumps(document, ensure_ascii=False))
        return
    count = artifact.provenance["examples"]
    print(f"{artifact.version}, trained on {count:,} texts, in {training.directory}")
    if artifact.decisions["encoder_version"] is None:
        print("no encoder is cached, so it has no encoder head: `mangaassist models fetch`, then train again")
    print("Held out (trained on the other four fifths):")
    show_report(training.held_out)
