"""`mangaassist replay`: a kept answer, made again, and what differs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from mangaassist.control.lineage.replay import ReplayReport


class Mode(StrEnum):
    """How much is made again."""

    exact = "exact"
    rebuild = "rebuild"
    full = "full"


def register(parent: typer.Typer) -> None:
    """Add the command."""
    parent.command()(replay)


def replay(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="A response, trace or feedback id.")],
    mode: Annotated[
        Mode,
        typer.Option(
            help="exact: the same bytes to the model. rebuild: the prompt rebuilt from bundle, facts and "
            "chunks as they were. full: everything again from the question on, at the recorded moment."
        ),
    ] = Mode.exact,
    bundle: Annotated[
        str | None, typer.Option(help="Another release bundle: its prompts, models and rules.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Make a kept answer again and name what differs by component.

    Nothing is stored, spent or traced. Examples:

    mangaassist replay resp_01jabc... --mode rebuild

    mangaassist replay resp_01jabc... --mode full --bundle 2026.11.22-1a2b3c4d
    """
    from mangaassist.bootstrap.lineage import replay as replay_answer
    from mangaassist.bootstrap.settings import load_settings

    report = asyncio.run(replay_answer(load_settings(), identifier, mode=mode.value, bundle=bundle))
    if as_json:
        print(json.dumps({**asdict(report), "components": report.components}, ensure_ascii=False, indent=2))
        return
    from rich.console import Console

    show_report(report, Console())


def show_report(report: ReplayReport, console: Console) -> None:
    """Print a report for people."""
    from rich.table import Table
    from rich.text import Text

    prompt = {None: "no model was asked", True: "equal", False: "differs"}[report.prompt_equal]
    text = "equal" if report.text_equal else f"differs (similarity {report.similarity:.3f})"
    console.print(Text(f"{report.mode} replay of {report.response_id}", style="bold"))
    console.print(Text(f"bundle    {report.recorded_bundle} -> {report.used_bundle}"), soft_wrap=True)
    console.print(f"prompt    {prompt}")
    console.print(f"answer    {text}")
    if report.differences:
        table = Table("component", "what", "recorded", "replayed", box=None, padding=(0, 1), pad_edge=False)
        for one in report.differences:
            table.add_row(*(Text(cell) for cell in (one.component, one.name, one.recorded, one.replayed)))
        console.print(table)
    else:
        console.print("no component differs")
    for name, (then, now) in report.versions.items():
        console.print(Text(f"version   {name}: {then} -> {now}", style="dim"), soft_wrap=True)
    if not report.text_equal:
        console.print(Text(f"\n- {report.recorded_text}", style="red"), soft_wrap=True)
        console.print(Text(f"+ {report.replayed_text}", style="green"), soft_wrap=True)
