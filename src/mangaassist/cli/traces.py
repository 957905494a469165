"""`mangaassist traces`: how the traces of this machine stand, and keeping one that waits."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

app = typer.Typer(
    help="Traces on their way: counters, destinations, keeping held ones.", no_args_is_help=True
)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Show what was accepted, shipped, is pending, held or dropped, and why.

    Example: mangaassist traces status --json
    """
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.bootstrap.trace_status import trace_status

    found = trace_status(load_settings())
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("destination", "shipped", "pending", "oldest waits", "problem", box=None, pad_edge=False)
    for column in table.columns[1:4]:
        column.justify = "right"
    for one in found.destinations:
        waits = f"{one.oldest_pending_s:,.1f} s" if one.pending else "-"
        table.add_row(one.name, f"{one.shipped:,}", f"{one.pending:,}", waits, one.problem or "")
    console.print(table)
    console.print(
        f"accepted {found.accepted:,}   held outside the sample {found.held:,}"
        f"   kept later {found.kept_later:,}   spans of other services {found.remote:,}"
    )
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in sorted(found.dropped.items())) or "none"
    console.print(f"dropped: {dropped}")
    console.print(
        f"spool {found.spool_bytes / 1e6:,.1f} MB   worker {found.worker}"
        f"   feedback shipped {found.feedback_shipped:,}, unjoined {found.feedback_unjoined:,}"
    )


@app.command()
def keep(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="A trace id or a response id.")],
    reason: Annotated[str, typer.Option(help="feedback, escalation, alert or request.")] = "request",
) -> None:
    """Ship a trace that waits outside the sample; keeping one again changes nothing.

    Example: mangaassist traces keep resp_01jabc... --reason alert
    """
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.bootstrap.trace_status import keep_trace

    keep_trace(load_settings(), trace_id, reason=reason)
    print(f"{trace_id} is kept")
