"""`mangaassist doctor`: what is behind every port, whether it works, and what is missing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mangaassist.bootstrap.diagnosis import Finding
    from mangaassist.bootstrap.settings import Settings

MARKS = {"ready": "[green]ready[/]", "down": "[red]down[/]", "off": "[dim]off[/]"}


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command(
        help="Check every component; the exit code is 1 when a configured one does not work.",
        epilog="Example:  mangaassist doctor --json",
    )(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check every component for real."""
    from mangaassist.bootstrap.diagnosis import diagnose
    from mangaassist.bootstrap.settings import load_settings

    settings = load_settings()
    findings = asyncio.run(diagnose(settings))
    healthy = all(finding.state != "down" for finding in findings)
    if as_json:
        document = {
            "healthy": healthy,
            "profile": settings.profile,
            "components": [asdict(finding) for finding in findings],
            "settings": masked_settings(settings),
        }
        print(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        _show(settings, findings)
    if not healthy:
        raise typer.Exit(1)


def masked_settings(settings: Settings) -> dict[str, str]:
    """Return the settings that were set on purpose, secrets and passwords in addresses hidden."""
    from mangaassist.bootstrap.observability import public_url

    shown: dict[str, str] = {}
    for name in sorted(settings.model_fields_set):
        # secret fields print as asterisks by themselves
        value = str(getattr(settings, name))
        shown[name] = public_url(value) if "://" in value and "@" in value else value
    return shown


def _show(settings: Settings, findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(
        "port", "adapter", "health", "detail", title=f"profile {settings.profile}", title_justify="left"
    )
    for finding in findings:
        detail = escape(finding.detail)
        if finding.unlocks:
            detail += f"\n[dim]would unlock: {escape(finding.unlocks)}[/]"
        table.add_row(finding.port, escape(finding.adapter), MARKS[finding.state], detail)
    console.print(table)
    for name, value in masked_settings(settings).items():
        console.print(f"MANGAASSIST_{name.upper()}={value}", markup=False, highlight=False, soft_wrap=True)
