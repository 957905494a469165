"""`mangaassist trace`: how one answer was made, span by span."""

from __future__ import annotations

from typing import Annotated

import typer

from mangaassist.cli.lineage import show_lineage

app = typer.Typer(help="Traces of answers: read them back.", no_args_is_help=True)


@app.command()
def show(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="A trace, response, session or feedback id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show how one answer was made: waterfall, versions, chunks, verdicts, tokens, cost, feedback.

    Example: mangaassist trace show resp_01jabc...
    """
    show_lineage(trace_id, as_json=as_json)
