"""`mangaassist bench`: the benchmarks of a checkout, side by side with their yardsticks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

from mangaassist.domain.errors import ConfigurationError

app = typer.Typer(
    help="Measure speed as ratios, side by side in one run (needs a checkout).", no_args_is_help=True
)
FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=FORWARDED, help="The whole path beside the floor and LiteLLM's proxy.")
def serve(context: typer.Context) -> None:
    """Run `benchmarks.serve`."""
    run_benchmark("benchmarks.serve", context.args)


@app.command(context_settings=FORWARDED, help="Seconds to the first answer, and to MLflow healthy.")
def start(context: typer.Context) -> None:
    """Run `benchmarks.start`."""
    run_benchmark("benchmarks.start", context.args)


@app.command(
    context_settings=FORWARDED,
    help="A trace of 14 spans beside OpenTelemetry and MLflow.",
)
def trace(context: typer.Context) -> None:
    """Run `benchmarks.trace`."""
    run_benchmark("benchmarks.trace", context.args)


@app.command(
    name="trace-burst",
    context_settings=FORWARDED,
    help="Answers at full speed with MLflow stopped, then started.",
)
def trace_burst(context: typer.Context) -> None:
    """Run `benchmarks.trace_burst`."""
    run_benchmark("benchmarks.trace_burst", context.args)


@app.command(context_settings=FORWARDED, help="The analysis of ten million observations of an experiment.")
def experiment(context: typer.Context) -> None:
    """Run `benchmarks.experiment`."""
    run_benchmark("benchmarks.experiment", context.args)


@app.command(context_settings=FORWARDED, help="A million request records: reports, look-ups, bytes.")
def records(context: typer.Context) -> None:
    """Run `benchmarks.records`."""
    run_benchmark("benchmarks.records", context.args)


def run_benchmark(module: str, arguments: list[str]) -> None:
    """Run a benchmark of the checkout and leave with its exit code."""
    root = Path(__file__).resolve().parents[3]
    if not (root / "benchmarks" / "serve.py").is_file():
        raise ConfigurationError(
            "the benchmarks are part of a checkout; run this from a clone of the repository"
        )
    finished = subprocess.run([sys.executable, "-m", module, *arguments], cwd=root, check=False)
    raise typer.Exit(finished.returncode)
