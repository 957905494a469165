"""`mangaassist`: the command groups, and one place that turns errors into exit codes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mangaassist.cli import (
    ask,
    bench,
    diagnose,
    doctor,
    experiment,
    guardrail_tuning,
    guardrails,
    intents,
    lineage,
    models,
    records,
    replay,
    retrieval,
    simulate,
    store,
    trace,
    traces,
    train,
    up,
)
from mangaassist.domain.errors import (
    ConfigurationError,
    DependencyError,
    GateError,
    InvalidRequestError,
    MangaAssistError,
    NotFoundError,
    PermissionDeniedError,
)

EXIT_CODES: tuple[tuple[type[MangaAssistError], int], ...] = (
    (InvalidRequestError, 2),
    (ConfigurationError, 3),
    (NotFoundError, 4),
    (PermissionDeniedError, 5),
    (DependencyError, 6),
    (GateError, 7),
    (MangaAssistError, 1),
)

typer_app = typer.Typer(
    name="mangaassist",
    help="A shopping assistant for a manga store, and its control plane.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
up.register(typer_app)
ask.register(typer_app)
doctor.register(typer_app)
diagnose.register(typer_app)
lineage.register(typer_app)
replay.register(typer_app)
records.register(typer_app)
typer_app.add_typer(trace.app, name="trace")
typer_app.add_typer(traces.app, name="traces")
typer_app.add_typer(store.app, name="store")
typer_app.add_typer(models.app, name="models")
typer_app.add_typer(train.app, name="train")
typer_app.add_typer(intents.app, name="intents")
typer_app.add_typer(retrieval.app, name="retrieval")
typer_app.add_typer(guardrails.app, name="guardrails")
guardrail_tuning.register(guardrails.app)
typer_app.add_typer(experiment.app, name="experiment")
typer_app.add_typer(simulate.app, name="simulate")
typer_app.add_typer(bench.app, name="bench")


@typer_app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Nothing of its own: every command says what it does."""
    if version:
        from importlib.metadata import version as installed

        print(installed("mangaassist"))
        raise typer.Exit


def app() -> None:
    """Run the command line; a known error becomes one line on stderr and its exit code."""
    try:
        typer_app()
    except MangaAssistError as error:
        print(f"mangaassist: {error}", file=sys.stderr)
        sys.exit(next(code for kind, code in EXIT_CODES if isinstance(error, kind)))
