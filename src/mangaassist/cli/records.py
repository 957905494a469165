"""`mangaassist query`, `mangaassist report`, `mangaassist records`: questions over all answers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mangaassist.bootstrap.records import CopyReport
    from mangaassist.domain.tables import ResultTable

app = typer.Typer(help="The columnar copy of the request records.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print rows as JSON.")]


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.command()(query)
    parent.command()(report)
    parent.add_typer(app, name="records")


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over the views `records` and `feedback`.")],
    as_json: AsJson = False,
) -> None:
    """Ask anything of all request records, in DuckDB's SQL.

    Examples:

    mangaassist query "SELECT intent, count(*) FROM records GROUP BY intent"

    mangaassist query "SELECT quantile_cont(step_ms['rerank_chunks'], 0.95) FROM records" --json
    """
    from mangaassist.bootstrap.records import opened_analytics
    from mangaassist.bootstrap.settings import load_settings

    with opened_analytics(load_settings()) as analytics:
        _show(analytics.run(sql), as_json=as_json)


def report(
    name: Annotated[str | None, typer.Argument(help="Which one; without a name they are listed.")] = None,
    days: Annotated[int, typer.Option(min=1, help="How many days back, today included.")] = 7,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a named report: latency, cost, blocks, thumbs-down, daily-feedback, outcomes, steps.

    Example: mangaassist report latency --days 1
    """
    from mangaassist.bootstrap.clock import SystemClock
    from mangaassist.bootstrap.records import opened_analytics
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.control.monitoring.reports import REPORTS, run_report

    if name is None:
        for one in REPORTS:
            print(f"{one.name:16}{one.title}")
        return
    today = SystemClock().now().astimezone(UTC).date()
    last: date = until.date() if until else today
    first: date = since.date() if since else last - timedelta(days=days - 1)
    with opened_analytics(load_settings()) as analytics:
        _show(run_report(name, analytics, since=first, until=last), as_json=as_json)


@app.command()
def copy(as_json: AsJson = False) -> None:
    """Copy now what the worker would copy within seconds.

    Example: mangaassist records copy
    """
    _show_copy(asyncio.run(_copy(rebuild=False)), as_json=as_json)


@app.command()
def rebuild(as_json: AsJson = False) -> None:
    """Build the copy anew from the database; the old one is read until the new one is whole.

    Example: mangaassist records rebuild
    """
    _show_copy(asyncio.run(_copy(rebuild=True)), as_json=as_json)


async def _copy(*, rebuild: bool) -> CopyReport:
    from rich.progress import Progress

    from mangaassist.bootstrap.clock import SystemClock
    from mangaassist.bootstrap.lineage import opened_storage
    from mangaassist.bootstrap.records import columnar_copy, copy_pending, rebuild_copy
    from mangaassist.bootstrap.settings import load_settings

    settings = load_settings()
    with Progress(transient=True) as progress:
        task = progress.add_task("copying rows", total=None)
        async with opened_storage(settings) as storage:
            if rebuild:
                return await rebuild_copy(
                    storage,
                    columnar_copy(settings),
                    on_rows=lambda rows: progress.update(task, completed=rows),
                )
            return await copy_pending(
                storage,
                columnar_copy(settings),
                clock=SystemClock(),
                on_rows=lambda rows: progress.update(task, completed=rows),
            )


def _show_copy(done: CopyReport, *, as_json: bool) -> None:
    figures = {"records": done.records, "feedback": done.feedback, "merged_files": done.merged_files}
    print(json.dumps(figures) if as_json else "  ".join(f"{name} {value}" for name, value in figures.items()))


def _show(table: ResultTable, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(table.records(), ensure_ascii=False, indent=2, default=str))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(*table.columns, box=None, padding=(0, 1), pad_edge=False)
    for row in table.rows:
        shown.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console().print(shown)
