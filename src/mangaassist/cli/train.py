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


@app.command(epilog="Examples: mangaassist train grounding --data grounding.jsonl --json")
def grounding(
    data: Annotated[
        Path, typer.Option("--data", help='JSONL of {"context", "response", "label", "source"}.')
    ],
    output: Annotated[
        Path | None, typer.Option(help="The model file; by default the pack's, replaced.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")] = False,
) -> None:
    """Train the grounding model and measure its like on contexts that it had not seen."""
    from mangaassist.bootstrap.grounding_training import train_store_grounding
    from mangaassist.bootstrap.settings import find_store_dir, load_settings

    with PhaseBar(quiet=as_json) as bar:
        trained = train_store_grounding(
            store_dir=find_store_dir(load_settings()), data=data, output=output, progress=bar.report
        )
    held_out = dict(trained.held_out_auroc)
    if as_json:
        document = {"version": trained.version, "file": str(trained.path), "held_out_auroc": held_out}
        print(json.dumps(document))
        return
    print(f"{trained.version} in {trained.path}")
    for source, area in held_out.items():
        print(f"  {source:20} AUROC {'not measurable' if area is None else f'{area:.3f}'} on unseen contexts")


@app.command(
    epilog="Examples: mangaassist train injection --data injection.jsonl --json"
    " | mangaassist train injection --no-encoder --output var/injection"
)
def injection(
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            help='JSONL of {"text", "label": "injection"|"benign", "source"}, may be repeated; by default '
            "only the pack's own families of attacks and harmless texts.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the model; by default the pack's, replaced.", show_default=False),
    ] = None,
    encoder: Annotated[bool, typer.Option(help="Train the encoder head where the encoder is cached.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")] = False,
) -> None:
    """Train the injection classifier and measure it on sources that it had not seen; writes a data card."""
    from mangaassist.bootstrap.injection import train_store_injection
    from mangaassist.bootstrap.settings import find_store_dir, load_settings

    settings = load_settings()
    with PhaseBar(quiet=as_json) as bar:
        training = train_store_injection(
            store_dir=find_store_dir(settings),
            cache_dir=settings.cache_dir,
            data=data or (),
            output=output,
            use_encoder=encoder,
            progress=bar.report,
        )
    artifact = training.artifact
    if as_json:
        document = {
            "version": artifact.version,
            "directory": str(training.directory),
            "dataset_hash": artifact.provenance["dataset_hash"],
            "examples": artifact.provenance["examples"],
            "left_out": training.left_out,
            "false_alarms": training.false_alarms,
        }
        print(json.dumps(document, ensure_ascii=False))
        return
    print(
        f"{artifact.version}, trained on {artifact.provenance['examples']:,} texts, in {training.directory}"
    )
    if artifact.decisions["encoder"] is None:
        print("it has no encoder head: `mangaassist models fetch`, then train again without --no-encoder")
    print(f"False alarms: {dict(training.false_alarms)}")
    if training.left_out is not None:
        from mangaassist.cli.guardrails import show_figures

        show_figures(training.left_out, title="each source's family left out")
